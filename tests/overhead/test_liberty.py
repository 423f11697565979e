"""Liberty reading, the compact library, and finding libraries."""

from __future__ import annotations

import lzma
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.overhead import compact, technology
from fitact_hw.overhead.liberty import LibertyError, Library
from fitact_hw.overhead.liberty_function import truth_table
from fitact_hw.overhead.technology import Technology, TechnologyError, find_pdks

SMALL = """
/* comment with { a brace */
library (tiny) {
  time_unit : "1ns"; capacitive_load_unit (1, pf);
  nom_voltage : 1.1; nom_temperature : 25
  cell (ND2) { area : 2.5;
    pin (A) { direction : input; capacitance : 0.001; }
    pin (B) { direction : input; capacitance : 0.001; }
    pin (Y) { direction : output; function : "!(A & B)";
      timing () { related_pin : "A B"; cell_rise (t) { index_1 ("0, 1"); index_2 ("0, 1"); \\
        values ("1, 2", \\
                "3, 4"); } } }
  }
}
"""


@pytest.mark.parametrize(
    ("function", "pins", "table"),
    [
        ("!(A*B)", ["A", "B"], "1110"),
        ("(!A) + (!B)", ["A", "B"], "1110"),
        ("(A^B)", ["A", "B"], "0110"),
        ("!(A^B)", ["A", "B"], "1001"),
        ("(!S*A0)+(S*A1)", ["S", "A0", "A1"], "00110101"),
        ("!((A1*A2)+B1)", ["A1", "A2", "B1"], "10101000"),
        ("A * !B & C", ["A", "B", "C"], "00000100"),
        ("A B", ["A", "B"], "0001"),
        ("(A B)'", ["A", "B"], "1110"),
        ("A'B' + C", ["A", "B", "C"], "11010101"),
        ("!A'", ["A"], "01"),
        ("A''", ["A"], "01"),
        ("!(A)(B)", ["A", "B"], "0100"),
        ("A^B C", ["A", "B", "C"], "00010100"),  # (A ^ B) C
        ("A | B ^ C & 1", ["A", "B", "C"], "01101111"),
        ("D[0] | 0", ["D[0]"], "01"),
    ],
)
def test_truth_tables(function: str, pins: list[str], table: str) -> None:
    assert truth_table(function, pins) == table


def test_functions_that_are_not_understood_are_none() -> None:
    assert truth_table("A' B)", ["A", "B"]) is None
    assert truth_table("(A", ["A"]) is None
    assert truth_table("A +", ["A"]) is None
    assert truth_table("", ["A"]) is None
    assert truth_table("A ? B", ["A", "B"]) is None
    assert truth_table("__import__('os')", ["A"]) is None
    assert truth_table("A*Z", ["A"]) is None


def test_reads_cells_values_and_missing_semicolons() -> None:
    library = Library(SMALL)
    assert library.name == "tiny"
    assert library.area("ND2") == 2.5
    assert library.find("1110", 2) == ["ND2"]
    assert library.header.number("nom_temperature") == 25
    timing = library.cell("ND2").all("pin")[2].all("timing")[0]
    assert timing.all("cell_rise")[0].attributes["values"] == ["1, 2", "3, 4"]
    with pytest.raises(LibertyError, match="no cell XOR9"):
        library.cell("XOR9")


@pytest.mark.parametrize("text", ["", "module a; endmodule", SMALL[:250]])
def test_what_is_not_a_library_is_refused(text: str) -> None:
    with pytest.raises(LibertyError):
        Library(text)


def test_compact_library_is_up_to_date() -> None:
    assert compact.PATH.read_text() == compact.liberty_text(), "run python -m fitact_hw.overhead.compact"


def test_compact_library_has_what_synthesis_needs(tech: Technology) -> None:
    library = tech.library
    assert 15 <= len(library.cells) <= 30
    assert sum(library.is_flop(name) for name in library.cells) == 1
    assert (tech.nand2_cell, tech.driver) == ("c130_nand2_1", "c130_buf_2")
    assert library.find("01", 1)
    assert library.find("10", 1)
    assert tech.node_nm == 130


def test_compressed_libraries_and_folders(tmp_path: Path) -> None:
    packed = tmp_path / "some" / "copy.lib.xz"
    packed.parent.mkdir()
    packed.write_bytes(lzma.compress(compact.PATH.read_bytes()))
    plain = technology.load(None, tmp_path)
    for source in (packed, packed.parent):
        loaded = technology.load(str(source), tmp_path / "unpacked")
        assert (loaded.digest, loaded.nand2_um2) == (plain.digest, plain.nand2_um2)


def test_unusable_libraries_are_one_clear_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.lib.xz"
    broken.write_bytes(lzma.compress(compact.PATH.read_bytes())[:500])
    other = tmp_path / "other.lib"
    other.write_text(SMALL)
    cut = tmp_path / "cut.lib"
    cut.write_text(compact.PATH.read_text()[:5000])
    cases = {
        "missing.lib": "no such file",
        str(broken): "cut off",
        str(other): "no NAND2 or no buffer",
        str(tmp_path / "empty"): "no .lib",
        str(cut): "cut off",
    }
    (tmp_path / "empty").mkdir()
    for source, message in cases.items():
        with pytest.raises(TechnologyError, match=message) as caught:
            technology.load(source, tmp_path)
        assert "\n" not in str(caught.value)


def rewritten(change: Callable[[str], str]) -> str:
    """The compact library with its functions written in another way."""
    return re.sub(r'function : "([^"]*)"', lambda m: f'function : "{change(m[1])}"', compact.PATH.read_text())


SPELLINGS = {
    "space is and": lambda: rewritten(lambda f: f.replace("*", " ")),
    "inversion behind": lambda: rewritten(lambda f: re.sub(r"!\(([^()]*)\)", r"(\1)'", f)),
    "one line": lambda: re.sub(r"\s*\n\s*", " ", compact.PATH.read_text()),
    "capitals in the unit": lambda: compact.PATH.read_text().replace("(1, pf)", "(1, PF)"),
}


@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_other_spellings_are_the_same_library(spelling: str, tmp_path: Path) -> None:
    path = tmp_path / "spelled.lib"
    path.write_text(SPELLINGS[spelling]())
    plain, loaded = technology.load(None, tmp_path), technology.load(str(path), tmp_path)
    assert replace(loaded, files=plain.files, digest=plain.digest) == plain
    assert loaded.library.cells == plain.library.cells
    for name in plain.library.cells:
        assert loaded.library.area(name) == plain.library.area(name)
        assert loaded.library.is_flop(name) == plain.library.is_flop(name)


def test_corners_do_not_mix(tmp_path: Path) -> None:
    text = compact.PATH.read_text()
    inverter = text.index("cell (c130_inv_1)")
    end = text.index("cell (", inverter + 1)
    others = text[:inverter] + text[end:]
    alone = text[: text.index("cell (")] + text[inverter:end] + "}\n"
    files = {
        "both/fast.lib": text,
        "both/slow.lib": text.replace("nom_voltage : 1.2", "nom_voltage : 1.08"),
        "parts/gates.lib": others,
        "parts/inverters.lib": alone,
        "volts/gates.lib": others,
        "volts/inverters.lib": alone.replace("nom_voltage : 1.2", "nom_voltage : 1.08"),
        "units/gates.lib": others,
        "units/inverters.lib": alone.replace("(1, pf)", "(1, ff)"),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert technology.load(str(tmp_path / "parts"), tmp_path).library.cells
    for folder, message in {
        "both": "is in fast.lib and in slow.lib: give the files of one corner",
        "volts": "gates.lib has nom_voltage 1.2, inverters.lib has 1.08",
        "units": "gates.lib has capacitive_load_unit 1 pf, inverters.lib has 1 ff",
    }.items():
        with pytest.raises(TechnologyError, match=message):
            technology.load(str(tmp_path / folder), tmp_path)


def test_units_and_functions_that_are_not_understood_are_named(tmp_path: Path) -> None:
    text = compact.PATH.read_text()
    cases = {
        text.replace("(1, pf)", "(0.001, nf)"): r"capacitive_load_unit \(0.001, nf\) is not understood",
        text.replace("(1, pf)", "(1)"): r"capacitive_load_unit \(1\) is not understood",
        text.replace('time_unit : "1ns"', 'time_unit : "1as"'): "time_unit '1as' is not understood",
        rewritten(lambda f: f.replace("*", "@")): r"functions that were not understood: c130_nand2_1: '!\(A@B\)'",
    }
    for number, (content, message) in enumerate(cases.items()):
        path = tmp_path / f"odd{number}.lib"
        path.write_text(content)
        with pytest.raises(TechnologyError, match=message):
            technology.load(str(path), tmp_path)


def test_finds_installed_pdks(tmp_path: Path) -> None:
    folder = tmp_path / ".ciel" / "sky130A" / "libs.ref" / "sky130_fd_sc_hd" / "lib"
    folder.mkdir(parents=True)
    for corner in ("tt_025C_1v80", "ss_100C_1v60"):
        (folder / f"sky130_fd_sc_hd__{corner}.lib").touch()
    ours = find_pdks({"HOME": str(tmp_path / "nobody")})
    assert [item.path for item in ours] == [str(compact.PATH)]
    found = find_pdks({"HOME": str(tmp_path), "PDK_ROOT": str(tmp_path / ".ciel"), "LIBERTY": "mine.lib"})
    assert [item.origin for item in found] == ["this package (default)", "LIBERTY", "PDK_ROOT"]
    assert found[-1].path.endswith("sky130_fd_sc_hd__tt_025C_1v80.lib")

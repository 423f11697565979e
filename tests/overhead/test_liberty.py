"""Liberty reading, the compact library, and finding libraries."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from fitact_hw.overhead import compact, technology
from fitact_hw.overhead.liberty import LibertyError, Library, truth_table
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
    ],
)
def test_truth_tables(function: str, pins: list[str], table: str) -> None:
    assert truth_table(function, pins) == table


def test_functions_that_are_not_understood_are_none() -> None:
    assert truth_table("A'", ["A"]) is None
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

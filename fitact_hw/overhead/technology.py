"""Cell libraries: the compact one of this package, a `LIBERTY=` path, or an installed PDK."""

from __future__ import annotations

import functools
import hashlib
import lzma
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fitact_hw.errors import FitActError
from fitact_hw.overhead import compact
from fitact_hw.overhead.liberty import LibertyError, Library
from golden.support.files import write_bytes

NAND2_TABLE = "1110"
BUFFER_TABLE = "01"

DONT_USE = ("*lpflow*", "*probe*", "*dlygate*", "*dlymetal*", "*clkdly*", "*dly[0-9]*", "*TBUF*", "*antenna*")
"""Cells that no synthesis should pick: level shifters, probe points, delay lines, antenna diodes."""

NODES_NM = (
    ("asap7", 7),
    ("freepdk45", 45),
    ("nangate", 45),
    ("gf180", 180),
    ("sky130", 130),
    ("sg13g2", 130),
)
"""Technology node by a part of the library's name; 130 if none matches."""

TARGET_PS_PER_NM = 11.5
"""Delay target of ABC (ps) per nm of the node: 1.5 ns at 130 nm, out of reach, so ABC sizes for speed."""


class TechnologyError(FitActError):
    """A library that was asked for and cannot be used."""


@dataclass(frozen=True)
class Technology:
    """One cell library, ready for Yosys and ABC.

    ``files`` are plain Liberty files; ``nand2_um2`` is the area of the smallest NAND2 (one gate equivalent);
    ``load_ff`` is the load of every output (fF), four NAND2 inputs; ``time_scale`` and ``cap_scale`` turn the
    library's units into ns and pF.
    """

    name: str
    files: tuple[Path, ...]
    corner: str
    node_nm: int
    nand2_um2: float
    nand2_cell: str
    driver: str
    load_ff: float
    time_scale: float
    cap_scale: float
    digest: str

    wire_load: str = "none (zero wire load)"

    @property
    def target_ps(self) -> float:
        """Delay target given to ABC (ps)."""
        return round(TARGET_PS_PER_NM * self.node_nm)

    @property
    def library(self) -> Library:
        """The parsed library (cached)."""
        return _library(self.files)


@functools.lru_cache(maxsize=4)
def _library(files: tuple[Path, ...]) -> Library:
    return Library(*(path.read_text(errors="replace") for path in files), names=[path.name for path in files])


def load(source: str | None, folder: Path) -> Technology:
    """The technology of ``source``: None for the compact library, else Liberty paths or a PDK folder.

    ``source`` is a ``.lib`` or ``.lib.xz`` file, a folder of them (one technology in several files), or
    several files with ``:`` between them. Compressed files are unpacked into ``folder``. Raises
    TechnologyError.
    """
    paths = [compact.PATH] if not source else _expand(source)
    files = tuple(_plain(path, folder) for path in paths)
    try:
        library = _library(files)
    except LibertyError as error:
        raise TechnologyError(f"LIBERTY={source}: {error}") from None
    nands, buffers = library.find(NAND2_TABLE, 2), library.find(BUFFER_TABLE, 1)
    if not nands or not buffers:
        unread = [f"{cell}: {function!r}" for cell, function in list(library.unread.items())[:3]]
        what = f"; functions that were not understood: {', '.join(unread)}" if unread else ""
        raise TechnologyError(
            f"LIBERTY={source}: no NAND2 or no buffer; give all files of the library, joined by ':'{what}"
        )
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    time_scale, cap_scale = _scales(library)
    driver = next((name for name in buffers[1:] if not _is_delay(name)), buffers[0])
    nand_pf = library.inputs(nands[0])[0].number("capacitance") * cap_scale
    return Technology(
        name=library.name,
        files=files,
        corner=_corner(library),
        node_nm=_node(library.name),
        nand2_um2=library.area(nands[0]),
        nand2_cell=nands[0],
        driver=driver,
        load_ff=round(4000 * nand_pf, 3),
        time_scale=time_scale,
        cap_scale=cap_scale,
        digest=digest.hexdigest()[:16],
    )


def _is_delay(name: str) -> bool:
    return re.search(r"dly|delay", name, re.I) is not None


def _node(name: str) -> int:
    return next((node for part, node in NODES_NM if part in name.lower()), 130)


def _scales(library: Library) -> tuple[float, float]:
    time = library.header.text("time_unit", "1ns").strip()
    match = re.fullmatch(r"([\d.]+)\s*(ps|ns|us)", time)
    if not match:
        raise TechnologyError(f"library {library.name}: time_unit {time!r} is not understood")
    time_scale = float(match.group(1)) * {"ps": 1e-3, "ns": 1.0, "us": 1e3}[match.group(2)]
    load = library.header.attributes.get("capacitive_load_unit", ["1", "pf"])
    try:
        number, unit = load
        return time_scale, float(number) * {"ff": 1e-3, "pf": 1.0}[unit.lower()]
    except (ValueError, KeyError):
        raise TechnologyError(
            f"library {library.name}: capacitive_load_unit ({', '.join(load)}) is not understood: it must be a number "
            "and ff or pf"
        ) from None


def _corner(library: Library) -> str:
    """Voltage and temperature, with the name of the operating conditions if there is one."""
    header = library.header
    conditions = header.all("operating_conditions")
    name = f"{conditions[0].args[0]}, " if conditions and conditions[0].args[0] != library.name else ""
    return f"{name}{header.number('nom_voltage'):.2f} V, {header.number('nom_temperature'):g} C"


def _expand(source: str) -> list[Path]:
    paths: list[Path] = []
    for part in source.split(os.pathsep):
        path = Path(part).expanduser()
        if path.is_dir():
            found = sorted([*path.glob("*.lib"), *path.glob("*.lib.xz")])
            if not found:
                raise TechnologyError(f"LIBERTY={part}: no .lib or .lib.xz file in this folder")
            paths += found
        elif path.is_file():
            paths.append(path)
        else:
            raise TechnologyError(
                f"LIBERTY={part}: no such file; `fitact overhead --list-pdks` shows what is installed"
            )
    return paths


def _plain(path: Path, folder: Path) -> Path:
    """The file itself, or its unpacked copy; named after its content, so a changed file is unpacked again."""
    if path.suffix != ".xz":
        return path.resolve()
    packed = path.read_bytes()
    target = folder / "liberty" / f"{hashlib.sha256(packed).hexdigest()[:12]}-{path.stem}"
    if not target.exists():
        try:
            text = lzma.decompress(packed)
        except lzma.LZMAError:
            raise TechnologyError(
                f"LIBERTY={path}: not an xz file, or cut off; unpack it or download it again"
            ) from None
        write_bytes(target, text)
    return target.resolve()


@dataclass(frozen=True)
class FoundLibrary:
    """A library that `LIBERTY=` could name: where it was found, its PDK and path."""

    origin: str
    path: str


_TYPICAL = re.compile(r"(typ|_tt_|_tt\b|TT_|__tt)", re.I)


def find_pdks(environment: dict[str, str] | None = None) -> list[FoundLibrary]:
    """The compact library and every typical-corner cell library of an installed PDK.

    Looks at LIBERTY, PDK_ROOT and the homes of ciel and volare.
    """
    env = dict(os.environ) if environment is None else environment
    found = [FoundLibrary("this package (default)", str(compact.PATH))]
    if env.get("LIBERTY"):
        found.append(FoundLibrary("LIBERTY", env["LIBERTY"]))
    home = Path(env.get("HOME", "~")).expanduser()
    roots = {"PDK_ROOT": env.get("PDK_ROOT"), "ciel": str(home / ".ciel"), "volare": str(home / ".volare")}
    seen: set[Path] = set()
    for origin, root in roots.items():
        if root and Path(root).is_dir():
            for path in _typical(Path(root)):
                if path.resolve() not in seen:
                    seen.add(path.resolve())
                    found.append(FoundLibrary(origin, str(path)))
    return found


def _typical(root: Path) -> Iterable[Path]:
    """Typical-corner standard cell libraries below ``root``: `<pdk>/libs.ref/<library>/lib/*.lib`."""
    for pattern in ("*/libs.ref/*/lib/*.lib*", "libs.ref/*/lib/*.lib*"):
        for path in sorted(root.glob(pattern)):
            cells = re.search(r"stdcell|_sc_|fd_sc|mcu7t|mcu9t", str(path.parent.parent.name) + path.name)
            if cells and path.name.endswith((".lib", ".lib.xz")) and _TYPICAL.search(path.name):
                yield path

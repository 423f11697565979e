"""Fields of LOAD and STORE instructions for activation windows, parameters and output tiles."""

from __future__ import annotations

from dataclasses import dataclass

from fitact_hw.compiler.tiling import Span, Tile, Window
from fitact_hw.isa import LIMIT, Opcode, largest
from fitact_hw.program import Placement

LONGEST = min(largest(opcode, name) for opcode in (Opcode.LOAD, Opcode.STORE) for name in ("cols", "rows", "planes"))
"""Words of a row, rows of a plane and planes that one transfer can have."""


@dataclass(frozen=True)
class WindowLoad:
    """Fields of LOADs (without buffer and base) that fill a buffer one after the other, and the strides."""

    loads: tuple[dict[str, int], ...]
    sizes: tuple[int, ...]
    channel_stride: int
    image_stride: int

    @property
    def words(self) -> int:
        """Activation words filled."""
        return sum(self.sizes)


def linear_load(address: int, words: int, limit: int) -> dict[str, int]:
    """LOAD fields of consecutive words of parameters within ``limit``."""
    return {"mem_addr": address, "cols": words, "rows": 1, "planes": 1, LIMIT: limit}


def _address(tensor: Placement, tile: int, image: int, row: int, col: int) -> int:
    _, rows, cols = tensor.shape
    word = ((tile * tensor.images + image) * rows + row) * cols + col
    return tensor.address + word * tensor.config.word_bytes


def _plane_groups(tensor: Placement, tiles: Span, images: Span) -> tuple[list[tuple[int, int, int]], bool, int]:
    """(first tile, first image, planes) of each LOAD; images outermost?; planes from one to the next."""
    if images.size == tensor.images or tiles.size == 1:
        return [(tiles.start, images.start, tiles.size * images.size)], False, 1
    if images.size == 1:
        return [(tiles.start, images.start, tiles.size)], False, tensor.images
    if tiles.size <= images.size:
        return [(tiles.start + t, images.start, images.size) for t in range(tiles.size)], False, 1
    return [(tiles.start, images.start + i, tiles.size) for i in range(images.size)], True, tensor.images


def window_load(tensor: Placement, tiles: Span, images: Span, rows: Window, cols: Window, step: int) -> WindowLoad:
    """Loads of a window of ``tensor``; rows lie ``step`` rows apart in memory."""
    _, height, width = tensor.shape
    word = tensor.config.word_bytes
    groups, image_outer, distance = _plane_groups(tensor, tiles, images)
    plane = rows.total * cols.total
    loads = []
    for tile, image, planes in groups:
        fields = {
            "mem_addr": _address(tensor, tile, image, rows.first, cols.first),
            "cols": cols.count,
            "rows": rows.count,
            "planes": planes,
            "row_stride": step * width * word,
            "plane_stride": distance * height * width * word,
            "pad_left": cols.before,
            "pad_right": cols.after,
            "pad_top": rows.before,
            "pad_bottom": rows.after,
        }
        padded = cols.before + cols.after + rows.before + rows.after > 0
        loads.append(fields if padded or step > 1 else _merge(fields, word))
    sizes = tuple(planes * plane for _, _, planes in groups)
    if image_outer:
        return WindowLoad(tuple(loads), sizes, plane, tiles.size * plane)
    return WindowLoad(tuple(loads), sizes, images.size * plane, plane)


def _merge(fields: dict[str, int], word: int) -> dict[str, int]:
    """Join rows, then planes, that follow each other in memory: longer bursts."""
    result = dict(fields)
    if fields["cols"] * word == fields["row_stride"] and fields["cols"] * fields["rows"] <= LONGEST:
        result.update(cols=fields["cols"] * fields["rows"], rows=1)
    if result["rows"] == 1:
        joined = result["cols"] * result["planes"]
        if result["cols"] * word == fields["plane_stride"] and joined <= LONGEST:
            result.update(cols=joined, planes=1)
    return result


def tile_store(tensor: Placement, tile: int, area: Tile) -> dict[str, int]:
    """STORE fields (without base) of one output tile; words lie in the buffer as [image][row][column]."""
    _, height, width = tensor.shape
    word = tensor.config.word_bytes
    fields = {
        "mem_addr": _address(tensor, tile, area.images.start, area.rows.start, area.cols.start),
        "cols": area.cols.size,
        "rows": area.rows.size,
        "planes": area.images.size,
        "row_stride": width * word,
        "plane_stride": height * width * word,
    }
    return _merge(fields, word)

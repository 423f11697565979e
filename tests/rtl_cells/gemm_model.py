"""What `fitact_sequencer` must do for a list of instructions: addresses, tokens and their order in time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from fitact_hw.isa import FIELDS, Opcode
from tests.rtl_cells.token_layout import TokenLayout

FIELD_BITS = {
    item.name: item.bits for item in FIELDS[Opcode.GEMM] if item.name not in ("opcode", "pop_prev", "pop_next")
}
"""Fields that reach the sequencer as `instr_<name>`, with their widths."""


@dataclass(frozen=True)
class Depths:
    """Buffer depths in words."""

    act: int = 4096
    wgt: int = 2048
    acc: int = 512
    bias: int = 64
    out: int = 1024
    bound: int = 1024


@dataclass(frozen=True)
class Tile:
    """One weight tile: ROWS weight addresses and its pixels.

    A pixel is (activation address, token fields, whether an address it uses lies beyond its buffer). An
    address beyond its buffer is None: no access.
    """

    weights: list[int | None]
    pixels: list[tuple[int | None, dict[str, int], bool]]


def _tiles(gemm: dict[str, int]) -> Iterator[tuple[int, int, bool, bool]]:
    """(activation base, weight base, first, last) of each tile."""
    shape = (gemm["kernel_rows"], gemm["kernel_cols"], gemm["channel_tiles"])
    total = shape[0] * shape[1] * shape[2]
    for number in range(total):
        channel = number % shape[2]
        column = number // shape[2] % shape[1]
        row = number // shape[2] // shape[1]
        base = gemm["act_base"] + row * gemm["kernel_row_stride"] + column
        base += channel * gemm["channel_stride"]
        weight = gemm["weight_base"] + number * gemm["weight_stride"]
        yield base, weight, number == 0, number == total - 1


def _inside(address: int, depth: int) -> bool:
    return address < depth


def expand(gemm: dict[str, int], rows: int, depths: Depths, layout: TokenLayout) -> list[Tile]:
    """The tiles of one GEMM by closed formulas (the hardware adds step by step)."""
    tiles = []
    walk = layout.walk
    per_image = gemm["rows"] * gemm["cols"]
    count = per_image * gemm["images"]
    for base, weight, first, last in _tiles(gemm):
        leaves = bool(last and gemm["epilogue"])
        accumulate = 2 if gemm["acc_mode"] >= 2 else 1
        op = 0 if first and gemm["acc_mode"] in (0, 2) else accumulate
        pixels: list[tuple[int | None, dict[str, int], bool]] = []
        word_before = -1
        for pixel in range(count):
            image, place = divmod(pixel, per_image)
            row, col = divmod(place, gemm["cols"])
            act = base + image * gemm["image_stride"] + row * gemm["row_stride"] + col * gemm["col_stride"]
            acc, out = gemm["acc_base"] + pixel, gemm["out_base"] + pixel
            bound = gemm["bound_base"] + bound_offset(gemm, row, col, walk)
            fresh = (walk == 0 and layout.pack_w == 0) or bound >> layout.pack_w != word_before
            word_before = bound >> layout.pack_w
            retire = int(last and pixel == count - 1)
            token = {
                "acc_rd": int(op != 0 and _inside(acc, depths.acc)),
                "acc_wr": int(not leaves and _inside(acc, depths.acc)),
                "bias_rd": int(leaves and _inside(gemm["bias_base"], depths.bias)),
                "out_wr": int(leaves and _inside(out, depths.out)),
                "retire": retire,
                "push_prev": retire & gemm["push_prev"],
                "push_next": retire & gemm["push_next"],
                "acc_op": op,
                "act_mode": gemm["act_mode"],
                "lshift": gemm["lshift"],
                "acc_addr": acc % (1 << layout.acc_addr_w),
                "bias_addr": gemm["bias_base"] % (1 << layout.bias_addr_w),
                "out_addr": out % (1 << layout.out_addr_w),
                "layer_bound": gemm["layer_bound"] % (1 << layout.data_w),
                "bound_rd": int(leaves and gemm["neuron_bounds"] and fresh and _inside(bound, depths.bound)),
                "neuron": gemm["neuron_bounds"],
                "bound_addr": bound % (1 << layout.bound_addr_w),
            }
            uses = [(True, act, depths.act), (op != 0 or not leaves, acc, depths.acc)]
            uses += [(leaves, gemm["bias_base"], depths.bias), (leaves, out, depths.out)]
            if layout.bound_buffer:
                uses += [(bool(leaves and gemm["neuron_bounds"]), bound, depths.bound)]
            bad = any(used and not _inside(address, depth) for used, address, depth in uses)
            fields = {name: token[name] for name, _ in layout.fields}
            pixels.append((act if _inside(act, depths.act) else None, fields, bad))
        addresses = [weight + row for row in range(rows)]
        tiles.append(Tile([a if _inside(a, depths.wgt) else None for a in addresses], pixels))
    return tiles


def bound_offset(gemm: dict[str, int], row: int, col: int, walk: int) -> int:
    """Bounds between that of pixel (0, 0) and that of (row, col), by `fitact_bound_walk`'s WALK."""
    if walk == 1:
        return row // 2 * -(-gemm["cols"] // 2) + col // 2
    return row * gemm["cols"] + col if walk == 0 else 0


def gemm(**values: int) -> dict[str, int]:
    """A 1x1 GEMM of one pixel with ``values`` changed."""
    ones = ("kernel_rows", "kernel_cols", "channel_tiles", "images", "rows", "cols", "col_stride", "epilogue")
    return {**dict.fromkeys(FIELD_BITS, 0), **dict.fromkeys(ones, 1), **values}


def random_gemm(rows: int) -> dict[str, int]:
    """A small GEMM inside the default depths, with free choice of everything else."""
    values = {name: random.getrandbits(bits) for name, bits in FIELD_BITS.items()}
    shape = {
        "kernel_rows": random.randint(1, 3),
        "kernel_cols": random.randint(1, 3),
        "channel_tiles": random.randint(1, 3),
        "images": random.randint(1, 3),
        "rows": random.randint(1, 3),
        "cols": random.choice((1, 2, 3, rows)),
    }
    places = {
        "act_base": random.randrange(500),
        "kernel_row_stride": random.randrange(200),
        "channel_stride": random.randrange(200),
        "image_stride": random.randrange(200),
        "row_stride": random.randrange(100),
        "weight_base": random.randrange(500),
        "weight_stride": random.choice((0, rows, 30)),
        "acc_base": random.randrange(300),
        "bound_base": random.randrange(900),
        "bias_base": random.randrange(64),
        "out_base": random.randrange(700),
    }
    return {**values, **shape, **places}

"""Bugs of compiler and functional simulator."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "compiler")
RUNS = "tests/compiler/test_fsim.py tests/compiler/test_random_networks.py tests/compiler/test_refusals.py"

MUTANTS = [
    *_in(
        "fitact_hw/fsim/hazards.py",
        "tests/compiler/test_fsim.py",
        ("if access.write:", "if False:"),
        ("space.last[(other, False)][access.words].max()", "space.last[(other, False)][access.words].min()"),
        ("int(space.last[(other, True)][access.words].max())", "NEVER"),
        ("before > known[unit][other]", "before > known[unit][other] + 1"),
        ("finished[unit] = count[unit]", "finished[unit] = count[unit] + 1"),
        ("np.maximum(known[unit], tokens[(neighbour, unit)].popleft())", "tokens[(neighbour, unit)].popleft()"),
        ("finished = known[unit].copy()", "finished = np.full(3, NEVER, np.int64)"),
        ("tokens[(neighbour, unit)].popleft()", "tokens[(neighbour, unit)].pop()"),
        (
            "count[unit] += 1",
            "count[unit] += 2",
            "numbers of operations only have to grow; every comparison is between numbers of one unit",
        ),
    ),
    *_in(
        "fitact_hw/fsim/arithmetic.py",
        "tests/compiler/test_fsim.py",
        ("half = np.int64(1 << (bits - 1))", "half = np.int64((1 << (bits - 1)) - 1)"),
        ("(high << 2 * LIMB)", "(high << LIMB)"),
        ("np.maximum(shift - 1, 0)", "shift"),
        ("np.clip(value, -top - 1, top)", "np.clip(value, -top, top)"),
        ("(value >= 0) & (value <= bound)", "(value > 0) & (value < bound)"),
        ("np.minimum(np.maximum(value, 0), bound)", "np.maximum(np.minimum(value, bound), 0)"),
    ),
    *_in(
        "fitact_hw/compiler/ring.py",
        "tests/compiler/test_ring.py " + RUNS,
        ("o.start < region.stop and region.start < o.stop", "o.start < region.stop and region.start <= o.start"),
        ("if self.cursor + taken > self.stop:", "if self.cursor + words > self.stop:"),
        ("int(self.last_piece[region.start : region.stop].max())", "int(self.last_piece[region.start])"),
        ("self.last_piece[region.start : region.stop] = piece", "self.last_piece[region.start] = piece"),
        ("del self._by_key[other.key]", "pass"),
    ),
    *_in(
        "fitact_hw/compiler/bounds.py",
        RUNS,
        ("part = lanes[:, :, row_part, col_part][:, :, ::step, ::step]", "part = lanes[:, :, row_part, col_part]"),
        ("-(-rows // side) * -(-cols // side)", "(rows // side) * (cols // side)"),
        (".transpose(0, 2, 1, 3)", ".transpose(0, 2, 3, 1)"),
        ("np.minimum(decode(values, base), (1 << (config.word_bits - 1)) - 1)", "decode(values, base)"),
    ),
    *_in(
        "fitact_hw/compiler/checks.py",
        "tests/compiler/test_refusals.py",
        (" and int(layer.bias.min()) >= 0", ""),
        ("layer.weight is None and layer.residual is None", "layer.weight is None"),
        ("int(layer.shift.max()) >= 1 << SHIFT_BITS", "int(layer.shift.max()) > 1 << SHIFT_BITS"),
        ("int(values.min()) >= -limit and int(values.max()) < limit", "int(values.max()) < limit"),
        ("if int(values.min()) < 0:", "if int(values.max()) < 0:"),
        ("not 0 <= layer.residual.lshift < 1 << SHIFT_BITS", "not 0 <= layer.residual.lshift <= 1 << SHIFT_BITS"),
        ('if layer.kind == "maxpool":\n            raise', "if False:\n            raise"),
    ),
]

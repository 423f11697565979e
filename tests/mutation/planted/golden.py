"""Bugs of the golden model, quantisation and what judges faults in parameter memory."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "golden")
MAPS = "tests/golden/test_fault_maps.py"

MUTANTS = [
    *_in(
        "golden/fault_maps.py",
        f"{MAPS}::test_maps_are_the_same_for_ever {MAPS}::test_flips_exactly_the_bits_of_the_map "
        f"{MAPS}::test_protected_bounds_are_never_hit {MAPS}::test_refuses_maps_of_other_networks_and_impossible_rates",
        ('side="right")', 'side="left")'),
        ("(ends[number] - segment.size)", "ends[number]"),
        ("Flips(segment, element, offset % segment.bits)", "Flips(segment, element, (offset + 1) % segment.bits)"),
        ("_SHARED, _BOUNDS = 0, 1", "_SHARED, _BOUNDS = 1, 0"),
        ("[seed, rate_bits, index, stream]", "[seed, rate_bits, stream, index]"),
        ("values = (values << spare) >> spare", "values = (values << spare) >> spare & 0x7FFFFFFFFFFFFFFF"),
        ('signed=segment.kind != "shift"', "signed=True"),
        ("int(layer.bias.size), qnet.acc_bits", "int(layer.bias.size), qnet.word_bits"),
        ("np.bitwise_xor.at(values, place, masks)", "values[place] ^= masks"),
        ("if memory.bounds:", "if True:"),
        ("signed=kept.base is None", "signed=True"),
    ),
    *_in(
        "golden/bounds/code.py",
        "tests/golden/test_stored_bounds.py tests/rtl_cells/test_bound_code.py",
        ('side="left"', 'side="right"'),
        ("LEAST_BASE = -16", "LEAST_BASE = -15"),
        ("< peak:", "<= peak:"),
        ("-(-levels >> -base)", "levels >> -base"),
        ("(2 + (code & 1)) << (code >> 1)", "(2 + (code & 1)) << (code >> 1) - (code > 14)"),
    ),
    *_in(
        "golden/quantisation/quantise.py",
        "tests/golden/test_quantise.py tests/golden/test_calibration.py",
        ("np.ceil(bound.astype(np.float64) * 2.0**frac)", "np.floor(bound.astype(np.float64) * 2.0**frac)"),
        ("np.exp2(frac_acc) + 0.5)", "np.exp2(frac_acc))"),
        (">= 2.0 ** (acc_bits - 1)", "> 2.0 ** (acc_bits - 1)"),
        ("frac_in - frac_out + area_bits", "frac_in - frac_out"),
        ("shift = frac_acc - frac_out", "shift = frac_acc - frac_in"),
        ("top = (1 << (word_bits - 1)) - 1", "top = 1 << (word_bits - 1)"),
        ("or (frac_acc != frac_acc[0]).any()", ""),
    ),
    *_in(
        "golden/quantisation/ranges.py",
        "tests/golden/test_quantise.py tests/golden/test_calibration.py",
        ("fits: np.ndarray = np.abs(bias) <= limit", "fits: np.ndarray = np.abs(bias) <= 4 * limit"),
        (
            "positive * self.source[0] + negative * self.source[1] + bias",
            "positive * self.source[0] + negative * self.source[1]",
        ),
        ("2.0 ** (acc_bits - 2)", "2.0 ** (acc_bits - 1)"),
    ),
    *_in(
        "golden/frontend/fuse.py",
        "tests/golden/test_batchnorm.py tests/golden/test_lowering.py tests/golden/test_refused.py "
        "tests/golden/test_operators.py",
        ('np.sqrt(variance + op.options["eps"])', "np.sqrt(variance + 1e-5)"),
        ('np.sqrt(variance + op.options["eps"])', 'np.sqrt(np.maximum(variance, op.options["eps"]))'),
        ("layer.bias = (layer.bias - mean) * gain + shift", "layer.bias = layer.bias - mean * gain + shift"),
        ("gain, shift - mean * gain", "gain, shift - mean"),
        ('gain = gain * self._array(op, "weight")', "gain = gain"),
        ("layer.bias = layer.bias * scale + shift", "layer.bias = layer.bias + shift"),
    ),
    *_in(
        "golden/frontend/building.py",
        "tests/golden/test_refused.py tests/golden/test_operators.py",
        ('if layer.activation != "linear" or unknown:', "if True:"),
        (
            "all(self.not_negative(source) for source in sources)",
            "any(self.not_negative(source) for source in sources)",
        ),
        ("layer.weight.min() < 0 or layer.bias.min() < 0", "layer.weight.min() < 0"),
    ),
    *_in(
        "golden/exact/kernels.py",
        "tests/exact/test_edges.py",
        ("torch.float32: 1 << 24", "torch.float32: 1 << 25"),
        ("torch.maximum(high, -low) * gain", "high * gain"),
    ),
    *_in(
        "golden/exact/layers.py",
        "tests/exact/test_edges.py",
        ("self.limit - hit.bias_peak - half", "self.limit - half"),
        ("max(self.limit / 8, self.bias_peak)", "max(self.limit, self.bias_peak)"),
    ),
    *_in(
        "golden/exact/words.py",
        "tests/exact/test_edges.py",
        ('and (layer.kind == "maxpool" or layer.area == 1)', ""),
        (
            "words += residual.data.to(torch.int64) << self.layer.residual.lshift",
            "words += residual.data.to(torch.int64)",
        ),
        ("bound=parameters.bound if patch.bound is None else patch.bound", "bound=parameters.bound"),
        ("if residual is None and self.identity:", "if self.identity:"),
    ),
    *_in(
        "golden/reference.py",
        "tests/golden/test_reference.py",
        ("half = value >> np.maximum(shift - 1, 0)", "half = value >> shift"),
        ("np.clip(value, -top - 1, top)", "np.clip(value, -top, top)"),
        ("(value >= 0) & (value <= bound)", "(value >= 0) & (value < bound)"),
        ("acc + (residual << layer.residual.lshift)", "acc + residual"),
    ),
]

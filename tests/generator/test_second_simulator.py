"""Whole networks through the exported machine in Icarus Verilog, with a bench that shares nothing with ours.

Four-valued: byte lanes without data, and memories before they are written, are unknown, and must not reach a result.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import REGISTERS
from fitact_hw.export import FILE_LIST, export
from fitact_hw.program import Program
from golden import reference
from sim.jobfile import register_offsets, start_writes
from tests.compiler.checking import fitted_to
from tests.compiler.reference import NetworkBuilder

BENCH = Path(__file__).with_name("plain_bench.v")
SIZES = {
    "activation_words": 256, "weight_words": 64, "bias_words": 8, "accumulator_words": 32, "output_words": 64,
}  # fmt: skip
MACHINES = {
    "int8": AcceleratorConfig.create(rows=4, cols=4, bound_words=64, **SIZES),
    "Q15.16": AcceleratorConfig.create(rows=4, cols=4, word_bits=32, bus_bits=256, bound_words=64, **SIZES),
    "int8, range check": AcceleratorConfig.create(
        rows=4, cols=4, bound_words=64, bus_bits=32, parameter_check="bitcheck", **SIZES
    ),
    "int8, patches, protected": AcceleratorConfig.create(
        rows=3, cols=3, bounds="patch", bound_format="code4", bound_words=16, protection="secded", bus_bits=32, **SIZES
    ),
}
LIMIT_CYCLES = 100_000

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="the second simulator is missing: apt install iverilog"
)


def small_network(config: AcceleratorConfig) -> NetworkBuilder:
    """Convolutions with bounds, a shortcut, both pools, and a classifier; several tiles of everything."""
    builder = NetworkBuilder((3, 6, 6), config.word_bits, seed=11)
    entry = builder.conv(6, 3, 1, 1, "clip", "neuron")
    builder.conv(6, 3, 1, 1, "saturate", "layer", residual=entry, lshift=2)
    builder.pool("maxpool", 2, 2)
    builder.conv(5, 2, 1, 1, "clip", "neuron")
    builder.pool("avgpool", 2, 2)
    builder.conv(4, 0, activation="linear")
    return builder


def in_icarus(
    folder: Path, program: Program, memory: np.ndarray, stall: int = 0, upset: Mapping[str, object] = {}
) -> tuple[np.ndarray, dict[str, int]]:
    """Memory and registers at the end of a run of the exported machine; ``upset``: UPSET_* of the bench."""
    config = program.config
    export(config, folder, "0.0.0")
    bus_bytes = config.bus_bits // 8
    image = np.zeros(-(-memory.size // bus_bytes) * bus_bytes, np.uint8)
    image[: memory.size] = memory
    words = image.reshape(-1, bus_bytes)
    offsets = register_offsets(config)
    writes = start_writes(program.program_address, (0, memory.size - 1), LIMIT_CYCLES)
    counters: tuple[str, ...] = ("CORRECTED", "DETECTED") if config.protected else ()
    counters += ("RANGE_HITS",) if config.limit_bits else ()
    names = ("STATUS", "CYCLES_LOW", "INSTRUCTIONS", *counters)
    (folder / "memory.hex").write_text("".join(f"{word.tobytes()[::-1].hex()}\n" for word in words))
    (folder / "writes.hex").write_text("".join(f"{offsets[name]:08x}{value:08x}\n" for name, value in writes))
    (folder / "reads.hex").write_text("".join(f"{offsets[name]:08x}\n" for name in names))
    sizes = {
        "BUS_BITS": config.bus_bits, "MEMORY_WORDS": len(words), "WRITES": len(writes), "READS": len(names),
        "LIMIT": LIMIT_CYCLES, **upset,
    }  # fmt: skip
    defines = [f"-D{name}={value}" for name, value in sizes.items()]
    build = ["iverilog", "-g2005", "-s", "plain_bench", *defines, "-o", "bench.vvp", "-f", FILE_LIST, str(BENCH)]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = ["vvp", "-n", "bench.vvp", f"+stall={stall}", "+seed=7"]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=600, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("WARNING")]
    assert lines[-1] == "END 0", "\n".join(lines[:20])
    values = {int(line.split()[1]): int(line.split()[2]) for line in lines if line.startswith("READ")}
    text = [line for line in (folder / "after.hex").read_text().split() if not line.startswith(("//", "@", "0x"))]
    after = np.frombuffer(b"".join(bytes.fromhex(line)[::-1] for line in text), np.uint8)
    return after, {name: values[offsets[name]] for name in names}


@pytest.mark.parametrize("name", MACHINES)
def test_a_network_in_another_simulator(name: str, tmp_path: Path) -> None:
    """Every layer is that of the golden model, and the machine is done without an error; stalls on every channel."""
    config = MACHINES[name]
    builder = small_network(config)
    network, images = fitted_to(builder.network(), config), builder.images(2)
    program = compile_network(network, config, 2)
    after, registers = in_icarus(tmp_path / "exported", program, with_images(program, images), stall=60)
    expected = reference.run(network, images)
    for layer in network.layers:
        np.testing.assert_array_equal(program.tensors[layer.name].read(after), expected[layer.name], layer.name)
    assert np.unique(expected[program.logits]).size > 2
    assert registers["STATUS"] == 2  # done, and nothing else
    assert registers["INSTRUCTIONS"] == len(program.instructions)
    assert registers["CYCLES_LOW"] > 1000
    if config.limit_bits:
        assert REGISTERS["RANGE_HITS"].field("count").extract(registers["RANGE_HITS"]) == 0


def test_parameters_out_of_range_become_zero_in_another_simulator(tmp_path: Path) -> None:
    """Biases of a whole network with their second highest bit flipped: the golden model without biases."""
    config = MACHINES["int8, range check"]
    builder = small_network(config)
    network, images = fitted_to(builder.network(), config), builder.images(2)
    network = replace(network, layers=tuple(replace(layer, bias=layer.bias >> 8) for layer in network.layers))
    program = compile_network(network, config, 2)
    memory, flipped = with_images(program, images), 0
    for block in program.parameters:
        if block.kind == "bias":
            word, lane = np.nonzero(block.index >= 0)
            address = block.address + word * block.word_bytes + lane * config.bias_lane_bytes
            memory[address + 3] ^= 0x40  # bit 30 of 32
            flipped += len(address)
    after, registers = in_icarus(tmp_path / "exported", program, memory, stall=60)
    without = replace(network, layers=tuple(replace(layer, bias=0 * layer.bias) for layer in network.layers))
    logits = reference.run(without, images)[program.logits]
    np.testing.assert_array_equal(program.tensors[program.logits].read(after), logits)
    assert REGISTERS["RANGE_HITS"].field("count").extract(registers["RANGE_HITS"]) >= flipped > 20


HELD = {
    "channel": {"bounds": "channel"},
    "patch": {"bounds": "patch"},
    "codes": {"bounds": "neuron", "bound_format": "code4"},
    "coded channels": {"bounds": "channel", "bound_format": "code4"},
}
"""A word of the bound buffer serves several pixels."""


@pytest.mark.parametrize("kind", ["parity", "secded"])
@pytest.mark.parametrize("bounds", HELD)
def test_a_bound_word_that_is_held_stays_protected(bounds: str, kind: str, tmp_path: Path) -> None:
    """An upset of the word between two uses, long after it was read, is noticed once and never changes an output
    silently."""
    config = AcceleratorConfig.create(
        rows=2, cols=2, bound_words=16, bus_bits=32, protection={"bound": kind}, **SIZES, **HELD[bounds]
    )
    builder = NetworkBuilder((2, 4, 6), seed=3)
    builder.conv(2, 3, 1, 1, "saturate", "neuron")
    network, images = fitted_to(builder.network(), config), builder.images(1)
    program = compile_network(network, config, 1)
    place = "u_top.u_buffers.u_bound."
    upset = {"UPSET_REGISTER": f"{place}rd_data_q", "UPSET_ENABLE": f"{place}rd_en", "UPSET_AFTER": 1, "UPSET_BIT": 1}
    after, registers = in_icarus(tmp_path, program, with_images(program, images), upset=upset)
    found, expected = program.tensors["conv0"].read(after), reference.run(network, images)["conv0"]
    if kind == "secded":
        assert (registers["STATUS"], registers["CORRECTED"], registers["DETECTED"]) == (2, 1, 0)
        np.testing.assert_array_equal(found, expected)
    else:
        detected = REGISTERS["STATUS"].field("detected").mask
        assert (registers["STATUS"], registers["CORRECTED"], registers["DETECTED"]) == (2 | detected, 0, 1)
        assert ((found == expected) | (found == 0)).all()  # a lost bound reads as zero

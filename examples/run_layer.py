"""Build a small machine, run one layer on its RTL, and compare every element with the golden model.

    python examples/run_layer.py

The first run builds the simulator of the machine, about a minute.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from golden import reference
from golden.frontend.activations import BoundedReLU
from golden.quantisation.calibration import calibrate
from golden.quantisation.quantise import quantise, quantise_images
from sim.job import Job
from sim.simulator import Simulator

# A machine of 4x4 PEs. Every field: docs/reference/configuration.md.
MACHINE = AcceleratorConfig.create(
    rows=4, cols=4, activation_words=256, weight_words=64, bias_words=8, bound_words=64, accumulator_words=32,
    output_words=64,
)  # fmt: skip

# One convolution whose neurons each have a bound of their own: FitAct's layer, with random bounds.
torch.manual_seed(1)
layer = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), BoundedReLU(torch.rand(8, 8, 8), "clip"))
images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)

# Float layer -> integers with binary points -> instructions and memory image.
points = calibrate(layer, images, word_bits=8)
network = quantise(layer, points, name="one layer", scheme="fitact")
words = quantise_images(network, images)
program = compile_network(network, MACHINE, images=len(images))
print(f"{len(program.instructions)} instructions, {program.memory.nbytes:,} bytes of memory")

# The machine's Verilog under cocotb, and the golden model.
output = network.layers[-1].name
result = Simulator(MACHINE).run([Job(program, with_images(program, words), keep=(output,))])[0]
expected = reference.run(network, words)[output]
differing = np.count_nonzero(result.tensor(output) != expected)

# What the bounds did: the same layer with an ordinary ReLU.
relu = replace(network.layers[-1], activation="relu", bound=None)
unbounded = reference.epilogue(relu, reference.accumulate(relu, words), network.acc_bits, network.word_bits)
zeroed = np.count_nonzero(unbounded != expected)

print(f"status {result.status.value}, {result.cycles} cycles")
print(f"{expected.size} elements, {zeroed} above their bound and zeroed, {differing} differ from the golden model")
assert not differing

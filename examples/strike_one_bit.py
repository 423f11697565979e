"""Strike one bit of the weight buffer while AlexNet runs, and see where it goes, layer by layer.

    python examples/strike_one_bit.py [SITE[WORD]^MASK@CYCLE]

An id is what campaigns store as `event`. The machine is that of `make sim`, whose simulator is built already if you
have run it.
"""

import sys

import numpy as np

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent
from fitact_hw.networks import load_images, load_networks
from golden import reference
from golden.quantisation.quantise import quantise_images
from sim.job import EVERYTHING, Job
from sim.simulator import Simulator

EVENT = "u_buffers.u_weight.data_mem[700]^0x40@150000"  # bit 6 of the first lane, while a convolution runs
event = FaultEvent.parse(sys.argv[1] if len(sys.argv) > 1 else EVENT)

machine = AcceleratorConfig()
data = load_images("alexnet", 1).data
for scheme, network in load_networks("alexnet", machine, ("unprotected", "fitact")).items():
    words = quantise_images(network, data.network_input())
    program = compile_network(network, machine, images=1)
    memory = with_images(program, words)
    run = Simulator(machine).run([Job(program, memory, event.upsets, watchdog=1_000_000, keep=(EVERYTHING,))])[0]

    print(f"{scheme}: {event.id}")
    print(f"  {run.status.value} after {run.cycles:,} cycles")
    clean = reference.run(network, words)
    for layer in network.layers:
        change = run.tensor(layer.name).astype(np.int64) - clean[layer.name]
        share = np.count_nonzero(change) / change.size
        print(f"  {layer.name:8} {share:8.2%} of {change.size:6,} words changed, at most by {np.abs(change).max():,}")
    before, after = (int(np.argmax(logits)) for logits in (clean[program.logits], run.tensor(program.logits)))
    print(f"  class {after}, without the upset {before}, label {data.labels[0]}")

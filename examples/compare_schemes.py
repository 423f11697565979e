"""Compare two schemes under the same fault maps in parameter memory, exactly as the machine would compute them.

    python examples/compare_schemes.py [SCHEME SCHEME]

Twenty photographs and ten maps show how it is done, not which scheme is better: `make resilience` takes more of both.
"""

import sys

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.networks import load_networks
from golden.data.cifar10 import sample_images
from golden.exact.evaluator import Evaluator
from golden.fault_maps import draw
from golden.quantisation.quantise import quantise_images

RATES, MAPS, SEED = (1e-6, 1e-5), 10, 1
schemes = tuple(sys.argv[1:3]) if len(sys.argv) > 2 else ("clipact", "fitact")

samples = sample_images()
networks = load_networks("alexnet", AcceleratorConfig.create(word_bits=32), schemes)  # Q15.16
right: dict[tuple[str, float], np.ndarray] = {}
for scheme, network in networks.items():
    evaluator, words = Evaluator(network), quantise_images(network, samples.images)
    for rate in RATES:
        maps = [draw(network, rate, SEED, number) for number in range(MAPS)]  # weights and biases alike for all schemes
        correct = evaluator.correct(words, samples.labels, [evaluator.patch_of(faults) for faults in maps])
        right[scheme, rate] = 100 * np.asarray(correct) / len(samples)

print(f"top-1 in % over {MAPS} fault maps (smallest to largest)")
for rate in RATES:
    for scheme in schemes:
        values = right[scheme, rate]
        print(f"  BER {rate:g} {scheme:12} {values.mean():5.1f} ({values.min():.0f} to {values.max():.0f})")
    change = right[schemes[1], rate] - right[schemes[0], rate]
    better, worse = np.count_nonzero(change > 0), np.count_nonzero(change < 0)
    print(f"  {schemes[1]} better on {better} maps, worse on {worse}, by {change.mean():+.1f} points on average")

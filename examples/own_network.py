"""A network of one's own, on data of one's own: trained here, then bounded, simulated and struck (about two minutes).

    python examples/own_network.py

Needs scikit-learn for its 1 797 handwritten digits (pip install scikit-learn). Any nn.Module and arrays would do.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from fitact_hw.api import subject

digits = load_digits()
images = ((digits.images - 4.9) / 6.0).astype(np.float32)[:, None]  # (1797, 1, 8, 8), as the network takes them
names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

torch.manual_seed(1)
model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
    *(nn.Flatten(), nn.Linear(256, 10)),
)
optimiser = torch.optim.Adam(model.parameters(), 3e-3)
for _ in range(6):
    for chosen in torch.randperm(1500).split(64):  # the last 297 digits test
        loss = nn.functional.cross_entropy(model(torch.from_numpy(images[chosen])), torch.tensor(digits.target[chosen]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

arrays = {"labels": digits.target[:1500], "test_images": images[1500:], "test_labels": digits.target[1500:]}
mine = subject(model, images[:1500], **arrays, classes=names, folder="digits")
print("can run:", mine.check().runs)
mine.bounds("ranger", "fitact")
verdict = mine.sim(faults=100, out=Path("digits-sim"))["verdict"]
print(verdict["exactness"])
mine.campaign(faults=200, images=2, out=Path("digits-campaign"))
for row in mine.resilience(words=(8,), rates=(1e-3,), maps=10, images=297, out=Path("digits-resilience")):
    print(row.scheme, f"BER {row.rate:g}: {row.mean:.1f} % right")

"""Training images: seeded order, random shifts, alternating flips, normalisation and resolution."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def resize(images: Tensor, side: int) -> Tensor:
    """Float images (count, 3, 32, 32) shrunk to ``side``; unchanged if that is their size."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


class Augmenter:
    """Batches of a shared training set, the same for a given (seed, epoch) whatever was run before.

    ``padded``: uint8 (count, 3, 32 + 2 * shift, 32 + 2 * shift), made by :meth:`pad`.
    """

    def __init__(self, padded: Tensor, labels: Tensor, shift: int, seed: int) -> None:
        self.padded, self.labels, self.shift, self.seed = padded, labels, shift, seed

    @staticmethod
    def pad(images: Tensor, shift: int) -> Tensor:
        """Reflect ``shift`` pixels on each side, so that shifted crops need no further work."""
        if shift == 0:
            return images
        chunks = [F.pad(part.float(), (shift,) * 4, mode="reflect").byte() for part in images.split(5000)]
        return torch.cat(chunks)

    def order(self, epoch: int) -> Tensor:
        """A permutation of the image numbers."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        return torch.randperm(len(self.labels), generator=generator)

    def batch(self, chosen: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """uint8 crops (count, 3, 32, 32) of the images numbered ``chosen``, and their labels.

        An image flipped in one epoch is not flipped in the next: that covers both views evenly.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch * 65_537 + int(chosen[0]))
        offsets = torch.randint(0, 2 * self.shift + 1, (2, len(chosen), 1), generator=generator)
        span = torch.arange(32).view(1, -1)
        rows, columns = offsets[0] + span, offsets[1] + span
        flipped = ((chosen * 2_654_435_761 >> 13) + epoch) % 2 == 1
        columns = torch.where(flipped.view(-1, 1), columns.flip(1), columns)
        index = (chosen.view(-1, 1, 1), rows.unsqueeze(2), columns.unsqueeze(1))
        crops = self.padded.permute(0, 2, 3, 1)[index]
        return crops.permute(0, 3, 1, 2), self.labels[chosen]

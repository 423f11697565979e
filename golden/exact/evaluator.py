"""Many corrupted versions of one network over many images, bit for bit as :mod:`golden.reference`.

Images are taken in chunks; per chunk the fault-free run is made once and kept, as far as it is needed, and every
corrupted version runs only from the first layer that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from golden.bounds.stored import StoredBounds
from golden.errors import GoldenError
from golden.exact.kernels import word_type
from golden.exact.layers import Convolution
from golden.exact.patch import Patch, patch_between, patch_of
from golden.exact.words import Channels, CleanLayer, Pool, Words
from golden.fault_maps import FaultMap
from golden.qnetwork import INPUT, QLayer, QNetwork, last_uses

FAULT_FREE: Patch = {}
"""The patch of a network without faults."""

DEFAULT_MEMORY_BYTES = 256 << 20
"""Memory for the kept fault-free results of one chunk of images."""

LEAST_IMAGES = 16
"""A chunk of a large network has so many images all the same: with 4, ResNet50 is a fifth slower (1 GB a process)."""

GPU_MEMORY_BYTES = 4 << 30


def default_device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def engine_of(layer: QLayer, qnet: QNetwork, device: torch.device) -> Convolution | Pool:
    """What computes a layer of ``qnet``."""
    return Convolution(layer, qnet, device) if layer.kind == "conv" else Pool(layer, qnet, device)


class Evaluator:
    """Evaluates corrupted versions of ``qnet``. ``memory_bytes`` limits the kept results of a chunk."""

    def __init__(self, qnet: QNetwork, device: torch.device | None = None, memory_bytes: int | None = None) -> None:
        self.qnet = qnet
        self.device = default_device() if device is None else device
        on_cpu = self.device.type == "cpu"
        self._layers = {layer.name: engine_of(layer, qnet, self.device) for layer in qnet.layers}
        budget = memory_bytes or (DEFAULT_MEMORY_BYTES if on_cpu else GPU_MEMORY_BYTES)
        elements = sum((1 + (layer.kind == "conv")) * int(np.prod(layer.out_shape)) for layer in qnet.layers)
        image_bytes = elements * word_type(qnet.word_bits).itemsize
        self.chunk_images = max(1 if memory_bytes else LEAST_IMAGES, budget // image_bytes)
        self._last_use = last_uses((x.source, x.residual.source if x.residual else None) for x in qnet.layers)

    def patch(self, faulty: QNetwork) -> Patch:
        """The changes of a corrupted network, small enough to keep many. Raises GoldenError if it is no
        corrupted version of this network."""
        return patch_between(self.qnet, faulty, self.device)

    def patch_of(self, faults: FaultMap, stored: Mapping[str, StoredBounds] | None = None) -> Patch:
        """The same for the network that :func:`golden.fault_maps.corrupt` would make, which takes longer."""
        return patch_of(self.qnet, faults, stored, self.device)

    @torch.inference_mode()
    def logits(
        self, images: np.ndarray, patches: Sequence[Patch], done: Callable[[int], object] | None = None
    ) -> np.ndarray:
        """Outputs of the last layer under each patch, int64 (patches, images, classes).

        ``images``: the network's int64 input (count, channels, rows, columns). ``done`` is called with the
        number of image evaluations after each patch and chunk.
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != tuple(self.qnet.input_shape) or not len(images):
            raise GoldenError(f"expected images (count, {self.qnet.input_shape}), found {images.shape}")
        classes = int(np.prod(self.qnet.layers[-1].out_shape))
        result = np.empty((len(patches), len(images), classes), np.int64)
        pieces = -(-len(images) // self.chunk_images)
        for chunk in np.array_split(np.arange(len(images)), pieces):
            x = torch.from_numpy(np.ascontiguousarray(images[chunk].transpose(0, 2, 3, 1))).to(self.device)
            source = Words(x.to(word_type(self.qnet.word_bits)), float(1 << (self.qnet.word_bits - 1)))
            clean = _CleanRun(self.qnet, self._layers, source, keep=any(patches))
            for number, patch in enumerate(patches):
                result[number, chunk] = self._words(self._faulty(clean, patch))
                if done:
                    done(len(chunk))
        return result

    def correct(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        patches: Sequence[Patch],
        done: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """Number of images whose largest logit (the first of equals) is their label: int64 (patches,)."""
        top = self.logits(images, patches, done).argmax(axis=2)
        return (top == labels).sum(axis=1)

    def _words(self, words: Words) -> np.ndarray:
        output = words.data
        return output.permute(0, 3, 1, 2).reshape(len(output), -1).to(torch.int64).cpu().numpy()

    def _faulty(self, clean: Mapping[str, CleanLayer], patch: Patch) -> Words:
        """Output of the last layer."""
        nothing = torch.empty(0, dtype=torch.int64, device=self.device)
        values: dict[str, Words] = {}
        changed: dict[str, Channels] = {}

        def value(name: str) -> Words:
            return values[name] if name in values else clean[name].output

        for index, layer in enumerate(self.qnet.layers):
            own, source = patch.get(layer.name), changed.get(layer.source, nothing)
            residual_changed = layer.residual is not None and layer.residual.source in values
            if own is not None or layer.source in values or residual_changed:
                residual = value(layer.residual.source) if layer.residual else None
                engine = self._layers[layer.name]
                if isinstance(engine, Convolution):
                    values[layer.name], changed[layer.name] = engine.run(
                        value(layer.source), residual, own, clean, source, residual_changed
                    )
                elif own is not None:  # its bounds are hit
                    if own.bias is not None or own.shift is not None:
                        raise GoldenError(f"pool {layer.name} has no bias or shift in faulty memory")
                    values[layer.name], changed[layer.name] = engine(value(layer.source), residual, own), None
                else:
                    values[layer.name] = engine.run(value(layer.source), residual, clean)
                    changed[layer.name] = None if residual_changed else source
            for name in self._last_use.get(index, ()):
                values.pop(name, None)
        return value(self.qnet.layers[-1].name)


class _CleanRun(Mapping[str, CleanLayer]):
    """The fault-free run on a chunk of images, each layer computed when it or a later one is first asked for.

    ``keep``: with the accumulators, from which patched layers are derived.
    """

    def __init__(self, qnet: QNetwork, engines: Mapping[str, Convolution | Pool], source: Words, keep: bool) -> None:
        self._engines, self._keep = engines, keep
        self._layers = iter(qnet.layers)
        self._results = {INPUT: CleanLayer(source)}

    def __getitem__(self, name: str) -> CleanLayer:
        while name not in self._results:
            layer = next(self._layers)
            source = self._results[layer.source].output
            residual = self._results[layer.residual.source].output if layer.residual else None
            engine = self._engines[layer.name]
            if isinstance(engine, Convolution):
                self._results[layer.name] = engine.run_clean(source, residual, self._keep)
            else:
                self._results[layer.name] = CleanLayer(engine(source, residual))
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

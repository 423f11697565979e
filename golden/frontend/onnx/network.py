"""A network of an ONNX file as a module: it computes what onnx.reference computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.errors import GoldenError, UnsupportedError
from golden.frontend.given import Given, GivenNetwork
from golden.frontend.onnx.file import OnnxFile, read_onnx

_LAST_TO_SECOND = (0, 3, 1, 2)


class OnnxNetwork(GivenNetwork):
    """The network in ``path``, on images (count, ...) of float32 or, as :meth:`double`, float64.

    Images of a file that takes channels last are (count, channels, rows, columns) here. A file for a fixed number of
    images gets so many at a time. Raises what :func:`golden.frontend.onnx.file.read_onnx` raises.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.file = read_onnx(path)
        self.title, self.origin = self.file.title, self.file.origin
        self.register_buffer("kind", torch.zeros((), dtype=torch.float64 if self.file.double else torch.float32))
        self._evaluators: dict[torch.dtype, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes its evaluators anew."""
        return {**self.__dict__, "_evaluators": {}}

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """As the file says. Raises UnsupportedError for what onnx.reference cannot compute."""
        images, size = x.detach().numpy(), self.file.batch
        if _last(self.file, tuple(images.shape[1:])):
            images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        if size is None:
            return torch.from_numpy(np.array(self._run(images, x.dtype)))
        missing = -len(images) % size
        whole = np.concatenate([images, *(images[-1:] for _ in range(missing))])
        found = [self._run(whole[start : start + size], x.dtype) for start in range(0, len(whole), size)]
        if any(part.size % size for part in found):
            raise UnsupportedError(f"{self.title} returns {found[0].shape} for {size} images: it mixes them")
        parts = [part if part.shape[:1] == (size,) else part.reshape(size, -1) for part in found]
        return torch.from_numpy(np.concatenate(parts)[: len(images)])

    def _run(self, images: np.ndarray, kind: torch.dtype) -> np.ndarray:
        try:
            with np.errstate(all="ignore"):
                [result] = self._evaluator(kind).run([self.file.output], {self.file.input: images})
        except Exception as error:  # onnx.reference raises whatever numpy and Python do
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            size = "x".join(map(str, images.shape[1:]))
            raise UnsupportedError(f"{self.title}: onnx.reference cannot run images of {size}: {line}") from error
        return np.asarray(result, images.dtype)

    def _evaluator(self, kind: torch.dtype) -> Any:
        if kind not in self._evaluators:
            from onnx import TensorProto
            from onnx.reference import ReferenceEvaluator

            from golden.frontend.onnx.reference import operators
            from golden.frontend.onnx.types import in_one_type

            model = type(self.file.model)()
            model.CopyFrom(self.file.model)
            in_one_type(model, TensorProto.DOUBLE if kind is torch.float64 else TensorProto.FLOAT)
            self._evaluators[kind] = ReferenceEvaluator(model, new_ops=operators(self.file.opset))
        return self._evaluators[kind]

    def given(self, taken: tuple[int, ...]) -> Given:
        from golden.frontend.onnx.operators import TABLE, channels_last
        from golden.frontend.onnx.translate import Translation

        translation = Translation(self.file, taken, TABLE)
        if _last(self.file, taken):
            return translation.run(channels_last(translation))
        _check_taken(self.file, taken)
        return translation.run(translation.image)


def _fits(declared: tuple[int | None, ...], taken: tuple[int, ...]) -> bool:
    return len(declared) == len(taken) and all(a in (None, b) for a, b in zip(declared, taken, strict=True))


def _last(file: OnnxFile, taken: tuple[int, ...]) -> bool:
    """Whether the file takes channels last, and the images have them first."""
    if len(taken) != 3 or not _transposes(file):
        return False
    return file.declared is None or _fits(file.declared, (*taken[1:], taken[0]))


def _transposes(file: OnnxFile) -> bool:
    """Whether the images' channels are moved to the front before anything else."""
    from onnx import helper

    readers = [node for node in file.model.graph.node if file.input in node.input]
    return bool(readers) and all(
        node.op_type == "Transpose"
        and any(tuple(helper.get_attribute_value(a)) == _LAST_TO_SECOND for a in node.attribute if a.name == "perm")
        for node in readers
    )


def _check_taken(file: OnnxFile, taken: tuple[int, ...]) -> None:
    if 0 in taken:
        raise GoldenError(f"{file.title}: images of {'x'.join(map(str, taken))} hold nothing")
    if file.declared is not None and not _fits(file.declared, taken):
        shape = file.declared
        wanted = "x".join("?" if size is None else str(size) for size in shape)
        first = f" (channels first: {'x'.join(str(shape[i - 1] or '?') for i in _LAST_TO_SECOND[1:])})"
        moved = first if len(shape) == 3 and _transposes(file) else ""
        raise GoldenError(f"{file.title} takes images of {wanted}{moved}, not {'x'.join(map(str, taken))}")
    if len(taken) == 3 and _transposes(file):
        raise GoldenError(f"{file.title} takes channels last and moves them: give images with channels first")

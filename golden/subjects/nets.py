"""The user's network: ``file.py:callable``, an exported ``.pt2``, an ``.onnx``, or a subject that there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from golden.errors import GoldenError, UnsupportedError
from golden.frontend.onnx.network import OnnxNetwork
from golden.subjects.find import open_subject
from golden.subjects.names import EXPORTED, check_subject
from golden.subjects.source import is_callable, load


def load_net(text: str) -> nn.Module:
    """The network that ``text`` names, as a module. Raises GoldenError in one line.

    ``file.py:callable`` is an ``nn.Module``, a class of them, or a function that returns one.
    """
    if is_callable(text):
        return _from_python(text)
    reader = READERS.get(Path(text).suffix)
    if reader is not None:
        if not Path(text).is_file():
            raise GoldenError(f"{text} does not exist: name a file")
        return reader(Path(text))
    check_subject(text)
    return open_subject(text).float_network()


def _from_python(text: str) -> nn.Module:
    value = load(text)
    if not isinstance(value, nn.Module):
        if not callable(value):
            raise GoldenError(f"{text} is {type(value).__name__}: name an nn.Module or a function that returns one")
        try:
            value = value()
        except Exception as error:  # whatever the user's own code raises
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise GoldenError(f"{text} cannot be called without arguments: {line}") from error
    if not isinstance(value, nn.Module):
        raise GoldenError(f"{text} returns {type(value).__name__}: it must be an nn.Module")
    return value


class ExportedNetwork(nn.Module):
    """What torch.export.load gives, which refuses to change between modes that it does not have.

    ``made_by``: its nodes by name; they know the user's source and modules.
    """

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.network = program.module()
        self.made_by = {node.name: node for node in program.graph.nodes}

    def train(self, mode: bool = True) -> ExportedNetwork:
        """It stays in the mode in which it was exported."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """As exported."""
        y: Tensor = self.network(x)
        return y


def _exported(path: Path) -> nn.Module:
    try:
        program = torch.export.load(path)
        [taken] = program.graph_signature.user_inputs
        example = next(node.meta["val"] for node in program.graph.nodes if node.name == taken)
    except Exception as error:  # zip, JSON and torch's own errors share no base class
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnsupportedError(f"{path} is no network of torch.export.save: {line}") from error
    if isinstance(example.shape[0], int):
        raise UnsupportedError(
            f"{path} was exported for batches of {example.shape[0]}: export it with a dynamic first dimension"
        )
    return ExportedNetwork(program)


READERS: dict[str, Callable[[Path], nn.Module]] = dict(zip(EXPORTED, (_exported, OnnxNetwork), strict=True))
"""By suffix: a further kind of file is one more entry here and there."""

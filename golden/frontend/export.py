"""torch.export of the user's module: its ATen operators, whatever spelling they had, and one line for what fails."""

from __future__ import annotations

import contextlib
import io
import itertools
import linecache
import logging
import math
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from golden.errors import UnsupportedError
from golden.frontend.given import PLACE
from golden.frontend.modules import evaluation_mode, float_type, in_one_type

BATCH = 2
"""Images of the example: with one, an operator over the batch could not be told from none."""

_TORCH = str(Path(torch.__file__).parent)
_OWN = str(Path(__file__).parent)
_GENERATED = "<eval_with_key>"
"""Files that torch makes up for the code of graphs."""


def exported(model: nn.Module, taken: tuple[int, ...]) -> ExportedProgram:
    """``model`` in evaluation mode as a functional graph of ATen operators, for images of shape ``taken``.

    ``model`` stays as it is. Raises UnsupportedError in one line: for images it does not take, for control flow that
    depends on data, for whatever torch.export cannot follow.
    """
    model = in_one_type(model)
    name, size = type(model).__name__, "x".join(map(str, taken))
    example = torch.zeros(BATCH, *taken, dtype=float_type(model))
    with evaluation_mode(model), torch.no_grad():
        try:
            model(example.clone())
        except Exception as error:  # whatever the user's own code raises
            meant = _other_arrangement(model, taken)
            raise UnsupportedError(
                f"{name} does not take images of {size}: {meant or _line(error)}{_at(error)}"
            ) from error
        try:
            with _silent():
                program = torch.export.export(model, (example,)).run_decompositions({})
        except Exception as error:  # torch.export raises dozens of kinds
            depends = "data-dependent" in str(error) or "DataDependent" in type(error).__name__
            why = "its control flow depends on data" if depends else _line(error)
            raise UnsupportedError(f"{name} cannot be exported: {why}{_at(error)}") from error
    _remember(program, getattr(model, "made_by", {}))
    return program


def _remember(program: ExportedProgram, made_by: Mapping[str, fx.Node]) -> None:
    """Where the nodes of a network come from that was itself made of a graph: ``made_by`` has its nodes by the names
    that they have in the code which torch makes of it."""
    for node in program.graph.nodes if made_by else ():
        lines = (node.meta.get("stack_trace") or "").splitlines()
        made = [
            text.split(" = ")[0].strip() for head, text in itertools.pairwise(lines) if f'File "{_GENERATED}' in head
        ]
        if made and made[-1] in made_by:
            meta = made_by[made[-1]].meta
            node.meta.update({key: meta[key] for key in ("stack_trace", "nn_module_stack") if key in meta})


def _other_arrangement(model: nn.Module, taken: tuple[int, ...]) -> str:
    """How the images would have to lie for ``model`` to take them; nothing if none of the usual ways does."""
    ways: list[tuple[tuple[int, ...], str]] = [((math.prod(taken),), "flatten them, images.reshape(len(images), -1)")]
    if len(taken) == 2:
        ways.insert(0, ((1, *taken), "give them an axis of channels, images[:, None]"))
    if len(taken) == 3:
        ways.insert(0, ((taken[2], *taken[:2]), "put channels first, images.transpose(0, 3, 1, 2)"))
    for shape, how in ways:
        with contextlib.suppress(Exception):  # whatever the user's own code raises
            output = model(torch.zeros(BATCH, *shape, dtype=float_type(model)))
            if isinstance(output, Tensor) and len(output) == BATCH:
                return f"it takes {'x'.join(map(str, shape))}; {how}"
    return ""


def place_of(node: fx.Node) -> str:
    """File, line and text of the user's source that made a node, or what its graph says."""
    if PLACE in node.meta:
        return str(node.meta[PLACE])
    lines = (node.meta.get("stack_trace") or "").splitlines()
    found = ""
    for head, text in itertools.pairwise(lines):
        if not head.lstrip().startswith('File "'):
            continue
        file, _, rest = head.strip().removeprefix('File "').partition('", line ')
        if not file.startswith((_TORCH, _OWN, "<")):
            found = f"{Path(file).name}:{rest.partition(',')[0]}: {text.strip()}"
    return found


def _at(error: BaseException) -> str:
    """Where in the user's code an error came from."""
    found, step = "", error.__traceback__
    while isinstance(step, TracebackType):
        file, line = step.tb_frame.f_code.co_filename, step.tb_lineno
        if not file.startswith((_TORCH, _OWN, "<")) and not traceback.__file__.startswith(str(Path(file).parent)):
            found = f" at {Path(file).name}:{line}: {linecache.getline(file, line).strip()}"
        step = step.tb_next
    return found


def _line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the graphs and logs that torch.export prints when it fails."""
    level = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(level)

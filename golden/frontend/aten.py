"""An ``nn.Module`` as a graph: its ATen operators, as torch exports them or as it comes with them, in terms of few
kinds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from golden.errors import UnsupportedError
from golden.frontend.export import exported
from golden.frontend.given import GivenNetwork
from golden.frontend.importer import Importer
from golden.frontend.network import GraphNetwork
from golden.frontend.operators import OPERATORS


def import_module(model: nn.Module, taken: tuple[int, ...]) -> GraphNetwork:
    """The graph of ``model`` for images of shape ``taken``, with its parameters and activations that are modules.

    ``model`` stays as it is. What is not supported becomes ``unknown`` operations. Raises UnsupportedError for what
    torch.export cannot follow, for more than one input or output, and for what mixes the images of a batch.
    """
    if isinstance(model, GraphNetwork):
        return model
    if isinstance(model, GivenNetwork):
        given = model.given(taken)
        with torch.no_grad():
            return Importer(model.title, taken, OPERATORS).run(given.graph, given.held, given.returned)
    program = exported(model, taken)
    importer = Importer(type(model).__name__, taken, OPERATORS)
    signature = program.graph_signature
    if len(signature.user_inputs) != 1 or len(signature.user_outputs) != 1:
        raise UnsupportedError(f"{type(model).__name__} must take one tensor and return one tensor")
    held: dict[str, tuple[str, Tensor]] = {}
    for kind in (signature.inputs_to_parameters, signature.inputs_to_buffers):
        named = {**program.state_dict, **program.constants}
        held.update({node: (name, named[name]) for node, name in kind.items()})
    constants = signature.inputs_to_lifted_tensor_constants
    held.update({node: (name, program.constants[name]) for node, name in constants.items()})
    with torch.no_grad():
        return importer.run(program.graph, held, signature.user_outputs[0])

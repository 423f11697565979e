"""Networks and images of one's own on the command line: any NET, with --data where it is no subject yet."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.options import complete_models, names, numbers
from fitact_hw.errors import FitActError
from golden.subjects.names import check_subject, is_source, source_path
from golden.subjects.reading import Reading

NET = "a name of `fitact models`, a subject's folder, file.py:callable, a .pt2 or an .onnx file"


def known_net(text: str) -> str:
    """A network by any of its names. Raises GoldenError for one that is not there."""
    if is_source(text):
        if not source_path(text).is_file():
            raise FitActError(f"{source_path(text)} does not exist: give {NET}")
    else:
        check_subject(text)
    return text


def known_nets(text: str) -> str:
    """Shipped networks and subjects with commas between, or none. Raises GoldenError for an unknown one."""
    for name in names(text):
        check_subject(name)
    return text


def known_data(text: str | None) -> str | None:
    """Images by any of their names. Raises FitActError for those that are not there."""
    if text is not None:
        path = source_path(text)
        if not path.exists():
            raise FitActError(f"--data {path} does not exist: name an .npz file, a folder or file.py:function")
    return text


def channels(option: str) -> Callable[[str | None], str | None]:
    """A callback for one number a channel, commas between."""

    def check(text: str | None) -> str | None:
        if text is not None and not all(map(math.isfinite, _values(text, option))):
            raise FitActError(f"{option} {text}: must be finite numbers")
        return text

    return check


def _values(text: str | None, option: str) -> tuple[float, ...]:
    if text is None:
        return ()
    found = [part.strip() for part in text.split(",")]
    return tuple(numbers(part, float, option)[0] for part in found)


def pixels(text: str | None) -> str | None:
    """A size as rows x columns. Raises FitActError for what is none."""
    if text is not None and not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", text):
        raise FitActError(f"--size {text}: write it as rows x columns, e.g. 224x224")
    return text


NetArgument = Annotated[
    str, typer.Argument(help=f"network: {NET}", callback=known_net, autocompletion=complete_models, metavar="NET")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="images of a network of your own: .npz (images, labels), a folder of class folders, or file.py:function",
        callback=known_data,
    ),
]
MeanOption = Annotated[
    str | None,
    typer.Option("--mean", help="of uint8 images, one value a channel, 0..1 [the file's]", callback=channels("--mean")),
]
StdOption = Annotated[
    str | None,
    typer.Option("--std", help="of uint8 images, one value a channel, 0..1 [the file's]", callback=channels("--std")),
]
SizeOption = Annotated[
    str | None, typer.Option("--size", help="resize pictures of a folder: rows x columns", callback=pixels)
]


def reading_of(mean: str | None, std: str | None, size: str | None) -> Reading:
    """What the options say of the images."""
    sides = [int(side) for side in size.split("x")] if size else []
    return Reading(_values(mean, "--mean"), _values(std, "--std"), (sides[0], sides[-1]) if sides else None)


def with_network(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with options for images in place of its parameter ``model``, which becomes what workers are told: a
    shipped name, or the folder of a subject, made if need be."""
    options = (("data", DataOption), ("mean", MeanOption), ("std", StdOption), ("size", SizeOption))
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters.append(parameter)
        if parameter.name == "model":
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters += [inspect.Parameter(n, kind, default=None, annotation=a) for n, a in options]

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        from fitact_hw.networks import subject_of

        data = given.pop("data")
        reading = reading_of(*(given.pop(name) for name in ("mean", "std", "size")))
        given["model"] = subject_of(given["model"], data, reading)
        return command(**given)

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def results_folder(model: str) -> Path:
    """Where results of a network go by default."""
    from golden.subjects.names import short_name

    return Path("build") / short_name(model)

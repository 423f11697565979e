"""Options that several commands share, and checks of their values that load nothing heavy."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.paths import given_file, given_folder, out_file, out_folder
from fitact_hw.config import AcceleratorConfig, RangeCheck
from fitact_hw.errors import FitActError
from golden.bounds.schemes import CHECKS, DEFAULT, SCHEMES, find_protection, find_scheme
from golden.networks.registry import NETWORKS, check_model
from golden.qnetwork import ACC_BITS
from golden.subjects.scheme_files import named
from golden.support.choices import listed, must_be


def names(text: str | None) -> tuple[str, ...]:
    """The parts of a list with commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def fraction(text: str, option: str) -> float:
    """``5%`` or ``0.05`` as 0.05. Raises FitActError unless it lies between 0 and 1."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise FitActError(f"{option} {text}: write it as 1% or 0.01, more than 0 and less than 100%")
    return value


def numbers(text: str, kind: type, option: str) -> tuple[Any, ...]:
    """The numbers of a list with commas, each once. Raises FitActError if there is none or one is no number."""
    try:
        found = tuple(dict.fromkeys(kind(part) for part in names(text)))
    except ValueError:
        found = ()
    if not found:
        raise FitActError(f"{option} {text or repr('')}: must be numbers separated by commas")
    return found


def known_model(name: str) -> str:
    """A shipped network by name. Raises GoldenError for an unknown one."""
    check_model(name)
    return name


def known_scheme(name: str) -> str:
    """The name of a protection scheme, by it or by a file. Raises GoldenError for an unknown one."""
    return find_scheme(named(name)).name


def known_schemes(text: str | None) -> str | None:
    """Protection schemes with commas between, by name. Raises GoldenError for an unknown one."""
    return text and ",".join(map(known_scheme, names(text)))


def known_protections(text: str | None) -> str | None:
    """Schemes, checks and schemes with a check, with commas between, by name. Raises GoldenError for an unknown one."""
    labels = [named(label) for label in names(text)]
    for label in labels:
        find_protection(label)
    return text and ",".join(labels)


def known_word(width: int) -> int:
    """A word width. Raises FitActError for one that the machine does not have."""
    if width not in ACC_BITS:
        raise FitActError(f"--word {width}: must be {listed(ACC_BITS)}")
    return width


def known_words(text: str) -> str:
    """Word widths with commas between. Raises FitActError for those that the machine does not have."""
    for width in numbers(text, int, "--word"):
        known_word(width)
    return text


def known_rates(text: str | None) -> str | None:
    """Bit error rates with commas between. Raises FitActError unless each lies between 0 and 1."""
    for rate in () if text is None else numbers(text, float, "--rates"):
        if not 0 < rate < 1:
            raise FitActError(f"--rates {rate:g}: must lie between 0 and 1")
    return text


def share(option: str) -> Callable[[str | None], str | None]:
    """A callback for an option that :func:`fraction` reads."""

    def check(text: str | None) -> str | None:
        if text is not None:
            fraction(text, option)
        return text

    return check


def choices(option: str, known: tuple[str, ...]) -> Callable[[str], str]:
    """A callback for a list with commas of some of ``known``."""

    def check(text: str) -> str:
        if not names(text):
            raise FitActError(f"{option} {text!r}: {must_be(text, known)}")
        for name in names(text):
            if name not in known:
                raise FitActError(f"{option} {name}: {must_be(name, known)}")
        return text

    return check


def one_of(option: str, known: tuple[str, ...]) -> Callable[[str], str]:
    """A callback for one of ``known``."""

    def check(text: str) -> str:
        if text not in known:
            raise FitActError(f"{option} {text}: {must_be(text, known)}")
        return text

    return check


def _starting(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        *before, last = incomplete.split(",")
        return [",".join([*before, name]) for name in known if name.startswith(last)]

    return complete


complete_models, complete_schemes = _starting(NETWORKS), _starting(tuple(SCHEMES))
"""Names for the completion of a shell, in lists with commas too."""

SCHEME = "a name, or file.py:NAME that declares one"

ModelArgument = Annotated[
    str,
    typer.Argument(help="network: see `fitact models`", callback=known_model, autocompletion=complete_models),
]
SchemeOption = Annotated[
    str, typer.Option(help=f"protection scheme: {SCHEME}", callback=known_scheme, autocompletion=complete_schemes)
]
StoredSchemeOption = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        help=f"protection scheme, by name or file.py:NAME [{DEFAULT.name}, or the finest with stored bounds]",
        callback=lambda name: None if name is None else known_scheme(name),
        autocompletion=complete_schemes,
    ),
]
SchemesOption = Annotated[
    str,
    typer.Option(
        help="schemes, e.g. ranger,fitact or file.py:NAME [the usual ones with stored bounds]",
        callback=known_schemes,
        autocompletion=complete_schemes,
    ),
]
ALL = "all"
"""Every scheme that has bounds to be found."""

FoundSchemesOption = Annotated[
    str,
    typer.Option(
        help="schemes, e.g. proact,fitact or file.py:NAME, or all",
        callback=lambda text: text if text == ALL else known_schemes(text),
    ),
]
ProtectionsOption = Annotated[
    str,
    typer.Option(
        "--schemes",
        help=f"schemes, each alone or with a parameter check, e.g. fitact,{next(iter(CHECKS))},fitact+"
        f"{next(iter(CHECKS))} [the usual ones with stored bounds]",
        callback=known_protections,
        autocompletion=_starting((*SCHEMES, *CHECKS)),
    ),
]
RowsOption = Annotated[int | None, typer.Option("--rows", help="rows of the PE array (input channels) [16]")]
ColsOption = Annotated[int | None, typer.Option("--cols", help="columns of the PE array (output channels) [16]")]
WORD_HELP = "word width in bits: 8, 16 or 32 (Q15.16)"
USUAL_WORD: int = AcceleratorConfig.model_fields["word_bits"].default
WordOption = Annotated[int | None, typer.Option("--word", help=f"{WORD_HELP} [{USUAL_WORD}]")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="seed of every random draw; recorded in the results")]
WorkersOption = Annotated[int, typer.Option(min=1, help="simulator processes; results do not depend on it")]
ParameterCheckOption = Annotated[
    RangeCheck | None,
    typer.Option("--parameter-check", help="range check of weights, biases and bounds as they are loaded [none]"),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with fields of AcceleratorConfig (buffer depths, bus, ...)"),
]


def folder_option(text: str, *names: str) -> Any:
    """An option for a folder of results."""
    return typer.Option(*names, help=text, parser=out_folder, metavar="FOLDER")


def file_option(text: str, *names: str) -> Any:
    """An option for a file to be written."""
    return typer.Option(*names, help=text, parser=out_file, metavar="FILE")


def given_folder_option(text: str, *names: str) -> Any:
    """An option for a folder that must be there."""
    return typer.Option(*names, help=text, parser=given_folder, metavar="FOLDER")


def given_file_option(text: str, *names: str) -> Any:
    """An option for a file that must be there."""
    return typer.Option(*names, help=text, parser=given_file, metavar="FILE")


def with_machine(command: Callable[..., Any], word_bits: int = USUAL_WORD) -> Callable[..., Any]:
    """The command with the options of a machine (rows, cols, word, parameter check, config) in place of its parameter
    ``machine``; ``word_bits``: where neither option nor file gives the width."""
    options = (
        ("rows", RowsOption),
        ("cols", ColsOption),
        ("word", Annotated[int | None, typer.Option("--word", help=f"{WORD_HELP} [the file's, else {word_bits}]")]),
        ("parameter_check", ParameterCheckOption),
        ("config", ConfigOption),
    )
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.name == "machine":
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters += [inspect.Parameter(n, kind, default=None, annotation=a) for n, a in options]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        rows, cols, word, check, config = (given.pop(name) for name, _ in options)
        if word is None and config is None:
            word = word_bits
        machine = AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word, parameter_check=check)
        return command(**given, machine=machine)

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options

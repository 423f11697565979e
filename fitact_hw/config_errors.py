"""What pydantic found wrong with a configuration, as one line in our words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from golden.support.choices import listed, unknown


def explain(error: ValidationError, model: type[BaseModel], ranges: Mapping[str, str]) -> str:
    """The first finding: which field, what it is, what it may be; for an unknown field the nearest and all there are.

    ``ranges``: whole-number field -> what it may be, e.g. ``2 to 32``.
    """
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "value_error":  # raised by the model itself, in words for the user
        return str(first["ctx"]["error"])
    owner = _owner(model, path[:-1])
    if first["type"] == "extra_forbidden":
        within = "".join(f"{part}." for part in path[:-1])
        return unknown("field", path[-1], tuple(owner.model_fields), "there are", within)
    annotation = owner.model_fields[path[-1]].annotation if path and path[-1] in owner.model_fields else None
    return f"{'.'.join(path)}={first['input']!r}: must be {_allowed(annotation, ranges.get(path[-1], ''))}"


def _owner(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """The (sub)model that holds a field at ``path``."""
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return model
        model = annotation
    return model


def _allowed(annotation: Any, span: str) -> str:
    """What a value of this annotation may be."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        return listed(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return listed(member.value for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        word = _allowed(next(iter(fields.values())).annotation, "")
        return f"{word} for all, or a table with some of {', '.join(fields)}"
    if annotation is bool:
        return "true or false"
    if annotation is int:
        return f"a whole number{f', {span}' if span else ''}"
    return f"of type {getattr(annotation, '__name__', annotation)}"

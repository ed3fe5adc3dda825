"""pydantic's errors become faults in plain words. No value is repeated: it might be a secret."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from artifact_sync.config.problems import Fault, KeyPath, Wrong
from artifact_sync.config.sections import BANDWIDTH_SHAPES

__all__ = ["fault_of", "known_paths"]

_Context = dict[str, Any]

#: What is wrong, by pydantic's type of error (https://docs.pydantic.dev/latest/errors/validation_errors/).
_WHAT: dict[str, Callable[[_Context], str]] = {
    "bool_type": lambda _: "not true or false",
    "dict_type": lambda _: "not a mapping of keys",
    "float_type": lambda _: "not a number",
    "greater_than_equal": lambda ctx: f"less than {ctx['ge']}",
    "int_type": lambda _: "not a whole number",
    "less_than_equal": lambda ctx: f"more than {ctx['le']}",
    "literal_error": lambda ctx: f"not one of {_choices(ctx)}",
    "model_attributes_type": lambda _: "not a mapping of keys",
    "model_type": lambda _: "not a mapping of keys",
    "string_type": lambda _: "not text",
    "too_short": lambda _: "empty",
    "tuple_type": lambda _: "not a list",
}

_CURE: dict[str, Callable[[_Context], str]] = {
    "bool_type": lambda _: "write true or false",
    "greater_than_equal": lambda ctx: f"write at least {ctx['ge']}",
    "less_than_equal": lambda ctx: f"write at most {ctx['le']}",
    "literal_error": lambda ctx: f"write {_choices(ctx)}",
    "string_type": lambda _: "put it in quotes",
}


def fault_of(error: ErrorDetails, root: type[BaseModel]) -> Fault:
    """The fault that one of pydantic's errors stands for."""
    path = tuple(part for part in error["loc"] if part not in BANDWIDTH_SHAPES)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return Fault(path=path, what="unknown key", cure=_suggestion(path, root), at="key")
    if kind == "missing":
        return Fault(path=path, what="missing", cure=f"write {_example(path, root)}", at="key")
    if kind == "value_error" and isinstance(wrong := context.get("error"), Wrong):
        return Fault(path=path, what=wrong.what, cure=wrong.cure)
    what = _WHAT[kind](context) if kind in _WHAT else "not a usable value"
    cure = _CURE[kind](context) if kind in _CURE else f"write {_example(path, root)}"
    return Fault(path=path, what=what, cure=cure)


def known_paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key, without list indexes."""
    for name, field in _fields(model).items():
        yield (*above, name)
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from known_paths(inner, (*above, name))


def _choices(context: _Context) -> str:
    return str(context["expected"]).replace("'", "")


def _suggestion(path: KeyPath, root: type[BaseModel]) -> str:
    wrong = str(path[-1])
    holder = _model_at(path[:-1], root)
    known = list(_fields(holder)) if holder else []
    if close := get_close_matches(wrong.lower(), known, n=1):
        return f"did you mean {close[0]}?"
    elsewhere = [other for other in known_paths(root) if other[-1] == wrong]
    if len(elsewhere) == 1:
        return f"it belongs to {_dotted(elsewhere[0])}"
    return f"remove it; known here: {', '.join(known)}"


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(f"{part}[]" if part == "rules" else part for part in path)


def _example(path: KeyPath, root: type[BaseModel]) -> str:
    """The key with an example, as it may stand in the file."""
    names = [part for part in path if isinstance(part, str)]
    field = _field_at(path, root)
    if field is None or not names:
        return "a mapping of keys, such as gitlab, store and rules"
    example = (field.examples or [None])[0]
    if isinstance(path[-1], int) and isinstance(example, list):
        return f"an item such as {_flow(example[0])}"
    return f"{names[-1]}: {_flow(example)}"


def _flow(value: Any) -> str:
    """YAML in one line. Text without special characters stands plain, all else as JSON, which YAML contains."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and value[0].isalnum() | (value[0] in "./") and not set(value) & set("{}[],#*!"):
        return value
    return json.dumps(value)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _field_at(path: KeyPath, root: type[BaseModel]) -> FieldInfo | None:
    names = [part for part in path if isinstance(part, str)]
    holder = _model_at(tuple(names[:-1]), root) if names else None
    return _fields(holder).get(names[-1]) if holder else None


def _model_at(path: KeyPath, root: type[BaseModel]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, str) and model is not None:
            field = _fields(model).get(part)
            model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as ``tuple[Model, ...]`` or ``Model | None`` holds."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((m for m in map(_model_in, typing.get_args(annotation)) if m is not None), None)

"""How one key of the configuration is declared, so that a model reads like the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

__all__ = ["NOT_EMPTY", "REQUIRED", "Flag", "Section", "Text", "Whole", "key", "leaf"]

Items = TypeVar("Items", bound=tuple[Any, ...])

REQUIRED: Any = ...

#: A boolean, a whole number, a text: nothing is converted.
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Text = Annotated[str, Strict()]


def _not_empty(items: Items) -> Items:
    if not items:
        raise PydanticCustomError("too_short", "empty")
    return items


#: For lists that need an item. pydantic's own ``min_length`` counts right items only, and so complains twice of one mistake.
NOT_EMPTY = (AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1}))


class Section(BaseModel):
    """A mapping of known keys. ``poll:`` with nothing below it is the section with its defaults."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        # The schema of a section is a part of the whole one, and of no use by itself.
        defer_build=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, data: Any) -> Any:
        return {} if data is None else data


def key(default: Any, doc: str, *examples: Any, alias: str | None = None, **bounds: Any) -> Any:
    """A key with its default as it would be written in YAML, its documentation, and examples for errors and editors."""
    return Field(default, description=doc, examples=list(examples) or None, alias=alias, **bounds)


def leaf(
    parse: Callable[[Any], Any] | Callable[[Any, ValidationInfo], Any],
    schema: dict[str, Any],
    write: Callable[[Any], Any] | None = None,
) -> Any:
    """The metadata of a value with its own notation: ``Annotated[timedelta, *leaf(...)]``.

    ``write`` is the inverse of ``parse``; None where the parsed value is the notation itself.
    """
    metadata = [PlainValidator(parse), WithJsonSchema(schema)]
    return (*metadata, PlainSerializer(write)) if write else tuple(metadata)

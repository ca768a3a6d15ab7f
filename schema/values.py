"""Inputs and proposals of managed content, derived from the values models, so that a field is declared once."""

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin
from uuid import UUID

import strawberry
from sqlmodel import SQLModel

from kit.ids import global_id
from models.parts import Part
from schema.base import ID, described, field
from schema.enums import summary_of

T = TypeVar("T")


def values_type(model: type[SQLModel]) -> Callable[[type[T]], type[T]]:
    """An object type with every field of a values model: what a proposal shows, without an identity of its own."""

    def decorate(cls: type[T]) -> type[T]:
        for name, column in model.model_fields.items():
            cls.__annotations__[name] = _on_the_wire(column.annotation, part_type)
            made = {"resolver": _global_id_of(name, column), "needs": (name,)} if _is_key(column) else {}
            setattr(cls, name, field(about=column.description, **made))
        return described(model)(cls)

    return decorate


def values_input(model: type[SQLModel]) -> Callable[[type[T]], type[T]]:
    """An input with every field of a values model. What is not given takes the model's default."""

    def decorate(cls: type[T]) -> type[T]:
        for name, column in model.model_fields.items():
            kind = _on_the_wire(column.annotation, _part_input)
            cls.__annotations__[name] = kind if column.is_required() else kind | None
            default = {} if column.is_required() else {"default": strawberry.UNSET}
            setattr(cls, name, strawberry.field(description=column.description, **default))
        return strawberry.input(cls, description=summary_of(cls))

    return decorate


def _is_key(column: Any) -> bool:
    return column.annotation in (UUID, UUID | None)


def _global_id_of(name: str, column: Any) -> Any:
    kind = column.foreign_key.partition(".")[0]

    def resolve(row: strawberry.Parent[Any]) -> ID | None:
        return ID(global_id(kind, UUID(str(row[name])))) if row[name] else None

    return resolve


def _on_the_wire(annotation: Any, part: Callable[[type[Part]], Any]) -> Any:
    """The GraphQL form of a model's annotation: keys are ids, parts are types of their own."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list:
        return list[_on_the_wire(arguments[0], part)]  # type: ignore[misc]
    if origin in (Union, UnionType):
        (inner,) = (each for each in arguments if each is not type(None))
        return _on_the_wire(inner, part) | None
    if annotation is UUID:
        return ID
    return part(annotation) if isinstance(annotation, type) and issubclass(annotation, Part) else annotation


@cache
def part_type(model: type[Part]) -> Any:
    cls = type(model.__name__, (), {"__doc__": model.__doc__, "__annotations__": {}})
    return values_type(model)(cls)


@cache
def _part_input(model: type[Part]) -> Any:
    cls = type(f"{model.__name__}Input", (), {"__doc__": model.__doc__, "__annotations__": {}})
    return values_input(model)(cls)

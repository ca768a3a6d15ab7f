"""Typed filters of connections: one line for each argument, from its value to a condition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from sqlalchemy import ARRAY, ColumnElement, Numeric, Text, any_, cast, func, literal, or_

Filters = Mapping[str, Callable[[Any], ColumnElement[bool]]]


def plain(value: Any) -> Any:
    """An input as plain data. What was not given is left out, so that null and absent differ for a service."""
    if hasattr(value, "__strawberry_definition__") and not isinstance(value, Enum):
        given = {name: getattr(value, name) for name in value.__dict__}
        return {name: plain(each) for name, each in given.items() if each is not strawberry.UNSET}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def where(filters: Filters, chosen: Mapping[str, Any] | None) -> Iterator[ColumnElement[bool]]:
    """The conditions of the filters that were given."""
    for name, value in (chosen or {}).items():
        if value is not None:
            yield filters[name](value)


def one_of(column: ColumnElement[Any]) -> Callable[[Sequence[Any]], ColumnElement[bool]]:
    """The column holds one of the values."""
    return lambda values: column == any_(cast(literal(list(values), ARRAY(Text)), ARRAY(Text)))


def overlaps(
    column: ColumnElement[Any], *, empty_means_all: bool = False
) -> Callable[[Sequence[Any]], ColumnElement[bool]]:
    """The array column shares a value with the given ones, or is empty where empty stands for all."""

    def condition(values: Sequence[Any]) -> ColumnElement[bool]:
        shared = column.op("&&")(cast(literal(list(values), ARRAY(Text)), ARRAY(Text)))
        return or_(shared, func.cardinality(column) == 0) if empty_means_all else shared

    return condition


def text_in(*columns: ColumnElement[Any]) -> Callable[[str], ColumnElement[bool]]:
    """One of the columns contains the text, whatever the case; its wildcards are taken literally."""
    return lambda text: or_(*(column.icontains(text.strip(), autoescape=True) for column in columns))


def at_least(column: ColumnElement[Any]) -> Callable[[Decimal | float], ColumnElement[bool]]:
    """The number in the column is not smaller. A value beyond the column's precision is one that nothing reaches."""
    return lambda value: column >= literal(Decimal(str(value)), Numeric())


def at_most(column: ColumnElement[Any]) -> Callable[[Decimal | float], ColumnElement[bool]]:
    """The number in the column is not greater."""
    return lambda value: column <= literal(Decimal(str(value)), Numeric())

"""How values look on the wire, and how the schema reads a row."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, DecimalException
from typing import Any

from asyncpg import Record
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.types.base_scalars import DateDefinition, DateTimeDefinition, DecimalDefinition
from strawberry.schema.types.scalar import DEFAULT_SCALAR_REGISTRY
from strawberry.types.scalar import ScalarDefinition

DIGITS = 18
KEYED = (Record, Mapping)


def read(row: Any, name: str) -> Any:
    """A field's value: by key from a database row or a JSON object, by attribute from anything else."""
    return row[name] if isinstance(row, KEYED) else getattr(row, name)


read.by_key = True  # type: ignore[attr-defined]  # a plan need not ask whether a database row is one


def _moment(text: str) -> datetime:
    """Without an offset it would be another moment on every server; at the ends of the calendar none can be added."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    moment = moment.astimezone(UTC)
    if not date.min.year < moment.year < date.max.year:
        raise ValueError("out of range")
    return moment


def _amount(text: str) -> Decimal:
    """Neither NaN nor Infinity is an amount, nor is what takes more digits than the database keeps."""
    amount = Decimal(text)
    if not amount.is_finite() or amount.adjusted() >= DIGITS or amount.as_tuple().exponent < -DIGITS:  # type: ignore[operator]
        raise ValueError("out of range")
    return amount


def _reader(parse: Callable[[str], Any], what: str, *, numbers: bool = False) -> Callable[[object], Any]:
    """Tells the caller what a text should have been."""

    def parse_value(value: object) -> Any:
        text = str(value) if numbers and isinstance(value, int | float) and not isinstance(value, bool) else value
        try:
            if isinstance(text, str):
                return parse(text)
        except (ValueError, OverflowError, DecimalException):
            pass
        raise StrawberryInputCoercionError(f"Not {what}: {value!r:.60}")

    return parse_value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: replace(
        DateTimeDefinition,
        description="A moment (时间) in ISO 8601 with an offset, such as 2026-11-01T10:00:00+08:00.",
        parse_value=_reader(_moment, "a moment with an offset, such as 2026-11-01T10:00:00+08:00 (须为带时区的时间)"),
    ),
    date: replace(
        DateDefinition,
        description="A calendar day in Shanghai (日期) in ISO 8601, such as 2026-11-01.",
        parse_value=_reader(date.fromisoformat, "a day, such as 2026-11-01 (须为日期)"),
    ),
    Decimal: replace(
        DecimalDefinition,
        description="An exact decimal number (十进制数), as a text so that no client rounds it, such as 199.00.",
        parse_value=_reader(_amount, "a decimal number, such as 199.00 (须为十进制数)", numbers=True),
    ),
    JSON: replace(DEFAULT_SCALAR_REGISTRY[JSON], description="Any JSON value (任意 JSON 值), by ECMA-404."),
}


def config(*, hardened: bool) -> StrawberryConfig:
    """Strawberry's settings; suggestions ("Did you mean …") are kept from callers where the wire is hardened."""
    return StrawberryConfig(default_resolver=read, disable_field_suggestions=hardened, scalar_map=SCALARS)

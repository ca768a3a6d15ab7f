"""Keyset pages: a cursor holds the sort values of its row, so that page 10,000 costs what page 1 does. Never OFFSET."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Label,
    LargeBinary,
    Select,
    func,
    literal_column,
    tuple_,
)

from kit.db import Row
from kit.errors import ApiError, ErrorCode
from kit.statements import late, unseen
from resolvers import cursors

MAXIMUM = 100
DEFAULT = 20
LARGEST_INTEGER = 2**31 - 1
LARGEST_AMOUNT = Decimal(10) ** 18
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL's: what it sends of a moment are the microseconds since."""


def _bad(argument: str, message: str) -> ApiError:
    return ApiError(ErrorCode.BAD_USER_INPUT, message, argument=argument)


@dataclass(frozen=True, slots=True)
class Window:
    """What `first/after/last/before` ask for: `size` rows beyond `cursor`, backwards for `last/before`."""

    size: int = DEFAULT
    cursor: str | None = None
    backward: bool = False

    @classmethod
    def of(cls, first: int | None, after: str | None, last: int | None, before: str | None) -> "Window":
        """Refuses what the Relay specification calls unwise, and pages of more than 100 rows."""
        if (first is not None or after is not None) and (last is not None or before is not None):
            raise _bad("first", "Use first/after or last/before, not both (first/after 与 last/before 不能同时使用)")
        size = first if first is not None else last
        if size is not None and not 0 <= size <= MAXIMUM:
            name = "first" if first is not None else "last"
            raise _bad(name, f"{name} must be 0 to {MAXIMUM} ({name} 须在 0 到 {MAXIMUM} 之间)")
        backward = last is not None or before is not None
        return cls(DEFAULT if size is None else size, before if backward else after, backward)


@dataclass(frozen=True)
class Order:
    """A total order: expressions that are never null, all ascending or all descending, the last one unique."""

    name: str
    keys: tuple[ColumnElement[Any], ...]
    descending: bool = False

    def cursor(self, values: Sequence[Any]) -> str:
        """The cursor of a row with these sort values, as a row carries them."""
        return cursors.write(self.name, values, _written)

    def values(self, cursor: str) -> list[Any]:
        """The sort values of a cursor of this order; another text is the caller's mistake."""
        place = cursors.read(self.name, cursor)
        try:
            return [_revive(value, key.type.python_type) for value, key in zip(place, self.keys, strict=True)]
        except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
            raise cursors.unknown() from error

    def carried(self, columns: frozenset[str] | None) -> "tuple[Column[Any] | Label[Any], ...]":
        """The sort values as columns of a row that has these columns (None: all) anyway.

        A moment that is there for its cursor only is carried as PostgreSQL's 8 bytes: most rows are never asked for
        their cursor, and a `datetime` takes longer to make than all the rest of a row.
        """
        carried: list[Column[Any] | Label[Any]] = []
        for number, key in enumerate(self.keys):
            if not isinstance(key, Column):
                carried.append(key.label(f"_key{number}"))
            elif isinstance(key.type, DateTime) and columns is not None and key.name not in columns:
                carried.append(func.timestamptz_send(key, type_=LargeBinary).label(f"_key{number}"))
            else:
                carried.append(key)
        return tuple(carried)

    def apply(self, statement: Select[Any], *, started: bool, backward: bool, size: int | None = None) -> Select[Any]:
        """Adds order, start and limit; `late` gives the values that are left open.

        One row more than asked tells whether there is a next page. `size` fixes the limit, and PostgreSQL plans once;
        for an open one it plans each time, and finds the better way where a filter leaves few rows.
        """
        falling = self.descending != backward
        if started:
            places = (late(f"start{number}", key.type) for number, key in enumerate(self.keys))
            start = tuple_(*(place if size is None else unseen(place) for place in places))
            position = tuple_(*self.keys)
            statement = statement.where(position < start if falling else position > start)
        return statement.order_by(*(key.desc() if falling else key.asc() for key in self.keys)).limit(
            late("limit", Integer) if size is None else literal_column(str(size + 1), Integer)
        )

    def late(self, window: Window) -> dict[str, Any]:
        """The values of what `apply` left open."""
        values: dict[str, Any] = {"limit": window.size + 1}
        if window.cursor is not None:
            for number, value in enumerate(self.values(window.cursor)):
                values[f"start{number}"] = value
        return values


def _written(value: Any) -> str:
    """A sort value that JSON has no form for."""
    if isinstance(value, bytes):
        return (EPOCH + timedelta(microseconds=int.from_bytes(value, signed=True))).isoformat()
    return str(value)


def _revive(value: Any, kind: type) -> Any:
    """A sort value as its column has it; raises ValueError or TypeError for what no row's cursor holds."""
    if kind is datetime:
        return datetime.fromisoformat(value).astimezone(UTC)
    if kind is date:
        return date.fromisoformat(value)
    if kind is UUID:
        return UUID(value)
    if kind is Decimal and abs(amount := Decimal(value)) < LARGEST_AMOUNT:
        return round(amount, 6)
    if kind is int and type(value) is int and abs(value) <= LARGEST_INTEGER:
        return value
    raise ValueError(f"not a {kind.__name__}")


class Page:
    """One page of a connection; its attributes are the fields of the GraphQL type. A cursor is made when asked for."""

    __slots__ = ("_names", "_order", "count", "has_next_page", "has_previous_page", "nodes")

    def __init__(
        self,
        rows: Sequence[Row],
        order: Order,
        names: tuple[str, ...],
        window: Window,
        count: Callable[[], Awaitable[int]],
    ) -> None:
        """`rows` as `Order.apply` asked for them. `names` are those of `Order.carried`.

        `count` reads how many rows there are in all pages.
        """
        more = len(rows) > window.size
        started = window.cursor is not None
        self.nodes = list(rows[: window.size])
        if window.backward:
            self.nodes.reverse()
        self.has_next_page = started if window.backward else more
        self.has_previous_page = more if window.backward else started
        self.count = count
        self._order = order
        self._names = names

    def _cursor(self, row: Row) -> str:
        return self._order.cursor([row[name] for name in self._names])

    @property
    def edges(self) -> list[dict[str, Any]]:
        return [{"node": row, "cursor": self._cursor(row)} for row in self.nodes]

    @property
    def page_info(self) -> "Page":
        return self

    @property
    def start_cursor(self) -> str | None:
        return self._cursor(self.nodes[0]) if self.nodes else None

    @property
    def end_cursor(self) -> str | None:
        return self._cursor(self.nodes[-1]) if self.nodes else None

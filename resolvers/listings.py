"""Lists by pages as the engine's sources: a listing says which rows and in which order, all else follows from that."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from sqlalchemy import ARRAY, Column, Label, Select, Text, Uuid, any_, func, select, true

from auth.viewer import Viewer
from engine.sources import CURSORS
from kit.db import fetch, fetch_value
from kit.statements import Prepared, late, prepare, unseen
from resolvers.filters import plain
from resolvers.loaders import asked_for
from resolvers.memo import Memo
from resolvers.paging import Order, Page, Window

LONGEST_FILTER = 1_000
Key = Column[Any] | Label[Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of a connection and their order. `key`: the column of its parent's key, for one below other rows."""

    statement: Select[Any]
    order: Order
    key: Key | None = None


class _Reading:
    """A listing ready to be read: its pages and, once they are asked for, its totals."""

    def __init__(self, listing: Listing, columns: frozenset[str] | None, window: Window, *, filtered: bool) -> None:
        self.order = listing.order
        self.key = listing.key
        self._statement = listing.statement
        carried = listing.order.carried(columns) if columns is None or CURSORS in columns else ()
        self.names = tuple(each.name for each in carried)
        started, size = window.cursor is not None, None if filtered else window.size
        apply = partial(listing.order.apply, started=started, backward=window.backward, size=size)
        statement = self._statement.with_only_columns(*self._columns(columns, carried))
        self.rows = prepare(apply(statement) if self.key is None else _below(statement, self.key, apply))

    def _columns(self, columns: frozenset[str] | None, carried: Sequence[Any]) -> list[Any]:
        """The listing's own that are asked for, and those that its cursors are made of."""
        chosen = asked_for(self._statement.selected_columns, columns)
        there = {column.name for column in chosen}
        return chosen + [each for each in carried if each.name not in there]

    @cached_property
    def total(self) -> Prepared:
        if self.key is None:
            return prepare(self._statement.with_only_columns(func.count()))
        return prepare(
            self._statement.with_only_columns(self.key, func.count())
            .where(self.key == any_(_keys(self.key)))
            .group_by(self.key)
        )

    async def count(self) -> int:
        """How many rows there are in all pages of a root list."""
        return int(await fetch_value(self.total))


def _keys(key: Key) -> Any:
    return unseen(late("keys", ARRAY(Uuid if isinstance(key.type, Uuid) else Text)))


def _below(statement: Select[Any], key: Key, apply: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    """One LATERAL statement for all parents: the index gives each the rows of its page, and no more.

    Each row says in `_place` whose it is: which of the parents, from 1.
    """
    parents = func.unnest(_keys(key)).table_valued("key", with_ordinality="_place").render_derived()
    each = apply(statement.where(key == parents.c.key)).lateral("each")
    return select(parents.c._place, each).select_from(parents.join(each, true()))  # noqa: SLF001 - a column


class Listed:
    """The engine's source of a listing's pages by the keys of its parents; at the root under the key None."""

    many = False
    at_hand = False
    _readings = Memo[_Reading]()

    def __init__(self, build: Callable[..., Listing]) -> None:
        self._build = build

    async def load(
        self, viewer: Viewer, keys: Sequence[Any], arguments: Mapping[str, Any], columns: frozenset[str] | None
    ) -> Mapping[Any, Page]:
        get = arguments.get
        window = Window.of(get("first"), get("after"), get("last"), get("before"))
        shape = self._shape(window, arguments, columns)
        reading = self._readings.get(viewer, shape, partial(self._read, viewer, window, arguments, columns))
        order, names, values = reading.order, reading.names, reading.order.late(window)
        if reading.key is None:
            return {None: Page(await fetch(reading.rows, **values), order, names, window, reading.count)}
        groups: list[list[Any]] = [[] for _ in keys]
        for row in await fetch(reading.rows, keys=keys, **values):
            groups[row["_place"] - 1].append(row)
        total = _Totals(reading, keys)
        return {
            key: Page(group, order, names, window, partial(total.of, key))
            for key, group in zip(keys, groups, strict=True)
        }

    def _shape(self, window: Window, arguments: Mapping[str, Any], columns: frozenset[str] | None) -> Hashable:
        """All that the statement depends on but the viewer; None where that is too much to keep."""
        chosen = arguments.get("filter")
        last = window.size if chosen is None else repr(chosen)
        if isinstance(last, str) and len(last) > LONGEST_FILTER:
            return None
        return self, columns, window.cursor is None, window.backward, arguments.get("order_by"), last

    def _read(
        self, viewer: Viewer, window: Window, arguments: Mapping[str, Any], columns: frozenset[str] | None
    ) -> _Reading:
        given = {name: plain(arguments[name]) for name in ("filter", "order_by") if arguments.get(name) is not None}
        return _Reading(self._build(viewer, **given), columns, window, filtered="filter" in given)


class _Totals:
    """Totals of all parents by one statement, run when the first of them is asked for."""

    def __init__(self, reading: _Reading, keys: Sequence[Any]) -> None:
        self._reading = reading
        self._keys = keys
        self._counts: Awaitable[dict[Any, int]] | None = None

    async def of(self, parent: Any) -> int:
        if self._counts is None:
            self._counts = asyncio.ensure_future(self._fetch())
        return (await self._counts).get(parent, 0)

    async def _fetch(self) -> dict[Any, int]:
        return {row[0]: row[1] for row in await fetch(self._reading.total, keys=self._keys)}

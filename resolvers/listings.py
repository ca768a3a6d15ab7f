"""Lists by pages as the engine's sources: a listing says which rows and in which order, all else follows from that."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ARRAY, Column, Label, Select, Text, Uuid, bindparam, cast, func, select, true

from auth.viewer import Viewer
from kit.db import fetch, fetch_value
from resolvers.filters import plain
from resolvers.paging import Order, Page, Window

WINDOW_ARGUMENTS = ("first", "after", "last", "before")
Key = Column[Any] | Label[Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of a connection and their order. `key`: the column of its parent's key, for one below other rows."""

    statement: Select[Any]
    order: Order
    key: Key | None = None


class Listed:
    """Pages of a listing by the keys of its parents; at the root under the key None."""

    many = False

    def __init__(self, build: Callable[..., Listing]) -> None:
        self.build = build

    async def load(
        self, viewer: Viewer, keys: Sequence[Any], arguments: Mapping[str, Any], columns: frozenset[str] | None
    ) -> Mapping[Any, Page]:
        window = Window.of(*(arguments.get(name) for name in WINDOW_ARGUMENTS))
        chosen = {
            name: plain(value)
            for name, value in arguments.items()
            if value is not None and name not in WINDOW_ARGUMENTS
        }
        listing = _narrowed(self.build(viewer, **chosen), columns)
        if listing.key is None:
            return {None: await _page(listing, window)}
        return await _pages(listing, listing.key, keys, window)


def _narrowed(listing: Listing, columns: frozenset[str] | None) -> Listing:
    """The same rows with these columns only, beside what the list itself goes by."""
    if columns is None:
        return listing
    names = columns if listing.key is None else columns | {listing.key.name}
    chosen = [column for name, column in listing.statement.selected_columns.items() if name in names]
    return replace(listing, statement=listing.statement.with_only_columns(*chosen, maintain_column_froms=True))


async def _page(listing: Listing, window: Window) -> Page:
    rows = await fetch(listing.order.apply(listing.statement, window))

    async def count() -> int:
        return int(await fetch_value(select(func.count()).select_from(listing.statement.subquery())))

    return Page(rows, listing.order, window, count)


async def _pages(listing: Listing, key: Key, keys: Sequence[Any], window: Window) -> dict[Any, Page]:
    """One LATERAL statement for all parents, whose keys stand in `key`."""
    kind = Uuid() if isinstance(key.type, Uuid) else Text()
    parents = (
        func.unnest(cast(bindparam("keys", list(keys), type_=ARRAY(kind)), ARRAY(kind)))
        .table_valued("key")
        .render_derived()
    )
    each = listing.order.apply(listing.statement.where(key == parents.c.key), window).lateral("each")
    rows = await fetch(select(each).select_from(parents.join(each, true())))
    groups: dict[Any, list[Any]] = {parent: [] for parent in keys}
    for row in rows:
        groups[row[key.name]].append(row)
    totals = _Totals(listing.statement, key, keys)
    return {parent: Page(group, listing.order, window, totals.of(parent)) for parent, group in groups.items()}


class _Totals:
    """Totals of all parents by one statement, run when the first of them is asked for."""

    def __init__(self, statement: Select[Any], key: Key, keys: Sequence[Any]) -> None:
        kind = Uuid() if isinstance(key.type, Uuid) else Text()
        chosen = bindparam("keys", list(keys), type_=ARRAY(kind))
        self._statement = (
            statement.with_only_columns(key, func.count().label("total")).where(key == func.any(chosen)).group_by(key)
        )
        self._counts: Awaitable[dict[Any, int]] | None = None

    def of(self, parent: Any) -> Callable[[], Awaitable[int]]:
        async def count() -> int:
            if self._counts is None:
                self._counts = asyncio.ensure_future(self._fetch())
            return (await self._counts).get(parent, 0)

        return count

    async def _fetch(self) -> dict[Any, int]:
        return {row[0]: row[1] for row in await fetch(self._statement)}

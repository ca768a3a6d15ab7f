"""Rows as no database should hold them: wrong types, numbers out of range, exceptions, rows that are not there.

What becomes of a cell depends on a seed, its column and its row's key alone. So every execution under the same seed
meets the same rows, whichever statements it reads them by and however few columns it asks for.
"""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from kit.db import database
from kit.errors import ApiError, ErrorCode
from resolvers.listings import Listed
from resolvers.loaders import Loader

KEYS = ("id", "code")
MOMENTS = frozenset({"published_at", "submitted_at"})
"""Sort keys that rows of pages carry in another form where nothing else reads them."""
KEPT = 3_000
WORST = 3

Fetch = Callable[..., Awaitable[Sequence[Any]]]

ODD: Sequence[Any] = (
    None,
    None,
    None,
    math.nan,
    math.inf,
    2**40,
    -(2**31) - 1,
    2**31 - 1,
    3.0,
    2.5,
    True,
    b"bytes",
    "text",
    "NO_SUCH_VALUE",
    "",
    "\ud800",
    Decimal("1.50"),
    Decimal("NaN"),
    datetime(2026, 5, 1, 12),  # noqa: DTZ001 - a moment without an offset is meant
    datetime(2026, 5, 1, 12, tzinfo=UTC),
    date(2026, 5, 1),
    UUID(int=7),
    [],
    ["x", None],
    ("x", "y"),
    {"x": 1},
    {"x", "y"},
    ValueError("a secret of the server's"),
    ApiError(ErrorCode.RATE_LIMITED, "Too busy (太忙)"),
    object,
)


@dataclass(frozen=True, slots=True)
class Weather:
    """`cells` and `rows` are corrupted and lost so many in a thousand."""

    seed: int = 0
    cells: int = 0
    rows: int = 0

    def chance(self, *of: Any) -> int:
        """A number that only the seed and these decide."""
        text = ":".join(map(str, (self.seed, *of)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())

    def over(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows that are left, those with odd cells as dicts."""
        if not self.seed or not rows or not (key := next((each for each in KEYS if each in rows[0]), None)):
            return rows
        left = [row for row in rows if self.chance("row", row[key]) % 1000 >= self.rows]
        return [self._row(row, row[key]) for row in left]

    def _row(self, row: Any, key: Any) -> Any:
        changed = {
            name: odd
            for name, value in row.items()
            if name not in KEYS and not name.startswith("_") and (odd := self._cell(value, name, key)) is not value
        }
        return {**row, **changed} if changed else row

    def _cell(self, value: Any, *place: Any) -> Any:
        chance = self.chance("cell", *place)
        if chance % 1000 < self.cells:
            return ODD[chance // 1000 % len(ODD)]
        if isinstance(value, list):
            items = [self._cell(each, *place, number) for number, each in enumerate(value[:10])] + value[10:]
            return value if all(one is other for one, other in zip(items, value, strict=True)) else items
        if isinstance(value, dict):
            inner = {name: self._cell(each, *place, name) for name, each in value.items()}
            return value if all(inner[name] is value[name] for name in value) else inner
        return value


@dataclass
class Sky:
    """What the weather is now, and what PostgreSQL has answered: nothing is written meanwhile, so it answers once."""

    weather: Weather = field(default_factory=Weather)
    statements: int = 0
    _rows: OrderedDict[Any, Sequence[Any]] = field(default_factory=OrderedDict)
    _odd: OrderedDict[Any, Sequence[Any]] = field(default_factory=OrderedDict)

    async def fetch(self, real: Fetch, text: str, arguments: Sequence[Any]) -> Sequence[Any]:
        """Comes after as many turns of the loop as the statement's text decides, so that reads overtake each other."""
        self.statements += 1
        asked = (text, repr(arguments))
        for _ in range(self.weather.chance(text) % WORST):
            await asyncio.sleep(0)
        rows = self._rows.get(asked)
        if rows is None:
            rows = _keep(self._rows, asked, await real(text, *arguments))
        if not self.weather.seed:
            return rows
        odd = self._odd.get((self.weather, asked))
        return _keep(self._odd, (self.weather, asked), self.weather.over(rows)) if odd is None else odd


def _keep(kept: OrderedDict[Any, Sequence[Any]], key: Any, rows: Sequence[Any]) -> Sequence[Any]:
    kept[key] = rows
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return rows


class Reads:
    """The read pool, seen through a sky."""

    def __init__(self, sky: Sky, pool: Any) -> None:
        self._sky = sky
        self._pool = pool

    async def fetch(self, text: str, *arguments: Any) -> Sequence[Any]:
        return await self._sky.fetch(self._pool.fetch, text, arguments)


@contextmanager
def under(sky: Sky) -> Iterator[None]:
    """Every read of the platform goes through the sky. The pools are open."""
    pool, by_key, by_page = database.reads, Loader.load, Listed.load

    async def rows_by_key(self: Any, viewer: Any, keys: Any, arguments: Any, columns: frozenset[str] | None) -> Any:
        if columns is None or not sky.weather.seed:
            return await by_key(self, viewer, keys, arguments, columns)
        added = frozenset(KEYS) - columns - {self._column.name}
        found = await by_key(self, viewer, keys, arguments, columns | added)
        return {key: _without(value, added) for key, value in found.items()}

    async def pages(self: Any, viewer: Any, keys: Any, arguments: Any, columns: frozenset[str] | None) -> Any:
        wanted = columns if columns is None or not sky.weather.seed else columns | MOMENTS | frozenset(KEYS)
        return await by_page(self, viewer, keys, arguments, wanted)

    database._reads = Reads(sky, pool)  # type: ignore[assignment]
    Loader.load, Listed.load = rows_by_key, pages  # type: ignore[method-assign]
    try:
        yield
    finally:
        database._reads = pool
        Loader.load, Listed.load = by_key, by_page  # type: ignore[method-assign]


def _without(value: Any, added: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, added) for each in value]
    return {name: cell for name, cell in value.items() if name not in added}

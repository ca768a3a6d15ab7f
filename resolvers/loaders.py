"""Batches: one statement for all parents of a level. A loader is one line; each belongs to one operation.

`Loaders.store` is the declaration (what the schema binds to), `context.load.store` the operation's own aiodataloader.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, overload
from uuid import UUID

from aiodataloader import DataLoader
from sqlalchemy import ARRAY, ColumnElement, Numeric, Text, Uuid, any_, cast
from sqlalchemy.sql.base import ColumnCollection
from sqlmodel import SQLModel

import models
from auth.viewer import Viewer
from auth.visibility import PUBLIC, scope_of, visible
from engine.sources import AS_TEXT
from kit import footprint
from kit.db import fetch
from kit.generations import generations
from kit.statements import Prepared, late, prepare, unseen
from models.base import table_of
from models.publishing import OPEN_STATES
from resolvers.filters import one_of
from resolvers.memo import Memo

K = TypeVar("K")
REVISION = table_of(models.Revision).c
PLAIN_SCALES = range(7)
"""Numbers with so few decimals have the same text in Python, which writes 0.0000001 as 1E-7."""
Batch = Callable[[Viewer, Sequence[Any]], Awaitable[Mapping[Any, Any]]]


def asked_for(columns: ColumnCollection[str, Any], names: frozenset[str] | None) -> list[Any]:
    """The columns of these names; numbers that are only written out as PostgreSQL writes them. None: all."""
    if names is None:
        return list(columns)
    chosen: list[Any] = []
    for name, column in columns.items():
        if name in names:
            chosen.append(column)
        elif AS_TEXT + name in names:
            plain = isinstance(column.type, Numeric) and column.type.scale in PLAIN_SCALES
            chosen.append(cast(column, Text).label(name) if plain else column)
    return chosen


class Loader(Generic[K]):
    """The engine's source of a table's rows by one of its columns: one row for each key, or with `many` all of them.

    `only`: a condition that narrows the rows, such as those of open revisions.
    """

    at_hand = False
    _statements = Memo[Prepared]()

    def __init__(
        self, model: type[SQLModel], column: str = "id", *, many: bool = False, only: ColumnElement[bool] | None = None
    ) -> None:
        self.table = table_of(model)
        self.many = many
        self._model = model
        self._column = self.table.c[column]
        self._only = only

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Loader[K]": ...
    @overload
    def __get__(self, instance: "Loaders", owner: type) -> "DataLoader[K, Any]": ...
    def __get__(self, instance: "Loaders | None", owner: type) -> "Loader[K] | DataLoader[K, Any]":
        return self if instance is None else instance.of(self)

    async def load(
        self,
        viewer: Viewer,
        keys: Sequence[Any],
        arguments: Mapping[str, Any],  # noqa: ARG002 - the engine's form of a source
        columns: frozenset[str] | None,
    ) -> Mapping[Any, Any]:
        """`arguments` are always empty: a relation has none, and that of a root field is in its key."""
        statement = self._statements.get(viewer, (self, columns), partial(self._statement, viewer, columns))
        return self._by_key(await fetch(statement, keys=keys), keys)

    def _by_key(self, rows: Iterable[Any], keys: Iterable[Any]) -> Mapping[Any, Any]:
        """With `many` each of the keys has a list, though nothing was found for it."""
        key = self._column.name
        if not self.many:
            return {row[key]: row for row in rows}
        lists: dict[Any, list[Any]] = {each: [] for each in keys}
        for row in rows:
            lists.setdefault(row[key], []).append(row)
        return lists

    def _statement(self, viewer: Viewer, columns: frozenset[str] | None) -> Prepared:
        names = None if columns is None else columns | {self._column.name}
        keys = unseen(late("keys", ARRAY(Uuid if isinstance(self._column.type, Uuid) else Text)))
        statement = visible(self._model, viewer, *asked_for(self.table.c, names)).where(self._column == any_(keys))
        if self._only is not None:
            statement = statement.where(self._only)
        return prepare(statement.order_by(*self.table.primary_key.columns) if self.many else statement)


class Codes(Loader[str]):
    """The source of a code list, such as the districts: few rows that all see and that hardly ever change.

    They are kept whole for as long as the feed vouches for them (`kit/generations.py`), so that looking up a name costs
    no round trip. Without the feed they are read like any others.
    """

    at_hand = True
    _rows: Mapping[Any, Any]
    _since = -1

    async def load(
        self, viewer: Viewer, keys: Sequence[Any], arguments: Mapping[str, Any], columns: frozenset[str] | None
    ) -> Mapping[Any, Any]:
        table = self.table.name
        if table not in generations.watched or not generations.connected or scope_of(table, viewer) != PUBLIC:
            return await super().load(viewer, keys, arguments, columns)
        if not generations.fresh(self._since, (table,)):
            await self._read(viewer)
        if running := footprint.current.get():
            running.tables.add(table)
            running.scopes[table] = PUBLIC
        rows = self._rows
        if self.many:
            return {key: rows.get(key, []) for key in keys}
        return {key: rows[key] for key in keys if key in rows}

    async def _read(self, viewer: Viewer) -> None:
        since = generations.now()
        statement = visible(self._model, viewer).order_by(*self.table.primary_key.columns)
        found = self._by_key(await fetch(statement), ())
        if since > self._since:
            self._rows, self._since = found, since


class Loaders:
    """All loaders of one operation, each made when it is first used."""

    account: Loader[UUID] = Loader(models.Account)
    article: Loader[UUID] = Loader(models.Article)
    audit_entry: Loader[UUID] = Loader(models.AuditEntry)
    department: Loader[str] = Codes(models.Department, "code")
    district: Loader[str] = Codes(models.District, "code")
    industry: Loader[str] = Codes(models.Industry, "code")
    industries_below: Loader[str] = Codes(models.Industry, "parent_code", many=True)
    job: Loader[UUID] = Loader(models.Job)
    open_revision: Loader[UUID] = Loader(models.Revision, "item_id", only=one_of(REVISION.state)(OPEN_STATES))
    policy: Loader[UUID] = Loader(models.Policy)
    product: Loader[UUID] = Loader(models.Product)
    revision: Loader[UUID] = Loader(models.Revision)
    sensitive_exception: Loader[UUID] = Loader(models.SensitiveException)
    sensitive_word: Loader[UUID] = Loader(models.SensitiveWord)
    service_category: Loader[str] = Codes(models.ServiceCategory, "code")
    service_categories_below: Loader[str] = Codes(models.ServiceCategory, "parent_code", many=True)
    store: Loader[UUID] = Loader(models.Store)
    streets: Loader[str] = Codes(models.Street, "district_code", many=True)

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._made: dict[Any, DataLoader[Any, Any]] = {}

    def of(self, loader: Loader[K]) -> "DataLoader[K, Any]":
        return self.batched(loader, partial(loader.load, arguments={}, columns=None))

    def batched(self, identity: Any, batch: Batch) -> "DataLoader[Any, Any]":
        """The operation's loader for a batch function; `identity` tells apart the same batch with other arguments."""
        made = self._made.get(identity)
        if made is None:

            async def load(keys: list[Any]) -> list[Any]:
                found = await batch(self.viewer, keys)
                return [found.get(key) for key in keys]

            made = self._made[identity] = DataLoader(load)
        return made

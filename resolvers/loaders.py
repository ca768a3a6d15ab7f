"""Batches: one statement for all parents of a level. A loader is one line; each belongs to one operation.

`Loaders.store` is the declaration (what the schema binds to), `context.load.store` the operation's own aiodataloader.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload
from uuid import UUID

from aiodataloader import DataLoader
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam
from sqlmodel import SQLModel

import models
from auth.viewer import Viewer
from auth.visibility import visible
from kit.db import fetch
from models.base import table_of
from models.publishing import OPEN_STATES

K = TypeVar("K")
Batch = Callable[[Viewer, Sequence[Any]], Awaitable[Mapping[Any, Any]]]


class Loader(Generic[K]):
    """A batch function and the tables that it reads. With `many` a key has a list, empty where nothing is found."""

    def __init__(self, batch: Batch, reads: frozenset[str], *, many: bool = False) -> None:
        self.batch = batch
        self.reads = reads
        self.many = many

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Loader[K]": ...
    @overload
    def __get__(self, instance: "Loaders", owner: type) -> "DataLoader[K, Any]": ...
    def __get__(self, instance: "Loaders | None", owner: type) -> "Loader[K] | DataLoader[K, Any]":
        return self if instance is None else instance.of(self)


def by_key(model: type[SQLModel], column: str = "id", *, many: bool = False) -> Loader[Any]:
    """Rows by one column: one for each key, or with `many` all that carry it."""
    table = table_of(model)
    key = table.c[column]
    array = ARRAY(Uuid if isinstance(key.type, Uuid) else Text)

    async def batch(viewer: Viewer, keys: Sequence[Any]) -> Mapping[Any, Any]:
        statement = visible(model, viewer).where(key == any_(bindparam("keys", list(keys), type_=array)))
        if not many:
            return {row[column]: row for row in await fetch(statement)}
        rows: dict[Any, list[Any]] = {each: [] for each in keys}
        for row in await fetch(statement.order_by(*table.primary_key.columns)):
            rows[row[column]].append(row)
        return rows

    return Loader(batch, frozenset({table.name}), many=many)


async def _open_revisions(viewer: Viewer, keys: Sequence[Any]) -> Mapping[Any, Any]:
    table = table_of(models.Revision).c
    items = bindparam("keys", list(keys), type_=ARRAY(Uuid))
    statement = visible(models.Revision, viewer).where(table.item_id == any_(items), table.state.in_(OPEN_STATES))
    return {row["item_id"]: row for row in await fetch(statement)}


class Loaders:
    """All loaders of one operation, each made when it is first used."""

    account: Loader[UUID] = by_key(models.Account)
    article: Loader[UUID] = by_key(models.Article)
    audit_entry: Loader[UUID] = by_key(models.AuditEntry)
    department: Loader[str] = by_key(models.Department, "code")
    district: Loader[str] = by_key(models.District, "code")
    industry: Loader[str] = by_key(models.Industry, "code")
    industries_below: Loader[str] = by_key(models.Industry, "parent_code", many=True)
    job: Loader[UUID] = by_key(models.Job)
    open_revision: Loader[UUID] = Loader(_open_revisions, frozenset({"revision"}))
    policy: Loader[UUID] = by_key(models.Policy)
    product: Loader[UUID] = by_key(models.Product)
    revision: Loader[UUID] = by_key(models.Revision)
    sensitive_exception: Loader[UUID] = by_key(models.SensitiveException)
    sensitive_word: Loader[UUID] = by_key(models.SensitiveWord)
    service_category: Loader[str] = by_key(models.ServiceCategory, "code")
    service_categories_below: Loader[str] = by_key(models.ServiceCategory, "parent_code", many=True)
    store: Loader[UUID] = by_key(models.Store)
    streets: Loader[str] = by_key(models.Street, "district_code", many=True)

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._made: dict[Any, DataLoader[Any, Any]] = {}

    def of(self, loader: Loader[K]) -> "DataLoader[K, Any]":
        return self.batched(loader, loader.batch)

    def batched(self, identity: Any, batch: Batch) -> "DataLoader[Any, Any]":
        """The operation's loader for a batch function; `identity` tells apart the same batch with other arguments."""
        made = self._made.get(identity)
        if made is None:

            async def load(keys: list[Any]) -> list[Any]:
                found = await batch(self.viewer, keys)
                return [found.get(key) for key in keys]

            made = self._made[identity] = DataLoader(load)
        return made

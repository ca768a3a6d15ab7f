"""Keeps the index in step with the tables: some items after an event, all of them into a new index."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Select, Table, Uuid, any_, cast, literal, select

from kit.db import fetch
from kit.generations import announce
from kit.ids import global_id
from models.area import ServiceCategory
from models.base import table_of
from models.content import Article
from models.policy import Policy
from models.product import Product
from models.store import Store
from search.base import FOREVER, SEARCH, Document, Removal, SearchIndex
from search.content import article_document
from search.policy import policy_document
from search.product import product_document
from search.store import store_document

BATCH = 500
POLICY = table_of(Policy)
STORE = table_of(Store)
PRODUCT = table_of(Product)
ARTICLE = table_of(Article)
CATEGORY = table_of(ServiceCategory)

_STORE_COLUMNS = (
    STORE.c.name.label("store_name"),
    STORE.c.state.label("store_state"),
    STORE.c.kind.label("store_kind"),
    STORE.c.district_code.label("store_district"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the documents of one kind come from. The index holds all states: who may find what is in the scopes."""

    table: Table
    statement: Select[Any]
    document: Callable[[Any], Document]


SOURCES: dict[str, Source] = {
    "policy": Source(POLICY, select(POLICY), policy_document),
    "store": Source(STORE, select(STORE), store_document),
    "product": Source(
        PRODUCT,
        select(PRODUCT, *_STORE_COLUMNS, CATEGORY.c.name.label("category_name"))
        .join(STORE, STORE.c.id == PRODUCT.c.store_id)
        .join(CATEGORY, CATEGORY.c.code == PRODUCT.c.category_code),
        product_document,
    ),
    "article": Source(
        ARTICLE, select(ARTICLE, *_STORE_COLUMNS).outerjoin(STORE, STORE.c.id == ARTICLE.c.store_id), article_document
    ),
}


async def reindex(index: SearchIndex, kind: str, keys: Sequence[UUID]) -> None:
    """Brings items in step, and with a store what it holds, since that is as visible as the store is.

    Builds the whole index where there is none yet.
    """
    if (await index.health()).needs_rebuild:
        await rebuild(index)
        return
    await _apply(index, kind, keys)
    if kind != "store":
        return
    for held in ("product", "article"):
        table = SOURCES[held].table
        last = UUID(int=0)
        while rows := await fetch(
            select(table.c.id)
            .where(_among(table.c.store_id, keys), table.c.id > last)
            .order_by(table.c.id)
            .limit(BATCH)
        ):
            await _apply(index, held, [row["id"] for row in rows])
            last = rows[-1]["id"]


async def _apply(index: SearchIndex, kind: str, keys: Sequence[UUID]) -> None:
    source = SOURCES[kind]
    rows = await fetch(source.statement.where(_among(source.table.c.id, keys)))
    gone = set(keys) - {row["id"] for row in rows}
    await index.apply([source.document(row) for row in rows], [Removal(global_id(kind, key), FOREVER) for key in gone])
    await announce(SEARCH)


async def rebuild(index: SearchIndex) -> int:
    """Builds a new index of everything beside the old one; returns how many documents it holds."""
    documents = await index.rebuild(_everything())
    await announce(SEARCH)
    return documents


async def _everything() -> AsyncIterator[Document]:
    for source in SOURCES.values():
        last = UUID(int=0)
        page = source.statement.order_by(source.table.c.id).limit(BATCH)
        while rows := await fetch(page.where(source.table.c.id > last)):
            for row in rows:
                yield source.document(row)
            last = rows[-1]["id"]


def _among(column: Any, keys: Sequence[UUID]) -> Any:
    return column == any_(cast(literal(list(keys), ARRAY(Uuid)), ARRAY(Uuid)))

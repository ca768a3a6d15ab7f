"""Stores, products and articles for tests: written through the API where the rule matters, else put into the tables."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Select, insert
from sqlmodel import SQLModel

from kit.db import database, observers
from kit.generations import generations
from kit.ids import global_id
from kit.statements import prepare
from models import Article, Policy, Product, PublicationState, Store
from resolvers.paging import Order, Window
from services.uow import unit_of_work
from tests.conftest import Answer, Api

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
KEYS = map(UUID, (f"01900000-0000-7000-8000-{number:012x}" for number in count(1)))
SAVE = """mutation Save($input: %sSaveInput!) { %sSave(input: $input) {
  revision { id no state title itemId isNew changes { field kind before after } }
  userErrors { code field message } } }"""
SUBMIT = """mutation Submit($input: RevisionSubmitInput!) { revisionSubmit(input: $input) {
  revision { state words { word severity field } } userErrors { code field } } }"""
REVIEW = """mutation Review($input: RevisionReviewInput!) { revisionReview(input: $input) {
  revision { state } userErrors { code field } } }"""
OFFLINE = """mutation Offline($input: ItemTakeOfflineInput!) { itemTakeOffline(input: $input) {
  item { state } userErrors { code field } } }"""


def save_of(kind: str) -> str:
    return SAVE % (kind.capitalize(), kind)


async def save(api: Api, kind: str, viewer: str, values: Mapping[str, Any], item: str | None = None) -> Answer:
    """The draft, from a save that is not refused."""
    payload = (await api(save_of(kind), viewer=viewer, input=_input(values, item)))[f"{kind}Save"]
    assert payload["userErrors"] == []
    revision: Answer = payload["revision"]
    return revision


async def refused(
    api: Api, kind: str, viewer: str, values: Mapping[str, Any], item: str | None = None
) -> list[tuple[str, list[str] | None]]:
    """Why a save is refused."""
    return await api.refusals(save_of(kind), viewer=viewer, input=_input(values, item))


async def refused_later(
    api: Api, kind: str, viewer: str, values: Mapping[str, Any], item: str | None = None
) -> list[tuple[str, list[str] | None]]:
    """Why the submission of a draft is refused."""
    draft = await save(api, kind, viewer, values, item)
    return await api.refusals(SUBMIT, viewer=viewer, input={"id": draft["id"]})


def _input(values: Mapping[str, Any], item: str | None) -> dict[str, Any]:
    return {"values": values, **({"id": item} if item else {})}


async def publish(api: Api, kind: str, viewer: str, values: Mapping[str, Any], item: str | None = None) -> str:
    """Writes, submits and, as the reviewer, approves; returns the item's global id."""
    draft = await save(api, kind, viewer, values, item)
    submitted = await api(SUBMIT, viewer=viewer, input={"id": draft["id"]})
    assert submitted["revisionSubmit"]["userErrors"] == []
    reviewed = await api(REVIEW, viewer="reviewer", input={"id": draft["id"], "decision": "APPROVE"})
    assert reviewed["revisionReview"] == {"revision": {"state": "PUBLISHED"}, "userErrors": []}
    item_id: str = draft["itemId"]
    return item_id


async def take_offline(api: Api, item: str, viewer: str = "admin") -> None:
    answer = await api(OFFLINE, viewer=viewer, input={"id": item, "reason": "装修"})
    assert answer["itemTakeOffline"] == {"item": {"state": "OFFLINE"}, "userErrors": []}


async def put(model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """Puts published rows into a table, each younger than the one before it by a minute and by its key."""
    full = [
        {
            "id": next(KEYS),
            "owner": "platform",
            "state": PublicationState.PUBLISHED,
            "published_at": START + timedelta(minutes=number),
            "revised_at": START + timedelta(minutes=number),
            **row,
        }
        for number, row in enumerate(rows)
    ]
    async with unit_of_work() as uow:
        for first in range(0, len(full), 500):
            await uow.insert(insert(model), [_complete(model, row) for row in full[first : first + 500]])
    return [row["id"] for row in full]


def _complete(model: type[SQLModel], row: Mapping[str, Any]) -> dict[str, Any]:
    generated = {"serial_no", "issuer"}
    return {name: value for name, value in model(**row).model_dump(warnings=False).items() if name not in generated}


async def put_stores(*rows: Mapping[str, Any]) -> list[UUID]:
    return await put(
        Store, [{"kind": "INSTITUTION", "name": f"店铺{number}", **row} for number, row in enumerate(rows)]
    )


async def put_products(store: UUID, *rows: Mapping[str, Any]) -> list[UUID]:
    usual = {"store_id": store, "category_code": "02010100", "description": "详情"}
    return await put(Product, [{**usual, "name": f"产品{number}", **row} for number, row in enumerate(rows)])


async def put_articles(store: UUID | None, *rows: Mapping[str, Any]) -> list[UUID]:
    usual = {"store_id": store, "column": "NEWS", "body": "正文"}
    return await put(Article, [{**usual, "title": f"文章{number}", **row} for number, row in enumerate(rows)])


async def put_policies(*rows: Mapping[str, Any]) -> list[UUID]:
    usual = {"issuers": ["某委"], "level": "MUNICIPAL", "kind": "NORMATIVE", "body": "正文"}
    return await put(Policy, [{**usual, "title": f"政策{number}", **row} for number, row in enumerate(rows)])


def ids(kind: str, keys: Sequence[UUID]) -> list[str]:
    return [global_id(kind, key) for key in keys]


async def pages_of(api: Api, query: str, field: str, size: int, *, backward: bool = False) -> list[list[str]]:
    """The names on all pages, from the first page to the last, or from the last to the first."""
    found: list[list[str]] = []
    cursor = None
    while True:
        window: dict[str, Any] = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        page = (await api(query, **window))[field]
        found.append([node["name"] for node in page["nodes"]])
        info = page["pageInfo"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            return found
        cursor = info["startCursor" if backward else "endCursor"]


@asynccontextmanager
async def statements() -> AsyncIterator[list[str]]:
    """What is read from the database in the block."""
    seen: list[str] = []
    observers.append(seen.append)
    try:
        yield seen
    finally:
        observers.remove(seen.append)


CODE_LISTS = {"department", "district", "industry", "service_category", "street"}


async def statements_of(api: Api, query: str, **variables: Any) -> int:
    """How many reads an operation costs that is not answered from memory, where only code lists are kept."""
    await api(query, **variables)
    generations.rise(generations.watched - CODE_LISTS)
    async with statements() as seen:
        await api(query, **variables)
    return len(seen)


async def plan_of(statement: Select[Any], order: Order, cursor: str | None = None) -> str:
    """How PostgreSQL would read a page of 20 rows in this order, from the start or behind the cursor."""
    prepared = prepare(order.apply(statement, started=cursor is not None, backward=False))
    arguments = prepared.arguments(order.late(Window(20, cursor)))
    return "\n".join(row[0] for row in await database.reads.fetch(f"EXPLAIN {prepared.text}", *arguments))


async def analyse(*tables: str) -> None:
    async with database.write() as writing:
        for table in tables:
            await writing.connection.execute(f"ANALYZE {table}")

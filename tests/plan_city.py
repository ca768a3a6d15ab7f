"""A city that has everything a query can come to: the demo's, with things offline, revisions in every state, acts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlmodel import SQLModel

import models
from auth.viewer import ANONYMOUS, Viewer
from jobs.search import rebuild
from kit.clock import SHANGHAI
from kit.db import database as pools
from kit.db import fetch
from kit.ids import global_id
from kit.settings import settings
from kit.writes import Transaction
from models.base import table_of
from models.job import JobState
from models.publishing import PublicationState, RevisionState
from search import open_index
from services.account import ACCOUNT, viewer_of
from services.demo import load_city, load_demo_accounts
from services.demo.rows import REVISION, TABLES
from services.demo.texts import key
from tests.arguments import Facts

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=SHANGHAI)
VIEWERS = ("buyer", "enterprise", "seller", "department", "district", "reviewer", "staff", "admin")
ENTITIES: Mapping[str, type[SQLModel]] = {
    "account": models.Account,
    "article": models.Article,
    "audit_entry": models.AuditEntry,
    "job": models.Job,
    "policy": models.Policy,
    "product": models.Product,
    "revision": models.Revision,
    "sensitive_exception": models.SensitiveException,
    "sensitive_word": models.SensitiveWord,
    "store": models.Store,
}
CODED: Mapping[str, type[SQLModel]] = {
    "District": models.District,
    "Department": models.Department,
    "Industry": models.Industry,
    "ServiceCategory": models.ServiceCategory,
}
ENOUGH = 40
FILE = {"name": "表格.docx", "url": "https://example.cn/2", "content_type": "application/octet-stream", "size": None}
WORD = {
    "start": 0,
    "end": 2,
    "text": "最佳",
    "word": "最佳",
    "category": "广告法绝对化用语",
    "severity": "WARN",
    "suggestion": "",
    "field": "summary",
}


async def build() -> None:
    """Fills the database, which has reference data, and the index in `settings.home`."""
    async with pools.write() as writing:
        await load_demo_accounts(writing, "no password")
        await load_city(writing)
        await _unsettle(writing)
    index = open_index(settings, writer=True)
    try:
        await rebuild(index)
    finally:
        await index.close()


async def _unsettle(writing: Transaction) -> None:
    """Not all is well in a city: every eleventh thing is offline, revisions stand in every state, jobs fail."""
    for table in TABLES.values():
        keys = await _keys(writing, select(table.c.id).order_by(table.c.id))
        for number, item in enumerate(keys[::11]):
            who = key("account", VIEWERS[number % len(VIEWERS)])
            hidden = {"state": PublicationState.OFFLINE, "offline_reason": "装修", "offline_by": who}
            await writing.execute(update(table).where(table.c.id == item).values(hidden))
    decided, waiting = [
        await _keys(writing, select(REVISION.c.id).where(REVISION.c.state == state).order_by(REVISION.c.id))
        for state in (RevisionState.PUBLISHED, RevisionState.PENDING_REVIEW)
    ]
    await _put_into(writing, decided[::9], (RevisionState.SUPERSEDED, RevisionState.WITHDRAWN))
    await _put_into(writing, waiting[::2], (RevisionState.DRAFT, RevisionState.REJECTED, RevisionState.SCHEDULED))
    await _attach(writing)
    await writing.insert(insert(table_of(models.Job)), list(_jobs()))
    await writing.insert(insert(table_of(models.AuditEntry)), list(_acts()))


async def _keys(writing: Transaction, statement: Select[Any]) -> list[Any]:
    return [row["id"] for row in await writing.execute(statement)]


async def _put_into(writing: Transaction, keys: Sequence[Any], states: Sequence[RevisionState]) -> None:
    for number, revision in enumerate(keys):
        values = {"state": states[number % len(states)], "remark": "请补充依据", "publish_at": NOW + timedelta(days=9)}
        await writing.execute(update(REVISION).where(REVISION.c.id == revision).values(values))


async def _attach(writing: Transaction) -> None:
    """Files to most policies and articles, and sensitive words found in every other revision."""
    files = [{"name": "附件.pdf", "url": "/files/1.pdf", "content_type": "application/pdf", "size": 9}, FILE]
    for table in (TABLES["policy"], TABLES["article"]):
        keys = await _keys(writing, select(table.c.id).order_by(table.c.id))
        await writing.execute(update(table).where(table.c.id.in_(keys[::2])).values(attachments=files))
    revisions = await writing.execute(select(REVISION.c.id, REVISION.c["values"]).order_by(REVISION.c.id))
    for number, (revision, values) in enumerate(revisions):
        with_files = {**values, "attachments": files} if "attachments" in values else values
        words = [WORD] * (number % 3)
        await writing.execute(update(REVISION).where(REVISION.c.id == revision).values(values=with_files, words=words))


def _jobs() -> Sequence[dict[str, Any]]:
    return [
        {
            **models.Job(
                id=key("job", str(number)),
                kind="policy_import",
                state=state,
                account_id=key("account", VIEWERS[number % len(VIEWERS)]),
                total=None if number % 3 else number,
                problems_key="problems.xlsx" if state is JobState.FAILED else None,
                ended_at=NOW if number % 2 else None,
            ).model_dump(),
        }
        for number, state in enumerate([*JobState, *JobState])
    ]


def _acts() -> Sequence[dict[str, Any]]:
    return [
        models.AuditEntry(
            id=key("audit", str(number)),
            actor_id=key("account", VIEWERS[number % len(VIEWERS)]),
            action=("policySave", "itemTakeOffline")[number % 2],
            targets=[global_id("store", key("store", "数织工业软件"))] * (number % 3),
            details={"reason": "装修", "count": number},
        ).model_dump()
        for number in range(20)
    ]


async def viewers() -> list[Viewer]:
    """A visitor first, then one account of each kind that rules and row gates tell apart."""
    rows = {row["username"]: row for row in await fetch(select(ACCOUNT).where(ACCOUNT.c.username.in_(VIEWERS)))}
    return [ANONYMOUS, *[await viewer_of(rows[name]) for name in VIEWERS]]


async def survey(cursors: Mapping[str, Sequence[str]]) -> Facts:
    """What there is to ask for. `cursors` by the name of the connection's type."""
    ids: dict[str, list[str]] = {}
    representations: list[dict[str, Any]] = [{"__typename": "NoSuchType"}, {"__typename": "Policy"}]
    for kind, model in ENTITIES.items():
        table = table_of(model)
        keys = [row["id"] for row in await fetch(select(table.c.id).order_by(table.c.id))]
        ids[kind] = [global_id(kind, each) for each in keys[:: max(1, len(keys) // ENOUGH)]]
        representations += [{"__typename": model.__name__, "id": each} for each in ids[kind][:5]]
    codes: dict[str, list[str]] = {}
    for name, model in CODED.items():
        table = table_of(model)
        found = [row["code"] for row in await fetch(select(table.c.code).order_by(table.c.code))]
        codes[name] = found[:: max(1, len(found) // ENOUGH)]
        representations += [{"__typename": name, "code": each} for each in codes[name][:5]]
    return Facts(ids, _texts(codes), cursors, representations[::-1])


def _texts(codes: Mapping[str, list[str]]) -> Mapping[str, Sequence[str]]:
    """By the names of arguments and of inputs' fields."""
    words = ["服务", "政策", "上海", "数", "租赁"]
    return {
        "keyword": words,
        "query": ["", *words],
        "text": ["国内最佳的服务", "全国第一，最佳服务", *words],
        "districts": codes["District"],
        "district": codes["District"],
        "departments": ["SHEITC", *codes["Department"]],
        "department": codes["Department"],
        "industries": codes["Industry"],
        "industry": codes["Industry"],
        "parent": codes["Industry"],
        "categories": codes["ServiceCategory"],
        "category": codes["ServiceCategory"],
        "kinds": ["policy", "store", "product", "article"],
        "actions": ["policySave", "itemTakeOffline"],
        "enterpriseTags": ["高新技术企业", "专精特新"],
        "enterpriseTag": ["高新技术企业", "专精特新"],
        "documentNo": ["沪经信规〔2024〕1号"],
    }

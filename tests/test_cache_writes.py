"""Every mutation raises, before it answers, at least what the database tells of its commit."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from graphql import build_schema

import schema
from kit import clock
from kit.excel import write_rows
from kit.generations import CHANNEL, generations
from kit.settings import settings
from services.words import COLUMNS
from tests.conftest import Answer, Api, Settle
from tests.test_policy import values
from tests.test_policy_import import jsonl, record, upload

TABLES: dict[str, set[str]] = {
    "revisionReview": {"policy", "store", "product", "article"},
    "itemTakeOffline": {"policy"},
    "itemRepublish": {"policy"},
    "sensitiveWordSave": {"sensitive_word"},
    "sensitiveWordDelete": {"sensitive_word"},
    "sensitiveExceptionSave": {"sensitive_exception"},
    "sensitiveExceptionDelete": {"sensitive_exception"},
    "(jobs)": {"sensitive_word"},
}
"""What each mutation changes of what answers are made of; the others write nothing that is kept."""


class Witness:
    """Stands between the unit of work and the generations, and listens to the database beside them."""

    def __init__(self) -> None:
        self.raised = set[str]()
        self.told = set[str]()
        self.watched = generations.watched

    def rise(self, names: Iterable[str]) -> None:
        self.raised.update(names)
        generations.rise(names)

    def hear(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        self.told.add(payload)

    @contextmanager
    def act(self) -> Iterator[None]:
        self.raised.clear()
        self.told.clear()
        yield


class Acts:
    """Does mutations by name and notes what each one raised and what was told of it."""

    def __init__(self, api: Api, witness: Witness, connection: "asyncpg.Connection[Any]") -> None:
        self._api = api
        self._witness = witness
        self._connection = connection
        self.told: dict[str, set[str]] = defaultdict(set)
        self.untold: dict[str, set[str]] = defaultdict(set)

    async def __call__(
        self, name: str, selection: str = "__typename", viewer: str | None = "admin", bearer: str = "", **given: Any
    ) -> Answer:
        kind = f"{name[0].upper()}{name[1:]}Input!"
        takes = bool(given)
        head = f"mutation($input: {kind})" if takes else "mutation"
        query = f"{head} {{ {name}{'(input: $input)' if takes else ''} {{ {selection} userErrors {{ code field }} }} }}"
        with self._witness.act():
            headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
            answer = await self._api.raw(query, viewer=viewer, headers=headers, **({"input": given} if takes else {}))
            await self._note(name)
        payload: Answer = answer["data"][name]
        assert payload["userErrors"] == [], name
        return payload

    async def settle(self, settle: Settle) -> None:
        with self._witness.act():
            await settle()
            await self._note("(jobs)")

    async def _note(self, name: str) -> None:
        await self._connection.execute("SELECT 1")  # what was told before this comes before its answer
        self.told[name] |= self._witness.told & generations.watched - {"search"}
        self.untold[name] |= self._witness.told - self._witness.raised - {"search"}

    async def publish(self, save: str, viewer: str, values: Answer) -> Answer:
        """A draft that is submitted and approved."""
        draft: Answer = (await self(save, "revision { id itemId }", viewer, values=values))["revision"]
        await self("revisionSubmit", viewer=viewer, id=draft["id"])
        await self("revisionReview", viewer="reviewer", id=draft["id"], decision="APPROVE")
        return draft


async def test_each_mutation_raises_at_least_what_the_database_tells_of_it(
    api: Api, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness()
    monkeypatch.setattr("services.uow.generations", witness)
    connection = await asyncpg.connect(settings.database_url)
    await connection.add_listener(CHANNEL, witness.hear)
    acts = Acts(api, witness, connection)
    try:
        await content(acts)
        await words(acts)
        await files(api, acts, settle)
        await sessions(acts)
        await acts("clockSet", now=clock.now().isoformat())
    finally:
        await connection.close()
    assert {name: tables for name, tables in acts.untold.items() if tables} == {}
    assert {name: tables for name, tables in acts.told.items() if tables} == TABLES
    mutations = build_schema(schema.printed()).mutation_type
    assert mutations is not None
    assert acts.told.keys() - {"(jobs)"} == mutations.fields.keys()


async def content(acts: Acts) -> None:
    policy = (await acts.publish("policySave", "department", values()))["itemId"]
    opened = {"kind": "INSTITUTION", "name": "静安律师事务所"}
    store = (await acts.publish("storeSave", "admin", opened))["itemId"]
    sold = {"storeId": store, "name": "合同审查", "categoryCode": "02010100", "description": "详情"}
    await acts.publish("productSave", "admin", sold)
    await acts.publish("articleSave", "admin", {"title": "开业", "body": "正文", "column": "NEWS"})
    draft = (await acts("policySave", "revision { id }", "department", values=values(title="另一份")))["revision"]
    await acts("revisionWithdraw", viewer="department", id=draft["id"])
    await acts("itemOpened", id=policy, visitId="一次")
    await acts("itemTakeOffline", id=policy, reason="内容有误")
    await acts("itemRepublish", id=policy)


async def words(acts: Acts) -> None:
    word = {"word": "包过", "category": "承诺", "severity": "BLOCK"}
    saved = (await acts("sensitiveWordSave", "word { id }", **word))["word"]
    await acts("sensitiveWordDelete", id=saved["id"])
    saved = (await acts("sensitiveExceptionSave", "exception { id }", phrase="包过滤"))["exception"]
    await acts("sensitiveExceptionDelete", id=saved["id"])


async def files(api: Api, acts: Acts, settle: Settle) -> None:
    row = {"word": "稳过", "category": "承诺", "severity": "BLOCK"}
    sheet = await upload(api, write_rows(COLUMNS, [row]), "词.xlsx")
    policies = await upload(api, jsonl(record()), "p.jsonl")
    await acts("sensitiveWordImport", fileId=sheet["id"])
    await acts("policyImport", fileId=policies["id"])
    await acts.settle(settle)
    job = (await acts("policyImport", "job { id }", fileId=policies["id"]))["job"]
    await acts("jobCancel", id=job["id"])


async def sessions(acts: Acts) -> None:
    given = {"username": "buyer", "password": "esc-demo-1"}
    signed = (await acts("signIn", "session { refreshToken }", None, **given))["session"]
    signed = await acts("sessionRefresh", "session { accessToken }", None, refreshToken=signed["refreshToken"])
    await acts("signOut", "done", None, bearer=signed["session"]["accessToken"])

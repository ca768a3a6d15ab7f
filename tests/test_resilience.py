"""A worker that is killed or stopped, a second click and a client that leaves lose nothing and double nothing."""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from sqlalchemy import func, select, text
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect

from jobs.schedule import forget_done
from jobs.worker import pending
from kit.db import database as pools
from kit.db import fetch, fetch_text, fetch_value
from kit.settings import settings
from models.account import AuditEntry
from models.policy import Policy
from models.publishing import Revision, RevisionState
from services.uow import unit_of_work
from tests.conftest import Api, token
from tests.meili_stub import MISSING, OPENAPI, MeiliStub
from tests.meili_stub import Served as SearchServer
from tests.processes import PROTOCOL, Platform, Running, listening, until, working
from tests.test_policy import REVIEW, SAVE, SUBMIT, publish, values
from tests.test_policy_import import IMPORT, JOB, jsonl, record, upload

REVISION = Revision.__table__.c  # type: ignore[attr-defined]
AUDIT = AuditEntry.__table__.c  # type: ignore[attr-defined]
CLICKS = 20
WITH_STUB = pytest.mark.skipif(not OPENAPI.exists(), reason=MISSING)


@pytest.fixture
def platform(empty_database: str, tmp_path: Path) -> Platform:
    """Processes on the database, the files and the index of this test's own platform."""
    settings.home = tmp_path / "home"
    return Platform(settings.home, DATABASE_URL=empty_database, REDIS_URL=settings.redis_url)


class Door:
    """Stands before the search server's documents: while it is shut, whoever writes waits, and is seen to."""

    def __init__(self, behind: ASGIApp) -> None:
        self._behind = behind
        self.shut = False
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.waiting += self.shut
        while self.shut and scope["path"].endswith("/documents"):  # noqa: ASYNC110 - opened in another thread
            await asyncio.sleep(0.01)
        await self._behind(scope, receive, send)


@pytest.fixture
def door(platform: Platform) -> Iterator[Door]:
    """A search server that can be made to keep its writers waiting."""
    stub = MeiliStub()
    stub.app = door = Door(stub.app)  # type: ignore[assignment]
    server = SearchServer(stub)
    settings.meili_url = platform.environment["MEILI_URL"] = server.url
    yield door
    door.shut = False
    server.stop()
    settings.meili_url = ""
    assert stub.complaints == []


async def all_done(seconds: float = 30) -> None:
    """No event waits or runs any more."""

    async def done() -> bool:
        return await waiting() == 0

    await until(done, seconds)


async def waiting() -> int:
    connection = await asyncpg.connect(settings.database_url)
    try:
        return await pending(connection)
    finally:
        await connection.close()


async def in_step(api: Api) -> None:
    """Full text finds each published policy once, as it stands in its table."""
    query = '{ search(query: "", types: [POLICY], first: 100) { degraded nodes { ... on Policy { id title } } } }'
    answer = (await api(query))["search"]
    assert answer["degraded"] is False
    rows = await fetch(select(Policy.__table__.c.id, Policy.__table__.c.title))  # type: ignore[attr-defined]
    assert Counter((node["id"], node["title"]) for node in answer["nodes"]) == Counter(
        (f"policy_{row['id'].hex}", row["title"]) for row in rows
    )


async def import_of(api: Api, rows: int) -> str:
    """The id of a job that imports so many policies."""
    records = [record(id=f"T{n}", title=f"关于第{n}批试点的通知", doc_no="") for n in range(rows)]
    sent = await upload(api, jsonl(*records), "p.jsonl")
    job: str = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["policyImport"]["job"]["id"]
    return job


async def count(condition: Any = True) -> int:
    """How many revisions there are."""
    return int(await fetch_value(select(func.count()).select_from(Revision).where(condition)))


async def audited(action: str) -> int:
    return int(await fetch_value(select(func.count()).select_from(AuditEntry).where(AUDIT.action == action)))


# Workers


@pytest.mark.hard
async def test_a_worker_killed_while_it_imports_leaves_nothing_and_the_next_imports_once(
    platform: Platform, api: Api
) -> None:
    """R-POL-02, R-ADM-13."""
    job = await import_of(api, 2_000)

    async def step() -> dict[str, Any]:
        found: dict[str, Any] = (await api(JOB, viewer="admin", id=job))["job"]
        return found

    async def under_way() -> bool:
        return bool((await step())["done"])

    async def ended() -> bool:
        return (await step())["state"] not in {"QUEUED", "RUNNING"}

    async with platform.started("worker") as worker:
        await until(under_way)
        await worker.kill()
    seen = await step()
    assert (seen["state"], 0 < seen["done"] < 2_000) == ("RUNNING", True)
    assert (await count(), await audited("policyImport"), await waiting()) == (0, 1, 1)
    async with platform.started("worker"):
        await until(ended, 90)
    assert await step() == {
        "state": "DONE",
        "total": 2_000,
        "done": 2_000,
        "failed": 0,
        "result": {"created": 2_000, "changed": 0, "unchanged": 0, "warnings": 0},
        "message": "",
        "problemsUrl": None,
    }
    assert (await count(), await audited("policyImport")) == (2_000, 2)


@WITH_STUB
@pytest.mark.hard
async def test_a_worker_killed_between_commit_and_index_leaves_the_event_to_the_next(
    platform: Platform, door: Door, api: Api
) -> None:
    """R-BASE-05."""
    await publish(api)
    async with platform.started("worker"):
        await all_done()
    await publish(api, title="关于第二批试点的通知", documentNo="沪经信企[2026]13号")
    door.shut = True
    async with platform.started("worker") as worker:
        await until_knocked(door, worker)
        await worker.kill()
    assert await waiting() > 0
    assert (await api('{ search(query: "", types: [POLICY]) { totalCount } }'))["search"]["totalCount"] == 1
    door.shut = False
    async with platform.started("worker"):
        await all_done()
    await in_step(api)


async def test_a_worker_that_is_stopped_puts_what_it_had_begun_back_into_the_queue(api: Api) -> None:
    job = await import_of(api, 3)
    async with unit_of_work() as another:
        await another.take_turns("policy_import")
        async with working():
            await until(partial(job_is, api, job, "RUNNING"))
    assert [row["status"] for row in await fetch_text("SELECT status FROM pgqueuer")] == ["queued"]
    assert (await count(), await job_is(api, job, "RUNNING")) == (0, True)
    async with working():
        await until(partial(job_is, api, job, "DONE"))
    assert await count() == 3


async def job_is(api: Api, job: str, state: str) -> bool:
    return bool((await api(JOB, viewer="admin", id=job))["job"]["state"] == state)


async def until_knocked(door: Door, worker: Running) -> None:
    async def knocked() -> bool:
        assert worker.process.poll() is None, worker.output
        return door.waiting > 0

    await until(knocked)
    await asyncio.sleep(0.2)


async def test_what_happened_while_no_worker_ran_is_done_by_the_next(api: Api) -> None:
    for number in range(1, 4):
        await publish(api, title=f"关于第{number}批试点的通知", documentNo=f"沪经信企[2026]{number}号")
    assert await waiting() == 9
    async with working():
        await all_done()
    await in_step(api)


async def test_a_worker_whose_connection_is_cut_begins_anew(api: Api) -> None:
    async with working():
        await publish(api)
        await all_done()
        async with pools.write() as writing:
            await writing.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'esc worker'"
                " AND datname = current_database()"
            )
        await publish(api, title="关于第二批试点的通知", documentNo="沪经信企[2026]13号")
        await all_done()
    await in_step(api)


@pytest.mark.hard
async def test_serve_replaces_a_worker_that_was_killed(platform: Platform) -> None:
    async with platform.serving() as server:

        async def one_works() -> int:
            return next(iter(server.workers()), 0)

        first = await until(one_works)
        os.kill(first, signal.SIGKILL)

        async def another_works() -> bool:
            return await one_works() not in {0, first}

        await until(another_works)


async def test_the_queues_own_log_is_kept_for_a_week(api: Api) -> None:
    await publish(api)
    async with working():
        await all_done()
    async with pools.write() as writing:
        await writing.execute(text("UPDATE pgqueuer_log SET created = created - interval '8 days' WHERE id % 2 = 0"))
    odd = await fetch_text("SELECT id FROM pgqueuer_log WHERE id % 2 = 1 ORDER BY id")
    await forget_done()
    assert await fetch_text("SELECT id FROM pgqueuer_log ORDER BY id") == odd
    assert len(odd) > 0


# Second clicks


async def pressed(api: Api, query: str, viewer: str, **variables: Any) -> Counter[str]:
    """What twenty clicks at once are answered: `OK` or the code of the refusal."""
    answers = await asyncio.gather(*(api(query, viewer=viewer, **variables) for _ in range(CLICKS)))
    payloads = [next(iter(answer.values())) for answer in answers]
    return Counter(payload["userErrors"][0]["code"] if payload["userErrors"] else "OK" for payload in payloads)


async def test_twenty_clicks_on_save_submit_and_approve_publish_one_revision(api: Api) -> None:
    """R-ADM-03."""
    item = await publish(api)
    assert await waiting() == 3
    changed = values(title="关于支持专精特新企业发展的若干措施（修订）")
    saved = await pressed(api, SAVE, "department", input={"id": item, "values": changed})
    assert set(saved) <= {"OK", "OPEN_REVISION", "CHANGED_MEANWHILE"}
    assert saved["OK"] >= 1
    assert await count(REVISION.no > 1) == 1
    revision = (await api("{ revisions(first: 1) { nodes { id no } } }", viewer="department"))["revisions"]["nodes"][0]
    assert revision["no"] == 2
    submitted = await pressed(api, SUBMIT, "department", input={"id": revision["id"], "confirmWords": True})
    assert submitted == {"OK": 1, "NOT_A_DRAFT": CLICKS - 1}
    approved = await pressed(api, REVIEW, "reviewer", input={"id": revision["id"], "decision": "APPROVE"})
    assert approved == {"OK": 1, "NOT_PENDING": CLICKS - 1}
    assert (await audited("revisionSubmit"), await audited("revisionReview"), await audited("policySave")) == (
        2,
        2,
        1 + saved["OK"],
    )
    assert await waiting() == 6
    assert await count(REVISION.state == RevisionState.PUBLISHED) == 1


async def test_twenty_clicks_on_import_import_once(api: Api) -> None:
    """R-POL-02."""
    sent = await upload(api, jsonl(*(record(id=f"T{n}", title=f"关于第{n}批试点的通知") for n in range(30))), "p.jsonl")
    assert await pressed(api, IMPORT, "admin", input={"fileId": sent["id"]}) == {"OK": CLICKS}
    async with working():
        await all_done()
    assert await count() == 30
    results = await fetch_text("SELECT state, result FROM job")
    assert Counter((row["state"], row["result"]["created"], row["result"]["unchanged"]) for row in results) == {
        ("DONE", 30, 0): 1,
        ("DONE", 0, 30): CLICKS - 1,
    }


# Clients that leave


@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_a_client_that_leaves_in_the_middle_leaves_a_whole_write_or_none(api: Api, transport: str) -> None:
    """What is submitted is audited and announced, and nothing else is."""
    drafts = []
    for number in range(30):
        saved = await api(SAVE, viewer="department", input={"values": values(title=f"关于第{number}批试点的通知")})
        drafts.append(saved["policySave"]["revision"]["id"])
    send = hang_up if transport == "http" else slam
    chance = random.Random(transport)  # noqa: S311 - the same moments in each run
    async with listening(api.client._transport.app) as url:  # type: ignore[attr-defined]
        mine = await token("department")
        for draft in drafts:
            operation = {"query": SUBMIT, "variables": {"input": {"id": draft, "confirmWords": True}}}
            await send(url, operation, mine, chance.uniform(0, 0.03))
        await until(nothing_under_way)
        submitted = await fetch(select(REVISION.id).where(REVISION.state == RevisionState.PENDING_REVIEW))
        targets = await fetch(select(AUDIT.targets).where(AUDIT.action == "revisionSubmit"))
        assert Counter(target for row in targets for target in row["targets"]) == Counter(
            f"revision_{row['id'].hex}" for row in submitted
        )
        assert await waiting() == len(submitted)
        left = await api("{ revisions(filter: {states: [DRAFT]}, first: 1) { nodes { id } } }", viewer="department")
        for node in left["revisions"]["nodes"]:
            again = await api(SUBMIT, viewer="department", input={"id": node["id"], "confirmWords": True})
            assert again["revisionSubmit"]["userErrors"] == []


async def nothing_under_way() -> bool:
    """No write connection is in anybody's hand."""
    return pools.writes._turns._value == settings.write_pool_size


async def hang_up(url: str, operation: dict[str, Any], token: str, seconds: float) -> None:
    """Posts and closes the connection before the answer comes."""
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = orjson.dumps(operation)
    head = f"POST /graphql HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    await asyncio.sleep(seconds)
    writer.transport.abort()


async def slam(url: str, operation: dict[str, Any], token: str, seconds: float) -> None:
    """Sends over a WebSocket and drops the connection."""
    async with connect(f"ws{url.removeprefix('http')}/graphql", subprotocols=[PROTOCOL]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        await socket.recv()
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        await asyncio.sleep(seconds)
        socket.transport.abort()

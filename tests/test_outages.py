"""Search server, Redis and PostgreSQL away: what still works, and that all of it is made good when they are back."""

import asyncio
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from jobs.worker import MAX_ATTEMPTS, pending
from kit import local
from kit.bus import bus
from kit.db import database as pools
from kit.db import fetch_text
from kit.settings import settings
from tests.conftest import Api, token
from tests.meili_stub import MISSING, OPENAPI, MeiliStub
from tests.meili_stub import Served as SearchServer
from tests.processes import OwnRedis, Platform, listening, own_redis, subscribed, until, working
from tests.test_local import folder, postmaster, settings_of
from tests.test_policy import SAVE, SUBMIT, publish, values
from tests.test_resilience import all_done, in_step, waiting
from tests.test_serve import SIGN_IN, sign_in
from tests.test_subscriptions import QUEUE, size

SEARCH = """query Search($q: String!) { search(query: $q, types: [POLICY]) {
  degraded totalCount nodes { ... on Policy { title documentNo } } } }"""
TITLE = "关于支持专精特新企业发展的若干措施"


@pytest.fixture
def redis(empty_database: str) -> Iterator[OwnRedis]:
    with own_redis() as server:
        settings.redis_url = server.url
        yield server


@pytest.fixture
def search_server(empty_database: str) -> Iterator[SearchServer]:
    server = SearchServer(MeiliStub())
    settings.meili_url = server.url
    yield server
    server.stop()
    settings.meili_url = ""
    assert server.stub.complaints == []


# The search server


@pytest.mark.skipif(not OPENAPI.exists(), reason=MISSING)
async def test_without_the_search_server_titles_are_searched_and_the_index_catches_up(
    search_server: SearchServer, api: Api
) -> None:
    """R-BASE-05."""
    await publish(api)
    async with working():
        await all_done()
        await in_step(api)
        search_server.stop()
        await publish(api, title="关于人工智能产业的若干措施", documentNo="沪经信智[2026]5号")
        by_title = (await api(SEARCH, q="人工智能"))["search"]
        assert (by_title["degraded"], by_title["totalCount"]) == (True, 1)
        assert by_title["nodes"] == [{"title": "关于人工智能产业的若干措施", "documentNo": "沪经信智〔2026〕5号"}]
        by_number = (await api(SEARCH, q="沪经信企（2026）12号"))["search"]
        assert (by_number["degraded"], by_number["nodes"][0]["title"]) == (True, TITLE)
        await until(tried_again)
        search_server.start()
        await all_done()
    await in_step(api)
    assert (await api(SEARCH, q="人工智能"))["search"]["degraded"] is False


async def tried_again() -> bool:
    return bool(await fetch_text("SELECT 1 FROM pgqueuer WHERE attempts > 1"))


@pytest.mark.skipif(not OPENAPI.exists(), reason=MISSING)
async def test_an_outage_that_outlasts_all_attempts_still_loses_no_event(search_server: SearchServer, api: Api) -> None:
    search_server.stop()
    await publish(api)
    async with pools.write() as writing:
        await writing.execute(text("UPDATE pgqueuer SET attempts = :attempts"), attempts=MAX_ATTEMPTS)

    async def failed_once_more() -> bool:
        rows = await fetch_text("SELECT attempts, status FROM pgqueuer")
        return [(row["attempts"], row["status"]) for row in rows] == [(MAX_ATTEMPTS + 1, "queued")]

    async with working():
        await until(failed_once_more)
    search_server.start()
    async with pools.write() as writing:
        await writing.execute(text("UPDATE pgqueuer SET execute_after = created"))
    async with working():
        await all_done()
    await in_step(api)


# Redis


@pytest.mark.parametrize("away", ["killed", "frozen"])
async def test_without_redis_all_but_live_news_works_and_the_news_come_later(
    redis: OwnRedis, api: Api, away: str
) -> None:
    async with (
        listening(api.client._transport.app) as url,  # type: ignore[attr-defined]
        working(),
        subscribed(url, QUEUE, await token("reviewer")) as stream,
    ):
        await asyncio.wait_for(bus.connected.wait(), 5)
        await stream.until(size(0))
        redis.kill() if away == "killed" else redis.freeze()
        await sign_in(url, "buyer")
        wrong = await api(SIGN_IN, u="buyer", p="not-this-one")
        assert [error["code"] for error in wrong["signIn"]["userErrors"]] == ["WRONG_CREDENTIALS"]
        assert await persisted(url) == "PERSISTED_QUERY_NOT_FOUND"
        item = await publish(api)
        assert (await api("query One($id: ID!) { policy(id: $id) { title } }", id=item))["policy"] == {"title": TITLE}
        saved = await api(SAVE, viewer="department", input={"values": values(title="关于第二批试点的通知")})
        revision = saved["policySave"]["revision"]["id"]
        await api(SUBMIT, viewer="department", input={"id": revision, "confirmWords": True})
        assert await waiting() > 0
        redis.start() if away == "killed" else redis.thaw()
        await stream.until(size(1), 20)
        await all_done()
    await in_step(api)


async def persisted(url: str) -> str:
    """How a hash that nobody has sent the text of is answered."""
    key = hashlib.sha256(b"{ now }").hexdigest()
    body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": key}}}
    async with httpx.AsyncClient(timeout=20) as client:
        answer = (await client.post(f"{url}/graphql", json=body)).json()
    return str(answer["errors"][0]["extensions"]["code"])


# PostgreSQL


@pytest.mark.hard
async def test_a_killed_postgresql_keeps_what_was_acknowledged_and_breaks_nothing_in_two() -> None:
    """The server goes on without a restart; what it could not answer is there whole or not at all."""
    with folder(0o755) as home:
        await asyncio.to_thread(local.start, settings_of(home))
        city = Platform(home)
        async with city.serving("--no-worker") as server:
            submitted: list[str] = []
            writers = [asyncio.create_task(write(city.url, number, submitted)) for number in range(4)]
            for _ in range(3):
                await until(partial(more_than, submitted, len(submitted) + 20))
                os.kill(postmaster(home), signal.SIGKILL)
                servers = await asyncio.to_thread(local.start, settings_of(home))
            await until(partial(more_than, submitted, len(submitted) + 20))
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            assert server.process.poll() is None
            await whole(servers.database_url, set(submitted))
            async with city.started("worker") as worker:
                os.kill(postmaster(home), signal.SIGKILL)
                await asyncio.to_thread(local.start, settings_of(home))
                await until(partial(no_event_waits, servers.database_url), 60)
                assert worker.process.poll() is None
        local.stop(home)


async def write(url: str, writer: int, submitted: list[str]) -> None:
    """Writes and submits drafts, and notes the revisions whose submission was acknowledged."""
    mine = await sign_in(url, "department")
    async with httpx.AsyncClient(timeout=30, headers={"authorization": f"Bearer {mine}"}) as client:
        for number in count():
            title = f"关于第{writer}-{number}批试点的通知"
            saved = await acknowledged(client, url, SAVE, {"values": values(title=title)})
            if saved is None:
                continue
            revision = saved["policySave"]["revision"]["id"]
            if await acknowledged(client, url, SUBMIT, {"id": revision, "confirmWords": True}):
                submitted.append(revision)


async def acknowledged(client: httpx.AsyncClient, url: str, query: str, sent: dict[str, Any]) -> Any:
    """The data of a mutation, or None where the database was away."""
    answer = (await client.post(f"{url}/graphql", json={"query": query, "variables": {"input": sent}})).json()
    if "errors" in answer:
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["INTERNAL"]
        return None
    return answer["data"]


async def more_than(submitted: list[str], number: int) -> bool:
    return len(submitted) > number


async def whole(database_url: str, acknowledged: set[str]) -> None:
    """Each submission has its state, its audit row and its event, or none of the three."""
    connection = await asyncpg.connect(database_url)
    async with connection.transaction(isolation="repeatable_read"):
        rows = await connection.fetch("SELECT id, state FROM revision WHERE title LIKE '关于第%批试点的通知'")
        audit = await connection.fetch("SELECT action, targets FROM audit_entry")
        told = await connection.fetchval("SELECT count(*) FROM pgqueuer WHERE payload LIKE $1", b"%ReviewQueueChanged%")
    await connection.close()
    saved = {f"revision_{row['id'].hex}" for row in rows}
    waiting_ones = {f"revision_{row['id'].hex}" for row in rows if row["state"] == "PENDING_REVIEW"}
    by_action = {
        action: [target for row in audit if row["action"] == action for target in row["targets"]]
        for action in ("policySave", "revisionSubmit")
    }
    assert acknowledged <= waiting_ones
    assert Counter(by_action["policySave"]) == Counter(saved)
    assert Counter(by_action["revisionSubmit"]) == Counter(waiting_ones)
    assert told == len(waiting_ones)


async def no_event_waits(database_url: str) -> bool:
    connection = await asyncpg.connect(database_url)
    try:
        return await pending(connection) == 0
    finally:
        await connection.close()

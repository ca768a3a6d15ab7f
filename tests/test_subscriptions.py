"""Subscriptions from the click to the socket: mutation, event, worker, Redis, every transport (R-ADM-06, R-ADM-13)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from kit.bus import bus
from kit.db import fetch_value
from kit.settings import settings
from models import topics
from models.publishing import Revision
from tests.conftest import Api, token
from tests.processes import OwnRedis, listening, own_redis, subscribed, until, working
from tests.test_policy import SAVE, SUBMIT, values
from tests.test_policy_import import IMPORT, jsonl, record, upload

QUEUE = "subscription { reviewQueueChanged { size } }"
PROGRESS = "subscription Follow($id: ID!) { jobProgress(id: $id) { state total done } }"
SOON = 2.0


class Stream:
    """Results that come over one HTTP response."""

    def __init__(self, results: AsyncGenerator[dict[str, Any], None]) -> None:
        self._results = results

    async def next(self, seconds: float = 5) -> Any:
        result = await asyncio.wait_for(anext(self._results), seconds)
        assert "errors" not in result, result
        return result["data"]

    async def until(self, wanted: Any, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while await self.next(seconds) != wanted:
                pass


Transport = Callable[..., AbstractAsyncContextManager[Any]]


def over_http(accept: str, read: Callable[[httpx.Response], AsyncGenerator[dict[str, Any], None]]) -> Transport:
    @asynccontextmanager
    async def opened(url: str, query: str, token: str | None = None, **variables: Any) -> AsyncIterator[Stream]:
        headers = {"accept": accept, **({"authorization": f"Bearer {token}"} if token else {})}
        operation = {"query": query, "variables": variables}
        async with (
            httpx.AsyncClient(timeout=10) as client,
            client.stream("POST", f"{url}/graphql", json=operation, headers=headers) as response,
            aclosing(read(response)) as results,
        ):
            yield Stream(results)

    return opened


async def sent_events(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def parts(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    async for line in response.aiter_lines():
        if line.startswith('{"payload"'):
            yield json.loads(line)["payload"]


TRANSPORTS: dict[str, Transport] = {
    "websocket": subscribed,
    "sse": over_http("text/event-stream", sent_events),
    "multipart": over_http('multipart/mixed;subscriptionSpec="1.0", application/json', parts),
}


@pytest.fixture
def redis(empty_database: str) -> Iterator[OwnRedis]:
    """A Redis of this test's own: topics are shared by all databases of a server."""
    with own_redis() as server:
        settings.redis_url = server.url
        yield server


@pytest.fixture
async def url(redis: OwnRedis, api: Api) -> AsyncIterator[str]:
    """The platform behind a real server."""
    async with listening(api.client._transport.app) as where:  # type: ignore[attr-defined]
        await asyncio.wait_for(bus.connected.wait(), 5)
        yield where


@pytest.fixture
async def work(api: Api) -> AsyncIterator[None]:
    async with working():
        yield


async def submit(api: Api, number: int = 1) -> None:
    """The department hands one more policy to the reviewers."""
    saved = await api(SAVE, viewer="department", input={"values": values(title=f"关于第{number}批试点的通知")})
    revision = saved["policySave"]["revision"]["id"]
    submitted = await api(SUBMIT, viewer="department", input={"id": revision, "confirmWords": True})
    assert submitted["revisionSubmit"]["userErrors"] == []


def size(number: int) -> dict[str, Any]:
    return {"reviewQueueChanged": {"size": number}}


async def nobody_listens(topic: str) -> None:
    async def silent() -> bool:
        return bus.listeners(topic) == 0

    await until(silent, 5)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_server_tells_the_time_every_second(url: str, transport: str) -> None:
    async with TRANSPORTS[transport](url, "subscription { serverTime }") as stream:
        first, second = [datetime.fromisoformat((await stream.next())["serverTime"]) for _ in range(2)]
    assert first < second
    assert (first.microsecond, second.microsecond, first.utcoffset()) == (0, 0, timedelta(0))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.usefixtures("work")
async def test_a_submitted_policy_reaches_the_reviewer_at_once_and_a_closed_stream_leaves_no_listener(
    api: Api, url: str, transport: str
) -> None:
    """R-ADM-06."""
    async with TRANSPORTS[transport](url, QUEUE, await token("reviewer")) as stream:
        assert await stream.next() == size(0)
        await submit(api)
        await stream.until(size(1), SOON)
        assert bus.listeners(topics.REVIEW_QUEUE) == 1
    await nobody_listens(topics.REVIEW_QUEUE)


@pytest.mark.usefixtures("work")
async def test_two_reviewers_both_hear_and_one_who_leaves_takes_only_himself(api: Api, url: str) -> None:
    async with subscribed(url, QUEUE, await token("reviewer")) as stays:
        await stays.until(size(0))
        async with subscribed(url, QUEUE, await token("admin")) as leaves:
            await leaves.until(size(0))
            await submit(api)
            await asyncio.gather(stays.until(size(1), SOON), leaves.until(size(1), SOON))
            assert bus.listeners(topics.REVIEW_QUEUE) == 2

        async def one_left() -> bool:
            return bus.listeners(topics.REVIEW_QUEUE) == 1

        await until(one_left, 5)
        await submit(api, 2)
        await stays.until(size(2), SOON)


@pytest.mark.parametrize("viewer", [None, "buyer", "department"])
async def test_who_may_not_review_is_denied_and_listens_to_nothing(url: str, viewer: str | None) -> None:
    async with subscribed(url, QUEUE, await token(viewer) if viewer else None) as stream:
        message = await stream.message()
    assert (message["type"], [error["extensions"]["code"] for error in message["payload"]]) == (
        "error",
        ["ACCESS_DENIED" if viewer else "UNAUTHENTICATED"],
    )
    assert bus.listeners(topics.REVIEW_QUEUE) == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_jobs_progress_is_followed_to_its_end_and_the_stream_ends_with_it(
    api: Api, url: str, transport: str
) -> None:
    """R-ADM-13."""
    rows = [record(id=f"T{number}", title=f"关于第{number}批试点的通知", doc_no="") for number in range(250)]
    sent = await upload(api, jsonl(*rows), "p.jsonl")
    job = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["policyImport"]["job"]
    seen = []
    async with TRANSPORTS[transport](url, PROGRESS, await token("admin"), id=job["id"]) as stream:
        seen.append((await stream.next())["jobProgress"])
        async with working():
            while seen[-1]["state"] != "DONE":
                seen.append((await stream.next(20))["jobProgress"])
        if transport == "websocket":
            assert await stream.message() == {"id": "1", "type": "complete"}
        else:
            with pytest.raises(StopAsyncIteration):
                await stream.next()
    assert seen[0] == {"state": "QUEUED", "total": None, "done": 0}
    assert seen[-1] == {"state": "DONE", "total": 250, "done": 250}
    done = [step["done"] for step in seen]
    assert done == sorted(done)
    assert await fetch_value(select(func.count()).select_from(Revision)) == 250
    await nobody_listens(topics.job(UUID(job["id"].removeprefix("job_"))))


async def test_anothers_job_is_not_followed(api: Api, url: str) -> None:
    sent = await upload(api, jsonl(record()), "p.jsonl")
    job = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["policyImport"]["job"]
    async with subscribed(url, PROGRESS, await token("buyer"), id=job["id"]) as stream:
        assert await stream.message() == {"id": "1", "type": "complete"}


@pytest.mark.usefixtures("work")
async def test_after_redis_was_killed_and_came_back_an_open_stream_tells_what_it_missed(
    api: Api, url: str, redis: OwnRedis
) -> None:
    async with subscribed(url, QUEUE, await token("reviewer")) as stream:
        await stream.until(size(0))
        redis.kill()
        await submit(api)
        redis.start()
        await stream.until(size(1), 10)
        await submit(api, 2)
        await stream.until(size(2), 10)

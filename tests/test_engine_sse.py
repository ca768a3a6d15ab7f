"""Server-sent events (graphql-sse, distinct connections) over a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from engine import Limits
from tests.engine_harness import Served, Streams, make_engine, serving, until

EVENTS = "text/event-stream"
LIMITS = Limits(keep_alive_seconds=0.1)


@pytest.fixture(scope="module")
def served() -> Served:
    return make_engine(limits=LIMITS)


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with serving(served.app) as where:
        yield f"http://{where}/graphql"


async def lines(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        yield line


async def events(address: str, query: str, **headers: str) -> list[tuple[str, Any]]:
    """All events of an operation that ends."""
    found, name = [], ""
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream("POST", address, json={"query": query}, headers={"accept": EVENTS, **headers}) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data:"):
                data = line.removeprefix("data:").strip()
                found.append((name, json.loads(data) if data else None))
    return found


async def test_a_subscription_streams_and_completes(address: str) -> None:
    assert await events(address, "subscription { count(to: 2) }") == [
        ("next", {"data": {"count": 1}}),
        ("next", {"data": {"count": 2}}),
        ("complete", None),
    ]


async def test_queries_and_mutations_stream_one_result(address: str) -> None:
    assert await events(address, "{ echo }") == [("next", {"data": {"echo": ""}}), ("complete", None)]
    assert await events(address, "mutation { touch { id } }") == [
        ("next", {"data": {"touch": {"id": "1"}}}),
        ("complete", None),
    ]


async def test_a_subscription_by_get_as_event_source_sends_it(address: str) -> None:
    headers = {"accept": EVENTS, "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(timeout=5) as client:
        response = await client.get(address, params={"query": "subscription { count(to: 1) }"}, headers=headers)
    assert response.text == ':\n\nevent: next\ndata: {"data":{"count":1}}\n\nevent: complete\ndata:\n\n'


async def test_an_event_source_of_a_foreign_page_is_refused(address: str) -> None:
    headers = {"accept": EVENTS, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    async with httpx.AsyncClient() as client:
        response = await client.get(address, params={"query": "subscription { count }"}, headers=headers)
    assert response.status_code == 400


async def test_a_mutation_by_get_is_refused(address: str) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(address, params={"query": "mutation { touch { id } }"}, headers={"accept": EVENTS})
    assert response.status_code == 405


@pytest.mark.parametrize("body", [{"query": 5}, []])
async def test_what_is_no_request_gets_400_in_json(address: str, body: Any) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.post(address, json=body, headers={"accept": EVENTS})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert "errors" in response.json()
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("query", "code"),
    [("{", "GRAPHQL_PARSE_FAILED"), ("subscription { missing }", "GRAPHQL_VALIDATION_FAILED")],
)
async def test_what_cannot_start_says_so_on_the_accepted_stream(address: str, query: str, code: str) -> None:
    """The protocol's rule 1: an EventSource cannot read the body of a 400."""
    (name, result), end = await events(address, query)
    assert name == "next"
    assert [error["extensions"]["code"] for error in result["errors"]] == [code]
    assert end == ("complete", None)


async def test_a_denied_subscription_says_so_in_its_one_event(address: str) -> None:
    (name, result), end = await events(address, "subscription { mine }")
    assert name == "next"
    assert result["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert end == ("complete", None)
    assert (await events(address, "subscription { mine }", authorization="Bearer user"))[0] == (
        "next",
        {"data": {"mine": 1}},
    )


async def test_a_bad_token_gets_401(address: str) -> None:
    async with httpx.AsyncClient() as client:
        headers = {"accept": EVENTS, "authorization": "Bearer nonsense"}
        response = await client.post(address, json={"query": "subscription { mine }"}, headers=headers)
    assert response.status_code == 401


async def test_a_source_that_breaks_ends_with_an_error_event(address: str) -> None:
    with capture_logs():
        first, (name, result), end = await events(address, "subscription { broken }")
    assert first == ("next", {"data": {"broken": 1}})
    assert (name, result["errors"][0]["extensions"]["code"], end) == ("next", "INTERNAL", ("complete", None))


async def test_silence_is_filled_with_comments_and_a_client_that_leaves_closes_the_generator(address: str) -> None:
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream(
            "POST", address, json={"query": "subscription { silent }"}, headers={"accept": EVENTS}
        ) as response,
    ):
        heard = response.aiter_lines()
        comments = [line async for line in _first(heard, 6)]
        assert comments == [":", "", ":", "", ":", ""]
        assert Streams.open == 1
    await until(lambda: Streams.open == 0)


async def _first(source: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield await anext(source)


async def test_fifty_clients_that_leave_leave_nothing_behind(address: str) -> None:
    async def visit(client: httpx.AsyncClient) -> None:
        body = {"query": "subscription { forever }"}
        async with client.stream("POST", address, json=body, headers={"accept": EVENTS}) as response:
            async for line in response.aiter_lines():
                if "data" in line:
                    return

    async with httpx.AsyncClient(timeout=10) as client:
        await asyncio.gather(*(visit(client) for _ in range(50)))
    await until(lambda: Streams.open == 0)


async def test_the_stream_ends_when_its_token_does(address: str) -> None:
    found = await events(address, "subscription { silent }", authorization="Bearer brief")
    (name, result), end = found
    assert (name, result["errors"][0]["extensions"]["code"], end) == ("next", "UNAUTHENTICATED", ("complete", None))
    await until(lambda: Streams.open == 0)


async def test_the_transport_is_reported(served: Served, address: str) -> None:
    served.finished.clear()
    await events(address, "subscription S { count(to: 1) }")
    await until(lambda: len(served.finished) == 1)
    assert (served.finished[0].name, served.finished[0].transport) == ("S", "sse")

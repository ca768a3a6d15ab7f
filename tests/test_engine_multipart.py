"""Subscriptions over multipart HTTP, as Apollo's router and clients speak them, over a real server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from engine import Limits
from tests.engine_harness import Served, Streams, make_engine, serving, until

ACCEPT = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"


@pytest.fixture(scope="module")
def served() -> Served:
    return make_engine(limits=Limits(keep_alive_seconds=0.1))


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with serving(served.app) as where:
        yield f"http://{where}/graphql"


async def post(address: str, query: str, accept: str = ACCEPT, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.post(address, json={"query": query}, headers={"accept": accept, **headers})


def parts(response: httpx.Response) -> list[Any]:
    """The bodies of all parts, heartbeats left out."""
    assert response.status_code == 200
    assert response.headers["content-type"] == 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    first, *middle, last = response.content.split(b"\r\n--graphql")
    assert (first, last) == (b"", b"--\r\n")
    bodies = []
    for each in middle:
        header, _, body = each.partition(b"\r\n\r\n")
        assert header == b"\r\nContent-Type: application/json"
        bodies.append(json.loads(body))
    return [body for body in bodies if body != {}]


@pytest.mark.parametrize(
    "accept",
    [ACCEPT, 'multipart/mixed;subscriptionSpec="1.0", application/json', "multipart/mixed; subscriptionSpec=1.0"],
)
async def test_a_subscription_comes_as_one_payload_per_part(address: str, accept: str) -> None:
    assert parts(await post(address, "subscription { count(to: 2) }", accept)) == [
        {"payload": {"data": {"count": 1}}},
        {"payload": {"data": {"count": 2}}},
    ]


async def test_a_query_with_the_same_accept_header_is_answered_in_json(address: str) -> None:
    response = await post(address, "{ echo }")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json() == {"data": {"echo": ""}}


async def test_a_query_that_accepts_multipart_only_gets_406(address: str) -> None:
    assert (await post(address, "{ echo }", "multipart/mixed;subscriptionSpec=1.0")).status_code == 406


async def test_an_error_in_a_field_is_in_the_payload_and_a_fatal_one_beside_it(address: str) -> None:
    with capture_logs():
        first, fatal = parts(await post(address, "subscription { broken }"))
    assert first == {"payload": {"data": {"broken": 1}}}
    assert fatal["payload"] is None
    assert fatal["errors"][0]["extensions"]["code"] == "INTERNAL"
    (denied,) = parts(await post(address, "subscription { mine }"))
    assert (denied["payload"], denied["errors"][0]["extensions"]["code"]) == (None, "UNAUTHENTICATED")


async def test_a_document_that_is_wrong_is_answered_in_json(address: str) -> None:
    response = await post(address, "subscription { missing }")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_silence_is_filled_with_empty_objects_and_a_client_that_leaves_closes_the_generator(address: str) -> None:
    heartbeat = b"\r\n--graphql\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql"
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream(
            "POST", address, json={"query": "subscription { silent }"}, headers={"accept": ACCEPT}
        ) as response,
    ):
        heard = b""
        async for chunk in response.aiter_bytes():
            heard += chunk
            if len(heard) >= len(heartbeat):
                break
        assert heard.startswith(heartbeat)
        assert Streams.open == 1
    await until(lambda: Streams.open == 0)


async def test_the_stream_ends_when_its_token_does(address: str) -> None:
    (last,) = parts(await post(address, "subscription { silent }", authorization="Bearer brief"))
    assert (last["payload"], last["errors"][0]["extensions"]["code"]) == (None, "UNAUTHENTICATED")
    await until(lambda: Streams.open == 0)


async def test_the_transport_is_reported(served: Served, address: str) -> None:
    served.finished.clear()
    await post(address, "subscription M { count(to: 1) }")
    await until(lambda: len(served.finished) == 1)
    assert (served.finished[0].name, served.finished[0].transport) == ("M", "multipart")

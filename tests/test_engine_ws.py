"""graphql-transport-ws over a real server: its close codes, its messages, and streams that end when they should."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from engine import Limits
from tests.engine_harness import Streams, make_engine, serving, until

PROTOCOL = Subprotocol("graphql-transport-ws")
LIMITS = Limits(init_seconds=0.4, concurrent=5)


@pytest.fixture(scope="module", params=["engine.frames:FrameProtocol", "websockets-sansio"], ids=["raw", "asgi"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where it listens: by raw frames, and by ASGI's own `send`."""
    app = make_engine(limits=LIMITS, allowed_origins=["https://portal.example"]).app
    with serving(app, ws=request.param) as where:
        yield f"ws://{where}/graphql"


@asynccontextmanager
async def opened(
    address: str, payload: dict[str, Any] | None = None, **headers: str
) -> AsyncIterator[ClientConnection]:
    """A socket that has been acknowledged."""
    async with connect(address, subprotocols=[PROTOCOL], additional_headers=headers, max_size=None) as socket:
        await say(socket, type="connection_init", **({"payload": payload} if payload is not None else {}))
        assert await hear(socket) == {"type": "connection_ack"}
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    return message


async def subscribe(socket: ClientConnection, query: str, id_: str = "1", **more: Any) -> None:
    await say(socket, type="subscribe", id=id_, payload={"query": query, **more})


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the server ends the socket, whatever it still says."""
    with pytest.raises(ConnectionClosed) as end:
        await listen(socket)
    assert end.value.rcvd is not None
    return end.value.rcvd.code, end.value.rcvd.reason


async def listen(socket: ClientConnection) -> None:
    while True:
        await asyncio.wait_for(socket.recv(), 5)


# Opening


async def test_a_foreign_origin_gets_403_before_the_socket_opens(address: str) -> None:
    for origin in ("https://evil.example", "null", "http://[::1", ""):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, subprotocols=[PROTOCOL], additional_headers={"origin": origin}):
                pass
        assert refused.value.response.status_code == 403


async def test_the_own_origin_and_those_on_the_list_may_connect(address: str) -> None:
    host = address.removeprefix("ws://").removesuffix("/graphql")
    for origin in (f"http://{host}", "https://portal.example"):
        async with opened(address, origin=origin) as socket:
            assert socket.subprotocol == PROTOCOL


@pytest.mark.parametrize("offered", [None, [Subprotocol("graphql-ws")], [Subprotocol("nonsense")]])
async def test_another_subprotocol_is_closed_with_4406(address: str, offered: list[Subprotocol] | None) -> None:
    async with connect(address, subprotocols=offered) as socket:
        assert (await closed(socket))[0] == 4406


async def test_silence_is_closed_with_4408(address: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        assert (await closed(socket))[0] == 4408


async def test_a_ping_is_no_introduction(address: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        await say(socket, type="ping")
        assert await hear(socket) == {"type": "pong"}
        assert (await closed(socket))[0] == 4408


async def test_a_second_introduction_is_closed_with_4429(address: str) -> None:
    async with opened(address) as socket:
        await say(socket, type="connection_init")
        assert (await closed(socket))[0] == 4429


async def test_a_subscription_before_the_introduction_is_closed_with_4401(address: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        await subscribe(socket, "{ echo }")
        assert (await closed(socket))[0] == 4401


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": "Bearer nonsense"},
        {"Authorization": "Basic x"},
        {"authorization": 5},
        {"authorization": "Bearer"},
    ],
)
async def test_a_bad_token_is_closed_with_4403(address: str, payload: dict[str, Any]) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        await say(socket, type="connection_init", payload=payload)
        code, reason = await closed(socket)
    assert code == 4403
    assert reason.startswith("Forbidden: ")


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ({"authorization": "Bearer user"}, {}),
        ({"Authorization": "Bearer user"}, {}),
        (None, {"authorization": "Bearer user"}),
    ],
)
async def test_a_token_in_the_introduction_or_the_handshake_names_the_viewer(
    address: str, payload: dict[str, Any] | None, headers: dict[str, str]
) -> None:
    async with opened(address, payload, **headers) as socket:
        await subscribe(socket, "{ mine }")
        assert await hear(socket) == {"id": "1", "type": "next", "payload": {"data": {"mine": "yours"}}}


# Messages


@pytest.mark.parametrize(
    "message",
    [
        "[]",
        "[1, 2]",
        "null",
        "5",
        '"text"',
        "{",
        "",
        "NaN",
        "{}",
        '{"type": "nonsense"}',
        '{"type": 5}',
        '{"type": "connection_ack"}',
        '{"type": "next", "id": "1"}',
        '{"type": "error"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ echo }"}}',
        '{"type": "subscribe", "id": 5, "payload": {"query": "{ echo }"}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 5}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ echo }", "variables": 5}}',
        '{"type": "complete"}',
        '{"type": "ping", "payload": 5}',
        '{"type": "connection_init", "payload": []}',
        "[" * 100_000,
        '{"type": "ping", "payload": {"x": "\\ud800"}}',
    ],
)
async def test_a_message_that_is_none_is_closed_with_4400(address: str, message: str) -> None:
    async with opened(address) as socket:
        await socket.send(message)
        assert (await closed(socket))[0] == 4400


async def test_a_binary_frame_is_closed_with_4400(address: str) -> None:
    async with opened(address) as socket:
        await socket.send(b'{"type": "ping"}')
        assert (await closed(socket))[0] == 4400


async def test_a_message_over_one_mebibyte_is_closed_with_1009(address: str) -> None:
    async with opened(address) as socket:
        await say(socket, type="ping", payload={"x": "a" * (1 << 20)})
        assert (await closed(socket))[0] == 1009


async def test_ping_and_pong_go_both_ways() -> None:
    with serving(make_engine(limits=Limits(keep_alive_seconds=0.1)).app) as where:
        async with opened(f"ws://{where}/graphql") as socket:
            assert await hear(socket) == {"type": "ping"}
            await say(socket, type="pong", payload={"any": 1})
            await say(socket, type="ping", payload={"t": 1})
            while (message := await hear(socket)) == {"type": "ping"}:
                pass
            assert message == {"type": "pong", "payload": {"t": 1}}


# Operations


async def test_queries_mutations_and_subscriptions_run(address: str) -> None:
    async with opened(address) as socket:
        await subscribe(socket, "query ($t: String!) { echo(text: $t) }", "q", variables={"t": "政策"})
        assert [await hear(socket) for _ in range(2)] == [
            {"id": "q", "type": "next", "payload": {"data": {"echo": "政策"}}},
            {"id": "q", "type": "complete"},
        ]
        await subscribe(socket, "mutation { touch { id } }", "m")
        assert (await hear(socket))["payload"] == {"data": {"touch": {"id": "1"}}}
        assert await hear(socket) == {"id": "m", "type": "complete"}
        await subscribe(socket, "subscription { count(to: 2) }", "s")
        assert [await hear(socket) for _ in range(3)] == [
            {"id": "s", "type": "next", "payload": {"data": {"count": 1}}},
            {"id": "s", "type": "next", "payload": {"data": {"count": 2}}},
            {"id": "s", "type": "complete"},
        ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ missing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($v: Int!) { number(value: $v) }", "BAD_USER_INPUT"),
        ("subscription { mine }", "UNAUTHENTICATED"),
        ("subscription { count forever }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "echo " * 21 + "}", "COST_EXCEEDED"),
    ],
)
async def test_an_operation_that_cannot_start_gets_one_error_and_its_id_is_free(
    address: str, query: str, code: str
) -> None:
    async with opened(address) as socket:
        await subscribe(socket, query)
        message = await hear(socket)
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        await subscribe(socket, "{ echo }")
        assert (await hear(socket))["type"] == "next"


async def test_an_error_in_a_field_comes_with_its_result(address: str) -> None:
    async with opened(address) as socket:
        await subscribe(socket, "{ echo busy }")
        message = await hear(socket)
        assert message["type"] == "next"
        assert message["payload"]["data"] == {"echo": "", "busy": None}
        assert message["payload"]["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_source_that_breaks_ends_its_operation_and_not_the_socket(address: str) -> None:
    with capture_logs():
        async with opened(address) as socket:
            await subscribe(socket, "subscription { broken }")
            assert (await hear(socket))["payload"] == {"data": {"broken": 1}}
            message = await hear(socket)
            assert message["type"] == "error"
            assert message["payload"][0]["message"] == "Internal error (内部错误)"
            await subscribe(socket, "{ echo }")
            assert (await hear(socket))["type"] == "next"


async def test_each_event_has_a_context_of_its_own(address: str) -> None:
    async with opened(address) as socket:
        await subscribe(socket, "subscription { ticks { number context } }")
        ticks = [(await hear(socket))["payload"]["data"]["ticks"] for _ in range(3)]
    assert [tick["number"] for tick in ticks] == [1, 2, 3]
    assert len({tick["context"] for tick in ticks}) == 3


async def test_an_id_in_use_is_closed_with_4409(address: str) -> None:
    async with opened(address) as socket:
        await subscribe(socket, "subscription { forever }")
        await subscribe(socket, "{ echo }")
        assert (await closed(socket))[0] == 4409
    await until(lambda: Streams.open == 0)


async def test_complete_closes_the_generator_and_frees_the_id_at_once(address: str) -> None:
    async with opened(address) as socket:
        await subscribe(socket, "subscription { silent }")
        await until(lambda: Streams.open == 1)
        await say(socket, type="complete", id="1")
        await subscribe(socket, "{ echo }")
        assert (await hear(socket))["payload"] == {"data": {"echo": ""}}
        await until(lambda: Streams.open == 0)
        await say(socket, type="complete", id="unknown")
        await say(socket, type="ping")
        assert [(await hear(socket))["type"] for _ in range(2)] == ["complete", "pong"]


async def test_no_generator_outlives_its_socket(address: str) -> None:
    async with opened(address) as socket:
        for number in range(5):
            await subscribe(
                socket, "subscription { silent }" if number % 2 else "subscription { forever }", str(number)
            )
        await until(lambda: Streams.open == 5)
    await until(lambda: Streams.open == 0)


async def test_no_generator_outlives_a_connection_that_is_torn_down(address: str) -> None:
    async with opened(address) as socket:
        await subscribe(socket, "subscription { forever }")
        await until(lambda: Streams.open == 1)
        raw = socket.transport.get_extra_info("socket")
        raw.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: reset instead of a goodbye
        socket.transport.abort()
    await until(lambda: Streams.open == 0)


async def test_more_operations_than_allowed_are_refused_one_by_one(address: str) -> None:
    async with opened(address) as socket:
        for number in range(6):
            await subscribe(socket, "subscription { silent }", str(number))
        message = await hear(socket)
        assert (message["id"], message["type"]) == ("5", "error")
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
    await until(lambda: Streams.open == 0)


async def test_the_socket_ends_when_its_token_does(address: str) -> None:
    async with opened(address, {"authorization": "Bearer brief"}) as socket:
        await subscribe(socket, "subscription { forever }")
        assert await closed(socket) == (4403, "The token has expired (令牌已过期)")
    await until(lambda: Streams.open == 0)


async def test_persisted_documents_work_over_sockets_too(address: str) -> None:
    async with opened(address) as socket:
        unknown = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
        await say(socket, type="subscribe", id="1", payload={"extensions": unknown})
        assert (await hear(socket))["payload"][0]["message"] == "PersistedQueryNotFound"


async def test_operations_over_sockets_are_reported_when_they_end() -> None:
    served = make_engine()
    with serving(served.app) as where:
        async with opened(f"ws://{where}/graphql", {"authorization": "Bearer user"}) as socket:
            await subscribe(socket, "subscription Clock { count(to: 1) }")
            while (await hear(socket))["type"] != "complete":
                pass
    (finished,) = served.finished
    assert (finished.name, finished.kind, finished.transport, finished.codes) == (
        "Clock",
        "subscription",
        "websocket",
        (),
    )
    assert finished.viewer_id is not None

"""Hostile bytes, JSON and documents: never a 500 but for our own `boom`, never a dead server."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
from graphql import parse_value, print_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema
from structlog.testing import capture_logs

from tests.engine_harness import SCHEMA, make_engine, serving

QUICK, LONG = 60, 2_000
CODES = {
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "BAD_USER_INPUT",
    "PERSISTED_QUERY_NOT_FOUND",
    "UNAUTHENTICATED",
    "ACCESS_DENIED",
    "COST_EXCEEDED",
    "RATE_LIMITED",
    "INTERNAL",
}
FAILING = {"boom", "nothing", "_entities"}

SERVED = make_engine(hardened=True)
SDL = print_schema(SCHEMA._schema)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
fragments_of_graphql = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            ":",
            "!",
            "$",
            "@",
            "...",
            "on",
            "query",
            "mutation",
            "subscription",
            "fragment",
            "product",
            "products",
            "echo",
            "__schema",
            "__type",
            "__typename",
            "_entities",
            "F",
            "A",
            "$v",
            "1",
            "-1",
            "1e9",
            '"x"',
            '"""y"""',
            "null",
            "true",
            "first",
            "id",
            "name",
            "Product",
            "Int!",
            "@include(if: true)",
            "@skip",
            "#",
            "\n",
            "\ufeff",
            "\x00",
            "=",
            "|",
            "&",
        ]
    ),
    max_size=40,
).map(" ".join)


representations = st.sampled_from(
    ['{__typename: "Product", id: "1"}', '{__typename: "X"}', "{}", "5", '"x"', "[]", "null"]
).map(parse_value)
operations = from_schema(SDL, custom_scalars={"_Any": representations})


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


async def send(body: bytes, headers: dict[str, str] | None = None, query_string: bytes | None = None) -> None:
    """Asserts that whatever is sent gets an answer in JSON with known codes and no internal error.

    With a query string it is sent by GET, else by POST.
    """
    named = {"content-type": "application/json", "host": "esc.test", **(headers or {})}
    scope = {
        "type": "http",
        "method": "POST" if query_string is None else "GET",
        "query_string": query_string or b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        "client": None,
    }
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    heard: list[Any] = []

    async def receive() -> Any:
        return incoming.pop() if incoming else await asyncio.Event().wait()

    async def reply(message: Any) -> None:
        heard.append(message)

    with capture_logs():
        await SERVED.app(scope, receive, reply)
    start, *parts = heard
    answer = b"".join(part["body"] for part in parts)
    if (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]:
        assert answer.endswith(b"event: complete\ndata:\n\n")
    else:
        check(start["status"], json.loads(answer))


def check(status: int, answer: dict[str, Any]) -> None:
    assert status < 500
    assert set(answer) <= {"data", "errors"}
    for error in answer.get("errors", []):
        code = error["extensions"]["code"]
        assert code in CODES
        if code == "INTERNAL":
            assert FAILING & set(map(str, error["path"])), answer


class Bodies:
    """Each kind of hostility; run shortly here and at length below."""

    @staticmethod
    async def raw(body: bytes, headers: dict[str, str]) -> None:
        await send(body, headers)

    @staticmethod
    async def query_string(text: bytes, headers: dict[str, str]) -> None:
        await send(b"", headers, text)

    @staticmethod
    async def parameters(body: Any) -> None:
        await send(json.dumps(body).encode())

    @staticmethod
    async def document(query: str) -> None:
        await send(json.dumps({"query": query}).encode(), {"accept": "application/graphql-response+json"})


raw_bodies = st.binary(max_size=300) | st.text().map(
    lambda text: ('{"query": "' + text + '"}').encode("utf-8", "surrogatepass")
)
header_sets = st.dictionaries(
    st.sampled_from(
        [
            "accept",
            "content-type",
            "content-encoding",
            "authorization",
            "origin",
            "x-request-id",
            "expect",
            "sec-fetch-site",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
    | st.sampled_from(
        [
            "*/*",
            "application/json",
            "text/event-stream",
            'application/json;charset="utf-8"',
            "a/b;q=nan",
            ";;;",
            "Bearer x",
        ]
    ),
    max_size=3,
)
query_strings = st.binary(max_size=60) | st.dictionaries(
    st.sampled_from(["query", "variables", "extensions", "operationName", "x"]),
    st.text(max_size=20)
    | st.sampled_from(["{ echo }", "{}", "null", "mutation { touch { id } }", "subscription { count }"]),
).map(lambda pairs: urlencode(pairs, errors="surrogatepass").encode())
parameter_sets = json_values | st.fixed_dictionaries(
    {},
    optional={
        "query": json_values | st.just("query ($v: Int) { products(first: $v) { totalCount } }"),
        "operationName": json_values,
        "variables": json_values | st.fixed_dictionaries({"v": json_values}),
        "extensions": json_values | st.fixed_dictionaries({"persistedQuery": json_values}),
    },
)


@examples(QUICK)
@given(raw_bodies, header_sets)
async def test_any_bytes_get_an_answer(body: bytes, headers: dict[str, str]) -> None:
    await Bodies.raw(body, headers)


@examples(QUICK)
@given(query_strings, header_sets)
async def test_any_query_string_gets_an_answer(text: bytes, headers: dict[str, str]) -> None:
    await Bodies.query_string(text, headers)


@examples(QUICK)
@given(parameter_sets)
async def test_any_json_gets_an_answer(body: Any) -> None:
    await Bodies.parameters(body)


@examples(QUICK)
@given(fragments_of_graphql)
async def test_any_shreds_of_graphql_get_an_answer(query: str) -> None:
    await Bodies.document(query)


@examples(QUICK)
@given(operations)
async def test_any_valid_operation_gets_an_answer(query: str) -> None:
    await Bodies.document(query)


@pytest.mark.hard
@examples(LONG)
@given(raw_bodies, header_sets)
async def test_at_length_any_bytes_get_an_answer(body: bytes, headers: dict[str, str]) -> None:
    await Bodies.raw(body, headers)


@pytest.mark.hard
@examples(LONG)
@given(query_strings, header_sets)
async def test_at_length_any_query_string_gets_an_answer(text: bytes, headers: dict[str, str]) -> None:
    await Bodies.query_string(text, headers)


@pytest.mark.hard
@examples(LONG)
@given(parameter_sets)
async def test_at_length_any_json_gets_an_answer(body: Any) -> None:
    await Bodies.parameters(body)


@pytest.mark.hard
@examples(LONG)
@given(fragments_of_graphql)
async def test_at_length_any_shreds_of_graphql_get_an_answer(query: str) -> None:
    await Bodies.document(query)


@pytest.mark.hard
@examples(LONG)
@given(operations)
async def test_at_length_any_valid_operation_gets_an_answer(query: str) -> None:
    await Bodies.document(query)


# Sockets: the protocol's own frames, in any order and shape

frames = st.lists(
    st.text(max_size=30)
    | json_values.map(json.dumps)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["connection_init", "subscribe", "complete", "ping", "pong", "next", "x"])},
        optional={
            "id": st.sampled_from(["1", "2", "", 5, None]),
            "payload": json_values
            | st.sampled_from(
                [
                    {"query": "{ echo }"},
                    {"query": "subscription { count }"},
                    {"query": "{"},
                    {"authorization": "Bearer user"},
                ]
            ),
        },
    ).map(json.dumps),
    max_size=8,
)
CLOSE_CODES = {1009, 4400, 4401, 4403, 4408, 4409, 4429}


async def talk(said: list[str]) -> None:
    """Says these frames and leaves. Asserts that the server survives and ends the socket only by a known code."""
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for text in said:
        coming.put_nowait({"type": "websocket.receive", "text": text})
    coming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    heard: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        heard.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"} if not heard else await coming.get()

    scope = {"type": "websocket", "headers": [], "subprotocols": ["graphql-transport-ws"], "client": None}
    await SERVED.app(scope, receive, send)
    assert heard[0] == {"type": "websocket.accept", "subprotocol": "graphql-transport-ws"}
    for message in heard[1:]:
        assert message["type"] == "websocket.send" or message["code"] in CLOSE_CODES


@examples(QUICK)
@given(frames)
async def test_any_frames_leave_the_server_well(said: list[str]) -> None:
    await talk(said)


@pytest.mark.hard
@examples(LONG)
@given(frames)
async def test_at_length_any_frames_leave_the_server_well(said: list[str]) -> None:
    await talk(said)


# Schemathesis, over a real server


@pytest.mark.parametrize("count", [2, pytest.param(60, marks=pytest.mark.hard)])
def test_schemathesis_finds_no_server_error(count: int) -> None:
    schemathesis.graphql.scalar("_Any", representations)
    with capture_logs(), serving(make_engine().app) as address:
        schema: Any = schemathesis.graphql.from_url(f"http://{address}/graphql")
        for found in schema.get_all_operations():
            operation: Any = found.ok()

            @examples(count)
            @given(operation.as_strategy())
            def run(case: Any) -> None:
                response = case.call()
                check(response.status_code, response.json())

            run()
        answer = httpx.post(f"http://{address}/graphql", json={"query": "{ echo }"})
    assert answer.json() == {"data": {"echo": ""}}

"""Hostile bytes, JSON and documents: never a 500 but for our own `boom`, never a dead server."""

import json
from typing import Any

import pytest
from graphql import parse_value, print_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema
from structlog.testing import capture_logs

from tests.engine_harness import SCHEMA, make_engine

QUICK, LONG = 60, 2_000
CODES = {
    "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "PERSISTED_QUERY_NOT_FOUND", "UNAUTHENTICATED",
    "ACCESS_DENIED", "COST_EXCEEDED", "RATE_LIMITED", "INTERNAL",
}  # fmt: skip
FAILING = {"boom", "nothing", "_entities"}

SERVED = make_engine(hardened=True)
SDL = print_schema(SCHEMA._schema)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
fragments_of_graphql = st.lists(
    st.sampled_from([
        "{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", "on", "query", "mutation", "subscription", "fragment", "product",
        "products", "echo", "__schema", "__type", "__typename", "_entities", "F", "A", "$v", "1", "-1", "1e9", '"x"', '"""y"""', "null",
        "true", "first", "id", "name", "Product", "Int!", "@include(if: true)", "@skip", "#", "\n", "\ufeff", "\x00", "=", "|", "&",
    ]),
    max_size=40,
).map(" ".join)  # fmt: skip


representations = st.sampled_from(
    ['{__typename: "Product", id: "1"}', '{__typename: "X"}', "{}", "5", '"x"', "[]", "null"]
).map(parse_value)
operations = from_schema(SDL, custom_scalars={"_Any": representations})


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


async def send(body: bytes, **headers: str) -> None:
    """Asserts that whatever is sent gets an answer in JSON with known codes and no internal error."""
    with capture_logs():
        async with SERVED.client(**{"content-type": "application/json", **headers}) as client:
            response = await client.post("/graphql", content=body)
    check(response.status_code, response.json())


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
        await send(body, **headers)

    @staticmethod
    async def parameters(body: Any) -> None:
        await send(json.dumps(body).encode())

    @staticmethod
    async def document(query: str) -> None:
        await send(json.dumps({"query": query}).encode(), accept="application/graphql-response+json")


raw_bodies = st.binary(max_size=300) | st.text().map(
    lambda text: ('{"query": "' + text + '"}').encode("utf-8", "surrogatepass")
)
header_sets = st.dictionaries(
    st.sampled_from(["accept", "content-type", "content-encoding", "authorization", "origin", "x-request-id", "expect"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
    | st.sampled_from(["*/*", "application/json", "text/event-stream", "application/json;charset=\"utf-8\"", "a/b;q=nan", ";;;", "Bearer x"]),
    max_size=3,
)  # fmt: skip
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

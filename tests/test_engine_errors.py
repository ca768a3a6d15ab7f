"""What a failing operation tells its client, and what it keeps to the log."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import strawberry
from structlog.testing import capture_logs

from tests.engine_harness import make_engine, resolver, source

HIDDEN = "password of the database"


@pytest.mark.parametrize("hardened", [False, True])
async def test_an_unforeseen_exception_is_an_id_for_the_client_and_a_trace_for_the_log(*, hardened: bool) -> None:
    with capture_logs() as logs:
        answer = await make_engine(hardened=hardened).ask("{ echo boom }")
    (error,) = answer["errors"]
    assert answer["data"] == {"echo": "", "boom": None}
    assert error["message"] == "Internal error (内部错误)"
    assert set(error["extensions"]) == {"code", "id"}
    assert error["extensions"]["code"] == "INTERNAL"
    (entry,) = logs
    assert entry["error_id"] == error["extensions"]["id"]
    assert str(entry["exc_info"]) == HIDDEN
    assert entry["path"] == ["boom"]


async def test_a_null_in_a_non_null_place_is_internal() -> None:
    with capture_logs():
        answer = await make_engine().ask("{ nothing }")
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "non-nullable" not in str(answer)


async def test_our_own_errors_keep_their_text_and_extensions() -> None:
    answer = await make_engine().ask("{ busy }")
    assert answer["errors"] == [
        {
            "message": "Too busy (太忙)",
            "extensions": {"code": "RATE_LIMITED", "after": 3},
            "locations": [{"line": 1, "column": 3}],
            "path": ["busy"],
        }
    ]


async def test_a_null_variable_at_a_non_null_argument_with_a_default_is_the_clients_mistake() -> None:
    answer = await make_engine().ask("query ($t: String) { echo(text: $t) }", {"t": None})
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "$t" in error["message"]


async def test_wrong_variables_are_all_told_up_to_ten() -> None:
    variables = ", ".join(f"$v{n}: Int!" for n in range(30))
    uses = " ".join(f"a{n}: number(value: $v{n})" for n in range(20))
    answer = await make_engine().ask(
        f"query ({variables}) {{ {uses} {' '.join(f'... {{ b{n}: number(value: $v{n}) }}' for n in range(20, 30))} }}"
    )
    assert answer["errors"][0]["extensions"]["code"] == "COST_EXCEEDED"
    few = (
        "query ("
        + ", ".join(f"$v{n}: Int!" for n in range(15))
        + ") { "
        + " ".join(f"a{n}: number(value: $v{n})" for n in range(15))
        + " }"
    )
    answer = await make_engine().ask(few)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}
    assert len(answer["errors"]) == 10


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ prodct { id } }", None),
        ("{ product { nam } }", None),
        ("query ($v: Strin) { echo(text: $v) }", None),
        ("{ product(ID: 1) { id } }", None),
        ("{ product { ... on Prodct { id } } }", None),
        ("query ($f: Filter) { products(filter: $f) { totalCount } }", {"f": {"txt": "x"}}),
        ("{ products(filter: {txt: 1}) { totalCount } }", None),
    ],
)
async def test_suggestions_help_in_development_and_are_gone_when_hardened(query: str, variables: Any) -> None:
    assert "Did you mean" in str(await make_engine().ask(query, variables))
    assert "Did you mean" not in str(await make_engine(hardened=True).ask(query, variables))


INTROSPECTIONS = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Query") { name } }',
    "query { ...F } fragment F on Query { __schema { queryType { name } } }",
    "{ ... { hidden: __schema { queryType { name } } } }",
    "{ _service { sdl } }",
]


@pytest.mark.parametrize("query", INTROSPECTIONS)
async def test_the_schema_is_open_in_development(query: str) -> None:
    assert "errors" not in await make_engine().ask(query)


@pytest.mark.parametrize("query", INTROSPECTIONS)
async def test_hardened_the_schema_is_for_administrators_only(query: str) -> None:
    served = make_engine(hardened=True)
    assert (await served.ask(query))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    answer = await served.ask(query, authorization="Bearer user")
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert "data" not in answer
    assert "errors" not in await served.ask(query, authorization="Bearer admin")


async def test_hardened_typename_stays_open() -> None:
    assert await make_engine(hardened=True).ask("{ __typename }") == {"data": {"__typename": "Query"}}


async def test_a_lone_surrogate_in_a_result_goes_out_escaped() -> None:
    async with make_engine().client() as client:
        response = await client.post("/graphql", json={"query": "{ surrogate }"})
    assert (response.status_code, response.content) == (200, b'{"data": {"surrogate": "\\ud800"}}')


async def test_a_kind_of_operation_that_the_schema_lacks_is_the_clients_mistake() -> None:
    @strawberry.type(name="Query")
    class Lonely:
        @resolver(access="public")
        def field(self) -> str:
            return ""

    answer = await make_engine(schema=strawberry.Schema(Lonely)).ask("mutation { anything }")
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_context_that_cannot_be_made_is_internal() -> None:
    def context(*_: Any) -> Any:
        raise RuntimeError(HIDDEN)

    with capture_logs():
        answer = await make_engine(context=context).ask("{ echo }")
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_a_cancelled_future_shared_by_siblings_does_not_end_the_request() -> None:
    @strawberry.type(name="Query")
    class Sharing:
        @resolver(access="public")
        async def shared(self) -> str | None:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            future.cancel()
            return await future

    with capture_logs():
        answer = await make_engine(schema=strawberry.Schema(Sharing)).ask("{ shared }")
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_a_cancelled_future_in_the_source_of_a_subscription_ends_it_with_an_error() -> None:
    @strawberry.type(name="Query")
    class Nothing:
        @resolver(access="public")
        def field(self) -> str:
            return ""

    @strawberry.type
    class Subscription:
        @source(access="public")
        async def shared(self) -> AsyncGenerator[int, None]:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            future.cancel()
            yield await future

    schema = strawberry.Schema(Nothing, subscription=Subscription)
    with capture_logs():
        async with make_engine(schema=schema).client(accept="text/event-stream") as client:
            response = await client.post("/graphql", json={"query": "subscription { shared }"})
    assert '"code":"INTERNAL"' in response.text
    assert response.text.endswith("event: complete\ndata:\n\n")

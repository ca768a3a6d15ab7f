"""What gateways and routers ask: entities, with errors that name the mistake, the SDL, and ftv1 traces."""

from base64 import b64decode
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine import Limits
from tests.engine_harness import make_engine

ENTITIES = "query ($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Product { id name } } }"
KEYLESS = "The representation of Product lacks its key: id or code maker (Product 的实体引用缺少键：id or code maker)"
TRACED: dict[str, Any] = {"apollo-federation-include-trace": "ftv1"}


async def entities(*representations: Any, **options: Any) -> dict[str, Any]:
    return await make_engine(**options).ask(ENTITIES, {"r": list(representations)})


def row(key: str) -> dict[str, str]:
    return {"__typename": "Product", "id": key, "name": f"Product {key}"}


async def test_entities_come_in_the_order_of_their_representations() -> None:
    answer = await entities({"__typename": "Product", "id": "2"}, {"__typename": "Product", "id": "1"})
    assert answer == {"data": {"_entities": [row("2"), row("1")]}}


async def test_an_entity_that_does_not_exist_is_null_without_an_error() -> None:
    assert await entities({"__typename": "Product", "id": "none"}) == {"data": {"_entities": [None]}}


@pytest.mark.parametrize(
    ("representation", "message"),
    [
        (
            {"__typename": "NoSuchType", "id": 1},
            "NoSuchType is not an entity of this service (NoSuchType 不是本服务的实体)",
        ),
        ({"__typename": "Query", "id": 1}, "Query is not an entity of this service (Query 不是本服务的实体)"),
        ({"__typename": "Company", "name": "x"}, "Company is not an entity of this service (Company 不是本服务的实体)"),
        ({"id": 1}, "A representation lacks __typename (实体引用缺少 __typename)"),
        ({"__typename": 5, "id": 1}, "A representation lacks __typename (实体引用缺少 __typename)"),
        (
            {"__typename": "Product"},
            KEYLESS,
        ),
        (
            {"__typename": "Product", "id": None},
            KEYLESS,
        ),
        (
            {"__typename": "Product", "code": 1},
            KEYLESS,
        ),
        ("text", "A representation must be an object (实体引用须为对象)"),
        ([], "A representation must be an object (实体引用须为对象)"),
    ],
)
async def test_a_wrong_representation_gets_its_own_clear_error_and_the_others_resolve(
    representation: Any, message: str
) -> None:
    good = {"__typename": "Product", "id": "1"}
    answer = await entities(good, representation, good)
    assert answer["data"] == {"_entities": [row("1"), None, row("1")]}
    (error,) = answer["errors"]
    assert (error["message"], error["path"]) == (message, ["_entities", 1])
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_second_key_serves_too() -> None:
    with capture_logs():
        answer = await entities({"__typename": "Product", "code": "c", "maker": {"id": "m"}})
    assert "key" not in answer["errors"][0]["message"]  # the key is whole; this class resolves by id only


async def test_representations_as_literals() -> None:
    answer = await make_engine().ask(
        '{ _entities(representations: [{__typename: "Product", id: "1"}]) { ... on Product { id } } }'
    )
    assert answer == {"data": {"_entities": [{"id": "1"}]}}


async def test_a_hundred_representations_run_and_more_are_refused() -> None:
    good = {"__typename": "Product", "id": "1"}
    assert len((await entities(*[good] * 100))["data"]["_entities"]) == 100
    for count in (101, 1000):
        answer = await entities(*[good] * count)
        extensions = answer["errors"][0]["extensions"]
        assert extensions == {"code": "COST_EXCEEDED", "limit": "representations", "max": 100, "value": count}


async def test_the_limit_of_representations_can_be_set() -> None:
    good = {"__typename": "Product", "id": "1"}
    assert "errors" not in await entities(good)
    assert Limits().representations == 100


async def test_the_sdl_is_open_in_development() -> None:
    sdl = (await make_engine().ask("{ _service { sdl } }"))["data"]["_service"]["sdl"]
    assert 'url: "https://specs.apollo.dev/federation/v2.9"' in sdl
    assert '@key(fields: "id")' in sdl


# Traces


async def test_a_router_that_asks_for_a_trace_gets_one() -> None:
    answer = await make_engine().ask("{ product { id related { name } } }", **TRACED)
    trace = b64decode(answer["extensions"]["ftv1"])
    assert b"product" in trace
    assert b"related" in trace
    assert b"Product" in trace


async def test_without_the_header_there_is_no_trace() -> None:
    assert "extensions" not in await make_engine().ask("{ echo }")
    assert "extensions" not in await make_engine().ask(
        "{ echo }", **{**TRACED, "apollo-federation-include-trace": "ftv2"}
    )


async def test_hardened_traces_are_for_administrators_only() -> None:
    served = make_engine(hardened=True)
    assert "extensions" not in await served.ask("{ echo }", **TRACED)
    assert "extensions" not in await served.ask("{ echo }", authorization="Bearer user", **TRACED)
    assert "ftv1" in (await served.ask("{ echo }", authorization="Bearer admin", **TRACED))["extensions"]


async def test_a_trace_tells_no_more_of_an_error_than_the_answer_does() -> None:
    with capture_logs():
        answer = await make_engine().ask("{ boom busy }", **TRACED)
    trace = b64decode(answer["extensions"]["ftv1"])
    assert b"password" not in trace
    assert b"Internal error" in trace
    assert "Too busy (太忙)".encode() in trace

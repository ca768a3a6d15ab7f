"""Documents are read once: which operation is meant, what is remembered, and what bounds the memory."""

from typing import Any

import pytest

from engine import Limits
from engine.documents import Documents
from engine.errors import RequestError
from engine.lru import Lru
from tests.engine_harness import SCHEMA, make_engine

TWO = "query A { echo } query B { context }"


def documents() -> Documents:
    return Documents(SCHEMA._schema, Limits(), suggestions=True)


@pytest.mark.parametrize(("name", "keys"), [("A", ["echo"]), ("B", ["context"])])
async def test_the_named_operation_runs(name: str, keys: list[str]) -> None:
    async with make_engine().client() as client:
        response = await client.post("/graphql", json={"query": TWO, "operationName": name})
    assert list(response.json()["data"]) == keys


@pytest.mark.parametrize("name", [None, "", "C", "a"])
async def test_of_several_operations_none_runs_unless_it_is_named(name: str | None) -> None:
    served = make_engine()
    async with served.client() as client:
        response = await client.post("/graphql", json={"query": TWO, "operationName": name})
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert served.infos == []


async def test_a_lone_operation_needs_no_name() -> None:
    assert await make_engine().ask("query A { echo }") == {"data": {"echo": ""}}


def test_a_document_is_read_once() -> None:
    known = documents()
    first = known.select("{ echo }", None)
    assert known.select("{ echo }", None) is first
    assert known.select("{ echo  }", None) is not first


def test_a_failure_is_remembered_as_text_and_raised_anew() -> None:
    known = documents()
    with pytest.raises(RequestError) as first:
        known.select("{ missing }", None)
    with pytest.raises(RequestError) as second:
        known.select("{ missing }", None)
    assert first.value is not second.value
    assert first.value.errors[0] is second.value.errors[0]


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache: Lru[int] = Lru(entries=2, weight=100)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 1)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_the_cache_is_bounded_by_weight_too() -> None:
    cache: Lru[int] = Lru(entries=100, weight=10)
    for number in range(5):
        cache.put(str(number), number, 4)
    assert len(cache) == 2
    cache.put("huge", 9, 11)
    assert cache.get("huge") is None
    cache.put("4", 5, 8)
    assert (len(cache), cache.get("4")) == (1, 5)


def test_what_is_kept_may_come_to_weigh_more() -> None:
    cache: Lru[int] = Lru(entries=100, weight=10)
    for key in "abc":
        cache.put(key, 1, 3)
    cache.grow("c", 3)
    assert (cache.weight, [cache.get(key) for key in "abc"]) == (9, [None, 1, 1])
    cache.grow("a", 3)
    assert (cache.weight, len(cache)) == (9, 2)
    cache.grow("b", 8)
    assert (cache.weight, [cache.get(key) for key in "abc"]) == (6, [None, None, 1])


async def test_operations_by_one_name_twice_are_refused() -> None:
    answer: dict[str, Any] = await make_engine().ask("query A { echo } query A { context }")
    assert answer["errors"][0]["message"] == "There can be only one operation named 'A'."


@pytest.mark.parametrize(
    "query", ["", "   ", "# nothing", "{ }", "{ product { } }", "fragment F on Query { echo }", "type T { a: Int }"]
)
async def test_documents_without_anything_to_run_get_an_error(query: str) -> None:
    answer = await make_engine().ask(query)
    assert answer["errors"][0]["extensions"]["code"] in (
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "BAD_USER_INPUT",
    )

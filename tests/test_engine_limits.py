"""What an operation may not exceed. All of it is refused before any resolver runs."""

import json
from typing import Any

import pytest
from graphql import get_introspection_query, parse

from engine import Limits
from engine.measure import Ruler
from tests.engine_harness import Served, make_engine


async def refused(query: str, variables: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The extensions of the one error of an operation that must not have run."""
    served = make_engine(**options)
    answer = await served.ask(query, variables)
    assert "data" not in answer
    assert served.infos == []
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "COST_EXCEEDED"
    assert "(操作超过上限" in error["message"]
    extensions: dict[str, Any] = error["extensions"]
    return extensions


async def runs(query: str, variables: dict[str, Any] | None = None, **options: Any) -> Served:
    served = make_engine(**options)
    answer = await served.ask(query, variables)
    assert "errors" not in answer, answer
    return served


def nested(levels: int) -> str:
    """A query whose deepest field is that many levels down."""
    return "{ product " + "{ parent " * (levels - 2) + "{ id " + "}" * (levels - 1) + "}"


async def test_depth_12_runs_and_depth_13_is_refused() -> None:
    await runs(nested(12))
    assert await refused(nested(13)) == {"code": "COST_EXCEEDED", "limit": "depth", "max": 12, "value": 13}


async def test_depth_hidden_in_fragments_is_found() -> None:
    fragments = " ".join(f"fragment F{n} on Product {{ parent {{ ...F{n + 1} }} }}" for n in range(20))
    query = f"{{ product {{ ...F0 }} }} {fragments} fragment F20 on Product {{ id }}"
    assert await refused(query) == {"code": "COST_EXCEEDED", "limit": "depth", "max": 12, "value": 22}


async def test_depth_20_over_a_list_is_refused_at_once() -> None:
    assert (await refused("{ best " + "{ related " * 18 + "{ id }" + "}" * 19))["value"] == 20


@pytest.mark.parametrize(
    "shape", ["{a" * 10_000, "{" * 10_000, "[" * 10_000, "{echo(text:" + "[" * 900 + "]" * 900 + ")}"]
)
async def test_documents_ten_thousand_deep_get_an_error(shape: str) -> None:
    answer = await make_engine().ask(shape)
    assert answer["errors"][0]["extensions"]["code"] in ("COST_EXCEEDED", "GRAPHQL_PARSE_FAILED")


async def test_thirty_aliases_run_and_thirty_one_are_refused() -> None:
    def aliased(count: int) -> str:
        return "{ product { " + " ".join(f"a{n}: id" for n in range(count)) + " } }"

    await runs(aliased(30))
    assert await refused(aliased(31)) == {"code": "COST_EXCEEDED", "limit": "aliases", "max": 30, "value": 31}


async def test_aliases_multiplied_by_fragments_are_counted_as_often_as_they_are_spread() -> None:
    fields = " ".join(f"a{n}: id" for n in range(15))
    query = (
        "{ product { "
        + " ".join(f"p{n}: parent {{ ...F }}" for n in range(9))
        + f" }} }} fragment F on Product {{ {fields} }}"
    )
    assert (await refused(query))["value"] == 9 + 9 * 15


async def test_101_aliases_of_typename_are_refused() -> None:
    query = "{ product { " + " ".join(f"alias{n}: __typename" for n in range(101)) + " } }"
    assert (await refused(query))["limit"] == "aliases"


async def test_twenty_root_fields_run_and_more_are_refused() -> None:
    await runs("{ " + "echo " * 20 + "}")
    assert await refused("{ " + "__typename " * 500 + "}") == {
        "code": "COST_EXCEEDED",
        "limit": "root_fields",
        "max": 20,
        "value": 500,
    }
    spread = "{ " + "...F " * 11 + "} fragment F on Query { echo context }"
    assert (await refused(spread))["value"] == 22


async def test_mutations_count_their_root_fields_too() -> None:
    assert (await refused("mutation { " + "touch { id } " * 21 + "}"))["limit"] == "root_fields"


async def test_500_duplicated_fields_are_refused() -> None:
    assert await refused("{ product { " + "id " * 500 + "} }") == {
        "code": "COST_EXCEEDED",
        "limit": "fields",
        "max": 500,
        "value": 501,
    }


async def test_exponential_fragments_are_counted_without_being_walked() -> None:
    fragments = " ".join(f"fragment F{n} on Product {{ ...F{n + 1} ...F{n + 1} }}" for n in range(100))
    query = f"{{ product {{ ...F0 }} }} {fragments} fragment F100 on Product {{ id }}"
    document = parse(query)
    measure = Ruler(document).measure(document.definitions[0])  # type: ignore[arg-type]
    assert measure.fields == 2**100 + 1
    assert await refused(query) == {"code": "COST_EXCEEDED", "limit": "fields", "max": 500, "value": 10**9}


async def test_fifty_directives_run_and_sixty_are_refused() -> None:
    def directed(count: int) -> str:
        return "{ product { " + "id @include(if: true) " * count + "} }"

    await runs(directed(50))
    assert await refused(directed(60)) == {"code": "COST_EXCEEDED", "limit": "directives", "max": 50, "value": 60}


async def test_directives_of_operations_variables_and_fragments_count() -> None:
    document = parse("query ($v: Int @a @b) @c { ...F @d ... @e { echo } } fragment F on Query @f { echo @g }")
    assert Ruler(document).measure(document.definitions[0]).directives == 7  # type: ignore[arg-type]


async def test_ten_equal_unknown_directives_give_one_error_with_all_places() -> None:
    answer = await make_engine().ask("query cop { __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }")
    assert len(answer["errors"]) < 10
    first = answer["errors"][0]
    assert first["message"] == "Unknown directive '@aa'."
    assert len(first["locations"]) == 9


async def test_at_most_ten_validation_errors_are_told() -> None:
    answer = await make_engine().ask("{ product { " + " ".join(f"missing{n}" for n in range(400)) + " } }")
    assert len(answer["errors"]) == 10


@pytest.mark.parametrize(
    ("query", "limit", "maximum"),
    [
        ("{ product { " + "id " * 100_000 + "} }", "source", 100_000),
        ("{ product { " + "id " * 2_000 + "} }", "tokens", 2_000),
        ("#\n" * 1_000 + "{ echo }", "comments", 200),
        (" ".join(f"query Q{n} {{ echo }}" for n in range(1_000)), "tokens", 2_000),
        ('{ echo(text: """' + "a" * 100_000 + '""") }', "source", 100_000),
    ],
)
async def test_long_documents_are_refused_before_they_are_parsed_whole(query: str, limit: str, maximum: int) -> None:
    extensions = await refused(query)
    assert (extensions["limit"], extensions["max"]) == (limit, maximum)


async def test_fragment_cycles_are_refused_in_words() -> None:
    answer = await make_engine().ask(
        "{ product { ...A } } fragment A on Product { parent { ...B } } fragment B on Product { ...A }"
    )
    assert "Cannot spread fragment 'A' within itself" in answer["errors"][0]["message"]


async def test_very_long_chains_of_fragments_are_measured_or_refused_but_never_crash() -> None:
    chain = " ".join(f"fragment F{n} on Product {{ ...F{n + 1} }}" for n in range(230))
    answer = await make_engine().ask(f"{{ product {{ ...F0 }} }} {chain} fragment F230 on Product {{ id }}")
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    assert codes in ([], ["COST_EXCEEDED"], ["GRAPHQL_VALIDATION_FAILED"])


# Cost


TWO_ENTITIES = """{
  _entities(representations: [{__typename: "Product", id: 1}, {__typename: "Product", id: 2}]) {
    ... on Product { parent { id } }
  }
}"""


def costing(cost: int) -> Limits:
    return Limits(cost=cost)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ echo }", 1),  # a leaf is a quarter, and the sum is rounded up
        ("{ product { id name } }", 2),
        ("{ product { id related { id } } }", 17),  # 1.25 + 5 as `related` declares + 10 items of at least 1
        ("{ products(first: 7) { nodes { id name } } }", 1 + 1 + 7 * 1),  # a row of leaves is not free
        ("{ best { parent { id } } }", 5),  # a declared size
        ("{ byIds(ids: [1, 2, 3, 4]) { parent { id } } }", 1 + 5),  # a size named by an argument
        ("{ product { related { parent { id } } } }", 19),  # the assumed size
        ("{ products(first: 7) { totalCount } }", 2),
        ("{ products(first: 7) { nodes { parent { id } } } }", 11),  # a connection's own lists
        ("{ products { nodes { parent { id } } } }", 1 + 1 + 25),  # the argument's default
        ("{ products(first: 7) { nodes { related { parent { id } } } } }", 125),
        ("{ ...F ... on Query { product { id } } ... { product { id } } } fragment F on Query { product { id } }", 4),
        ("{ products(first: -5) { nodes { parent { id } } } }", 1 + 1),
        ("{ __schema { types { name fields { name } } } }", 0),
        ("mutation { touch { id } }", 2),
        (
            TWO_ENTITIES,
            4,
        ),
    ],
)
async def test_the_cost_of_an_operation(query: str, cost: int) -> None:
    await runs(query, limits=costing(cost))
    if cost:
        extensions = await refused(query, limits=costing(cost - 1))
        assert (extensions["limit"], extensions["value"]) == ("cost", cost)


@pytest.mark.parametrize(
    ("variables", "cost"),
    [({"n": 9}, 14), ({"n": None}, 15), ({}, 2 + 5)],
)
async def test_the_cost_follows_the_value_of_a_variable_or_its_default(variables: dict[str, Any], cost: int) -> None:
    query = "query ($n: Int = 4) { products(first: $n) { nodes { parent { id } } } }"
    await runs(query, variables, limits=costing(cost))
    assert (await refused(query, variables, limits=costing(cost - 1)))["value"] == cost


async def test_a_subscription_has_a_cost_too() -> None:
    async with make_engine(limits=costing(0)).client(accept="text/event-stream") as client:
        response = await client.post("/graphql", json={"query": "subscription { ticks { number } }"})
    (told,) = [line for line in response.text.splitlines() if line.startswith("data: {")]
    assert json.loads(told.removeprefix("data: "))["errors"][0]["extensions"]["limit"] == "cost"


async def test_a_subscription_has_exactly_one_root_field() -> None:
    answer = await make_engine().ask("subscription { count forever }")
    assert answer["errors"][0]["message"] == "Anonymous Subscription must select only one top level field."


# Introspection


async def test_the_standard_introspection_query_runs() -> None:
    served = await runs(get_introspection_query(descriptions=True))
    assert len(served.finished) == 1


async def test_introspection_has_a_depth_of_its_own() -> None:
    types = "{ ofType " * 18 + "{ name }" + "}" * 18
    query = '{ __type(name: "Query") { fields { type ' + types + " } } }"
    assert (await refused(query))["max"] == 20


async def test_circular_introspection_is_refused() -> None:
    query = "{ __schema { types " + "{ fields { type " * 4 + "{ name } " + "} }" * 4 + " } }"
    answer = await make_engine().ask(query)
    assert answer["errors"][0]["message"] == "Maximum introspection depth exceeded"

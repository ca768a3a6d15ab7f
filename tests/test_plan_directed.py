"""Each trap that a compiled plan could fall into, met on purpose: documents, arguments, viewers, mutations, events."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from graphql import parse
from structlog.testing import capture_logs

from auth.access import Rule
from auth.viewer import ANONYMOUS, STAFF, Viewer
from engine.compile import Plan, compile_plan
from engine.gate import gate
from engine.params import Params
from engine.reference import Reference
from engine.variants import MOST, PATIENCE
from kit.metrics import RUNS_FALLBACK, RUNS_REFERENCE
from tests.comparison import REQUEST, Answered, ask, compare, ruled
from tests.engine_harness import ADMIN, USER
from tests.plan_pair import Answer, Pair, fill, put
from tests.plan_schema import SCHEMA, thing, world

OWNERS = {"content.manage": Rule(STAFF, own="owner")}


@pytest.fixture
def pair() -> Iterator[Pair]:
    fill()
    with capture_logs():
        yield Pair()


# -- keys and fragments ------------------------------------------------------------------------------------------------


async def test_keys_come_in_the_order_of_the_document_with_fragments_and_merged_fields(pair: Pair) -> None:
    text = """query ($no: Boolean! = false) {
      thing { name next { id } ...F inner { name } id next { name } label slow(turns: 0) x: name ... on Named { name } }
      __typename
      second: thing(id: 2) { id @skip(if: $no) ... @include(if: $no) { label } }
    }
    fragment F on Thing { label inner { must } pages(first: 1) { of } }"""
    answer = await pair.same(text)
    assert list(answer["data"]) == ["thing", "__typename", "second"]
    assert list(answer["data"]["thing"]) == ["name", "next", "label", "inner", "pages", "id", "slow", "x"]
    assert answer["data"]["thing"]["next"] == {"id": 2, "name": "Thing 2"}
    assert answer["data"]["second"] == {"id": 2}


async def test_conditions_hold_for_their_own_run_only(pair: Pair) -> None:
    text = "query ($a: Boolean!, $b: Boolean = false) { thing { id @include(if: $a) name @skip(if: $b) label } }"
    seen = [
        list((await pair.same(text, variables))["data"]["thing"])
        for variables in ({"a": True}, {"a": False}, {"a": True, "b": True}, {"a": False, "b": False}, {"a": True})
    ]
    assert seen == [
        ["id", "name", "label"],
        ["name", "label"],
        ["id", "label"],
        ["name", "label"],
        ["id", "name", "label"],
    ]


@pytest.mark.parametrize(
    "part", ["... @include(if: $a) { name }", "...F @include(if: $a)", "... on Thing { ...F @include(if: $a) }"]
)
async def test_conditions_of_fragments_hold_for_their_own_run_only(pair: Pair, part: str) -> None:
    fragment = "fragment F on Thing { name }" if "F" in part else ""
    text = f"query ($a: Boolean!) {{ thing {{ id {part} }} }} {fragment}"
    for chosen in (True, False, True):
        assert ("name" in (await pair.same(text, {"a": chosen}))["data"]["thing"]) is chosen


async def test_a_condition_that_is_null_is_an_error_and_stays_one(pair: Pair) -> None:
    text = "query ($a: Boolean = true) { word @include(if: $a) }"
    world.value = "x"
    assert await pair.same(text) == {"data": {"word": "x"}}
    for _ in range(2):
        assert (await pair.same(text, {"a": None}, planned=False))["errors"][0]["message"].startswith("Argument 'if'")


async def test_more_variants_than_are_kept_are_the_references(pair: Pair) -> None:
    names = [f"v{number}" for number in range(5)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    text = (
        f"query ({declared}) {{ thing {{ id {' '.join(f'{name}: name @include(if: ${name})' for name in names)} }} }}"
    )
    for number in range(2**5):
        chosen = {name: bool(number >> place & 1) for place, name in enumerate(names)}
        answer = await pair.same(text, chosen, planned=number < MOST)
        assert list(answer["data"]["thing"]) == ["id", *(name for name in names if chosen[name])]


# -- arguments ---------------------------------------------------------------------------------------------------------

ASKED: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("{ echo }", {}),
    ("{ echo(number: 1, text: null, maybe: null, given: null) }", {}),
    ("{ echo(xs: 3) }", {}),
    ("{ echo(xs: []) }", {}),
    ("{ echo(real: 3, key: 7) }", {}),
    ('{ echo(key: "7", colour: RED, given: {}) }', {}),
    ("{ echo(given: {text: null, colours: BLUE, inner: {number: 9, inner: {}}}) }", {}),
    ("query ($n: Int) { echo(number: $n) }", {}),
    ("query ($n: Int) { echo(number: $n) }", {"n": 3}),
    ("query ($n: Int) { echo(number: $n) }", {"n": None}),
    ("query ($n: Int = 4) { echo(number: $n, maybe: $n) }", {}),
    ("query ($n: Int = 4) { echo(number: $n, maybe: $n) }", {"n": None}),
    ("query ($n: Int = null) { echo(maybe: $n) }", {}),
    ("query ($n: Int) { echo(maybe: $n) }", {}),
    ("query ($n: Int) { echo(maybe: $n) }", {"n": None}),
    ("query ($n: Int) { echo(maybe: $n) }", {"n": 1.0}),
    ("query ($n: Int) { echo(maybe: $n) }", {"n": True}),
    ("query ($n: Int) { echo(maybe: $n) }", {"n": 2**31}),
    ("query ($t: String) { echo(text: $t) }", {"t": "x"}),
    ("query ($t: String) { echo(text: $t) }", {"t": 7}),
    ("query ($f: Float) { echo(real: $f) }", {"f": 3}),
    ("query ($k: ID) { echo(key: $k) }", {"k": 7}),
    ("query ($xs: [Int!]) { echo(xs: $xs) }", {}),
    ("query ($xs: [Int!]) { echo(xs: $xs) }", {"xs": None}),
    ("query ($xs: [Int!]) { echo(xs: $xs) }", {"xs": 3}),
    ("query ($xs: [Int!]!) { echo(xs: $xs) }", {"xs": [3, 4]}),
    ("query ($x: Int!) { echo(xs: [$x, 2]) }", {"x": 1}),
    ("query ($x: Int!) { echo(xs: [$x, 2], maybe: $x) }", {}),
    ("query ($x: Int!) { echo(maybe: $x) }", {}),
    ("query ($x: Int!) { echo(maybe: $x) }", {"x": None}),
    ("query ($x: Int!) { echo(xs: $x) }", {"x": 1}),
    ("query ($c: Colour!) { echo(colour: $c) }", {"c": "GREEN"}),
    ("query ($c: Colour!) { echo(colour: $c) }", {"c": "crimson"}),
    ("query ($c: Colour) { echo(colour: $c, given: {colours: [$c]}) }", {}),
    ("query ($g: Given) { echo(given: $g) }", {}),
    ("query ($g: Given) { echo(given: $g) }", {"g": None}),
    ("query ($g: Given) { echo(given: $g) }", {"g": {"colours": ["RED"], "inner": {"text": "x"}}}),
    ("query ($g: Given) { echo(given: $g) }", {"g": {"no": 1}}),
    ("query ($t: String, $n: Int!) { echo(given: {text: $t, number: $n}) }", {"n": 1}),
    ("query ($t: String, $n: Int!) { echo(given: {text: $t, number: $n}) }", {"n": 1, "t": None}),
)


@pytest.mark.parametrize(("text", "variables"), ASKED)
async def test_arguments_reach_a_resolver_as_the_reference_gives_them(
    pair: Pair, text: str, variables: Mapping[str, Any]
) -> None:
    """Twice, since what one run does to its arguments must not reach the next."""
    for _ in range(2):
        await pair.same(text, variables, planned=None)


SOURCED: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("{ thing { id } }", {}),
    ("{ thing(id: 2) { id } }", {}),
    ("query ($n: Int) { thing(id: $n) { id } }", {}),
    ("query ($n: Int) { thing(id: $n) { id } }", {"n": 3}),
    ("query ($n: Int) { thing(id: $n) { id } }", {"n": None}),
    ("query ($n: Int! = 2) { thing(id: $n) { id } }", {}),
    ("query ($n: Int) { thing { pages(first: $n) { of nodes { id } } } }", {}),
    ("query ($n: Int) { thing { pages(first: $n) { of nodes { id } } } }", {"n": 1}),
    ("query ($n: Int) { thing { pages(first: $n) { of nodes { id } } } }", {"n": None}),
    ("query ($n: Int = 3) { thing { pages(first: $n) { of nodes { id } } } }", {}),
    ("{ thing { pages(first: null) { of nodes { id } } } }", {}),
    ("{ thing { pages(colour: null) { of } } }", {}),
    ("query ($c: Colour) { thing { pages(colour: $c) { of } } }", {}),
    ("query ($c: Colour) { thing { pages(colour: $c) { of } } }", {"c": None}),
    ("query ($c: Colour = RED) { thing { pages(colour: $c) { of } } }", {}),
    ("query ($c: Colour = RED) { thing { pages(first: 3, colour: $c) { of } } }", {"c": "BLUE"}),
    ("{ thing { pages { of } } }", {}),
)


@pytest.mark.parametrize(("text", "variables"), SOURCED)
async def test_arguments_reach_a_source_as_the_reference_gives_them(
    pair: Pair, text: str, variables: Mapping[str, Any]
) -> None:
    await pair.same(text, variables, planned=not (variables.get("n", 0) is None and "thing(id" in text))


async def test_each_run_has_its_own_variables(pair: Pair) -> None:
    text = "query ($n: Int!, $m: Int) { thing(id: $n) { id pages(first: $m) { nodes { id } } } echo(number: $n) }"
    for number, most in ((1, 2), (2, 1), (1, None), (3, 3)):
        answer = await pair.same(text, {"n": number, "m": most})
        assert answer["data"]["thing"]["id"] == number
        assert len(answer["data"]["thing"]["pages"]["nodes"]) == (most or 5)


# -- who asks ----------------------------------------------------------------------------------------------------------


async def test_a_field_behind_a_rule_is_null_and_its_relation_is_not_fetched(pair: Pair) -> None:
    text = "{ thing { secret secretNext { id } id } }"
    assert (await pair.same(text))["data"]["thing"] == {"secret": None, "secretNext": None, "id": 1}
    assert pair.asked == [("things", [1], {}, frozenset({"id"}))]
    assert (await pair.same(text, viewer=USER))["data"]["thing"] == {
        "secret": "secret 1",
        "secretNext": {"id": 2},
        "id": 1,
    }
    assert (await pair.same(text))["data"]["thing"]["secret"] is None


async def test_a_denied_field_that_may_not_be_null_is_an_error(pair: Pair) -> None:
    for viewer, data in ((ANONYMOUS, None), (USER, {"mustSecret": "secret 1"}), (ANONYMOUS, None)):
        answer = await pair.same("{ thing { mustSecret } }", viewer=viewer, planned=viewer is USER)
        assert answer["data"] == {"thing": data}


async def test_a_rule_for_owners_is_decided_for_each_row(pair: Pair) -> None:
    for number in (1, 3, 4):
        world.rows[number]["owner"] = (USER.id, ADMIN.id)[number % 2]
    text = "{ things { id mine myNext { id } } }"
    with ruled(OWNERS):
        for viewer, own in ((USER, [4]), (ADMIN, [1, 2, 3, 4, 5]), (ANONYMOUS, []), (USER, [4])):
            rows = (await pair.same(text, viewer=viewer))["data"]["things"]
            assert [row["id"] for row in rows if row["mine"]] == own
            assert [row["id"] for row in rows if row["myNext"]] == [each for each in own if each < 5]


async def test_a_rule_for_owners_reads_the_owners_column_and_nothing_for_others(pair: Pair) -> None:
    with ruled(OWNERS):
        await pair.same("{ thing { myNext { id } } }", viewer=USER)
    assert pair.asked == [("things", [1], {}, frozenset({"owner", "next_id"}))]


async def test_a_root_field_behind_a_rule_is_null_for_others(pair: Pair) -> None:
    for viewer, value, hidden in ((ANONYMOUS, None, None), (USER, "some", {"id": 1}), (ANONYMOUS, None, None)):
        answer = await pair.same("{ forSome hidden { id } __typename }", viewer=viewer)
        assert answer == {"data": {"forSome": value, "hidden": hidden, "__typename": "Query"}}
        assert len(pair.asked) == (viewer is USER)


async def test_a_field_that_is_hidden_still_refuses_wrong_arguments(pair: Pair) -> None:
    text = "query ($id: Int = 1) { hidden(id: $id) { id } }"
    assert await pair.same(text) == {"data": {"hidden": None}}
    answer = await pair.same(text, {"id": None}, planned=False)
    assert (answer["data"], answer["errors"][0]["path"]) == ({"hidden": None}, ["hidden"])


async def test_other_rules_make_another_plan(pair: Pair) -> None:
    text = "{ thing { mine } }"
    for rule, mine in ((Rule(STAFF), None), (Rule(ANONYMOUS.level), "mine 1"), (Rule(STAFF), None)):
        with ruled({"content.manage": rule}):
            assert (await pair.same(text))["data"]["thing"]["mine"] == mine


# -- whole operations --------------------------------------------------------------------------------------------------


async def test_of_several_operations_the_named_one_runs(pair: Pair) -> None:
    text = "query A { thing { id } } query B { thing(id: 2) { name } }"
    for name, expected in (("A", {"id": 1}), ("B", {"name": "Thing 2"}), ("A", {"id": 1})):
        operation = await pair.plans.open(Params(text, name, {}, {}), ANONYMOUS, REQUEST)
        assert json.loads((await pair.plans.run(operation)).body) == {"data": {"thing": expected}}


@pytest.mark.parametrize(
    "text",
    [
        "{ thing { id } __schema { queryType { name } } }",
        '{ __type(name: "Thing") { name kind } thing { id } }',
        "{ thing { id __typename } __typename }",
    ],
)
async def test_introspection_beside_data(pair: Pair, text: str) -> None:
    await pair.same(text, planned="__schema" not in text and "__type(" not in text)


@pytest.mark.parametrize("text", ["{ thing { id @no } }", "query @no { thing { id } }", "{ a: thing { id } ...X }"])
async def test_what_is_not_valid_is_refused_alike(pair: Pair, text: str) -> None:
    refused = await ask(pair.plans, text, {}, ANONYMOUS)
    assert refused.refused
    assert refused == await ask(pair.reference, text, {}, ANONYMOUS)


async def test_a_document_that_always_fails_is_soon_left_to_the_reference(pair: Pair) -> None:
    put(next_id=99)
    failed, referred = RUNS_FALLBACK._value.get(), RUNS_REFERENCE._value.get()
    for _ in range(PATIENCE + 5):
        await ask(pair.plans, "{ thing { mustNext { id } } }", {}, ANONYMOUS)
    assert RUNS_FALLBACK._value.get() - failed == PATIENCE
    assert RUNS_REFERENCE._value.get() - referred == 5


async def test_the_end_of_the_task_is_no_failure_of_the_operation(pair: Pair) -> None:
    world.turns = {"things": 10**6}
    task = asyncio.ensure_future(ask(pair.plans, "{ thing { id } }", {}, ANONYMOUS))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def planned(text: str, viewer: Viewer) -> Plan:
    """The plan of a query without variables."""
    executor_class = SCHEMA.execution_context_class
    reference = Reference(SCHEMA._schema, executor_class, hide_suggestions=False, max_errors=1)
    return compile_plan(reference.executor(parse(text), None, {}), viewer)


@pytest.mark.parametrize(
    ("text", "private", "own", "rules"),
    [
        ("{ thing { id label next { name } pages { of } } }", False, False, {"public"}),
        ("{ thing { secret next { mine } } }", False, True, {"public", "signed_in", "content.manage"}),
        ("{ forSome }", True, False, {"signed_in"}),
        ("{ thing { slow } }", True, False, {"public"}),
        ("{ leaf { saidText } }", True, False, {"public"}),
        ("{ leaf { awaitedText } }", True, False, {"public"}),
        ("{ word @skip(if: true) thing { id } }", False, False, {"public"}),
    ],
)
def test_a_plan_says_what_its_answers_depend_on(text: str, private: bool, own: bool, rules: set[str]) -> None:
    gate(SCHEMA._schema)
    with ruled(OWNERS):
        plan = planned(text, USER)
        assert (plan.private, plan.own, set(plan.decisions)) == (private, own, rules)


# -- mutations and subscriptions ---------------------------------------------------------------------------------------


async def done(pair: Pair, text: str, viewer: Viewer = ANONYMOUS) -> tuple[Answer, list[str]]:
    """What both answer to a mutation, each on rows of its own, and what was done, alike in both."""
    said: list[tuple[Answered, list[str]]] = []
    for each in (pair.plans, pair.reference):
        fill()
        said.append((await ask(each, text, {}, viewer), [act for act in world.acts if "answers" not in act]))
    (plan, acts), (reference, wanted) = said
    assert compare(plan, reference) is None
    assert acts == wanted
    return json.loads(plan.body), acts


async def test_roots_of_a_mutation_come_one_after_another_and_see_what_was_done(pair: Pair) -> None:
    text = """mutation {
      a: put(id: 1, name: "new") { name slow(turns: 9) next { name } }
      b: put(id: 2, name: "other") { name slow(turns: 0) }
      c: put(id: 1, name: "last") { name next { name } }
    }"""
    answer, acts = await done(pair, text)
    assert answer["data"]["c"] == {"name": "last", "next": {"name": "other"}}
    assert acts == ["put 1", "slow 1", "put 2", "slow 2", "put 1"]


async def test_a_mutation_whose_answer_fails_is_done_once(pair: Pair) -> None:
    answer, acts = await done(pair, "mutation { a: put(id: 5) { mustNext { id } } b: put(id: 2) { id } }")
    assert answer["data"] == {"a": None, "b": {"id": 2}}
    assert acts == ["put 5", "put 2"]


async def test_a_mutation_that_fails_is_not_tried_again(pair: Pair) -> None:
    answer, acts = await done(pair, 'mutation { a: put(id: 1, name: "x") { name } fail b: put(id: 1) { name } }')
    assert answer["data"] == {"a": {"name": "x"}, "fail": None, "b": {"name": None}}
    assert [error["path"] for error in answer["errors"]] == [["fail"]]
    assert acts == ["put 1", "fail", "put 1"]
    _, acts = await done(pair, "mutation { put(id: 1) { id } mustFail b: put(id: 2) { id } }")
    assert acts[:2] == ["put 1", "must fail"]


async def test_each_event_is_answered_as_by_the_reference(pair: Pair) -> None:
    world.rows[4] = thing(4, next_id=99)
    text = "subscription ($ids: [Int!]!) { changes(ids: $ids) { id name next { name } mustNext { id } } }"
    heard = []
    for each in (pair.plans, pair.reference):
        operation = await each.open(Params(text, None, {"ids": [1, 4, 9, 2]}, {}), ANONYMOUS, REQUEST)
        heard.append([answer.body async for answer in each.stream(operation)])
    plans, references = heard
    assert [
        compare(Answered(plan), Answered(reference)) for plan, reference in zip(plans, references, strict=True)
    ] == [None] * 4
    events = [json.loads(body)["data"]["changes"] for body in plans]
    assert [event and event["id"] for event in events] == [1, None, None, 2]
    assert all(one != other for one, other in pairwise(plans[:2]))

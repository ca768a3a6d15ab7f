"""Values, rows and relations that a compiled plan could get wrong: it answers as the reference, or leaves it to it."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from graphql import Undefined
from structlog.testing import capture_logs

from auth.viewer import ANONYMOUS
from engine.sources import AS_TEXT, CURSORS
from kit.errors import ApiError, ErrorCode
from tests.comparison import ask
from tests.plan_pair import Pair, fill, put
from tests.plan_schema import LEAVES, WAYS, Colour, thing, world


@pytest.fixture
def pair() -> Iterator[Pair]:
    fill()
    with capture_logs():
        yield Pair()


# -- leaves ------------------------------------------------------------------------------------------------------------

ODD: Sequence[Any] = (
    None,
    Undefined,
    0,
    7,
    -(2**31),
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**53,
    True,
    False,
    7.0,
    7.5,
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    Decimal(3),
    Decimal("1.50"),
    Decimal("NaN"),
    "",
    "7",
    "text",
    "crimson",
    "RED",
    "GREEN",
    "BLUE",
    "\ud800",
    b"bytes",
    Colour.RED,
    Colour.GREEN,
    UUID(int=7),
    datetime(2026, 5, 1, 12),  # noqa: DTZ001 - a moment without an offset is meant
    datetime(2026, 5, 1, 12, tzinfo=UTC),
    datetime(2026, 5, 1, 12, 0, 0, 5, tzinfo=UTC),
    datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=8))),
    date(2026, 5, 1),
    [],
    ["x", "y"],
    [1, 2],
    [1, None],
    [None],
    [2**31],
    [True],
    ["crimson", Colour.BLUE],
    [[1], [2, 3]],
    [[1], None],
    [[None]],
    (1, 2),
    {1, 2},
    {"a": [1, None]},
    {"a": 1}.keys(),
    range(3),
    ValueError("a secret of the server's"),
    [ValueError("a secret of the server's")],
    ApiError(ErrorCode.RATE_LIMITED, "Too busy (太忙)"),
    object,
)


@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("way", WAYS)
async def test_odd_values_of_leaves_go_out_as_the_reference_sends_them(pair: Pair, way: str, name: str) -> None:
    field = way + name
    camel = "".join(part.title() if number else part for number, part in enumerate(field.split("_")))
    for value in ODD:
        world.value = dict.fromkeys((name, f"must_{name}"), value)
        await pair.same(f"{{ leaf {{ {camel} x: {camel} }} }}", planned=None)


USUAL: Mapping[str, tuple[Any, Any]] = {
    "text": ("x", "x"),
    "number": (2**31 - 1, 2**31 - 1),
    "real": (0.5, 0.5),
    "flag": (True, True),
    "key": ("7", "7"),
    "moment": (datetime(2026, 5, 1, 12, tzinfo=UTC), "2026-05-01T12:00:00+00:00"),
    "day": (date(2026, 5, 1), "2026-05-01"),
    "amount": (Decimal("1.50"), "1.50"),
    "any": ({"a": [1, None]}, {"a": [1, None]}),
    "colour": ("crimson", "RED"),
    "texts": (["x"], ["x"]),
    "numbers": ([1, 2], [1, 2]),
    "holes": ([1, None], [1, None]),
    "colours": (["RED", Colour.BLUE], ["GREEN", "BLUE"]),
    "grid": ([[1], [], [2, 3]], [[1], [], [2, 3]]),
}


@pytest.mark.parametrize("name", LEAVES)
async def test_usual_values_go_out_by_the_plan(pair: Pair, name: str) -> None:
    value, sent = USUAL[name]
    world.value = dict.fromkeys((name, f"must_{name}"), value)
    title = name.title()
    fields = [name, *(f"{way}{title}" for way in ("must", "said", "awaited", "called"))]
    answer = await pair.same(f"{{ leaf {{ {' '.join(fields)} }} }}")
    assert answer == {"data": {"leaf": dict.fromkeys(fields, sent)}}


async def test_the_text_of_an_exception_that_is_a_value_never_goes_out(pair: Pair) -> None:
    world.value = ValueError("a secret of the server's")
    answer = await pair.same("{ word }", planned=False)
    assert answer["data"] == {"word": None}
    assert "secret" not in json.dumps(answer)


# -- nulls, lists, objects ---------------------------------------------------------------------------------------------

LISTS: Sequence[Any] = (
    None,
    [],
    [None],
    [thing(1), None, thing(2)],
    (thing(1), thing(2)),
    {"a": thing(1)}.values(),
    "text",
    7,
    [7],
    [ValueError("a secret of the server's")],
    ValueError("a secret of the server's"),
    Undefined,
    [Undefined],
    [{}],
    [{"__typename": "Stone", "id": 1, "name": "x"}],
    [[thing(1)]],
    [thing(1), {**thing(2), "__typename": "Stone"}],
)
SELECTIONS = ("__typename", "id", "name __typename", "inner { name }", "label", "next { id }", "pages { of }", "slow")


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("root", ["many", "loose"])
async def test_lists_of_objects_and_what_is_none(pair: Pair, root: str, selection: str) -> None:
    for value in LISTS:
        world.value = value
        await pair.same(f"{{ {root} {{ {selection} }} }}", planned=None)


@pytest.mark.parametrize("selection", SELECTIONS)
async def test_one_object_and_what_is_none(pair: Pair, selection: str) -> None:
    for value in (*LISTS, thing(1), {}, {"__typename": "Stone", "name": "x"}):
        world.value = value
        await pair.same(f"{{ made {{ {selection} }} }}", planned=None)


async def test_null_rows_of_a_list_that_may_hold_them_are_planned(pair: Pair) -> None:
    world.value = [thing(1), None, thing(3)]
    assert await pair.same("{ loose { id } }") == {"data": {"loose": [{"id": 1}, None, {"id": 3}]}}
    assert (await pair.same("{ many { __typename } }", planned=False))["data"] is None


@pytest.mark.parametrize(
    "selection",
    [
        "inner { __typename }",
        "inner { must }",
        "mustInner { __typename }",
        "mustInner { must name }",
        "inners { name }",
        "inners { __typename }",
        "looseInners { must }",
        "rows { name }",
        "rows { __typename }",
    ],
)
async def test_values_within_a_row(pair: Pair, selection: str) -> None:
    name = {"mustInner": "must_inner", "looseInners": "loose_inners"}.get(
        selection.split(maxsplit=1)[0], selection.split(maxsplit=1)[0]
    )
    fit = {"name": None, "must": "x"}
    for value in (fit, None, {}, {"name": "x", "must": None}, [fit], [fit, None], [None], [[fit], []], [[None]], 7, []):
        put(**{name: value})
        await pair.same(f"{{ thing {{ {selection} }} }}", planned=None)
        await pair.same(f"{{ things {{ {selection} }} }}", planned=None)


async def test_a_row_that_stands_in_several_places_is_projected_for_each_selection(pair: Pair) -> None:
    world.value = [world.rows[1], world.rows[2], world.rows[1]]
    answer = await pair.same("{ many { id next { id } } again: many { name next { name } } }")
    assert [each["id"] for each in answer["data"]["many"]] == [1, 2, 1]
    assert answer["data"]["again"][2] == {"name": "Thing 1", "next": {"name": "Thing 2"}}


# -- what type a row has -----------------------------------------------------------------------------------------------

TYPED: Sequence[Any] = (
    None,
    {"__typename": "Stone", "name": "x", "weight": 1},
    {"__typename": "Thing", **thing(2)},
    {"__typename": "Inner", "name": "x", "must": "y"},
    {"__typename": "NoSuchType"},
    {"__typename": None, "name": "x"},
    {"name": "x", "weight": 1},
    7,
    ValueError("a secret of the server's"),
)


@pytest.mark.parametrize(
    "selection",
    [
        "named { __typename }",
        "named { name ... on Stone { weight } }",
        "spot { __typename }",
        "spot { ... on Thing { id name } ... on Stone { weight name } }",
        "spot { ... on Named { name } __typename ... on Thing { next { id } } }",
        "spot { ... on Thing { x: id } ... on Stone { x: weight } }",
    ],
)
async def test_rows_of_unions_and_interfaces_are_of_the_type_that_they_name(pair: Pair, selection: str) -> None:
    for value in TYPED:
        put(named=value, spot=value)
        await pair.same(f"{{ thing {{ {selection} }} }}", planned=None)
        await pair.same(f"{{ things {{ {selection} }} }}", planned=None)


async def test_the_concrete_type_is_told_and_lists_keep_their_order(pair: Pair) -> None:
    put(spots=[TYPED[1], TYPED[2], TYPED[1]])
    answer = await pair.same("{ thing { spots { __typename ... on Thing { x: id } ... on Stone { x: weight } } } }")
    assert answer["data"]["thing"]["spots"] == [
        {"__typename": "Stone", "x": 1},
        {"__typename": "Thing", "x": 2},
        {"__typename": "Stone", "x": 1},
    ]
    put(spots=[TYPED[1], None])
    assert (await pair.same("{ thing { spots { __typename } } }", planned=False))["data"] == {"thing": None}


async def test_a_row_of_another_type_than_declared_is_an_error(pair: Pair) -> None:
    world.value = {"__typename": "Stone", "name": "x", "weight": 1}
    answer = await pair.same("{ made { name } }", planned=False)
    assert answer["data"] == {"made": None}


# -- relations ---------------------------------------------------------------------------------------------------------


async def test_each_relation_is_asked_once_for_all_parents_and_for_the_columns_that_are_read(pair: Pair) -> None:
    await pair.same("{ things { next { label next { name } } } }")
    assert pair.asked == [
        ("things", [2, 3, 4, 5, 6], {}, frozenset({"id", "name", "next_id"})),
        ("things", [3, 4, 5, 6], {}, frozenset({"name"})),
    ]


async def test_what_was_loaded_is_not_asked_for_again(pair: Pair) -> None:
    await pair.same("{ a: thing(id: 2) { name } b: thing(id: 2) { name } c: thing(id: 3) { name } }")
    assert pair.asked == [("things", [key], {}, frozenset({"name"})) for key in (2, 2, 3)]


@pytest.mark.parametrize("key", [None, 9, "text", 1.5, True, [], [2], [2, 9, 3], [9], [2, None], {}, (2, 3), "23"])
@pytest.mark.parametrize("field", ["next", "mustNext", "others"])
async def test_odd_keys_of_relations(pair: Pair, field: str, key: Any) -> None:
    put(next_id=key, other_ids=key)
    await pair.same(f"{{ thing {{ {field} {{ id }} }} }}", planned=None)
    await pair.same(f"{{ things {{ {field} {{ id }} }} }}", planned=None)


async def test_a_row_is_loaded_again_for_other_columns(pair: Pair) -> None:
    put(next_id=1)
    answer = await pair.same("{ thing { next { name next { label inner { must } } } } }")
    assert answer["data"]["thing"]["next"]["next"] == {"label": "1 Thing 1", "inner": {"must": "x"}}


async def test_pages_of_a_row_without_a_key_are_an_error(pair: Pair) -> None:
    put(id=None)
    await pair.same("{ things { pages { of } } }", planned=False)


async def test_a_list_of_what_must_be_awaited_is_planned(pair: Pair) -> None:
    answer = await pair.same("{ promised { id } }")
    assert [each["id"] for each in answer["data"]["promised"]] == [1, 2, 3, 4, 5]


async def test_a_row_that_is_not_there_is_null_and_never_an_empty_object(pair: Pair) -> None:
    answer = await pair.same("{ thing(id: 5) { id next { __typename } } gone: thing(id: 77) { __typename } }")
    assert answer == {"data": {"thing": {"id": 5, "next": None}, "gone": None}}
    answer = await pair.same("{ thing(id: 5) { mustNext { id } } }", planned=False)
    assert answer["data"] == {"thing": None}


async def test_lists_by_a_source_that_has_many(pair: Pair) -> None:
    answer = await pair.same("{ things { id parts { id } } }")
    assert [[part["id"] for part in each["parts"]] for each in answer["data"]["things"]] == [[2], [3], [4], [5], []]
    world.rows[1]["id"] = None
    await pair.same("{ things { parts { id } } }", planned=None)


@pytest.mark.parametrize("others", [(1, 2), (2, 1), (3, 1)])
async def test_twins_with_other_arguments_do_not_get_each_others_rows(pair: Pair, others: tuple[int, int]) -> None:
    first, second = others
    one, other = (f"pages(first: {size}) {{ of nodes {{ id }} }}" for size in others)
    text = f"{{ things {{ a: {one} b: {other} }} }}"
    for each in (await pair.same(text))["data"]["things"]:
        assert [len(each[name]["nodes"]) for name in ("a", "b")] == [first, second]
    nested = f"{{ thing {{ pages(first: {first}) {{ nodes {{ pages(first: {second}) {{ nodes {{ id }} }} }} }} }} }}"
    await pair.same(nested)


@pytest.mark.parametrize(
    ("selected", "columns"),
    [
        ("of nodes { name next { id } } edges { at node { label } }", {"name", "next_id", "id", CURSORS}),
        ("of nodes { name }", {"name"}),
        ("nodes { name } pageInfo { hasNextPage }", {"name"}),
        ("nodes { name } pageInfo { hasNextPage endCursor }", {"name", CURSORS}),
    ],
)
async def test_a_page_reads_the_columns_of_its_nodes_and_cursors(pair: Pair, selected: str, columns: set[str]) -> None:
    await pair.same(f"{{ things {{ pages(first: 2) {{ {selected} }} }} }}")
    pages = [asked for asked in pair.asked if asked[0] == "pages"]
    assert pages == [("pages", [1, 2, 3, 4, 5], {"first": 2}, columns)]


async def test_a_column_by_another_name_is_read(pair: Pair) -> None:
    answer = await pair.same("{ thing(id: 1) { title next { title } } }")
    assert answer["data"]["thing"] == {"title": "Thing 1", "next": {"title": "Thing 2"}}
    assert [columns for name, _, _, columns in pair.asked if name == "things"][-1] == {"name"}


@pytest.mark.parametrize("amount", [Decimal("1.50"), "1.50"])
async def test_the_text_of_an_amount_will_do(pair: Pair, amount: Any) -> None:
    world.value = {"amount": amount, "text": "x"}
    answer = await pair.same("{ leaf { amount text } }")
    assert answer["data"]["leaf"] == {"amount": "1.50", "text": "x"}
    assert pair.asked[-1][3] == {f"{AS_TEXT}amount", "text"}


async def test_siblings_that_wait_are_over_before_the_reference_starts(pair: Pair) -> None:
    world.turns = {"pages": 30}
    put(next_id="text")
    world.rows["text"] = ValueError("a secret of the server's")
    world.rows = {key: row for key, row in world.rows.items() if key in (1, "text")}
    text = "{ thing { next { id } pages { of } slow(turns: 20) } }"
    await ask(pair.plans, text, {}, ANONYMOUS)
    assert world.acts.count("slow 1") == 1
    assert world.acts.count("pages answers") == 1


async def test_failures_of_relations_are_the_references(pair: Pair) -> None:
    world.rows[3] = ValueError("a secret of the server's")
    answer = await pair.same("{ thing(id: 2) { id next { id } } }", planned=False)
    assert answer["data"] == {"thing": {"id": 2, "next": None}}
    assert [error["path"] for error in answer["errors"]] == [["thing", "next"]]
    assert "secret" not in json.dumps(answer)


async def test_what_orjson_refuses_goes_out_with_its_moments(pair: Pair) -> None:
    world.value = {"text": "\ud800", "moment": datetime(2026, 5, 1, 12, tzinfo=UTC), "day": date(2026, 5, 1)}
    answer = await pair.same("{ leaf { text moment day } }")
    assert answer["data"]["leaf"] == {"text": "\ud800", "moment": "2026-05-01T12:00:00+00:00", "day": "2026-05-01"}

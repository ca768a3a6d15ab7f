"""Keyset pages by the Relay specification: complete, stable while rows come and go, and no dearer than they must be."""

import base64
from datetime import timedelta
from typing import Any

import orjson

from kit.ids import uuid7
from resolvers.paging import Order, Window
from resolvers.policy import ORDERS, PolicyOrder
from tests.conftest import Answer, Api
from tests.storefront import START, put_policies, put_products, put_stores, statements

PAGE = """query Page($first: Int, $after: String, $last: Int, $before: String, $order: PolicyOrder! = NEWEST) {
  policies(first: $first, after: $after, last: $last, before: $before, orderBy: $order) {
    nodes { title } edges { node { title } cursor }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }"""
CHEAP = "query Cheap($first: Int) { policies(first: $first) { nodes { title } pageInfo { hasNextPage } } }"


async def page(api: Api, **window: Any) -> Answer:
    found: Answer = (await api(PAGE, **window))["policies"]
    return found


def titles(found: Answer) -> list[str]:
    return [node["title"] for node in found["nodes"]]


async def walk(api: Api, size: int, *, backward: bool = False, order: str = "NEWEST") -> list[str]:
    """All titles in the order of the list, read page by page from one end to the other."""
    read: list[str] = []
    cursor = None
    while True:
        window: dict[str, Any] = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        found = await page(api, order=order, **window)
        read = [*titles(found), *read] if backward else [*read, *titles(found)]
        info = found["pageInfo"]
        assert info["hasPreviousPage" if not backward else "hasNextPage"] is (cursor is not None)
        if not info["hasNextPage" if not backward else "hasPreviousPage"]:
            return read
        cursor = info["startCursor" if backward else "endCursor"]


async def refusal(api: Api, query: str = PAGE, **window: Any) -> tuple[str, str]:
    answer = await api.raw(query, **window)
    (error,) = answer["errors"]
    return error["extensions"]["code"], error["extensions"].get("argument", "")


async def test_every_row_is_on_one_page_whichever_way_they_are_turned(api: Api) -> None:
    await put_policies(*({"title": f"政策{number}"} for number in range(7)))
    newest_first = [f"政策{number}" for number in reversed(range(7))]
    for size in (1, 3, 7, 8, 100):
        assert await walk(api, size) == newest_first
        assert await walk(api, size, backward=True) == newest_first


async def test_equal_and_missing_sort_values_are_told_apart_by_the_key(api: Api) -> None:
    """All published at one moment, some without a date of issue or a deadline, most never viewed."""
    rows: list[dict[str, Any]] = [{"title": f"政策{number}", "published_at": START} for number in range(9)]
    for number in (1, 4):
        rows[number] |= {"issued_on": START.date(), "apply_end": START.date(), "view_count": 5}
    await put_policies(*rows)
    for order in ("NEWEST", "ISSUED", "DEADLINE", "VIEWED"):
        whole = titles(await page(api, first=100, order=order))
        assert sorted(whole) == [f"政策{number}" for number in range(9)]
        assert await walk(api, 2, order=order) == whole
        assert await walk(api, 2, backward=True, order=order) == whole
        assert {whole[0], whole[1]} == ({"政策1", "政策4"} if order != "NEWEST" else {"政策8", "政策7"})


async def test_rows_that_come_between_two_pages_shift_nothing(api: Api) -> None:
    """An offset would show the last row of page one again."""
    await put_policies(*({"title": f"政策{number}"} for number in range(6)))
    first = await page(api, first=3)
    assert titles(first) == ["政策5", "政策4", "政策3"]
    await put_policies({"title": "新来的", "published_at": START + timedelta(days=1)})
    second = await page(api, first=3, after=first["pageInfo"]["endCursor"])
    assert titles(second) == ["政策2", "政策1", "政策0"]
    assert (second["totalCount"], second["pageInfo"]["hasNextPage"]) == (7, False)
    before = await page(api, last=5, before=second["pageInfo"]["startCursor"])
    assert titles(before) == ["新来的", "政策5", "政策4", "政策3"]


async def test_edges_are_the_nodes_with_their_cursors(api: Api) -> None:
    await put_policies(*({"title": f"政策{number}"} for number in range(3)))
    found = await page(api, first=2)
    assert [edge["node"]["title"] for edge in found["edges"]] == titles(found)
    info = found["pageInfo"]
    assert [edge["cursor"] for edge in found["edges"]] == [info["startCursor"], info["endCursor"]]
    assert titles(await page(api, first=2, after=found["edges"][0]["cursor"])) == ["政策1", "政策0"]
    assert titles(await page(api, last=2, before=found["edges"][1]["cursor"])) == ["政策2"]


async def test_a_page_holds_from_none_to_a_hundred_rows_and_twenty_unless_told(api: Api) -> None:
    await put_policies(*({"title": f"政策{number}"} for number in range(105)))
    empty = await page(api, first=0)
    assert (titles(empty), empty["edges"], empty["totalCount"]) == ([], [], 105)
    assert empty["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }
    assert len(titles(await page(api))) == 20
    assert len(titles(await page(api, first=100))) == 100
    assert len(titles(await page(api, last=100))) == 100
    assert await refusal(api, first=101) == ("BAD_USER_INPUT", "first")
    assert await refusal(api, last=101) == ("BAD_USER_INPUT", "last")
    assert await refusal(api, first=-1) == ("BAD_USER_INPUT", "first")
    assert await refusal(api, last=-1) == ("BAD_USER_INPUT", "last")


async def test_a_window_opens_one_way_only(api: Api) -> None:
    (cursor,) = [edge["cursor"] for edge in (await _one_policy(api))["edges"]]
    for window in (
        {"first": 1, "last": 1},
        {"after": cursor, "before": cursor},
        {"first": 1, "before": cursor},
        {"last": 1, "after": cursor},
    ):
        assert await refusal(api, **window) == ("BAD_USER_INPUT", "first")


async def _one_policy(api: Api) -> Answer:
    await put_policies({"title": "政策"})
    return await page(api)


def cursor_of(*values: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).decode().rstrip("=")


KEY = "0" * 32
MOMENT = START.isoformat()


STRANGERS = (
    *("", "junk", "%%%", "é", "MQ", "bnVsbA", "e30"),
    cursor_of(),
    cursor_of("newest"),
    cursor_of("newest", MOMENT),
    cursor_of("newest", MOMENT, KEY, KEY),
    cursor_of("newest", "yesterday", KEY),
    cursor_of("newest", 1, KEY),
    cursor_of("newest", None, KEY),
    cursor_of("newest", MOMENT, "key"),
    cursor_of("newest", MOMENT, 7),
    cursor_of("newest", "0001-01-01T00:00:00+14:00", KEY),
    cursor_of("viewed", 5, KEY),
    cursor_of({}, MOMENT, KEY),
    cursor_of(["newest"], MOMENT, KEY),
)


async def test_a_cursor_that_no_page_of_this_order_gave_is_the_callers_mistake(api: Api) -> None:
    for cursor in STRANGERS:
        assert await refusal(api, first=1, after=cursor) == ("BAD_USER_INPUT", "after"), cursor


SEARCH = 'query ($after: String) { search(query: "", after: $after) { totalCount } }'
NO_LIST, OTHER_ORDER = (
    "The cursor is not one of this list (游标与该列表不符)",
    "The cursor is one of another order (游标与该排序不符)",
)


async def told(api: Api, query: str, cursor: str) -> str:
    (error,) = (await api.raw(query, after=cursor))["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "after"}
    return str(error["message"])


async def test_lists_and_search_say_the_same_of_a_cursor_that_is_not_theirs(api: Api) -> None:
    for query in (PAGE, SEARCH):
        assert [await told(api, query, each) for each in ("", "junk", "é", cursor_of())] == [NO_LIST] * 4
        assert await told(api, query, cursor_of("price_asc", 5)) == OTHER_ORDER
    assert await told(api, PAGE, cursor_of("search", 1)) == OTHER_ORDER
    assert await told(api, SEARCH, cursor_of("newest", MOMENT, KEY)) == OTHER_ORDER


async def test_a_cursor_of_search_marks_one_of_the_first_thousand_hits(api: Api) -> None:
    for place in ((), ("5",), (True,), (-1,), (1, 2)):
        assert await told(api, SEARCH, cursor_of("search", *place)) == NO_LIST
    assert await told(api, SEARCH, cursor_of("search", 1_001)) == "Pages reach 1,000 hits deep (最多翻阅 1000 条)"


async def test_a_cursor_never_holds_a_value_that_its_column_cannot(api: Api) -> None:
    for views in (2**31, -(2**31) - 1, 2**63, 1.5, True, "5", None):
        assert await refusal(api, after=cursor_of("viewed", views, KEY), order="VIEWED") == ("BAD_USER_INPUT", "after")
    query = "query($after: String) { products(after: $after, orderBy: PRICE_ASC) { nodes { id } } }"
    for price in ("NaN", "Infinity", "1e999999", "-1e40", "dear", None):
        assert await refusal(api, query, after=cursor_of("price_asc", price, KEY)) == ("BAD_USER_INPUT", "after")


async def test_a_cursor_finds_its_place_though_its_row_is_gone(api: Api) -> None:
    await put_policies(*({"title": f"政策{number}"} for number in range(3)))
    moment = START + timedelta(minutes=1, seconds=30)
    assert titles(await page(api, after=cursor_of("newest", moment.isoformat(), KEY))) == ["政策1", "政策0"]


def test_a_cursor_is_read_back_as_it_was_made() -> None:
    order: Order = ORDERS[PolicyOrder.ISSUED]
    values = [START.date(), uuid7()]
    assert order.values(order.cursor(values)) == values
    newest = ORDERS[PolicyOrder.NEWEST]
    assert newest.values(newest.cursor([START, values[1]])) == [START, values[1]]
    assert Window.of(None, None, None, None) == Window(20, None, backward=False)


async def test_rows_are_counted_only_where_the_total_is_asked_for(api: Api) -> None:
    await put_policies(*({"title": f"政策{number}"} for number in range(3)))
    async with statements() as cheap:
        await api(CHEAP, first=2)
    async with statements() as whole:
        await page(api, first=2)
    assert [text.startswith("SELECT count") for text in cheap] == [False]
    assert sorted(text.startswith("SELECT count") for text in whole) == [False, True]
    assert all("OFFSET" not in text.upper() for text in [*cheap, *whole])


async def test_pages_of_all_parents_are_one_statement_each_as_long_as_asked(api: Api) -> None:
    """Nested connections are read by LATERAL, and each parent's page has its own ends and its own total."""
    stores = await put_stores(*({"name": f"店{number}"} for number in range(4)))
    for number, store in enumerate(stores):
        await put_products(store, *({"name": f"店{number}的产品{each}"} for each in range(number)))
    query = """query Nested($first: Int, $last: Int) { stores { nodes { name products(first: $first, last: $last) {
      totalCount nodes { name } pageInfo { hasNextPage hasPreviousPage endCursor } } } } }"""
    async with statements() as seen:
        answer = await api(query, first=2)
    assert len(seen) == 3
    assert sum("LATERAL" in text for text in seen) == 1
    pages = {node["name"]: node["products"] for node in answer["stores"]["nodes"]}
    assert {name: [node["name"] for node in found["nodes"]] for name, found in pages.items()} == {
        "店0": [],
        "店1": ["店1的产品0"],
        "店2": ["店2的产品1", "店2的产品0"],
        "店3": ["店3的产品2", "店3的产品1"],
    }
    assert {name: (found["totalCount"], found["pageInfo"]["hasNextPage"]) for name, found in pages.items()} == {
        "店0": (0, False),
        "店1": (1, False),
        "店2": (2, False),
        "店3": (3, True),
    }
    backward = {node["name"]: node["products"] for node in (await api(query, last=2))["stores"]["nodes"]}
    assert [node["name"] for node in backward["店3"]["nodes"]] == ["店3的产品1", "店3的产品0"]
    assert backward["店3"]["pageInfo"]["hasPreviousPage"] is True


async def test_a_nested_page_goes_on_where_it_ended(api: Api) -> None:
    (store,) = await put_stores({"name": "店"})
    await put_products(store, *({"name": f"产品{number}"} for number in range(5)))
    query = """query Nested($id: ID!, $after: String) { store(id: $id) { products(first: 2, after: $after) {
      nodes { name } pageInfo { hasNextPage endCursor } } } }"""
    read: list[str] = []
    cursor = None
    for _ in range(3):
        found = (await api(query, id=f"store_{store.hex}", after=cursor))["store"]["products"]
        read += [node["name"] for node in found["nodes"]]
        cursor = found["pageInfo"]["endCursor"]
    assert read == [f"产品{number}" for number in reversed(range(5))]
    assert found["pageInfo"]["hasNextPage"] is False

"""Search as its callers see it: the contract's operation over all kinds, and what is left while the index is away.

How well the engines find is theirs to test (`test_search_embedded.py`, `test_search_meili.py`); R-BASE-05, R-PRO-02.
"""

import shutil
from typing import Any

import pytest

from kit.settings import settings
from models.events import ItemsChanged, SearchOutdated
from services.uow import unit_of_work
from tests.conftest import Answer, Api, Settle
from tests.storefront import ids, put_articles, put_policies, put_products, put_stores, take_offline

CONTRACT = """query Search($q: String!, $types: [SearchType!], $first: Int, $after: String) {
  search(query: $q, types: $types, first: $first, after: $after) {
    totalCount facets { name values { value count } } pageInfo { hasNextPage endCursor }
    edges { node { __typename ... on Policy { id title } ... on Store { id name }
                   ... on Product { id name } ... on Article { id title } } highlights { field text } } } }"""
FOUND = """query Found($q: String!, $types: [SearchType!], $filter: SearchFilter, $orderBy: SearchOrder! = RELEVANCE,
                       $first: Int, $after: String) {
  search(query: $q, types: $types, filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount degraded facets { name values { value count } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes { ... on Policy { title } ... on Store { name } ... on Product { name } ... on Article { title } }
    edges { cursor score highlights { field text } } } }"""


async def build(settle: Settle) -> None:
    async with unit_of_work() as uow:
        uow.emit(SearchOutdated())
    await settle()


async def search(api: Api, q: str, **more: Any) -> Answer:
    found: Answer = (await api(FOUND, q=q, **more))["search"]
    return found


def names(found: Answer) -> list[str]:
    return [next(iter(node.values())) for node in found["nodes"]]


async def titles(api: Api, q: str, **more: Any) -> list[str]:
    return names(await search(api, q, **more))


async def city(settle: Settle) -> None:
    """A little of every kind that speaks of leasing."""
    await put_policies(
        {"title": "融资租赁补贴办法", "level": "MUNICIPAL", "kind": "NORMATIVE", "department_code": "SHEITC"},
        {"title": "设备租赁申报通知", "level": "DISTRICT", "kind": "DECLARATION", "districts": ["310115"]},
        {"title": "数据安全条例", "level": "NATIONAL", "kind": "LAW"},
    )
    (store,) = await put_stores({"name": "浦江租赁服务", "district_code": "310115"})
    await put_products(
        store,
        {"name": "设备租赁咨询", "price_kind": "PRICED", "price": "800", "order_count": 3},
        {"name": "租赁方案诊断", "price_kind": "FREE", "price": "0", "order_count": 9},
        {"name": "租赁谈判陪同", "price_kind": "NEGOTIABLE", "order_count": 1},
    )
    await put_articles(None, {"title": "租赁业发展论坛召开"})
    await build(settle)


async def test_the_contracts_operation_finds_all_kinds(api: Api, settle: Settle) -> None:
    await city(settle)
    found = (await api(CONTRACT, q="租赁", first=20))["search"]
    assert found["totalCount"] == 7
    kinds = sorted(edge["node"]["__typename"] for edge in found["edges"])
    assert kinds == ["Article", "Policy", "Policy", "Product", "Product", "Product", "Store"]
    assert all(edge["node"]["id"].startswith(edge["node"]["__typename"].lower() + "_") for edge in found["edges"])
    assert all("<mark>租赁</mark>" in edge["highlights"][0]["text"] for edge in found["edges"])
    only = (await api(CONTRACT, q="租赁", types=["STORE", "ARTICLE"]))["search"]
    assert sorted(edge["node"].get("title") or edge["node"]["name"] for edge in only["edges"]) == [
        "浦江租赁服务",
        "租赁业发展论坛召开",
    ]


async def test_facets_count_the_hits_and_filters_narrow_them(api: Api, settle: Settle) -> None:
    await city(settle)
    facets = {each["name"]: each["values"] for each in (await search(api, "租赁"))["facets"]}
    assert facets["level"] == [{"value": "DISTRICT", "count": 1}, {"value": "MUNICIPAL", "count": 1}]
    assert {each["value"]: each["count"] for each in facets["priceKind"]} == {"PRICED": 1, "FREE": 1, "NEGOTIABLE": 1}
    assert await titles(api, "租赁", filter={"level": ["DISTRICT"]}) == ["设备租赁申报通知"]
    assert sorted(await titles(api, "租赁", filter={"level": ["DISTRICT", "MUNICIPAL"]})) == [
        "融资租赁补贴办法",
        "设备租赁申报通知",
    ]
    assert await titles(api, "租赁", filter={"level": ["MUNICIPAL"], "policyKind": ["DECLARATION"]}) == []
    assert await titles(api, "租赁", filter={"department": ["SHEITC"]}) == ["融资租赁补贴办法"]
    assert await titles(api, "租赁", filter={"priceKind": ["FREE"], "nature": ["SOCIAL"]}) == ["租赁方案诊断"]
    assert sorted(await titles(api, "租赁", filter={"district": ["310115"]})) == ["浦江租赁服务", "设备租赁申报通知"]
    assert await titles(api, "租赁", filter={"column": ["NEWS"]}) == ["租赁业发展论坛召开"]
    for hostile in ('310115" OR scopes EXISTS', "'", "\\", "*", "310115*", "（", ""):
        assert await titles(api, "租赁", filter={"district": [hostile]}) == []


async def test_orders_sort_and_leave_what_has_no_such_number_to_the_end(api: Api, settle: Settle) -> None:
    """A price by agreement is no price: it comes behind all others, as in the list of products."""
    await city(settle)
    cheapest = ["租赁方案诊断", "设备租赁咨询", "租赁谈判陪同"]
    assert await titles(api, "租赁", types=["PRODUCT"], orderBy="PRICE") == cheapest
    most_ordered = ["租赁方案诊断", "设备租赁咨询", "租赁谈判陪同"]
    assert await titles(api, "租赁", types=["PRODUCT"], orderBy="ORDERS") == most_ordered
    newest = ["租赁谈判陪同", "租赁方案诊断", "设备租赁咨询"]
    assert await titles(api, "租赁", types=["PRODUCT"], orderBy="NEWEST") == newest


@pytest.mark.parametrize("order", ["RELEVANCE", "NEWEST", "VIEWED"])
async def test_all_hits_are_on_the_pages_once(api: Api, settle: Settle, order: str) -> None:
    await put_policies(*({"title": f"纾困措施第{number}条"} for number in range(23)))
    await build(settle)
    read: list[str] = []
    cursor = None
    for size in (10, 10, 3):
        found = await search(api, "纾困措施", first=10, after=cursor, orderBy=order)
        info = found["pageInfo"]
        assert (found["totalCount"], len(found["nodes"]), info["hasPreviousPage"]) == (23, size, cursor is not None)
        assert [info["startCursor"], info["endCursor"]] == [found["edges"][n]["cursor"] for n in (0, -1)]
        read += names(found)
        cursor = info["endCursor"]
    assert found["pageInfo"]["hasNextPage"] is False
    assert sorted(read) == sorted(f"纾困措施第{number}条" for number in range(23))
    last = await search(api, "纾困措施", first=10, after=cursor, orderBy=order)
    assert (last["nodes"], last["totalCount"], last["pageInfo"]["hasNextPage"]) == ([], 23, False)


async def test_an_empty_question_matches_everything_that_is_public(api: Api, settle: Settle) -> None:
    await city(settle)
    assert (await search(api, ""))["totalCount"] == 8
    assert (await search(api, "  ", types=["POLICY"]))["totalCount"] == 3
    assert (await search(api, "", first=0))["nodes"] == []


async def test_what_no_client_may_ask_is_told(api: Api, settle: Settle) -> None:
    await city(settle)
    for variables in ({"first": 101}, {"first": -1}, {"after": "junk"}, {"after": "WyJuZXdlc3QiLCAxXQ"}):
        answer = await api.raw(FOUND, q="租赁", **variables)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"], variables
    for text in ("(", '"', "AND OR NOT", "*", "租赁~", "title:租赁", "\\", "🙂", "租" * 5_000, "<script>"):
        assert (await search(api, text))["degraded"] is False


FORMS = (
    "沪府规〔2024〕5号",
    "沪府规[2024]5号",
    "沪府规（2024）5号",
    "沪府规【2024】第05号",
    "沪府规 〔２０２４〕 5 号",
)


async def test_a_document_number_is_found_in_every_spelling(api: Api, settle: Settle) -> None:
    await put_policies(
        {"title": "甲办法", "document_no": "沪府规〔2024〕5号"},
        {"title": "乙办法", "document_no": "沪府规〔2024〕15号"},
        {"title": "丙办法", "document_no": "沪府规〔2023〕5号"},
    )
    await build(settle)
    for form in FORMS:
        found = await search(api, form)
        assert (names(found)[0], found["degraded"]) == ("甲办法", False), form


async def test_highlights_are_safe_to_put_into_a_page(api: Api, settle: Settle) -> None:
    """The raw text comes escaped; nothing but our own marks is markup."""
    await put_policies(
        {"title": "<script>alert(1)</script>租赁", "body": "<p>租赁 &lt;b&gt;费用&lt;/b&gt; &amp; 押金</p>"}
    )
    await build(settle)
    (edge,) = (await search(api, "租赁"))["edges"]
    assert {each["field"]: each["text"] for each in edge["highlights"]} == {
        "title": "&lt;script&gt;alert(1)&lt;/script&gt;<mark>租赁</mark>",
        "body": "<mark>租赁</mark> &lt;b&gt;费用&lt;/b&gt; &amp; 押金",
    }
    shutil.rmtree(settings.search_home)
    found = await search(api, "租赁", first=5)
    assert found["degraded"] is True
    assert found["edges"][0]["highlights"] == [{"field": "title", "text": "&lt;script&gt;alert(1)&lt;/script&gt;租赁"}]


async def test_without_an_index_titles_and_numbers_are_searched_and_marked_as_degraded(
    api: Api, settle: Settle
) -> None:
    """Reads fall back to PostgreSQL behind the same row gate; nothing is lost when the index is back."""
    await put_policies(
        {"title": "中小企业贷款贴息实施细则", "document_no": "沪府规〔2024〕5号", "body": "正文里的独有词"},
        {"title": "100%_绿色措施"},
    )
    (store,) = await put_stores({"name": "贴息服务店"})
    await put_products(store, {"name": "贴息代办"})
    found = await search(api, "贴息")
    assert (found["degraded"], found["totalCount"], found["facets"]) == (True, 3, [])
    assert sorted(names(found)) == ["中小企业贷款贴息实施细则", "贴息代办", "贴息服务店"]
    assert await titles(api, "贷款  贴息") == ["中小企业贷款贴息实施细则"]
    assert await titles(api, "贴息", types=["PRODUCT"]) == ["贴息代办"]
    for form in FORMS[:4]:
        assert await titles(api, form) == ["中小企业贷款贴息实施细则"], form
    assert await titles(api, "正文里的独有词") == []
    assert await titles(api, "0%_绿") == ["100%_绿色措施"]
    assert await titles(api, "%") == ["100%_绿色措施"]
    await take_offline(api, *ids("store", [store]))
    assert sorted(await titles(api, "贴息")) == ["中小企业贷款贴息实施细则"]
    await settle()
    found = await search(api, "正文里的独有词")
    assert (found["degraded"], names(found)) == (False, ["中小企业贷款贴息实施细则"])
    assert await titles(api, "贴息") == ["中小企业贷款贴息实施细则"]


async def test_an_index_that_is_lost_is_built_again_by_the_next_event(api: Api, settle: Settle) -> None:
    keys = await put_policies({"title": "人才公寓办法"}, {"title": "人才落户办法"})
    await build(settle)
    shutil.rmtree(settings.search_home)
    assert (await search(api, "人才"))["degraded"] is True
    async with unit_of_work() as uow:
        uow.emit(ItemsChanged("policy", (keys[0],)))
    await settle()
    found = await search(api, "人才")
    assert (found["degraded"], sorted(names(found))) == (False, ["人才公寓办法", "人才落户办法"])


async def test_degraded_pages_reach_the_end_as_well(api: Api) -> None:
    await put_policies(*({"title": f"纾困措施第{number}条"} for number in range(7)))
    read: list[str] = []
    cursor = None
    for _ in range(3):
        found = await search(api, "纾困", first=3, after=cursor)
        read += names(found)
        cursor = found["pageInfo"]["endCursor"]
    assert read == [f"纾困措施第{number}条" for number in reversed(range(7))]
    assert found["pageInfo"]["hasNextPage"] is False

"""Stores: who keeps which, what their columns hold, how they are found (R-STO-01, R-STO-02, R-BASE-28)."""

from typing import Any

from auth.viewer import ANONYMOUS
from auth.visibility import visible
from models.store import Store
from resolvers.store import ORDERS, StoreOrder
from tests.conftest import Api
from tests.storefront import (
    OFFLINE,
    REVIEW,
    START,
    SUBMIT,
    analyse,
    ids,
    pages_of,
    plan_of,
    publish,
    put_policies,
    put_products,
    put_stores,
    refused,
    refused_later,
    save,
    statements_of,
    take_offline,
)

PUDONG = {"kind": "DISTRICT", "name": "浦东新区旗舰店", "districtCode": "310115"}
SHEITC = {"kind": "DEPARTMENT", "name": "市经济信息化委旗舰店", "departmentCode": "SHEITC"}
NAMES = """query Names($filter: StoreFilter, $order: StoreOrder) {
  stores(filter: $filter, orderBy: $order) { nodes { name } } }"""
W3 = """query W3($after: String) { stores(first: 20, after: $after) {
  nodes { id name kind rating followerCount district { name }
  products(first: 10) { nodes { id name price status orderCount category { name } } } } pageInfo { endCursor } } }"""


async def names(api: Api, **variables: Any) -> list[str]:
    return [node["name"] for node in (await api(NAMES, **variables))["stores"]["nodes"]]


async def test_an_administrator_begins_a_flagship_store_and_its_district_keeps_it(api: Api) -> None:
    """R-STO-02, R-BASE-28, R-ADM-05."""
    store = await publish(api, "store", "admin", PUDONG)
    draft = await save(api, "store", "district", {**PUDONG, "slogan": "引领区"}, store)
    assert (draft["no"], draft["isNew"]) == (2, False)
    assert draft["changes"] == [{"field": "slogan", "kind": "ADDED", "before": "", "after": "引领区"}]
    query = """query One($id: ID!) { store(id: $id) { name slogan district { name } department { name }
      openRevision { id } } }"""
    shown = {"name": "浦东新区旗舰店", "district": {"name": "浦东新区"}, "department": None}
    assert await api(query, id=store) == {"store": {**shown, "slogan": "", "openRevision": None}}
    assert (await api(query, viewer="district", id=store))["store"]["openRevision"] == {"id": draft["id"]}
    await publish(api, "store", "district", {**PUDONG, "slogan": "引领区"}, store)
    assert await api(query, id=store) == {"store": {**shown, "slogan": "引领区", "openRevision": None}}


async def test_a_proposal_is_typed_by_the_kind_of_item(api: Api) -> None:
    draft = await save(api, "store", "admin", {**PUDONG, "columns": [{"column": "NEWS", "enabled": False}]})
    query = """query One($id: ID!) { revision(id: $id) { kind proposal { __typename
      ... on StoreProposal { kind name districtCode columns { column enabled } } } } }"""
    assert (await api(query, viewer="admin", id=draft["id"]))["revision"] == {
        "kind": "store",
        "proposal": {
            "__typename": "StoreProposal",
            "kind": "DISTRICT",
            "name": "浦东新区旗舰店",
            "districtCode": "310115",
            "columns": [{"column": "NEWS", "enabled": False}],
        },
    }


async def test_only_administrators_begin_stores(api: Api) -> None:
    for viewer, values in (
        ("district", PUDONG),
        ("department", SHEITC),
        ("seller", {"kind": "INSTITUTION", "name": "又一家店"}),
        ("staff", PUDONG),
    ):
        assert await refused(api, "store", viewer, values) == [("NOT_YOURS", ["id"])]


async def test_managers_keep_no_store_but_their_own(api: Api) -> None:
    """R-STO: "a department/district manager works only on his own store"."""
    huangpu = {"kind": "DISTRICT", "name": "黄浦区旗舰店", "districtCode": "310101"}
    store = await publish(api, "store", "admin", huangpu)
    for viewer in ("district", "department", "seller", "staff"):
        assert await refused(api, "store", viewer, {**huangpu, "slogan": "我的"}, store) == [("NOT_YOURS", ["id"])]
    given = {"id": store, "reason": "试试"}
    assert await api.refusals(OFFLINE, viewer="district", input=given) == [("NOT_FOUND", ["id"])]


async def test_a_store_stays_of_its_kind_and_in_its_place(api: Api) -> None:
    store = await publish(api, "store", "admin", PUDONG)
    other_kind = {"kind": "INSTITUTION", "name": "浦东新区旗舰店"}
    assert await refused(api, "store", "admin", other_kind, store) == [("FIXED_FIELD", ["values", "kind"])]
    elsewhere = {**PUDONG, "districtCode": "310101"}
    assert await refused_later(api, "store", "admin", elsewhere, store) == [("FIXED_FIELD", ["values", "districtCode"])]


async def test_an_institution_may_move(api: Api) -> None:
    institution = {"kind": "INSTITUTION", "name": "技术转移中心", "districtCode": "310110"}
    store = await publish(api, "store", "admin", institution)
    await publish(api, "store", "admin", {**institution, "districtCode": "310104"}, store)
    assert await names(api, filter={"districts": ["310104"]}) == ["技术转移中心"]


async def test_what_may_not_be_published_is_refused_at_submission(api: Api) -> None:
    for values, refusal in (
        ({**PUDONG, "districtCode": "310199"}, ("UNKNOWN_CODE", ["values", "districtCode"])),
        ({**SHEITC, "departmentCode": "NOBODY"}, ("UNKNOWN_CODE", ["values", "departmentCode"])),
        ({**PUDONG, "parentDepartmentCode": "NOBODY"}, ("UNKNOWN_CODE", ["values", "parentDepartmentCode"])),
        ({**PUDONG, "name": "全国最佳旗舰店"}, ("SENSITIVE_WORDS", ["values", "name"])),
    ):
        assert await refused_later(api, "store", "admin", values) == [refusal]


async def test_what_is_wrong_in_itself_is_refused_at_once(api: Api) -> None:
    for changes, path in (
        ({"districtCode": None}, ["values"]),
        ({"columns": [{"column": "GUIDANCE"}]}, ["values"]),
        ({"columns": [{"column": "NEWS"}, {"column": "NEWS"}]}, ["values"]),
        ({"website": "ftp://example.com"}, ["values", "website"]),
        ({"name": "浦"}, ["values", "name"]),
    ):
        assert await refused(api, "store", "admin", {**PUDONG, **changes}) == [("INVALID_VALUE", path)]


async def test_a_district_has_one_flagship_store(api: Api) -> None:
    """R-STO-02: 16 in all."""
    await publish(api, "store", "admin", PUDONG)
    again = {**PUDONG, "name": "浦东第二旗舰店"}
    assert await refused_later(api, "store", "admin", again) == [("ALREADY_EXISTS", ["values", "districtCode"])]


async def test_two_proposals_for_one_district_end_in_one_store(api: Api) -> None:
    """Both are submitted before either is approved: the database refuses the second."""
    drafts = [await save(api, "store", "admin", {**PUDONG, "name": name}) for name in ("浦东一店", "浦东二店")]
    for draft in drafts:
        assert (await api(SUBMIT, viewer="admin", input={"id": draft["id"]}))["revisionSubmit"]["userErrors"] == []
    approve = [{"id": draft["id"], "decision": "APPROVE"} for draft in drafts]
    assert (await api(REVIEW, viewer="reviewer", input=approve[0]))["revisionReview"]["userErrors"] == []
    assert await api.refusals(REVIEW, viewer="reviewer", input=approve[1]) == [
        ("ALREADY_EXISTS", ["values", "districtCode"])
    ]
    assert await names(api) == ["浦东一店"]


async def test_each_kind_of_store_has_its_columns(api: Api) -> None:
    """R-STO-01: six columns; R-STO-02: ten."""
    query = "query Columns($kind: StoreKind!) { storeColumns(kind: $kind) { column topics hasArticles } }"
    department = (await api(query, kind="DEPARTMENT"))["storeColumns"]
    assert [offer["column"] for offer in department] == [
        "NEWS",
        "GUIDANCE",
        "SUCCESS_CASE",
        "GOV_SERVICE_GUIDE",
        "POLICY",
        "SUBORDINATE_OPERATION",
    ]
    assert [offer["column"] for offer in department if not offer["hasArticles"]] == ["POLICY", "SUBORDINATE_OPERATION"]
    district = (await api(query, kind="DISTRICT"))["storeColumns"]
    assert [offer["column"] for offer in district] == [
        "DISTRICT_INTRO",
        "INVESTMENT_INFO",
        "DEVELOPMENT_PLAN",
        "NEWS",
        "INVESTMENT_ATTRACTION",
        "PUBLIC_SERVICE",
        "SOCIAL_SERVICE",
        "GOV_SERVICE_ENTRY",
        "POLICY",
        "PROXY_REPORT",
    ]
    assert {offer["column"]: offer["topics"] for offer in district if offer["topics"]} == {
        "INVESTMENT_INFO": [
            "INVESTMENT_PLAN",
            "INVESTMENT_PROJECT",
            "BRAND_CULTIVATION",
            "INVESTMENT_GUIDE",
            "INVESTMENT_NEWS",
        ],
        "INVESTMENT_ATTRACTION": ["INDUSTRY_CLUSTER", "PARK_TAX_POLICY"],
    }
    assert (await api(query, kind="INSTITUTION"))["storeColumns"] == []


async def test_a_store_shows_its_columns_in_the_order_that_it_chose(api: Api) -> None:
    chosen = [{"column": "POLICY", "enabled": True}, {"column": "NEWS", "enabled": False}]
    (store,) = ids("store", await put_stores({"kind": "DEPARTMENT", "department_code": "SHEITC", "columns": chosen}))
    query = "query One($id: ID!) { store(id: $id) { columns { column enabled } } }"
    assert [(each["column"], each["enabled"]) for each in (await api(query, id=store))["store"]["columns"]] == [
        ("POLICY", True),
        ("NEWS", False),
        ("GUIDANCE", True),
        ("SUCCESS_CASE", True),
        ("GOV_SERVICE_GUIDE", True),
        ("SUBORDINATE_OPERATION", True),
    ]


async def test_filters_keep_what_they_say(api: Api) -> None:
    """R-PRO-02, R-BASE-21."""
    keys = await put_stores(
        {"name": "经信旗舰店", "kind": "DEPARTMENT", "department_code": "SHEITC", "slogan": "服务企业"},
        {"name": "浦东旗舰店", "kind": "DISTRICT", "district_code": "310115"},
        {"name": "检测中心", "district_code": "310115", "parent_department_code": "SHEITC"},
        {"name": "律师事务所", "district_code": "310101"},
    )
    await put_products(keys[2], {"category_code": "02020200"})
    await put_products(keys[3], {"category_code": "02090000"}, {"category_code": "02020200", "state": "OFFLINE"})
    assert await names(api) == ["律师事务所", "检测中心", "浦东旗舰店", "经信旗舰店"]
    assert await names(api, filter={"kinds": ["DEPARTMENT", "DISTRICT"]}) == ["浦东旗舰店", "经信旗舰店"]
    assert await names(api, filter={"districts": ["310115"]}) == ["检测中心", "浦东旗舰店"]
    assert await names(api, filter={"departments": ["SHEITC"]}) == ["检测中心", "经信旗舰店"]
    assert await names(api, filter={"keyword": "服务"}) == ["经信旗舰店"]
    assert await names(api, filter={"keyword": "%"}) == []
    assert await names(api, filter={"categories": ["02020000"]}) == ["检测中心"]
    assert await names(api, filter={"categories": ["02020200"]}) == ["检测中心"]
    assert await names(api, filter={"categories": ["02090000", "02010000"]}) == ["律师事务所"]
    assert await names(api, filter={"categories": ["02020000"], "districts": ["310101"]}) == []


async def test_orders_sort_the_unrated_last(api: Api) -> None:
    await put_stores(
        {"name": "甲", "rating": 4.5, "follower_count": 3},
        {"name": "乙", "rating": None, "follower_count": 9},
        {"name": "丙", "rating": 4.75, "follower_count": 3},
    )
    assert await names(api, order="NEWEST") == ["丙", "乙", "甲"]
    assert await names(api, order="FOLLOWERS") == ["乙", "丙", "甲"]
    assert await names(api, order="RATING") == ["丙", "甲", "乙"]


async def test_pages_lose_and_repeat_nothing_where_sort_values_are_equal(api: Api) -> None:
    tied = {"published_at": START, "rating": 4.5, "follower_count": 7}
    await put_stores(*({**tied, "name": f"店{number}"} for number in range(7)))
    for order in StoreOrder:
        query = f"""query Page($first: Int, $after: String, $last: Int, $before: String) {{
          stores(orderBy: {order.value}, first: $first, after: $after, last: $last, before: $before) {{
            nodes {{ name }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
        assert await pages_of(api, query, "stores", 3) == [["店6", "店5", "店4"], ["店3", "店2", "店1"], ["店0"]]
        assert await pages_of(api, query, "stores", 3, backward=True) == [
            ["店2", "店1", "店0"],
            ["店5", "店4", "店3"],
            ["店6"],
        ]


async def test_a_cursor_of_another_order_is_the_callers_mistake(api: Api) -> None:
    await put_stores({}, {})
    cursor = (await api("{ stores(first: 1) { pageInfo { endCursor } } }"))["stores"]["pageInfo"]["endCursor"]
    answer = await api.raw(
        "query P($after: String) { stores(after: $after, orderBy: RATING) { nodes { id } } }", after=cursor
    )
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_the_list_with_products_costs_two_statements_whatever_its_length(api: Api) -> None:
    """W3: stores, then the products of all; districts and categories are known."""
    counts = []
    for number in range(2):
        keys = await put_stores(*({"district_code": "310115"} for _ in range(1 + 9 * number)))
        for key in keys:
            await put_products(key, {}, {"category_code": "02090000"}, {"category_code": "02020200"})
        counts.append(await statements_of(api, W3))
    assert counts == [2, 2]


async def test_nested_totals_cost_one_statement_for_all_stores(api: Api) -> None:
    keys = await put_stores({}, {}, {})
    await put_products(keys[0], {}, {})
    await put_products(keys[2], {})
    query = "{ stores { nodes { products(first: 1) { totalCount nodes { name } pageInfo { hasNextPage } } } } }"
    found = [node["products"] for node in (await api(query))["stores"]["nodes"]]
    assert [(each["totalCount"], each["pageInfo"]["hasNextPage"]) for each in found] == [
        (1, False),
        (0, False),
        (2, True),
    ]
    assert await statements_of(api, query) == 3


async def test_a_flagship_store_shows_policies_of_its_department_or_district(api: Api) -> None:
    """R-STO-11, R-STO-31: a filter on the one policy library."""
    await put_stores(
        {"name": "经信", "kind": "DEPARTMENT", "department_code": "SHEITC", "district_code": "310101"},
        {"name": "浦东", "kind": "DISTRICT", "district_code": "310115"},
        {"name": "机构", "district_code": "310115", "parent_department_code": "SHEITC"},
    )
    await put_policies(
        {"title": "经信政策", "department_code": "SHEITC"},
        {"title": "浦东政策", "level": "DISTRICT", "districts": ["310115"]},
        {"title": "浦东解读", "level": "DISTRICT", "districts": ["310115", "310101"], "kind": "INTERPRETATION"},
        {"title": "科委政策", "department_code": "STCSM"},
        {"title": "已下线", "department_code": "SHEITC", "state": "OFFLINE"},
    )
    query = """query P($filter: PolicyFilter) { stores { nodes { name
      policies(filter: $filter) { totalCount nodes { title } } } } }"""
    shown = {node["name"]: node["policies"] for node in (await api(query))["stores"]["nodes"]}
    assert shown == {
        "经信": {"totalCount": 1, "nodes": [{"title": "经信政策"}]},
        "浦东": {"totalCount": 2, "nodes": [{"title": "浦东解读"}, {"title": "浦东政策"}]},
        "机构": {"totalCount": 0, "nodes": []},
    }
    express = await api(query, filter={"kinds": ["INTERPRETATION"]})
    assert [node["policies"]["totalCount"] for node in express["stores"]["nodes"]] == [0, 1, 0]


async def test_a_department_store_shows_products_of_the_units_below_it(api: Api) -> None:
    """R-STO-13, R-STO-14."""
    keys = await put_stores(
        {"name": "经信", "kind": "DEPARTMENT", "department_code": "SHEITC"},
        {"name": "中小企业中心", "parent_department_code": "SHEITC"},
        {"name": "检测所", "parent_department_code": "SHEITC"},
        {"name": "科创中心", "parent_department_code": "STCSM"},
        {"name": "停业所", "parent_department_code": "SHEITC", "state": "OFFLINE"},
    )
    await put_products(keys[1], {"name": "创业辅导"}, {"name": "融资对接", "category_code": "02060000"})
    await put_products(keys[2], {"name": "检测", "category_code": "02020200"}, {"name": "旧检测", "state": "OFFLINE"})
    await put_products(keys[3], {"name": "科技咨询"})
    await put_products(keys[4], {"name": "停业产品"})
    query = """query S($id: ID!, $filter: ProductFilter) { store(id: $id) {
      subordinateProducts(filter: $filter, orderBy: PRICE_ASC) { totalCount nodes { name store { name } } } } }"""
    sheitc, unit, testing = ids("store", keys)[:3]
    found = (await api(query, id=sheitc))["store"]["subordinateProducts"]
    assert found["totalCount"] == 3
    assert sorted((node["name"], node["store"]["name"]) for node in found["nodes"]) == [
        ("创业辅导", "中小企业中心"),
        ("检测", "检测所"),
        ("融资对接", "中小企业中心"),
    ]
    only = await api(query, id=sheitc, filter={"stores": [unit], "categories": ["02060000"]})
    assert only["store"]["subordinateProducts"] == {
        "totalCount": 1,
        "nodes": [{"name": "融资对接", "store": {"name": "中小企业中心"}}],
    }
    assert (await api(query, id=testing))["store"]["subordinateProducts"]["totalCount"] == 0


async def test_a_store_taken_offline_takes_its_products_and_articles_with_it(api: Api) -> None:
    store = await publish(api, "store", "admin", PUDONG)
    product_values = {"storeId": store, "name": "开办企业指导", "categoryCode": "02010500", "description": "一次办成"}
    product = await publish(api, "product", "district", product_values)
    news = {"storeId": store, "column": "NEWS", "title": "新政发布", "body": "<p>今日发布。</p>"}
    article = await publish(api, "article", "district", news)
    query = """query All($store: ID!, $product: ID!, $article: ID!) { store(id: $store) { state }
      product(id: $product) { state } article(id: $article) { state }
      products { totalCount } articles { totalCount } }"""
    asked = {"store": store, "product": product, "article": article}
    live = {"state": "PUBLISHED"}
    one = {"totalCount": 1}
    assert await api(query, **asked) == {
        "store": live,
        "product": live,
        "article": live,
        "products": one,
        "articles": one,
    }
    await take_offline(api, store, viewer="district")
    none = {"totalCount": 0}
    gone = {"store": None, "product": None, "article": None, "products": none, "articles": none}
    assert await api(query, **asked) == gone
    assert await api(query, viewer="department", **asked) == gone
    assert await api(query, viewer="district", **asked) == {
        "store": {"state": "OFFLINE"},
        "product": live,
        "article": live,
        "products": one,
        "articles": one,
    }
    republish = """mutation B($input: ItemRepublishInput!) { itemRepublish(input: $input) {
      item { state } userErrors { code } } }"""
    assert (await api(republish, viewer="district", input={"id": store}))["itemRepublish"]["item"] == live
    assert await api(query, **asked) == {
        "store": live,
        "product": live,
        "article": live,
        "products": one,
        "articles": one,
    }


async def test_what_a_hidden_product_offers_finds_no_store(api: Api) -> None:
    """Counts and filters never reveal hidden rows."""
    (store,) = await put_stores({"name": "检测所"})
    await put_products(store, {"category_code": "02020200", "state": "OFFLINE"})
    assert await names(api, filter={"categories": ["02020200"]}) == []
    assert await names(api, viewer="admin", filter={"categories": ["02020200"]}) == ["检测所"]


async def test_every_order_reads_its_index(api: Api) -> None:
    await put_stores(*({"rating": 1 + number % 400 / 100, "follower_count": number % 50} for number in range(3000)))
    await analyse("store")
    expected = {
        StoreOrder.NEWEST: "ix_store_newest",
        StoreOrder.FOLLOWERS: "ix_store_followers",
        StoreOrder.RATING: "ix_store_rating",
    }
    for order, index in expected.items():
        first = await plan_of(visible(Store, ANONYMOUS), ORDERS[order])
        assert f"Index Scan Backward using {index} on store" in first
        page = await api(f"{{ stores(first: 20, orderBy: {order.value}) {{ pageInfo {{ endCursor }} }} }}")
        cursor = page["stores"]["pageInfo"]["endCursor"]
        following = await plan_of(visible(Store, ANONYMOUS), ORDERS[order], cursor)
        assert f"Index Scan Backward using {index} on store" in following
        assert "Index Cond: (ROW(" in following

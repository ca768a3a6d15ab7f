"""Service products: how a seller publishes one, and how it is found (R-PRO-01, R-PRO-02, R-BASE-29)."""

from typing import Any
from uuid import UUID

from auth.viewer import ANONYMOUS
from auth.visibility import visible
from kit.db import fetch_value
from kit.ids import global_id
from models.account import StoreMember
from models.product import Product
from resolvers.product import ORDERS, ProductOrder
from tests.conftest import Api, account
from tests.storefront import (
    START,
    SUBMIT,
    analyse,
    ids,
    pages_of,
    plan_of,
    publish,
    put_products,
    put_stores,
    refused,
    refused_later,
    save,
    save_of,
    statements_of,
    take_offline,
)

NAMES = """query Names($filter: ProductFilter, $order: ProductOrder) {
  products(filter: $filter, orderBy: $order) { nodes { name } } }"""
W2 = """query W2($after: String) { products(first: 50, after: $after) {
  nodes { id name price category { name } store { id name district { name } } } pageInfo { endCursor } } }"""


async def names(api: Api, **variables: Any) -> list[str]:
    return [node["name"] for node in (await api(NAMES, **variables))["products"]["nodes"]]


async def sellers_store() -> str:
    """The store that the demo seller manages, put in place; its global id."""
    seller = await account("seller")
    key: UUID = await fetch_value(visible(StoreMember, seller, StoreMember.store_id))
    await put_stores({"id": key, "name": "数织工业软件", "district_code": "310110", "owner": f"store:{key.hex}"})
    return global_id("store", key)


def values(store: str, **changes: Any) -> dict[str, Any]:
    return {
        "storeId": store,
        "name": "生产排程软件",
        "categoryCode": "02020500",
        "serviceAreas": ["310110", "310115"],
        "targets": ["SMALL", "MEDIUM"],
        "priceKind": "PRICED",
        "price": "1200.5",
        "description": "<p>按订单<script>alert(1)</script>排程。</p>",
        "tags": ["排程"],
        **changes,
    }


async def test_a_seller_publishes_a_product_after_review(api: Api) -> None:
    """R-PRO-01, R-BASE-29."""
    store = await sellers_store()
    product = await publish(api, "product", "seller", values(store))
    query = """query One($id: ID!) { product(id: $id) { id name status state price priceKind nature orderCount
      rating description serviceAreas { code } targets tags category { name parent { name } }
      store { id name } viewCount } }"""
    assert await api(query, id=product) == {
        "product": {
            "id": product,
            "name": "生产排程软件",
            "status": "PUBLISHED",
            "state": "PUBLISHED",
            "price": "1200.50",
            "priceKind": "PRICED",
            "nature": "SOCIAL",
            "orderCount": 0,
            "rating": None,
            "description": "<p>按订单排程。</p>",
            "serviceAreas": [{"code": "310110"}, {"code": "310115"}],
            "targets": ["SMALL", "MEDIUM"],
            "tags": ["排程"],
            "category": {"name": "数字化转型", "parent": {"name": "科技创新"}},
            "store": {"id": store, "name": "数织工业软件"},
            "viewCount": 0,
        }
    }


async def test_reviewers_see_which_fields_of_a_product_changed(api: Api) -> None:
    """R-ADM-06."""
    store = await sellers_store()
    product = await publish(api, "product", "seller", values(store))
    draft = await save(api, "product", "seller", values(store, price="1500", serviceAreas=["310110"]), product)
    assert draft["changes"] == [
        {"field": "serviceAreas", "kind": "CHANGED", "before": ["310110", "310115"], "after": ["310110"]},
        {"field": "price", "kind": "CHANGED", "before": "1200.50", "after": "1500.00"},
    ]
    query = """query One($id: ID!) { revision(id: $id) {
      proposal { ... on ProductProposal { storeId price serviceAreas } }
      item { ... on Product { price } } } }"""
    assert (await api(query, viewer="reviewer", id=draft["id"]))["revision"] == {
        "proposal": {"storeId": store, "price": "1500.00", "serviceAreas": ["310110"]},
        "item": {"price": "1200.50"},
    }


async def test_what_did_not_change_is_not_submitted_again(api: Api) -> None:
    store = await sellers_store()
    product = await publish(api, "product", "seller", values(store))
    same = await refused_later(api, "product", "seller", values(store, price="1200.50"), product)
    assert same == [("NOTHING_CHANGED", ["id"])]


async def test_sellers_write_for_their_own_store_only(api: Api) -> None:
    own = await sellers_store()
    other, hidden = ids("store", await put_stores({"name": "别家"}, {"name": "停业", "state": "OFFLINE"}))
    assert await refused(api, "product", "seller", values(other)) == [("NOT_YOURS", ["values", "storeId"])]
    assert await refused(api, "product", "seller", values(hidden)) == [("NOT_FOUND", ["values", "storeId"])]
    assert await refused(api, "product", "district", values(own)) == [("NOT_YOURS", ["values", "storeId"])]
    assert await refused(api, "product", "admin", values("store_" + "0" * 32)) == [("NOT_FOUND", ["values", "storeId"])]
    assert await refused(api, "product", "admin", values("nothing")) == [("INVALID_VALUE", ["values", "storeId"])]
    product = await publish(api, "product", "seller", values(own))
    assert await refused(api, "product", "district", values(own, name="改名"), product) == [
        ("NOT_YOURS", ["values", "storeId"])
    ]


async def test_a_buyer_may_not_write_at_all(api: Api) -> None:
    store = await sellers_store()
    answer = await api.raw(save_of("product"), viewer="buyer", input={"values": values(store)})
    assert answer["data"] == {"productSave": None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["ACCESS_DENIED"]


async def test_a_draft_does_not_move_to_a_store_that_is_not_its_authors(api: Api) -> None:
    """The author's right is asked at every save, not only at the first."""
    own = await sellers_store()
    (other,) = ids("store", await put_stores({"name": "别家"}))
    draft = await save(api, "product", "seller", values(own))
    moved = await refused(api, "product", "seller", values(other), draft["itemId"])
    assert moved == [("NOT_YOURS", ["values", "storeId"])]


async def test_a_published_product_stays_in_its_store(api: Api) -> None:
    store = await sellers_store()
    (other,) = ids("store", await put_stores({"name": "别家"}))
    product = await publish(api, "product", "seller", values(store))
    assert await refused(api, "product", "admin", values(other), product) == [("FIXED_FIELD", ["values", "storeId"])]


async def test_what_may_not_be_published_is_refused_at_submission(api: Api) -> None:
    store = await sellers_store()
    for changes, refusal in (
        ({"categoryCode": "09090909"}, ("UNKNOWN_CODE", ["values", "categoryCode"])),
        ({"serviceAreas": ["310110", "320000"]}, ("UNKNOWN_CODE", ["values", "serviceAreas", "1"])),
        ({"name": "全市最 佳排程"}, ("SENSITIVE_WORDS", ["values", "name"])),
        ({"tags": ["好用", "最佳"]}, ("SENSITIVE_WORDS", ["values", "tags"])),
    ):
        assert await refused_later(api, "product", "seller", values(store, **changes)) == [refusal]


async def test_what_is_wrong_in_itself_is_refused_at_once(api: Api) -> None:
    store = await sellers_store()
    for changes, path in (
        ({"price": None}, ["values"]),
        ({"price": "0"}, ["values"]),
        ({"priceKind": "NEGOTIABLE"}, ["values"]),
        ({"priceKind": "FREE"}, ["values"]),
        ({"price": "-1"}, ["values", "price"]),
        ({"price": "1.234"}, ["values", "price"]),
        ({"price": "10000000000"}, ["values", "price"]),
        ({"description": ""}, ["values", "description"]),
        ({"name": "短"}, ["values", "name"]),
    ):
        assert await refused(api, "product", "seller", values(store, **changes)) == [("INVALID_VALUE", path)]


async def test_words_to_be_confirmed_are_shown_to_the_reviewer(api: Api) -> None:
    """R-ADM-04: severity WARN."""
    store = await sellers_store()
    word = "mutation W($input: SensitiveWordSaveInput!) { sensitiveWordSave(input: $input) { userErrors { code } } }"
    given = {"word": "包过", "category": "承诺", "severity": "WARN"}
    assert (await api(word, viewer="admin", input=given))["sensitiveWordSave"] == {"userErrors": []}
    draft = await save(api, "product", "seller", values(store, summary="认定包过"))
    assert await api.refusals(SUBMIT, viewer="seller", input={"id": draft["id"]}) == [
        ("WORDS_NEED_CONFIRMATION", ["values", "summary"])
    ]
    confirmed = await api(SUBMIT, viewer="seller", input={"id": draft["id"], "confirmWords": True})
    assert confirmed["revisionSubmit"]["revision"] == {
        "state": "PENDING_REVIEW",
        "words": [{"word": "包过", "severity": "WARN", "field": "summary"}],
    }


async def test_what_is_free_costs_nothing(api: Api) -> None:
    store = await sellers_store()
    await publish(api, "product", "seller", values(store, priceKind="FREE", price=None))
    assert await api('{ products(filter: {priceMax: "0"}) { nodes { price priceKind } } }') == {
        "products": {"nodes": [{"price": "0.00", "priceKind": "FREE"}]}
    }


async def test_filters_keep_what_they_say(api: Api) -> None:
    """R-PRO-02, R-BASE-21."""
    flagship, institution = await put_stores({"kind": "DISTRICT", "district_code": "310115"}, {})
    await put_products(
        flagship,
        {"name": "开办指导", "nature": "PUBLIC", "price_kind": "FREE", "price": 0, "category_code": "02010500"},
        {"name": "惠企专窗", "nature": "PUBLIC", "service_areas": ["310115"], "provider": "浦东企服中心"},
    )
    await put_products(
        institution,
        {"name": "专利代理", "price_kind": "PRICED", "price": 3000, "category_code": "02030100", "rating": 4.6},
        {"name": "上市辅导", "category_code": "02070000", "targets": ["LARGE"], "rating": 4.1},
    )
    assert await names(api) == ["上市辅导", "惠企专窗", "专利代理", "开办指导"]
    assert await names(api, filter={"keyword": "企服"}) == ["惠企专窗"]
    assert await names(api, filter={"categories": ["02010000"]}) == ["惠企专窗", "开办指导"]
    assert await names(api, filter={"categories": ["02010500", "02030000"]}) == ["专利代理", "开办指导"]
    assert await names(api, filter={"districts": ["310101"]}) == ["上市辅导", "专利代理", "开办指导"]
    assert await names(api, filter={"priceKinds": ["PRICED"]}) == ["专利代理"]
    assert await names(api, filter={"priceMin": "0.01", "priceMax": "3000"}) == ["专利代理"]
    assert await names(api, filter={"priceMax": "2999.99"}) == ["开办指导"]
    assert await names(api, filter={"natures": ["PUBLIC"]}) == ["惠企专窗", "开办指导"]
    assert await names(api, filter={"storeKinds": ["INSTITUTION"]}) == ["上市辅导", "专利代理"]
    assert await names(api, filter={"stores": ids("store", [flagship])}) == ["惠企专窗", "开办指导"]
    assert await names(api, filter={"stores": ["store_1", "nothing"]}) == []
    assert await names(api, filter={"targets": ["MICRO"]}) == ["惠企专窗", "专利代理", "开办指导"]
    assert await names(api, filter={"minRating": 4.1}) == ["上市辅导", "专利代理"]
    assert await names(api, filter={"minRating": 4.11}) == ["专利代理"]
    assert await names(api, filter={"minRating": 100}) == []
    assert await names(api, filter={"priceMax": "99999999999999"}) == ["专利代理", "开办指导"]
    assert await names(api, filter={"states": ["OFFLINE"]}) == []
    assert await names(api, filter={"natures": ["PUBLIC"], "keyword": "指导"}) == ["开办指导"]


async def test_filters_by_time_are_half_open(api: Api) -> None:
    (store,) = await put_stores({})
    await put_products(store, {"name": "第一"}, {"name": "第二"}, {"name": "第三"})
    window = {"publishedAfter": "2026-03-01T16:01:00+08:00", "publishedBefore": "2026-03-01T08:02:00Z"}
    assert await names(api, filter=window) == ["第二"]


async def test_prices_by_agreement_come_last_whichever_way_prices_are_sorted(api: Api) -> None:
    (store,) = await put_stores({})
    priced = {"price_kind": "PRICED"}
    await put_products(
        store,
        {"name": "面议", "order_count": 5, "rating": 3.5},
        {"name": "贵", **priced, "price": 9999999999.99, "order_count": 1, "rating": 5},
        {"name": "免费", "price_kind": "FREE", "price": 0, "order_count": 9},
        {"name": "中", **priced, "price": 88, "order_count": 2, "rating": 4.25},
    )
    assert await names(api, order="PRICE_ASC") == ["免费", "中", "贵", "面议"]
    assert await names(api, order="PRICE_DESC") == ["贵", "中", "免费", "面议"]
    assert await names(api, order="ORDERS") == ["免费", "面议", "中", "贵"]
    assert await names(api, order="RATING") == ["贵", "中", "面议", "免费"]
    assert await names(api, order="NEWEST") == ["中", "免费", "贵", "面议"]


async def test_pages_lose_and_repeat_nothing_where_sort_values_are_equal(api: Api) -> None:
    (store,) = await put_stores({})
    tied = {"published_at": START, "rating": 4.5, "order_count": 7, "price_kind": "PRICED", "price": 88}
    await put_products(store, *({**tied, "name": f"品{number}"} for number in range(7)))
    for order in ProductOrder:
        query = f"""query Page($first: Int, $after: String, $last: Int, $before: String) {{
          products(orderBy: {order.value}, first: $first, after: $after, last: $last, before: $before) {{
            nodes {{ name }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
        every = [f"品{number}" for number in range(7)]
        shown = every if order is ProductOrder.PRICE_ASC else every[::-1]
        assert await pages_of(api, query, "products", 3) == [shown[:3], shown[3:6], shown[6:]]
        assert await pages_of(api, query, "products", 3, backward=True) == [shown[4:], shown[1:4], shown[:1]]


async def test_the_list_costs_two_statements_whatever_its_length(api: Api) -> None:
    """W2: products, then their stores at once; categories and districts are known."""
    counts = []
    for number in (1, 12):
        for key in await put_stores(*({"district_code": "310115"} for _ in range(number))):
            await put_products(key, {}, {"category_code": "02090000"}, {"category_code": "02020200"})
        counts.append(await statements_of(api, W2))
    assert counts == [2, 2]


async def test_an_offline_product_is_gone_for_the_public_and_there_for_its_seller(api: Api) -> None:
    store = await sellers_store()
    product = await publish(api, "product", "seller", values(store))
    await take_offline(api, product, viewer="seller")
    query = "query One($id: ID!) { product(id: $id) { status offlineReason } products { totalCount } }"
    assert await api(query, id=product) == {"product": None, "products": {"totalCount": 0}}
    assert await api(query, viewer="buyer", id=product) == {"product": None, "products": {"totalCount": 0}}
    shown = {"product": {"status": "OFFLINE", "offlineReason": "装修"}, "products": {"totalCount": 1}}
    assert await api(query, viewer="seller", id=product) == shown


async def test_every_order_reads_its_index(api: Api) -> None:
    stores = await put_stores(*({} for _ in range(50)))
    for number, store in enumerate(stores):
        rows = ({"rating": 1 + (number + each) % 400 / 100, "order_count": each, "price": each} for each in range(60))
        await put_products(store, *({"price_kind": "PRICED", "name": "产品", **row} for row in rows))
    await analyse("store", "product")
    expected = {
        ProductOrder.NEWEST: "Index Scan Backward using ix_product_newest on product",
        ProductOrder.ORDERS: "Index Scan Backward using ix_product_orders on product",
        ProductOrder.RATING: "Index Scan Backward using ix_product_rating on product",
        ProductOrder.PRICE_ASC: "Index Scan using ix_product_price_asc on product",
        ProductOrder.PRICE_DESC: "Index Scan Backward using ix_product_price_desc on product",
    }
    for order, scan in expected.items():
        assert scan in await plan_of(visible(Product, ANONYMOUS), ORDERS[order])
        page = await api(f"{{ products(first: 20, orderBy: {order.value}) {{ pageInfo {{ endCursor }} }} }}")
        cursor = page["products"]["pageInfo"]["endCursor"]
        following = await plan_of(visible(Product, ANONYMOUS), ORDERS[order], cursor)
        assert scan in following
        assert "Index Cond: (ROW(" in following

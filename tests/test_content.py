"""Articles: in which columns they stand, who writes them, how they are found (R-STO-03 to 32, R-BASE-02)."""

from typing import Any

from auth.viewer import ANONYMOUS
from auth.visibility import visible
from models.content import Article
from resolvers.content import ORDERS, ArticleOrder
from tests.conftest import Api
from tests.storefront import (
    START,
    analyse,
    ids,
    pages_of,
    plan_of,
    publish,
    put_articles,
    put_stores,
    refused,
    refused_later,
    save,
    statements_of,
    take_offline,
)

TITLES = """query Titles($filter: ArticleFilter, $order: ArticleOrder) {
  articles(filter: $filter, orderBy: $order) { nodes { name: title } } }"""


async def titles(api: Api, **variables: Any) -> list[str]:
    return [node["name"] for node in (await api(TITLES, **variables))["articles"]["nodes"]]


async def flagships() -> list[str]:
    """The stores of the demo department, the demo district and another district; their global ids."""
    keys = await put_stores(
        {"name": "经信", "kind": "DEPARTMENT", "department_code": "SHEITC", "owner": "department:SHEITC"},
        {"name": "浦东", "kind": "DISTRICT", "district_code": "310115", "owner": "district:310115"},
        {"name": "黄浦", "kind": "DISTRICT", "district_code": "310101", "owner": "district:310101"},
    )
    return ids("store", keys)


def values(store: str | None, **changes: Any) -> dict[str, Any]:
    return {"storeId": store, "column": "NEWS", "title": "服务月启动", "body": "<p>即日起。</p>", **changes}


async def test_a_manager_publishes_in_a_column_of_his_store(api: Api) -> None:
    """R-STO-09, R-STO-10: what a service asks for, and the item on 一网通办."""
    sheitc, *_ = await flagships()
    guide = values(
        sheitc,
        column="GOV_SERVICE_GUIDE",
        title="专精特新认定",
        requirements="<ul><li onclick='x()'>营业执照</li></ul>",
        oneNetcomUrl="https://one-netcom.example/items/1",
        attachments=[{"name": "申请表.docx", "url": "/files/form.docx", "size": 2048}],
    )
    article = await publish(api, "article", "department", guide)
    query = """query One($id: ID!) { article(id: $id) { id title column topic body requirements oneNetcomUrl
      attachments { name url size contentType } store { name kind } linkedStore { id } state viewCount } }"""
    assert await api(query, id=article) == {
        "article": {
            "id": article,
            "title": "专精特新认定",
            "column": "GOV_SERVICE_GUIDE",
            "topic": None,
            "body": "<p>即日起。</p>",
            "requirements": "<ul><li>营业执照</li></ul>",
            "oneNetcomUrl": "https://one-netcom.example/items/1",
            "attachments": [
                {
                    "name": "申请表.docx",
                    "url": "/files/form.docx",
                    "size": 2048,
                    "contentType": "application/octet-stream",
                }
            ],
            "store": {"name": "经信", "kind": "DEPARTMENT"},
            "linkedStore": None,
            "state": "PUBLISHED",
            "viewCount": 0,
        }
    }


async def test_a_store_lists_its_articles_by_column_and_kind(api: Api) -> None:
    """R-STO-17, R-STO-18, R-STO-23."""
    _, pudong, _ = await flagships()
    invest = {"column": "INVESTMENT_INFO", "topic": "INVESTMENT_PLAN"}
    await publish(api, "article", "district", values(pudong, title="投资计划", **invest))
    await publish(
        api, "article", "district", values(pudong, title="投资指南", **{**invest, "topic": "INVESTMENT_GUIDE"})
    )
    await publish(api, "article", "district", values(pudong, title="工作动态"))
    query = """query S($id: ID!, $filter: ArticleFilter) { store(id: $id) {
      articles(filter: $filter) { totalCount nodes { title topic } } } }"""
    shown = await api(query, id=pudong, filter={"columns": ["INVESTMENT_INFO"]})
    assert shown["store"]["articles"] == {
        "totalCount": 2,
        "nodes": [
            {"title": "投资指南", "topic": "INVESTMENT_GUIDE"},
            {"title": "投资计划", "topic": "INVESTMENT_PLAN"},
        ],
    }
    plans = await api(query, id=pudong, filter={"topics": ["INVESTMENT_PLAN"]})
    assert plans["store"]["articles"]["totalCount"] == 1


async def test_managers_write_in_their_own_store_only(api: Api) -> None:
    sheitc, pudong, huangpu = await flagships()
    not_yours = [("NOT_YOURS", ["values", "storeId"])]
    assert await refused(api, "article", "district", values(huangpu)) == not_yours
    assert await refused(api, "article", "district", values(sheitc)) == not_yours
    assert await refused(api, "article", "department", values(pudong)) == not_yours
    assert await refused(api, "article", "seller", values(pudong)) == not_yours
    draft = await save(api, "article", "district", values(pudong))
    assert await refused(api, "article", "district", values(huangpu), draft["itemId"]) == not_yours
    assert await refused(api, "article", "department", values(pudong), draft["itemId"]) == [("NOT_FOUND", ["id"])]


async def test_a_column_of_another_kind_of_store_is_refused(api: Api) -> None:
    sheitc, pudong, _ = await flagships()
    not_offered = [("COLUMN_NOT_OFFERED", ["values", "column"])]
    intro = values(sheitc, column="DISTRICT_INTRO")
    assert await refused_later(api, "article", "department", intro) == not_offered
    for column in ("GUIDANCE", "SUCCESS_CASE", "GOV_SERVICE_GUIDE"):
        assert await refused_later(api, "article", "district", values(pudong, column=column)) == not_offered


async def test_what_is_wrong_in_itself_is_refused_at_once(api: Api) -> None:
    _, pudong, _ = await flagships()
    for changes, path in (
        ({"column": "POLICY"}, ["values"]),
        ({"column": "PROXY_REPORT"}, ["values"]),
        ({"column": "INVESTMENT_INFO"}, ["values"]),
        ({"column": "INVESTMENT_INFO", "topic": "INDUSTRY_CLUSTER"}, ["values"]),
        ({"topic": "INVESTMENT_PLAN"}, ["values"]),
        ({"body": " "}, ["values"]),
        ({"column": "GOV_SERVICE_ENTRY"}, ["values"]),
        ({"column": "GOV_SERVICE_ENTRY", "url": "javascript:alert(1)"}, ["values", "url"]),
        ({"column": "GOV_SERVICE_ENTRY", "url": "//elsewhere.example"}, ["values", "url"]),
        ({"oneNetcomUrl": "one-netcom"}, ["values", "oneNetcomUrl"]),
        ({"attachments": [{"name": "x", "url": "file:///etc/passwd"}]}, ["values", "attachments", "0", "url"]),
    ):
        assert await refused(api, "article", "district", values(pudong, **changes)) == [("INVALID_VALUE", path)]


async def test_entrances_stand_in_their_order_and_may_lead_to_a_store(api: Api) -> None:
    """R-STO-27, R-STO-29, R-STO-30."""
    _, pudong, huangpu = await flagships()
    entry = {"column": "GOV_SERVICE_ENTRY", "body": "", "icon": "https://cdn.example/tax.svg"}
    await publish(api, "article", "district", values(pudong, title="办税", url="/tax", sortOrder=2, **entry))
    linked = {"url": "https://one-netcom.example", "sortOrder": 1, "linkedStoreId": huangpu}
    await publish(api, "article", "district", values(pudong, title="一网通办", **linked, **entry))
    query = """query S($id: ID!) { store(id: $id) {
      articles(filter: {columns: [GOV_SERVICE_ENTRY]}, orderBy: SORT_ORDER) {
        nodes { title url icon sortOrder linkedStore { name } } } } }"""
    icon = {"icon": "https://cdn.example/tax.svg"}
    assert (await api(query, id=pudong))["store"]["articles"]["nodes"] == [
        {
            "title": "一网通办",
            "url": "https://one-netcom.example",
            "sortOrder": 1,
            "linkedStore": {"name": "黄浦"},
            **icon,
        },
        {"title": "办税", "url": "/tax", "sortOrder": 2, "linkedStore": None, **icon},
    ]


async def test_a_store_spoken_of_must_exist(api: Api) -> None:
    _, pudong, _ = await flagships()
    nowhere = values(pudong, column="SOCIAL_SERVICE", linkedStoreId="store_" + "0" * 32)
    assert await refused_later(api, "article", "district", nowhere) == [("NOT_FOUND", ["values", "linkedStoreId"])]


async def test_the_platforms_news_are_written_by_its_own_staff(api: Api) -> None:
    """R-BASE-02."""
    article = await publish(api, "article", "staff", values(None, origin="市政府", byline="记者"))
    query = "query One($id: ID!) { article(id: $id) { title column origin byline store { id } } }"
    assert (await api(query, id=article))["article"] == {
        "title": "服务月启动",
        "column": "NEWS",
        "origin": "市政府",
        "byline": "记者",
        "store": None,
    }
    for viewer in ("department", "district", "seller"):
        assert await refused(api, "article", viewer, values(None)) == [("NOT_YOURS", ["values", "storeId"])]
    assert await refused_later(api, "article", "staff", values(None, column="GUIDANCE")) == [
        ("COLUMN_NOT_OFFERED", ["values", "column"])
    ]


async def test_sensitive_words_stop_an_article_wherever_they_stand(api: Api) -> None:
    """R-ADM-04."""
    _, pudong, _ = await flagships()
    blocked = values(pudong, title="本区最佳", summary="服务最－佳", body="<p>最<b>佳</b>营商环境</p>")
    assert await refused_later(api, "article", "district", blocked) == [
        ("SENSITIVE_WORDS", ["values", field]) for field in ("title", "summary", "body")
    ]
    named = values(pudong, attachments=[{"name": "全国最佳.pdf", "url": "/files/1.pdf"}])
    assert await refused_later(api, "article", "district", named) == [("SENSITIVE_WORDS", ["values", "attachments"])]


async def test_filters_keep_what_they_say(api: Api) -> None:
    sheitc, pudong = await put_stores(
        {"kind": "DEPARTMENT", "department_code": "SHEITC"}, {"kind": "DISTRICT", "district_code": "310115"}
    )
    await put_articles(sheitc, {"title": "经信新闻"}, {"title": "经信指导", "column": "GUIDANCE", "summary": "怎么办"})
    cluster = {"column": "INVESTMENT_ATTRACTION", "topic": "INDUSTRY_CLUSTER"}
    await put_articles(
        pudong, {"title": "浦东新闻"}, {"title": "产业集群", **cluster}, {"title": "旧闻", "state": "OFFLINE"}
    )
    await put_articles(None, {"title": "平台新闻"})
    assert await titles(api) == ["产业集群", "经信指导", "平台新闻", "浦东新闻", "经信新闻"]
    assert await titles(api, filter={"columns": ["NEWS"]}) == ["平台新闻", "浦东新闻", "经信新闻"]
    assert await titles(api, filter={"columns": ["GUIDANCE", "INVESTMENT_ATTRACTION"]}) == ["产业集群", "经信指导"]
    assert await titles(api, filter={"topics": ["INDUSTRY_CLUSTER"]}) == ["产业集群"]
    assert await titles(api, filter={"stores": ids("store", [sheitc])}) == ["经信指导", "经信新闻"]
    assert await titles(api, filter={"platformNews": True}) == ["平台新闻"]
    assert await titles(api, filter={"platformNews": False}) == ["产业集群", "经信指导", "浦东新闻", "经信新闻"]
    assert await titles(api, filter={"keyword": "怎么"}) == ["经信指导"]
    assert await titles(api, filter={"publishedAfter": "2026-03-01T08:01:00Z"}) == ["产业集群", "经信指导"]
    assert await titles(api, filter={"publishedBefore": "2026-03-01T08:01:00Z", "keyword": "经信"}) == ["经信新闻"]
    assert await titles(api, viewer="admin", filter={"states": ["OFFLINE"]}) == ["旧闻"]
    assert await titles(api, filter={"states": ["OFFLINE"]}) == []


async def test_an_article_is_gone_while_its_store_is_offline(api: Api) -> None:
    _, pudong, _ = await flagships()
    article = await publish(api, "article", "district", values(pudong))
    platform = await publish(api, "article", "staff", values(None, title="平台新闻"))
    await take_offline(api, pudong)
    query = "query Two($a: ID!, $b: ID!) { a: article(id: $a) { title } b: article(id: $b) { title } }"
    assert await api(query, a=article, b=platform) == {"a": None, "b": {"title": "平台新闻"}}
    assert await titles(api) == ["平台新闻"]


async def test_pages_lose_and_repeat_nothing_where_sort_values_are_equal(api: Api) -> None:
    tied = {"published_at": START, "view_count": 7, "sort_order": 3}
    await put_articles(None, *({**tied, "title": f"文{number}"} for number in range(7)))
    for order in ArticleOrder:
        query = f"""query Page($first: Int, $after: String, $last: Int, $before: String) {{
          articles(orderBy: {order.value}, first: $first, after: $after, last: $last, before: $before) {{
            nodes {{ name: title }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
        every = [f"文{number}" for number in range(7)]
        shown = every if order is ArticleOrder.SORT_ORDER else every[::-1]
        assert await pages_of(api, query, "articles", 3) == [shown[:3], shown[3:6], shown[6:]]
        assert await pages_of(api, query, "articles", 3, backward=True) == [shown[4:], shown[1:4], shown[:1]]


async def test_orders_sort_by_what_they_say(api: Api) -> None:
    await put_articles(
        None,
        {"title": "甲", "view_count": 5, "sort_order": 2},
        {"title": "乙", "view_count": 9, "sort_order": 3},
        {"title": "丙", "view_count": 1, "sort_order": 1},
    )
    assert await titles(api, order="NEWEST") == ["丙", "乙", "甲"]
    assert await titles(api, order="SORT_ORDER") == ["丙", "甲", "乙"]
    assert await titles(api, order="VIEWED") == ["乙", "甲", "丙"]


async def test_stores_with_their_articles_cost_two_statements_whatever_their_number(api: Api) -> None:
    query = "{ stores { nodes { name articles(first: 5) { nodes { title column } } } } }"
    counts = []
    for number in (1, 9):
        for key in await put_stores(*({} for _ in range(number))):
            await put_articles(key, {}, {})
        counts.append(await statements_of(api, query))
    assert counts == [2, 2]


async def test_every_order_reads_its_index(api: Api) -> None:
    stores = await put_stores(*({} for _ in range(40)))
    for store in stores:
        await put_articles(store, *({"view_count": each * 7 % 90, "sort_order": each % 10} for each in range(75)))
    await put_articles(None, *({} for _ in range(200)))
    await analyse("store", "article")
    expected = {
        ArticleOrder.NEWEST: "Index Scan Backward using ix_article_newest on article",
        ArticleOrder.SORT_ORDER: "Index Scan using ix_article_order on article",
        ArticleOrder.VIEWED: "Index Scan Backward using ix_article_viewed on article",
    }
    for order, scan in expected.items():
        assert scan in await plan_of(visible(Article, ANONYMOUS), ORDERS[order])
        page = await api(f"{{ articles(first: 20, orderBy: {order.value}) {{ pageInfo {{ endCursor }} }} }}")
        cursor = page["articles"]["pageInfo"]["endCursor"]
        following = await plan_of(visible(Article, ANONYMOUS), ORDERS[order], cursor)
        assert scan in following
        assert "Index Cond: (ROW(" in following

"""What a reviewer sees: the work list, what changed, sensitive words at their places (R-ADM-03 to 06, R-ADM-16)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from kit import clock
from kit.db import database
from services.account import ACCOUNT
from tests.conftest import Answer, Api, shift
from tests.storefront import REVIEW, SUBMIT, publish, put_products, put_stores, save
from tests.test_policy import values

CHANGES = """query Changes($id: ID!) { revision(id: $id) { isNew changes {
  field kind before after text { op text } itemsAdded itemsRemoved } } }"""
QUEUE = """query Queue($filter: RevisionFilter, $first: Int, $after: String) {
  reviewQueue(filter: $filter, first: $first, after: $after) {
    totalCount nodes { title kind submittedAt authorName } pageInfo { hasNextPage endCursor } }
  reviewQueueSize }"""
WORDS = """query Words($text: String!) { sensitiveWords(text: $text) {
  start end text word category severity suggestion } }"""
SUBMITTED_WORDS = """query Words($id: ID!) { revision(id: $id) {
  words { field start end text word severity suggestion } } }"""


async def changes(api: Api, revision: Answer) -> list[Answer]:
    answer = (await api(CHANGES, viewer="reviewer", id=revision["id"]))["revision"]
    found: list[Answer] = answer["changes"]
    return found


async def draft(api: Api, item: str | None = None, viewer: str = "department", **changed: Any) -> Answer:
    return await save(api, "policy", viewer, values(**changed), item)


async def test_each_changed_field_is_shown_before_and_after(api: Api) -> None:
    """R-ADM-05, R-ADM-06: changed, added and removed fields in the order of the form."""
    item = await publish(
        api, "policy", "department", values(summary="旧摘要", amountMax="500000", applyStart="2026-12-01")
    )
    revision = await draft(
        api, item, title="关于支持专精特新企业高质量发展的若干措施", amountMax="800000", phone="021-12345678"
    )
    assert await changes(api, revision) == [
        {
            "field": "title",
            "kind": "CHANGED",
            "before": "关于支持专精特新企业发展的若干措施",
            "after": "关于支持专精特新企业高质量发展的若干措施",
            "text": [
                {"op": "EQUAL", "text": "关于支持专精特新企业"},
                {"op": "INSERT", "text": "高质量"},
                {"op": "EQUAL", "text": "发展的若干措施"},
            ],
            "itemsAdded": [],
            "itemsRemoved": [],
        },
        {
            "field": "summary",
            "kind": "REMOVED",
            "before": "旧摘要",
            "after": "",
            "text": [{"op": "DELETE", "text": "旧摘要"}],
            "itemsAdded": [],
            "itemsRemoved": [],
        },
        {
            "field": "amountMax",
            "kind": "CHANGED",
            "before": "500000.00",
            "after": "800000.00",
            "text": [
                {"op": "DELETE", "text": "500000.00"},
                {"op": "INSERT", "text": "800000.00"},
            ],
            "itemsAdded": [],
            "itemsRemoved": [],
        },
        {
            "field": "applyStart",
            "kind": "REMOVED",
            "before": "2026-12-01",
            "after": None,
            "text": [{"op": "DELETE", "text": "2026-12-01"}],
            "itemsAdded": [],
            "itemsRemoved": [],
        },
        {
            "field": "phone",
            "kind": "ADDED",
            "before": "",
            "after": "021-12345678",
            "text": [{"op": "INSERT", "text": "021-12345678"}],
            "itemsAdded": [],
            "itemsRemoved": [],
        },
    ]


async def test_a_long_text_is_compared_as_it_is_read_without_its_markup(api: Api) -> None:
    item = await publish(
        api,
        "policy",
        "department",
        values(body="<p>给予最高<strong>30万元</strong>补贴。</p><p>自发布之日起施行。</p>"),
    )
    revision = await draft(api, item, body="<p>给予最高50万元补贴。</p><p>自发布之日起施行。</p>")
    (change,) = await changes(api, revision)
    assert (change["field"], change["kind"]) == ("body", "CHANGED")
    assert change["before"] == "<p>给予最高<strong>30万元</strong>补贴。</p><p>自发布之日起施行。</p>"
    assert change["after"] == "<p>给予最高50万元补贴。</p><p>自发布之日起施行。</p>"
    spans = [(span["op"], span["text"]) for span in change["text"]]
    assert [span for span in spans if span[0] != "EQUAL"] == [("DELETE", "30"), ("INSERT", "50")]
    assert "".join(text for op, text in spans if op != "INSERT") == "给予最高30万元补贴。\n自发布之日起施行。"
    assert "".join(text for op, text in spans if op != "DELETE") == "给予最高50万元补贴。\n自发布之日起施行。"


async def test_new_markup_alone_is_a_change_in_which_no_word_came_or_went(api: Api) -> None:
    item = await publish(api, "policy", "department", values(body="<p>给予补贴。</p>"))
    (change,) = await changes(api, await draft(api, item, body="<p>给予<strong>补贴</strong>。</p>"))
    assert (change["before"], change["after"]) == ("<p>给予补贴。</p>", "<p>给予<strong>补贴</strong>。</p>")
    assert change["text"] == [{"op": "EQUAL", "text": "给予补贴。"}]


async def test_items_of_lists_are_shown_as_they_came_and_went(api: Api) -> None:
    files = [{"name": "申报指南.pdf", "url": "/files/guide.pdf"}, {"name": "申请表.docx", "url": "/files/form.docx"}]
    old = values(materials=["营业执照", "审计报告", "承诺书"], enterpriseSizes=["SMALL", "MICRO"], attachments=files)
    item = await publish(api, "policy", "department", old)
    revision = await draft(
        api,
        item,
        materials=["承诺书", "营业执照", "研发费用明细"],
        enterpriseSizes=["MICRO", "SMALL"],
        attachments=[files[1], {"name": "样例.xlsx", "url": "/files/sample.xlsx"}],
    )
    found = {change["field"]: change for change in await changes(api, revision)}
    assert list(found) == ["enterpriseSizes", "materials", "attachments"]
    assert [(change["kind"], change["text"]) for change in found.values()] == [("CHANGED", [])] * 3
    moved = found["enterpriseSizes"]
    assert (moved["itemsAdded"], moved["itemsRemoved"]) == ([], [])
    assert (moved["before"], moved["after"]) == (["SMALL", "MICRO"], ["MICRO", "SMALL"])
    assert (found["materials"]["itemsAdded"], found["materials"]["itemsRemoved"]) == (["研发费用明细"], ["审计报告"])
    added, removed = found["attachments"]["itemsAdded"], found["attachments"]["itemsRemoved"]
    assert [(each["name"], each["url"]) for each in added] == [("样例.xlsx", "/files/sample.xlsx")]
    assert [(each["name"], each["url"]) for each in removed] == [("申报指南.pdf", "/files/guide.pdf")]


async def test_a_first_submission_adds_all_that_is_not_blank(api: Api) -> None:
    revision = await draft(api)
    found = await changes(api, revision)
    assert (await api(CHANGES, viewer="reviewer", id=revision["id"]))["revision"]["isNew"] is True
    assert {change["kind"] for change in found} == {"ADDED"}
    assert [change["field"] for change in found] == [
        *("title", "issuers", "documentNo", "level", "kind", "region", "departmentCode", "body", "validity"),
    ]


async def test_what_changed_stays_on_record_after_it_is_published(api: Api) -> None:
    """The comparison is with what was public when the revision was submitted, not with what is public now."""
    item = await publish(api, "policy", "department", values(title="第一版标题"))
    second = await draft(api, item, title="第二版标题")
    await _decide(api, second)
    await publish(api, "policy", "department", values(title="第三版标题"), item)
    (change,) = await changes(api, second)
    assert (change["before"], change["after"]) == ("第一版标题", "第二版标题")


async def _decide(api: Api, revision: Answer, decision: str = "APPROVE") -> None:
    assert (await api(SUBMIT, viewer="department", input={"id": revision["id"]}))["revisionSubmit"]["userErrors"] == []
    given = {"id": revision["id"], "decision": decision, "remark": "已核"}
    assert (await api(REVIEW, viewer="reviewer", input=given))["revisionReview"]["userErrors"] == []


async def test_words_are_pointed_out_as_they_are_typed(api: Api) -> None:
    """R-ADM-04: offsets count code points, so that the form can mark them; nothing is stored."""
    text = "😀我们是国家级服务商，提供最　佳方案"
    found = (await api(WORDS, viewer="seller", text=text))["sensitiveWords"]
    assert [(each["word"], each["text"], each["severity"], each["suggestion"]) for each in found] == [
        ("国家级", "国家级", "WARN", "写明认定机关和名称"),
        ("最佳", "最　佳", "BLOCK", "优质"),
    ]
    assert [(each["start"], each["end"]) for each in found] == [(4, 7), (13, 16)]
    assert [text[each["start"] : each["end"]] for each in found] == ["国家级", "最　佳"]
    assert (await api(WORDS, viewer="seller", text="最高人民法院"))["sensitiveWords"] == []


async def test_words_that_may_not_be_published_stop_a_submission_at_their_fields(api: Api) -> None:
    revision = await draft(
        api, title="最佳营商环境措施", materials=["全网第一证明"], applyUrl="https://esc.example/apply"
    )
    for confirmed in (False, True):
        given = {"id": revision["id"], "confirmWords": confirmed}
        assert await api.refusals(SUBMIT, viewer="department", input=given) == [
            ("SENSITIVE_WORDS", ["values", "title"]),
            ("SENSITIVE_WORDS", ["values", "materials"]),
        ]
    mended = await draft(api, revision["itemId"], title="优质营商环境措施")
    assert (await api(SUBMIT, viewer="department", input={"id": mended["id"]}))["revisionSubmit"]["userErrors"] == []


async def test_words_to_be_confirmed_stand_at_the_reviewer_with_their_places(api: Api) -> None:
    """Offsets are those of the text without markup, which is what the comparison shows as well."""
    body = "<p>支持<strong>国家级</strong>服务商。</p>"
    revision = await draft(api, body=body, acceptingDepartment="顶尖服务办")
    assert await api.refusals(SUBMIT, viewer="department", input={"id": revision["id"]}) == [
        ("WORDS_NEED_CONFIRMATION", ["values", "acceptingDepartment"]),
        ("WORDS_NEED_CONFIRMATION", ["values", "body"]),
    ]
    given = {"id": revision["id"], "confirmWords": True}
    assert (await api(SUBMIT, viewer="department", input=given))["revisionSubmit"]["userErrors"] == []
    found = (await api(SUBMITTED_WORDS, viewer="reviewer", id=revision["id"]))["revision"]["words"]
    assert [(each["field"], each["start"], each["end"], each["text"], each["suggestion"]) for each in found] == [
        ("acceptingDepartment", 0, 2, "顶尖", "高水平"),
        ("body", 2, 5, "国家级", "写明认定机关和名称"),
    ]
    assert {(each["word"] == each["text"], each["severity"]) for each in found} == {(True, "WARN")}


@pytest.mark.parametrize(("viewer", "code"), [(None, "UNAUTHENTICATED"), ("buyer", "ACCESS_DENIED")])
async def test_only_those_who_write_may_ask_for_words(api: Api, viewer: str | None, code: str) -> None:
    answer = await api.raw(WORDS, viewer=viewer, text="国家级")
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def queue(api: Api, viewer: str = "reviewer", **variables: Any) -> list[str]:
    answer = await api(QUEUE, viewer=viewer, **variables)
    return [node["title"] for node in answer["reviewQueue"]["nodes"]]


async def pending(api: Api, title: str, hours_ago: float, **changed: Any) -> Answer:
    """A policy that waits since then, of the place that the values say."""
    viewer = "district" if changed.get("districts") else "department"
    await shift(timedelta(hours=-hours_ago))
    revision = await draft(api, viewer=viewer, title=title, **changed)
    assert (await api(SUBMIT, viewer=viewer, input={"id": revision["id"]}))["revisionSubmit"]["userErrors"] == []
    await shift(timedelta())
    return revision


PUDONG = {"level": "DISTRICT", "districts": ["310115"], "departmentCode": None}


async def test_the_work_list_holds_all_kinds_the_longest_waiting_first(api: Api) -> None:
    """R-ADM-16: one list over everything, filtered by kind, age and district."""
    now = clock.now()
    await pending(api, "等了一小时", 1)
    oldest = await pending(api, "等了三天", 72)
    await pending(api, "浦东等了一天", 24, **PUDONG)
    (store,) = await put_stores({"owner": "department:SHEITC", "name": "诊断中心"})
    (product,) = await put_products(store, {"owner": "department:SHEITC"})
    offer = {"storeId": f"store_{store.hex}", "name": "免费诊断", "categoryCode": "02010100", "description": "详情"}
    await shift(timedelta(hours=-2))
    revision = await save(api, "product", "department", {**offer, "priceKind": "FREE"}, f"product_{product.hex}")
    await api(SUBMIT, viewer="department", input={"id": revision["id"]})
    await shift(timedelta())
    assert await queue(api) == ["等了三天", "浦东等了一天", "免费诊断", "等了一小时"]
    assert await queue(api, filter={"kinds": ["product"]}) == ["免费诊断"]
    assert await queue(api, filter={"kinds": ["policy", "store"]}) == ["等了三天", "浦东等了一天", "等了一小时"]
    assert await queue(api, filter={"districts": ["310115"]}) == ["浦东等了一天"]
    day_ago = (now - timedelta(hours=23)).isoformat()
    assert await queue(api, filter={"submittedBefore": day_ago}) == ["等了三天", "浦东等了一天"]
    assert await queue(api, filter={"keyword": "等了", "kinds": ["policy"], "districts": ["310104"]}) == []
    first = (await api(QUEUE, viewer="reviewer", first=3))["reviewQueue"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (4, True)
    assert await queue(api, first=3, after=first["pageInfo"]["endCursor"]) == ["等了一小时"]
    assert (await api(QUEUE, viewer="reviewer"))["reviewQueueSize"] == 4
    given = {"id": oldest["id"], "decision": "REJECT", "remark": "请改"}
    await api(REVIEW, viewer="admin", input=given)
    answer = await api(QUEUE, viewer="reviewer")
    assert (answer["reviewQueueSize"], answer["reviewQueue"]["totalCount"]) == (3, 3)


async def test_a_reviewer_of_a_place_has_the_work_of_that_place(api: Api) -> None:
    await pending(api, "委里的文件", 2)
    await pending(api, "浦东的文件", 1, **PUDONG)
    assert await queue(api) == ["委里的文件", "浦东的文件"]
    for columns, expected in (
        ({"district_code": "310115"}, ["浦东的文件"]),
        ({"district_code": "310104"}, []),
        ({"district_code": "310104", "department_code": "SHEITC"}, ["委里的文件"]),
    ):
        async with database.write() as writing:
            await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == "reviewer").values(**columns))
        answer = await api(QUEUE, viewer="reviewer")
        assert [node["title"] for node in answer["reviewQueue"]["nodes"]] == expected
        assert (answer["reviewQueue"]["totalCount"], answer["reviewQueueSize"]) == (len(expected), len(expected))
    assert await queue(api, "admin") == ["委里的文件", "浦东的文件"]


async def test_an_author_finds_his_own_and_his_places_revisions(api: Api) -> None:
    revision = await pending(api, "委里的文件", 1)
    await pending(api, "浦东的文件", 1, **PUDONG)
    mine = """query Mine($filter: RevisionFilter) { revisions(filter: $filter, orderBy: OLDEST_SUBMITTED) {
      totalCount nodes { title state } } }"""
    expected = {"totalCount": 1, "nodes": [{"title": "委里的文件", "state": "PENDING_REVIEW"}]}
    assert (await api(mine, viewer="department"))["revisions"] == expected
    assert (await api(mine, viewer="department", filter={"item": revision["itemId"]}))["revisions"] == expected
    for filtered in ({"item": "junk"}, {"states": ["DRAFT"]}, {"item": "policy_" + "0" * 32}):
        assert (await api(mine, viewer="department", filter=filtered))["revisions"] == {"totalCount": 0, "nodes": []}

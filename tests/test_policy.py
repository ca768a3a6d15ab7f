"""Policies: one, the library, today's declarations, and how one is written and reviewed (R-POL-01, R-BASE-03 to 05)."""

import asyncio
from typing import Any

import pytest

from tests.conftest import Api, Settle

SAVE = """mutation Save($input: PolicySaveInput!) { policySave(input: $input) {
  revision { id no state title itemId isNew changes { field kind before after } }
  userErrors { code field message } } }"""
SUBMIT = """mutation Submit($input: RevisionSubmitInput!) { revisionSubmit(input: $input) {
  revision { state words { word severity field } } userErrors { code field } } }"""
REVIEW = """mutation Review($input: RevisionReviewInput!) { revisionReview(input: $input) {
  revision { state reviewerName remark } userErrors { code field } } }"""
ONE = "query One($id: ID!) { policy(id: $id) { id title issuer documentNo level kind body revisionNo viewCount } }"


def values(**changes: Any) -> dict[str, Any]:
    return {
        "title": "关于支持专精特新企业发展的若干措施",
        "issuers": ["上海市经济和信息化委员会", "上海市财政局"],
        "documentNo": "沪经信企[2026]12号",
        "level": "MUNICIPAL",
        "kind": "NORMATIVE",
        "departmentCode": "SHEITC",
        "body": "<p>对首次认定的企业给予奖励。</p>",
        **changes,
    }


async def publish(api: Api, viewer: str = "department", **changes: Any) -> str:
    """Writes, submits and approves a policy; returns its global id."""
    saved = (await api(SAVE, viewer=viewer, input={"values": values(**changes)}))["policySave"]
    assert saved["userErrors"] == []
    revision = saved["revision"]
    submitted = await api(SUBMIT, viewer=viewer, input={"id": revision["id"], "confirmWords": True})
    assert submitted["revisionSubmit"]["userErrors"] == []
    reviewed = await api(REVIEW, viewer="reviewer", input={"id": revision["id"], "decision": "APPROVE"})
    assert reviewed["revisionReview"]["userErrors"] == []
    item: str = revision["itemId"]
    return item


async def test_a_policy_appears_to_the_public_after_another_person_approves_it(api: Api) -> None:
    """R-BASE-03."""
    saved = (await api(SAVE, viewer="department", input={"values": values()}))["policySave"]["revision"]
    assert (saved["no"], saved["state"], saved["isNew"]) == (1, "DRAFT", True)
    assert (await api(ONE, id=saved["itemId"])) == {"policy": None}
    submitted = (await api(SUBMIT, viewer="department", input={"id": saved["id"]}))["revisionSubmit"]
    assert submitted == {"revision": {"state": "PENDING_REVIEW", "words": []}, "userErrors": []}
    reviewed = (await api(REVIEW, viewer="reviewer", input={"id": saved["id"], "decision": "APPROVE"}))[
        "revisionReview"
    ]
    assert reviewed["revision"] == {"state": "PUBLISHED", "reviewerName": "内容审核员", "remark": None}
    policy = (await api(ONE, id=saved["itemId"]))["policy"]
    assert policy == {
        "id": saved["itemId"],
        "title": "关于支持专精特新企业发展的若干措施",
        "issuer": "上海市经济和信息化委员会",
        "documentNo": "沪经信企〔2026〕12号",
        "level": "MUNICIPAL",
        "kind": "NORMATIVE",
        "body": "<p>对首次认定的企业给予奖励。</p>",
        "revisionNo": 1,
        "viewCount": 0,
    }


async def test_full_text_finds_it_once_the_event_is_done(api: Api, settle: Settle) -> None:
    """R-BASE-05."""
    await publish(api)
    await settle()
    query = """{ search(query: "专精特新", types: [POLICY]) { totalCount degraded
        edges { node { ... on Policy { title } } highlights { field text } } } }"""
    found = (await api(query))["search"]
    assert (found["totalCount"], found["degraded"]) == (1, False)
    assert found["edges"][0]["node"] == {"title": "关于支持专精特新企业发展的若干措施"}
    assert found["edges"][0]["highlights"] == [
        {"field": "title", "text": "关于支持<mark>专精特新企业</mark>发展的若干措施"},
        {"field": "body", "text": "对首次认定的<mark>企业</mark>给予奖励。"},
    ]


@pytest.mark.parametrize(
    ("changes", "refusals"),
    [
        ({"title": "短"}, [("INVALID_VALUE", ["values", "title"])]),
        ({"issuers": []}, [("INVALID_VALUE", ["values", "issuers"])]),
        ({"departmentCode": "SHSTC"}, [("NOT_YOURS", ["values", "departmentCode"])]),
        ({"applyStart": "2026-12-02", "applyEnd": "2026-12-01"}, [("INVALID_VALUE", ["values"])]),
    ],
)
async def test_what_is_wrong_is_refused_with_its_field(
    api: Api, changes: dict[str, Any], refusals: list[tuple[str, list[str]]]
) -> None:
    assert await api.refusals(SAVE, viewer="department", input={"values": values(**changes)}) == refusals


async def test_a_second_click_on_a_new_policy_writes_the_same_draft(api: Api) -> None:
    form = {"values": values(), "draftKey": "form-1"}
    answers = await asyncio.gather(*(api(SAVE, viewer="department", input=form) for _ in range(20)))
    assert len({answer["policySave"]["revision"]["id"] for answer in answers}) == 1
    another = (await api(SAVE, viewer="department", input={**form, "draftKey": "form-2"}))["policySave"]["revision"]
    assert another["itemId"] != answers[0]["policySave"]["revision"]["itemId"]
    total = "{ revisions { totalCount } }"
    assert await api(total, viewer="department") == {"revisions": {"totalCount": 2}}

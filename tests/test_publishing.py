"""The one workflow of all managed content: its states, refusals, races, clock and log (R-ADM-04, R-ADM-16).

Policies stand for all kinds here: none re-implements the workflow.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import func, select, text, update

from jobs import schedule
from kit import clock
from kit.db import database, fetch, fetch_value
from kit.pool import BROKEN
from models.account import AuditEntry
from models.events import ReviewQueueChanged
from models.publishing import Revision, Visit
from services import publishing, visits
from services.account import ACCOUNT
from services.policy import POLICY
from services.uow import unit_of_work
from tests.conftest import Answer, Api, account, shift
from tests.storefront import OFFLINE, REVIEW, SUBMIT, publish, save, save_of
from tests.test_policy import values

WITHDRAW = """mutation Withdraw($input: RevisionWithdrawInput!) { revisionWithdraw(input: $input) {
  revision { state } userErrors { code field } } }"""
REPUBLISH = """mutation Republish($input: ItemRepublishInput!) { itemRepublish(input: $input) {
  item { state } userErrors { code field } } }"""
OPENED = """mutation Opened($input: ItemOpenedInput!) { itemOpened(input: $input) {
  counted userErrors { code field } } }"""
WORD = """mutation Word($input: SensitiveWordSaveInput!) { sensitiveWordSave(input: $input) {
  word { id } userErrors { code field } } }"""
CLOCK = "mutation Clock($input: ClockSetInput!) { clockSet(input: $input) { now userErrors { code field } } }"
PUBLIC = "query Public($id: ID!) { policy(id: $id) { title revisionNo viewCount } }"
ONE = """query One($id: ID!) { revision(id: $id) {
  id no state remark reviewerName submittedAt publishAt decidedAt updatedAt } }"""
Refusals = list[tuple[str, list[str] | None]]
BOTH = ("APPROVE", "REJECT")


async def draft(api: Api, item: str | None = None, viewer: str = "department", **changes: Any) -> Answer:
    return await save(api, "policy", viewer, values(**changes), item)


async def act(api: Api, mutation: str, viewer: str | None, **given: Any) -> Refusals:
    """Does it, and answers why it was refused; empty when it was done."""
    (payload,) = (await api(mutation, viewer=viewer, input=given)).values()
    return [(error["code"], error["field"]) for error in payload["userErrors"]]


async def submit(api: Api, revision: Answer, viewer: str = "department", **more: Any) -> Refusals:
    return await act(api, SUBMIT, viewer, id=revision["id"], **more)


async def review(
    api: Api, revision: Answer, decision: str = "APPROVE", viewer: str = "reviewer", **more: Any
) -> Refusals:
    if decision == "REJECT":
        more = {"remark": "请补充政策依据", **more}
    return await act(api, REVIEW, viewer, id=revision["id"], decision=decision, **more)


async def withdraw(api: Api, revision: Answer, viewer: str = "department") -> Refusals:
    return await act(api, WITHDRAW, viewer, id=revision["id"])


async def revise(api: Api, revision: Answer) -> Refusals:
    return await act(api, save_of("policy"), "department", id=revision["itemId"], values=values(title="修改后的标题"))


async def one(api: Api, revision: Answer, viewer: str = "department") -> Answer:
    found: Answer = (await api(ONE, viewer=viewer, id=revision["id"]))["revision"]
    return found


async def shown(api: Api, item: str) -> str | None:
    """The title that the public sees."""
    policy = (await api(PUBLIC, id=item))["policy"]
    return policy and str(policy["title"])


def soon(hours: float) -> str:
    return (clock.now() + timedelta(hours=hours)).isoformat()


async def reach(api: Api, state: str) -> Answer:
    """A revision in that state."""
    revision = await draft(api)
    if state == "WITHDRAWN":
        assert await withdraw(api, revision) == []
    elif state != "DRAFT":
        assert await submit(api, revision, publishAt=soon(1) if state == "SCHEDULED" else None) == []
    if state == "REJECTED":
        assert await review(api, revision, "REJECT") == []
    elif state in {"PUBLISHED", "SUPERSEDED", "SCHEDULED"}:
        assert await review(api, revision) == []
    if state == "SUPERSEDED":
        await publish(api, "policy", "department", values(title="后来的标题"), revision["itemId"])
    assert (await one(api, revision))["state"] == state
    return revision


NOT_A_DRAFT: Refusals = [("NOT_A_DRAFT", ["id"])]
NOT_PENDING: Refusals = [("NOT_PENDING", ["id"])]
OPEN: Refusals = [("OPEN_REVISION", ["id"])]
NOT_FOUND: Refusals = [("NOT_FOUND", ["id"])]


@pytest.mark.parametrize(
    ("state", "saved", "submitted", "approved", "rejected", "withdrawn"),
    [
        ("DRAFT", [], [], NOT_PENDING, NOT_PENDING, []),
        ("PENDING_REVIEW", OPEN, NOT_A_DRAFT, [], [], []),
        ("REJECTED", [], [], NOT_PENDING, NOT_PENDING, []),
        ("SCHEDULED", OPEN, NOT_A_DRAFT, NOT_PENDING, NOT_PENDING, []),
        ("PUBLISHED", [], NOT_A_DRAFT, NOT_PENDING, NOT_PENDING, NOT_PENDING),
        ("SUPERSEDED", [], NOT_A_DRAFT, NOT_PENDING, NOT_PENDING, NOT_PENDING),
        ("WITHDRAWN", NOT_FOUND, NOT_A_DRAFT, NOT_PENDING, NOT_PENDING, NOT_PENDING),
    ],
)
async def test_each_act_is_done_or_refused_by_the_state(
    api: Api,
    state: str,
    saved: Refusals,
    submitted: Refusals,
    approved: Refusals,
    rejected: Refusals,
    withdrawn: Refusals,
) -> None:
    assert await revise(api, await reach(api, state)) == saved
    assert await submit(api, await reach(api, state)) == submitted
    assert await review(api, await reach(api, state)) == approved
    assert await review(api, await reach(api, state), "REJECT") == rejected
    assert await withdraw(api, await reach(api, state)) == withdrawn


async def test_a_rejection_needs_a_reason_and_goes_back_to_its_author(api: Api) -> None:
    revision = await reach(api, "PENDING_REVIEW")
    for blank in (None, "", "  \n"):
        assert await review(api, revision, "REJECT", remark=blank) == [("REASON_REQUIRED", ["remark"])]
    assert await review(api, revision, "REJECT", remark="缺少依据文件") == []
    seen = await one(api, revision)
    assert (seen["state"], seen["remark"], seen["reviewerName"]) == ("REJECTED", "缺少依据文件", "内容审核员")
    again = await draft(api, revision["itemId"], title="补充依据后的标题")
    assert (again["id"], again["no"], again["state"]) == (revision["id"], 1, "DRAFT")
    assert await submit(api, revision) == []
    seen = await one(api, revision)
    assert (seen["state"], seen["remark"], seen["reviewerName"], seen["decidedAt"]) == (
        "PENDING_REVIEW",
        None,
        None,
        None,
    )
    assert await review(api, revision) == []
    assert await shown(api, revision["itemId"]) == "补充依据后的标题"


async def roles(username: str, *held: str) -> None:
    async with database.write() as writing:
        await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == username).values(roles=list(held)))


async def test_nobody_reviews_what_he_wrote(api: Api) -> None:
    await roles("reviewer", "REVIEWER", "CENTRE_STAFF")
    revision = await draft(api, viewer="reviewer", departmentCode=None)
    assert await submit(api, revision, "reviewer") == []
    for decision in BOTH:
        assert await review(api, revision, decision) == [("OWN_REVISION", ["id"])]
    assert await review(api, revision, viewer="admin") == []


async def test_nobody_reviews_what_he_wrote_into_a_colleagues_draft(api: Api) -> None:
    await roles("reviewer", "REVIEWER", "DEPARTMENT_MANAGER")
    async with database.write() as writing:
        await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == "reviewer").values(department_code="SHEITC"))
    revision = await draft(api)
    assert (await draft(api, revision["itemId"], "reviewer", title="被改写的标题"))["id"] == revision["id"]
    assert await submit(api, revision) == []
    assert await review(api, revision) == [("OWN_REVISION", ["id"])]


async def test_an_administrator_may_approve_his_own_with_a_reason_that_the_log_keeps(api: Api) -> None:
    revision = await draft(api, viewer="admin")
    assert await submit(api, revision, "admin") == []
    assert await review(api, revision, viewer="admin") == [("REASON_REQUIRED", ["remark"])]
    assert await review(api, revision, viewer="admin", remark="  ") == [("REASON_REQUIRED", ["remark"])]
    assert await review(api, revision, viewer="admin", remark="台风应急通知，先行发布") == []
    assert await shown(api, revision["itemId"]) == values()["title"]
    entries = await log("revisionReview")
    assert [entry["details"] for entry in entries] == [{"remark": "台风应急通知，先行发布"}]
    assert entries[0]["targets"] == [revision["id"], revision["itemId"]]


async def test_whose_it_is_not_finds_nothing(api: Api) -> None:
    """Another place's managers and reviewers are told what they are told of nothing at all."""
    revision = await reach(api, "PENDING_REVIEW")
    item = revision["itemId"]
    for stranger in ("district", "seller"):
        assert await submit(api, revision, stranger) == NOT_FOUND
        assert await withdraw(api, revision, stranger) == NOT_FOUND
    async with database.write() as writing:
        await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == "reviewer").values(district_code="310104"))
    for decision in BOTH:
        assert await review(api, revision, decision) == NOT_FOUND
    assert await review(api, revision, viewer="admin") == []
    changed = {**values(title="别人的修改"), "level": "DISTRICT", "districts": ["310115"], "departmentCode": None}
    assert await act(api, save_of("policy"), "district", id=item, values=changed) == [("NOT_YOURS", ["id"])]
    assert await act(api, OFFLINE, "district", id=item, reason="与我无关") == NOT_FOUND
    for junk in ("", "policy_1", "revision_" + "0" * 32, revision["id"].upper()):
        assert await act(api, WITHDRAW, "department", id=junk) == NOT_FOUND
        assert await act(api, OFFLINE, "department", id=junk, reason="不存在") == NOT_FOUND


async def test_colleagues_of_one_place_work_on_one_draft(api: Api) -> None:
    await roles("judge", "DEPARTMENT_MANAGER")
    async with database.write() as writing:
        await writing.execute(
            update(ACCOUNT).where(ACCOUNT.c.username == "judge").values(department_code="SHEITC", level=5)
        )
    revision = await draft(api)
    assert (await draft(api, revision["itemId"], viewer="judge", title="同事的修改"))["id"] == revision["id"]
    assert await submit(api, revision, "judge") == []


async def test_the_public_sees_the_last_approved_values_whatever_is_being_written(api: Api) -> None:
    first = await reach(api, "PUBLISHED")
    item = first["itemId"]
    title = values()["title"]
    second = await draft(api, item, title="第二版")
    assert (second["no"], second["isNew"], await shown(api, item)) == (2, False, title)
    assert await submit(api, second) == []
    assert await shown(api, item) == title
    assert await review(api, second, "REJECT") == []
    assert await shown(api, item) == title
    assert await withdraw(api, second) == []
    assert await shown(api, item) == title
    third = await draft(api, item, title="第三版")
    assert third["no"] == 3
    assert await submit(api, third) == []
    assert await review(api, third) == []
    assert (await api(PUBLIC, id=item))["policy"] == {"title": "第三版", "revisionNo": 3, "viewCount": 0}
    states = [(await one(api, each))["state"] for each in (first, second, third)]
    assert states == ["SUPERSEDED", "WITHDRAWN", "PUBLISHED"]


async def test_what_did_not_change_is_not_submitted(api: Api) -> None:
    first = await reach(api, "PUBLISHED")
    same = await draft(api, first["itemId"])
    assert same["changes"] == []
    assert await submit(api, same) == [("NOTHING_CHANGED", ["id"])]
    amounts = {"amountMin": "100000", "amountMax": "500000.5"}
    await publish(api, "policy", "department", values(**amounts), first["itemId"])
    same = await draft(api, first["itemId"], **amounts)
    assert same["changes"] == []
    assert await submit(api, same) == [("NOTHING_CHANGED", ["id"])]


async def test_a_draft_that_was_changed_meanwhile_is_not_overwritten(api: Api) -> None:
    """`unlessChangedSince` takes the `updatedAt` that the form was filled from."""
    revision = await draft(api)
    seen = (await one(api, revision))["updatedAt"]
    given = {"id": revision["itemId"], "unlessChangedSince": seen}
    assert await act(api, save_of("policy"), "department", **given, values=values(title="我的修改")) == []
    late = await act(api, save_of("policy"), "department", **given, values=values(title="迟到的修改"))
    assert late == [("CHANGED_MEANWHILE", ["id"])]
    title = await api("query($id: ID!) { revision(id: $id) { title } }", viewer="department", id=revision["id"])
    assert title == {"revision": {"title": "我的修改"}}


def rewritten(revision: Answer, body: str) -> tuple[UUID, dict[str, Any]]:
    """The item, and the values of a policy as the API hands them on."""
    plain = {"title": "改写", "issuers": ["市"], "level": "MUNICIPAL", "kind": "NORMATIVE", "department_code": "SHEITC"}
    return UUID(revision["itemId"].partition("_")[2]), {**plain, "body": body}


async def test_a_draft_that_is_rewritten_while_it_is_submitted_is_checked_as_it_was_rewritten(api: Api) -> None:
    """Words are looked for in what reviewers will see, not in what stood there a moment before (R-ADM-04)."""
    word = {"word": "绝密暗号", "category": "测试", "severity": "BLOCK"}
    assert await act(api, WORD, "admin", **word) == []
    revision = await draft(api)
    async with unit_of_work() as uow:
        await publishing.save(uow, await account("department"), POLICY, *rewritten(revision, "<p>绝密暗号</p>"))
        submitting = asyncio.create_task(submit(api, revision))
        await asyncio.sleep(0.3)
    assert await submitting == [("SENSITIVE_WORDS", ["values", "body"])]


async def test_what_is_taken_offline_is_gone_for_the_public_and_comes_back(api: Api) -> None:
    item = (await reach(api, "PUBLISHED"))["itemId"]
    for blank in ("", " \t"):
        assert await act(api, OFFLINE, "department", id=item, reason=blank) == [("REASON_REQUIRED", ["reason"])]
    assert await act(api, REPUBLISH, "department", id=item) == [("NOT_OFFLINE", ["id"])]
    assert await act(api, OFFLINE, "department", id=item, reason="内容过期") == []
    assert await shown(api, item) is None
    assert await act(api, OFFLINE, "department", id=item, reason="再次下线") == [("NOT_PUBLISHED", ["id"])]
    assert await act(api, REPUBLISH, "department", id=item) == []
    assert await shown(api, item) == values()["title"]
    reasons = [entry["details"] for entry in await log("itemTakeOffline")]
    assert reasons == [{"reason": "内容过期"}]


async def test_what_a_reviewer_took_down_only_a_reviewer_brings_back(api: Api) -> None:
    item = (await reach(api, "PUBLISHED"))["itemId"]
    assert await act(api, OFFLINE, "reviewer", id=item, reason="违规内容") == []
    assert await act(api, REPUBLISH, "department", id=item) == [("NOT_YOURS", ["id"])]
    assert await shown(api, item) is None
    assert await act(api, REPUBLISH, "reviewer", id=item) == []
    assert await act(api, OFFLINE, "reviewer", id=item, reason="违规内容") == []
    mended = await draft(api, item, title="整改后的标题")
    assert await submit(api, mended) == []
    assert await shown(api, item) is None
    assert await review(api, mended) == []
    assert await shown(api, item) == "整改后的标题"


async def together(acts: Sequence[Any]) -> Counter[tuple[str, ...]]:
    """How many of the acts, done at once, met which refusals."""
    done: list[Refusals] = await asyncio.gather(*acts)
    return Counter(tuple(code for code, _ in each) for each in done)


async def test_of_twenty_reviewers_at_once_one_decides(api: Api) -> None:
    revision = await reach(api, "PENDING_REVIEW")
    acts = [review(api, revision, BOTH[n % 2], ("reviewer", "admin")[n % 3 > 0], remark=f"第{n}位") for n in range(20)]
    assert await together(acts) == {(): 1, ("NOT_PENDING",): 19}
    seen = await one(api, revision)
    assert (seen["state"], await shown(api, revision["itemId"])) in {
        ("PUBLISHED", values()["title"]),
        ("REJECTED", None),
    }
    assert len(await log("revisionReview")) == 1


async def test_an_approval_and_a_withdrawal_at_once_leave_one_of_them(api: Api) -> None:
    for _ in range(5):
        revision = await reach(api, "PENDING_REVIEW")
        assert await together([review(api, revision), withdraw(api, revision)]) == {(): 1, ("NOT_PENDING",): 1}
        state = (await one(api, revision))["state"]
        title = await shown(api, revision["itemId"])
        assert (state, title) in {("PUBLISHED", values()["title"]), ("WITHDRAWN", None)}


async def test_fifty_submissions_at_once_are_one(api: Api) -> None:
    revision = await draft(api)
    assert await together([submit(api, revision) for _ in range(50)]) == {(): 1, ("NOT_A_DRAFT",): 49}
    assert len(await log("revisionSubmit")) == 1


async def test_saves_at_once_of_one_item_leave_one_open_revision(api: Api) -> None:
    """The unique index decides; who comes too late is told so, or saves over the same draft."""
    item = (await reach(api, "PUBLISHED"))["itemId"]
    mutation = save_of("policy")
    acts = [act(api, mutation, "department", id=item, values=values(title=f"同时修改{n}")) for n in range(20)]
    outcomes = await together(acts)
    assert set(outcomes) <= {(), ("OPEN_REVISION",)}
    assert outcomes[()] >= 1
    rows = await fetch(select(Revision.__table__.c.no, Revision.__table__.c.state))  # type: ignore[attr-defined]
    assert sorted((row["no"], row["state"]) for row in rows) == [(1, "PUBLISHED"), (2, "DRAFT")]


async def test_an_approved_revision_waits_for_its_time(api: Api) -> None:
    """Timed publishing follows the business clock (R-POL-02)."""
    revision = await draft(api)
    assert await submit(api, revision, publishAt=soon(2)) == []
    assert await review(api, revision) == []
    assert (await one(api, revision))["state"] == "SCHEDULED"
    assert await act(api, CLOCK, None, now=soon(1)) == []
    assert await shown(api, revision["itemId"]) is None
    assert await act(api, CLOCK, None, now=soon(1.5)) == []
    assert await shown(api, revision["itemId"]) == values()["title"]
    assert (await one(api, revision))["state"] == "PUBLISHED"


async def test_the_schedule_publishes_what_is_due_and_nothing_else(api: Api) -> None:
    due, later, withdrawn = [await draft(api, title=f"定时发布 {hours}") for hours in (1, 5, 1.0)]
    for revision, hours in ((due, 1), (later, 5), (withdrawn, 1)):
        assert await submit(api, revision, publishAt=soon(hours)) == []
        assert await review(api, revision) == []
    assert await withdraw(api, withdrawn) == []
    await schedule.publish_due()
    assert [await shown(api, each["itemId"]) for each in (due, later, withdrawn)] == [None, None, None]
    await shift(timedelta(hours=2))
    await schedule.publish_due()
    await schedule.publish_due()
    assert [await shown(api, each["itemId"]) for each in (due, later, withdrawn)] == ["定时发布 1", None, None]


async def test_a_time_that_has_passed_publishes_on_approval(api: Api) -> None:
    revision = await draft(api)
    assert await submit(api, revision, publishAt=soon(-1)) == []
    assert await review(api, revision) == []
    assert (await one(api, revision))["state"] == "PUBLISHED"


async def test_what_can_no_longer_be_published_on_time_goes_back_and_holds_nothing_up(api: Api) -> None:
    """Its record was taken over from the same source in the meantime."""
    source = {"source": "市政府网站", "sourceId": "2026-0417"}
    clash, other = await draft(api, title="撞车的政策", **source), await draft(api, title="准时的政策")
    for revision in (clash, other):
        assert await submit(api, revision, publishAt=soon(1)) == []
        assert await review(api, revision) == []
    await publish(api, "policy", "department", values(title="先到的政策", **source))
    await shift(timedelta(hours=2))
    await schedule.publish_due()
    assert await shown(api, other["itemId"]) == "准时的政策"
    seen = await one(api, clash)
    assert (seen["state"], seen["remark"]) == ("REJECTED", "已存在相同的记录 / The same record already exists")
    immediate = await draft(api, title="又一份", **source)
    assert await submit(api, immediate) == []
    assert await review(api, immediate) == [("ALREADY_EXISTS", ["values", "sourceId"])]
    assert (await one(api, immediate))["state"] == "PENDING_REVIEW"


async def test_an_item_is_counted_once_a_visit(api: Api) -> None:
    """Views are a mutation, since a query may be answered from a cache; a ticker folds them."""
    item = (await reach(api, "PUBLISHED"))["itemId"]
    other = (await reach(api, "PUBLISHED"))["itemId"]
    visit = [("甲", item), ("甲", item), ("乙", item), ("甲", other)]
    assert [await act(api, OPENED, None, id=key, visitId=name) for name, key in visit] == [[], [], [], []]
    assert (await api(PUBLIC, id=item))["policy"]["viewCount"] == 0
    for folded in (3, 0):
        async with unit_of_work() as uow:
            assert await visits.fold(uow) == folded
    await act(api, OPENED, None, id=item, visitId="甲")
    await schedule.fold_visits()
    assert [(await api(PUBLIC, id=key))["policy"]["viewCount"] for key in (item, other)] == [2, 1]
    assert await fetch_value(select(func.count()).select_from(Visit)) == 3
    await act(api, OFFLINE, "department", id=item, reason="下线")
    for stranger in (item, "policy_" + "0" * 32, "junk"):
        assert await act(api, OPENED, None, id=stranger, visitId="丙") == NOT_FOUND


async def log(action: str | None = None) -> list[Any]:
    """Entries of the audit log, the oldest first."""
    table = AuditEntry.__table__  # type: ignore[attr-defined]
    statement = select(table).order_by(table.c.id)
    return list(await fetch(statement.where(table.c.action == action) if action else statement))


async def test_each_act_of_staff_leaves_one_entry_and_a_refused_one_none(api: Api) -> None:
    """Who did what, on which things, why (R-SEC-02)."""
    revision = await draft(api)
    await submit(api, revision)
    await submit(api, revision)
    await review(api, revision, "REJECT", remark="")
    await review(api, revision, "REJECT", remark="请改")
    await submit(api, revision)
    await review(api, revision)
    item = revision["itemId"]
    await act(api, OFFLINE, "reviewer", id=item, reason="核查")
    await act(api, REPUBLISH, "department", id=item)
    await act(api, REPUBLISH, "reviewer", id=item)
    await act(api, OPENED, None, id=item, visitId="游客")
    await act(api, OPENED, "buyer", id=item, visitId="买家")
    assert [(entry["action"], entry["targets"], entry["details"]) for entry in await log()] == [
        ("policySave", [revision["id"]], {}),
        ("revisionSubmit", [revision["id"]], {}),
        ("revisionReview", [revision["id"]], {"remark": "请改"}),
        ("revisionSubmit", [revision["id"]], {}),
        ("revisionReview", [revision["id"], item], {}),
        ("itemTakeOffline", [item], {"reason": "核查"}),
        ("itemRepublish", [item], {}),
    ]


ROW = text("INSERT INTO platform_clock (id, offset_seconds, updated_at) VALUES (1, 7, '2026-11-01T00:00:00Z')")


async def waiting() -> int:
    return int(await fetch_value(text("SELECT count(*) FROM pgqueuer")))


async def test_a_unit_of_work_that_fails_leaves_neither_rows_nor_events(database: str) -> None:
    async def fail() -> None:
        async with unit_of_work() as uow:
            await uow.execute(ROW)
            uow.emit(ReviewQueueChanged())
            await uow.finish()
            raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        await fail()
    assert await waiting() == 0
    assert await fetch_value(text("SELECT count(*) FROM platform_clock")) == 0


async def test_a_connection_that_is_killed_before_the_commit_leaves_nothing_half_written(database: str) -> None:
    async def killed() -> None:
        async with unit_of_work() as uow:
            await uow.execute(ROW)
            uow.emit(ReviewQueueChanged())
            await uow.finish()
            await uow.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(BROKEN):
        await killed()
    assert await waiting() == 0
    assert await fetch_value(text("SELECT count(*) FROM platform_clock")) == 0
    async with unit_of_work() as uow:
        uow.emit(ReviewQueueChanged())
        uow.emit(ReviewQueueChanged())
    assert await waiting() == 1


async def test_a_failing_statement_does_not_tell_the_log_what_it_carried(database: str) -> None:
    """Its text may be a person's name or a draft: the log has the statement only (个人信息保护法, article 51)."""
    with pytest.raises(asyncpg.DivisionByZeroError) as failed:
        async with unit_of_work() as uow:
            await uow.execute(text("SELECT 1 / (length(CAST(:note AS text)) - 2)"), note="张三")
    assert "张三" not in str(failed.value)

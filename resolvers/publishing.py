"""Revisions: the author's drafts, the reviewers' one work list, and the acts of the workflow (R-ADM-04 to 06, 16)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid5

from sqlalchemy import func, select
from strawberry import ID, Parent
from strawberry import argument as about

from auth.viewer import Viewer
from auth.visibility import reviewed_places, visible
from kit.db import fetch_value
from kit.diff import diff
from kit.errors import Refused
from kit.ids import global_id, key_of, parse_global_id
from kit.names import camel
from kit.text import plain_text
from models.base import Labelled, table_of
from models.publishing import Revision, RevisionState
from models.refusals import Refusal
from resolvers.context import Info, write
from resolvers.filters import Filters, one_of, text_in, where
from resolvers.listings import Listing
from resolvers.node import load_tagged, tagged
from resolvers.paging import Order
from services import moderation, publishing, visits
from services.publishing import KINDS, Kind

R = table_of(Revision).c


class RevisionOrder(Labelled):
    """How revisions are sorted (版本排序)."""

    NEWEST = "NEWEST", "最新创建", "Created last first"
    OLDEST_SUBMITTED = "OLDEST_SUBMITTED", "最早提交", "Waiting longest first"


class Decision(Labelled):
    """What a reviewer decides (审核结果)."""

    APPROVE = "APPROVE", "通过", "Approve"
    REJECT = "REJECT", "退回", "Send back"


ORDERS = {
    RevisionOrder.NEWEST: Order("created", (R.id,), descending=True),
    RevisionOrder.OLDEST_SUBMITTED: Order("submitted", (func.coalesce(R.submitted_at, R.created_at), R.id)),
}
QUEUE = Order("queue", (R.submitted_at, R.id))

FILTERS: Filters = {
    "kinds": one_of(R.kind),
    "states": one_of(R.state),
    "keyword": text_in(R.title),
    "districts": lambda codes: one_of(R.owner)([f"district:{code}" for code in codes]),
    "submitted_before": lambda moment: R.submitted_at < moment,
    "item": lambda text: R.item_id == (parse_global_id(text) or ("", None))[1],
}


def _item(text: str) -> tuple[Kind, UUID]:
    kind, key = parse_global_id(text) or ("", None)
    if key is None or kind not in KINDS:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    return KINDS[kind], key


def _revision_id(text: str) -> UUID:
    key = key_of(text, "revision")
    if key is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    return key


def revisions(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: RevisionOrder = RevisionOrder.NEWEST
) -> Listing:
    """Revisions that the viewer wrote, manages or reviews (版本列表)."""
    return Listing(visible(Revision, viewer).where(*where(FILTERS, filter)), ORDERS[order_by])


def review_queue(viewer: Viewer, filter: Mapping[str, Any] | None = None) -> Listing:
    """The one work list of reviewers over everything that waits, the longest waiting first (待办)."""
    places = reviewed_places(viewer)
    statement = visible(Revision, viewer).where(R.state == RevisionState.PENDING_REVIEW, *where(FILTERS, filter))
    if places is not None:
        statement = statement.where(one_of(R.owner)(sorted(places)))
    return Listing(statement, QUEUE)


async def review_queue_size(info: Info) -> int:
    """How many revisions wait for the viewer (待办数)."""
    return int(
        await fetch_value(select(func.count()).select_from(review_queue(info.context.viewer).statement.subquery()))
    )


async def queue_size(_row: Parent[Any], info: Info) -> int:
    """How many revisions wait for the viewer (待办数)."""
    return await review_queue_size(info)


async def queue_oldest(_row: Parent[Any], info: Info) -> Any:
    """Since when the oldest of them waits; null when none does (最早提交时间)."""
    queue = review_queue(info.context.viewer).statement
    return await fetch_value(queue.with_only_columns(func.min(R.submitted_at)))


def changes(row: Parent[Any]) -> list[Any]:
    """What differs from what was published when it was submitted: the fields, with before and after (修改前/修改后).

    They come in the order of the form: JSON in PostgreSQL keeps none.
    """
    form = KINDS[row["kind"]].values.model_fields
    before = row["before"] and {name: row["before"].get(name) for name in form}
    after = {name: row["values"].get(name) for name in form}
    return [replace(change, field=camel(change.field)) for change in diff(before, after, read=plain_text)]


def is_new(row: Parent[Any]) -> bool:
    """Whether the item was never published before (首次提交)."""
    return row["before"] is None


def proposal(row: Parent[Any]) -> dict[str, Any]:
    """The proposed values, typed by the kind of item (拟发布内容)."""
    kind = KINDS[row["kind"]]
    values = kind.values.model_validate(row["values"])
    return tagged(values.model_dump(), f"{kind.model.__name__}Proposal")


async def item(row: Parent[Any], info: Info) -> Any:
    """The item as the public sees it; null until it is first published (线上版本)."""
    kind = KINDS[row["kind"]]
    return await load_tagged(info, kind.name, row["item_id"], kind.model.__name__)


def item_id(row: Parent[Any]) -> ID:
    """The item's global id, which it keeps from its first draft on (内容标识)."""
    return ID(global_id(row["kind"], row["item_id"]))


async def sensitive_words(
    text: Annotated[str, about(description="Text as it is typed, at most 100,000 characters (文本)")],
) -> list[Any]:
    """Sensitive words in a text while it is typed, with offsets for highlighting (敏感字校验)."""
    return await moderation.find(text[:100_000])


async def save(
    info: Info,
    kind: Kind,
    values: Mapping[str, Any],
    id: str | None = None,
    draft_key: str | None = None,
    unless_changed_since: datetime | None = None,
) -> Any:
    """What each domain's save does: `policySave`, `storeSave` and so on differ in their inputs only.

    A second click on a new item's form carries the same `draft_key`, which names the same item.
    """
    viewer = info.context.viewer
    target = fresh = None
    if id is not None:
        named, target = _item(id)
        if named is not kind:
            raise Refused(Refusal.NOT_FOUND, ["id"])
    elif draft_key:
        fresh = uuid5(viewer.account_id, f"{kind.name}:{draft_key[:200]}")
    async with write(info) as uow:
        if fresh is not None:
            await uow.take_turns(fresh.hex)
        key = await publishing.save(uow, viewer, kind, target, values, unless_changed_since, fresh_id=fresh)
    return await info.context.load.revision.load(key)


async def revision_submit(info: Info, id: str, confirm_words: bool = False, publish_at: datetime | None = None) -> Any:
    """Hands a draft to the reviewers (提交审核)."""
    key = _revision_id(id)
    async with write(info) as uow:
        await publishing.submit(uow, info.context.viewer, key, confirm_words=confirm_words, publish_at=publish_at)
    return await info.context.load.revision.load(key)


async def revision_review(info: Info, id: str, decision: Decision, remark: str | None = None) -> Any:
    """Decides on a revision that waits: publish it, or send it back with a reason (审核)."""
    key, viewer = _revision_id(id), info.context.viewer
    async with write(info) as uow:
        if decision is Decision.APPROVE:
            await publishing.approve(uow, viewer, key, remark)
        else:
            await publishing.reject(uow, viewer, key, remark)
    return await info.context.load.revision.load(key)


async def revision_withdraw(info: Info, id: str) -> Any:
    """Gives an open revision up; what the public sees stays (撤回)."""
    key = _revision_id(id)
    async with write(info) as uow:
        await publishing.withdraw(uow, info.context.viewer, key)
    return await info.context.load.revision.load(key)


async def item_take_offline(info: Info, id: str, reason: str) -> Any:
    """Hides a published item from the public, with a reason (下线)."""
    kind, key = _item(id)
    async with write(info) as uow:
        await publishing.take_offline(uow, info.context.viewer, kind, key, reason)
    return await _managed(info, kind, key)


async def item_republish(info: Info, id: str) -> Any:
    """Shows an offline item again as it was approved (重新发布)."""
    kind, key = _item(id)
    async with write(info) as uow:
        await publishing.republish(uow, info.context.viewer, kind, key)
    return await _managed(info, kind, key)


async def _managed(info: Info, kind: Kind, key: UUID) -> Any:
    return await load_tagged(info, kind.name, key, kind.model.__name__)


async def item_opened(info: Info, id: str, visit_id: str) -> bool:
    """Counts an opening of an item, once for each visit; a query never counts (浏览量)."""
    kind, key = _item(id)
    if await getattr(info.context.load, kind.name).load(key) is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    async with write(info) as uow:
        await visits.count(uow, kind, key, visit_id)
    return True

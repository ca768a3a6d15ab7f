"""The one workflow of all managed content: "新建、编辑、存储、发布、审核、查询、下线" (R-ADM-03 to 06, 16).

    DRAFT ──submit──▶ PENDING_REVIEW ──approve──▶ PUBLISHED ──(a later one)──▶ SUPERSEDED
      ▲                  │      │
      └──save── REJECTED ◀┘      └──approve with a later time──▶ SCHEDULED ──its time──▶ PUBLISHED

A domain's table holds approved values only; a `Revision` holds a proposal. The public therefore always sees the last
approved values, whatever is being written or reviewed. A domain joins by registering one `Kind`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from auth.viewer import Viewer
from auth.visibility import may_review, may_write
from kit import clock
from kit.db import Row
from kit.errors import Refused
from kit.ids import global_id, uuid7
from models.base import Values
from models.events import ItemsChanged, ReviewQueueChanged
from models.publishing import PublicationState, Revision, RevisionState
from models.refusals import Refusal
from services import moderation
from services.publishing.kinds import KINDS, Kind, invalid, published_values, register
from services.uow import UnitOfWork

__all__ = [
    "KINDS",
    "Kind",
    "approve",
    "invalid",
    "publish_due",
    "publish_unreviewed",
    "published_values",
    "register",
    "reject",
    "republish",
    "save",
    "submit",
    "take_offline",
    "withdraw",
]

REVISION: Table = Revision.__table__  # type: ignore[attr-defined]
EDITABLE = (RevisionState.DRAFT, RevisionState.REJECTED)
WITHDRAWABLE = (*EDITABLE, RevisionState.PENDING_REVIEW, RevisionState.SCHEDULED)


async def save(
    uow: UnitOfWork,
    author: Viewer,
    kind: Kind,
    item_id: UUID | None,
    raw: Mapping[str, Any],
    unless_changed_since: datetime | None = None,
) -> UUID:
    """Writes the item's open draft, or begins one, and returns its id. Nothing is checked for words yet (R-ADM-04)."""
    values = kind.parse(raw)
    live = await _live(uow, kind, item_id) if item_id else None
    draft = await _open(uow, kind, item_id) if item_id else None
    if item_id and live is None and not (draft is not None and _theirs(author, draft)):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    _require_fixed(kind, live, values)
    item_id = item_id or uuid7()
    owner = await kind.owner(uow, author, values, item_id)
    if live is not None:
        owner = live["owner"]
    if not may_write(author, owner):
        raise Refused(Refusal.NOT_YOURS, ["id"])
    stored = {
        "title": getattr(values, kind.title)[:300],
        "owner": owner,
        "values": values.model_dump(mode="json"),
        "before": published_values(kind, live),
        "state": RevisionState.DRAFT,
        "updated_at": clock.real(),
    }
    if draft is not None:
        return await _save_over(uow, author, draft, stored, unless_changed_since)
    return await _insert(uow, kind, item_id, owner, author, stored)


async def _insert(
    uow: UnitOfWork, kind: Kind, item_id: UUID, owner: str, author: Viewer, stored: Mapping[str, Any]
) -> UUID:
    number = select(func.coalesce(func.max(REVISION.c.no), 0) + 1).where(REVISION.c.item_id == item_id)
    row = Revision(
        kind=kind.name,
        item_id=item_id,
        no=0,
        title=stored["title"],
        owner=owner,
        values={},
        author_id=author.account_id,
        author_name=author.display_name,
    )
    await uow.execute(insert(Revision).values({**row.model_dump(), **stored, "no": number.scalar_subquery()}))
    uow.touch(global_id("revision", row.id))
    return row.id


async def _save_over(
    uow: UnitOfWork, author: Viewer, draft: Row, stored: Mapping[str, Any], unless_changed_since: datetime | None
) -> UUID:
    if not _theirs(author, draft):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    if draft["state"] not in EDITABLE:
        raise Refused(Refusal.OPEN_REVISION, ["id"])
    condition = (REVISION.c.id == draft["id"]) & REVISION.c.state.in_(EDITABLE)
    if unless_changed_since is not None:
        condition &= REVISION.c.updated_at <= unless_changed_since
    changed = await uow.value(update(REVISION).where(condition).values(**stored).returning(REVISION.c.id))
    if changed is None:
        raise Refused(Refusal.CHANGED_MEANWHILE, ["id"])
    uow.touch(global_id("revision", draft["id"]))
    revision_id: UUID = draft["id"]
    return revision_id


def _require_fixed(kind: Kind, live: Row | None, values: Values) -> None:
    if live is None:
        return
    broken = [
        Refused(Refusal.FIXED_FIELD, ["values", name])
        for name in sorted(kind.fixed)
        if live[name] != getattr(values, name)
    ]
    if broken:
        raise Refused.several(broken)


async def submit(
    uow: UnitOfWork,
    author: Viewer,
    revision_id: UUID,
    *,
    confirm_words: bool = False,
    publish_at: datetime | None = None,
) -> None:
    """Hands a draft to the reviewers. BLOCK words stop it, WARN words must be confirmed and are shown to them."""
    revision = await _mine(uow, author, revision_id)
    if revision["state"] not in EDITABLE:
        raise Refused(Refusal.NOT_A_DRAFT, ["id"])
    kind = KINDS[revision["kind"]]
    values = kind.parse(revision["values"])
    live = await _live(uow, kind, revision["item_id"])
    before = published_values(kind, live)
    if before == revision["values"]:
        raise Refused(Refusal.NOTHING_CHANGED, ["id"])
    words = await moderation.find_in_values(revision["values"])
    _require_clean(words, confirm_words=confirm_words)
    if kind.check is not None:
        await kind.check(uow, values, revision["item_id"])
    await _move(
        uow,
        revision,
        EDITABLE,
        Refusal.NOT_A_DRAFT,
        state=RevisionState.PENDING_REVIEW,
        submitted_at=clock.now(),
        publish_at=publish_at,
        words=words,
        before=before,
        reviewer_id=None,
        reviewer_name=None,
        decided_at=None,
        remark=None,
    )


def _require_clean(words: list[dict[str, Any]], *, confirm_words: bool) -> None:
    blocked = [
        Refused(Refusal.SENSITIVE_WORDS, ["values", w["field"]], words=w["word"])
        for w in words
        if w["severity"] == "BLOCK"
    ]
    if blocked:
        raise Refused.several(blocked)
    if words and not confirm_words:
        raise Refused.several(
            [Refused(Refusal.WORDS_NEED_CONFIRMATION, ["values", w["field"]], words=w["word"]) for w in words]
        )


async def approve(uow: UnitOfWork, reviewer: Viewer, revision_id: UUID, remark: str | None = None) -> None:
    """Publishes a proposal, or schedules it where its author named a later time. One of two reviewers wins."""
    revision = await _reviewable(uow, reviewer, revision_id, remark)
    later = revision["publish_at"] is not None and revision["publish_at"] > clock.now()
    await _move(
        uow,
        revision,
        (RevisionState.PENDING_REVIEW,),
        Refusal.NOT_PENDING,
        state=RevisionState.SCHEDULED if later else RevisionState.PENDING_REVIEW,
        reviewer_id=reviewer.id,
        reviewer_name=reviewer.display_name,
        decided_at=clock.now(),
        remark=remark,
    )
    if not later:
        await _publish(uow, revision)


async def reject(uow: UnitOfWork, reviewer: Viewer, revision_id: UUID, remark: str | None) -> None:
    """Sends a proposal back to its author with a reason."""
    if not (remark or "").strip():
        raise Refused(Refusal.REASON_REQUIRED, ["remark"])
    revision = await _reviewable(uow, reviewer, revision_id, remark)
    await _move(
        uow,
        revision,
        (RevisionState.PENDING_REVIEW,),
        Refusal.NOT_PENDING,
        state=RevisionState.REJECTED,
        reviewer_id=reviewer.id,
        reviewer_name=reviewer.display_name,
        decided_at=clock.now(),
        remark=remark,
    )


async def withdraw(uow: UnitOfWork, author: Viewer, revision_id: UUID) -> None:
    """Gives an open revision up; what the public sees stays."""
    revision = await _mine(uow, author, revision_id)
    await _move(uow, revision, WITHDRAWABLE, Refusal.NOT_PENDING, state=RevisionState.WITHDRAWN)


async def take_offline(uow: UnitOfWork, actor: Viewer, kind: Kind, item_id: UUID, reason: str) -> None:
    """Hides a published item from the public, by its managers or a reviewer, with a reason that the audit log keeps."""
    if not reason.strip():
        raise Refused(Refusal.REASON_REQUIRED, ["reason"])
    await _switch(uow, actor, kind, item_id, PublicationState.OFFLINE, Refusal.NOT_PUBLISHED, reason)


async def republish(uow: UnitOfWork, actor: Viewer, kind: Kind, item_id: UUID) -> None:
    """Shows an offline item again as it was approved. What a reviewer took down only a reviewer brings back."""
    await _switch(uow, actor, kind, item_id, PublicationState.PUBLISHED, Refusal.NOT_OFFLINE, None)


async def _switch(
    uow: UnitOfWork,
    actor: Viewer,
    kind: Kind,
    item_id: UUID,
    to: PublicationState,
    refusal: Refusal,
    reason: str | None,
) -> None:
    live = await _live(uow, kind, item_id)
    if live is None or not (may_write(actor, live["owner"]) or may_review(actor, live["owner"])):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    if to is PublicationState.PUBLISHED and live["offline_by"] != actor.id and not may_review(actor, live["owner"]):
        raise Refused(Refusal.NOT_YOURS, ["id"])
    table = kind.columns
    changed = await uow.value(
        update(table)
        .where(table.c.id == item_id, table.c.state != to)
        .values(
            state=to,
            offline_by=actor.id if to is PublicationState.OFFLINE else None,
            offline_reason=reason,
            updated_at=clock.real(),
        )
        .returning(table.c.id)
    )
    if changed is None:
        raise Refused(refusal, ["id"])
    uow.touch(global_id(kind.name, item_id), **({"reason": reason} if reason else {}))
    uow.emit(ItemsChanged(kind.name, (item_id,)))


async def publish_due(uow: UnitOfWork) -> int:
    """Publishes every scheduled revision whose business time has come: for a ticker, and when the clock is moved."""
    due = await uow.execute(
        select(REVISION)
        .where(REVISION.c.state == RevisionState.SCHEDULED, REVISION.c.publish_at <= clock.now())
        .order_by(REVISION.c.publish_at)
        .limit(100)
        .with_for_update(skip_locked=True)
    )
    rows = due.mappings().all()
    for revision in rows:
        await _publish(uow, revision)
    return len(rows)


async def publish_unreviewed(
    uow: UnitOfWork, author: Viewer, kind: Kind, item_id: UUID, values: Values, owner: str
) -> None:
    """Publishes without review, for imports in development and for sample data. Callers refuse it in production."""
    stored = {
        "title": getattr(values, kind.title)[:300],
        "values": values.model_dump(mode="json"),
        "submitted_at": clock.now(),
    }
    revision_id = await _insert(uow, kind, item_id, owner, author, {**stored, "state": RevisionState.PENDING_REVIEW})
    revision = await uow.one(select(REVISION).where(REVISION.c.id == revision_id))
    if revision is not None:
        await _publish(uow, revision)


async def _publish(uow: UnitOfWork, revision: Row) -> None:
    """Copies the approved values to the domain's table. An item that is offline comes back with them."""
    kind = KINDS[revision["kind"]]
    values = kind.parse(revision["values"])
    now = clock.now()
    row = {
        **values.model_dump(),
        "state": PublicationState.PUBLISHED,
        "revised_at": now,
        "revision_no": revision["no"],
        "offline_by": None,
        "offline_reason": None,
        "updated_at": clock.real(),
    }
    new = {
        "id": revision["item_id"],
        "owner": revision["owner"],
        "published_at": now,
        "created_at": clock.real(),
        "view_count": 0,
    }
    await uow.execute(
        upsert(kind.columns).values({**row, **new}).on_conflict_do_update(index_elements=["id"], set_=row)
    )
    await uow.execute(
        update(REVISION)
        .where(REVISION.c.item_id == revision["item_id"], REVISION.c.state == RevisionState.PUBLISHED)
        .values(state=RevisionState.SUPERSEDED)
    )
    await uow.execute(
        update(REVISION)
        .where(REVISION.c.id == revision["id"])
        .values(state=RevisionState.PUBLISHED, decided_at=func.coalesce(REVISION.c.decided_at, now))
    )
    uow.touch(global_id(kind.name, revision["item_id"]))
    uow.emit(ItemsChanged(kind.name, (revision["item_id"],)))


async def _move(
    uow: UnitOfWork, revision: Row, expected: tuple[RevisionState, ...], refusal: Refusal, **changes: Any
) -> None:
    """The one place where a state changes: the condition on the old state decides races."""
    changed = await uow.value(
        update(REVISION)
        .where(REVISION.c.id == revision["id"], REVISION.c.state.in_(expected))
        .values(updated_at=clock.real(), **changes)
        .returning(REVISION.c.id)
    )
    if changed is None:
        raise Refused(refusal, ["id"])
    details = {"remark": changes["remark"]} if changes.get("remark") else {}
    uow.touch(global_id("revision", revision["id"]), **details)
    uow.emit(ReviewQueueChanged())


async def _live(uow: UnitOfWork, kind: Kind, item_id: UUID) -> Row | None:
    return await uow.one(select(kind.columns).where(kind.columns.c.id == item_id))


async def _open(uow: UnitOfWork, kind: Kind, item_id: UUID) -> Row | None:
    chosen = (REVISION.c.kind == kind.name) & (REVISION.c.item_id == item_id)
    return await uow.one(select(REVISION).where(chosen, REVISION.c.state.in_(WITHDRAWABLE)))


async def _mine(uow: UnitOfWork, author: Viewer, revision_id: UUID) -> Row:
    revision = await uow.one(select(REVISION).where(REVISION.c.id == revision_id))
    if revision is None or not _theirs(author, revision):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    return revision


def _theirs(author: Viewer, revision: Row) -> bool:
    return revision["author_id"] == author.id or may_write(author, revision["owner"])


async def _reviewable(uow: UnitOfWork, reviewer: Viewer, revision_id: UUID, remark: str | None) -> Row:
    revision = await uow.one(select(REVISION).where(REVISION.c.id == revision_id))
    if revision is None or not may_review(reviewer, revision["owner"]):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    if revision["author_id"] == reviewer.id:
        if not reviewer.is_admin:
            raise Refused(Refusal.OWN_REVISION, ["id"])
        if not (remark or "").strip():
            raise Refused(Refusal.REASON_REQUIRED, ["remark"])
    return revision

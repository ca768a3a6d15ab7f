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

from sqlalchemy import select, update

from auth.viewer import Viewer
from auth.visibility import may_review, may_write
from kit import clock
from kit.db import Row
from kit.errors import Refused
from kit.ids import global_id, uuid7
from kit.words import Severity
from models.base import Values
from models.publishing import RevisionState
from models.refusals import Refusal
from services import moderation
from services.publishing.kinds import KINDS, Kind, invalid, published_values, register
from services.publishing.publication import publish, publish_due, republish, take_offline
from services.publishing.steps import REVISION, begin, live_row, move, state_is
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

EDITABLE = (RevisionState.DRAFT, RevisionState.REJECTED)
WITHDRAWABLE = (*EDITABLE, RevisionState.PENDING_REVIEW, RevisionState.SCHEDULED)


async def save(
    uow: UnitOfWork,
    author: Viewer,
    kind: Kind,
    item_id: UUID | None,
    raw: Mapping[str, Any],
    unless_changed_since: datetime | None = None,
    *,
    fresh_id: UUID | None = None,
) -> UUID:
    """Writes the item's open draft, or begins one, and returns its id. Nothing is checked for words yet (R-ADM-04).

    Its author is who saved it last, so that nobody reviews what he wrote into a colleague's draft. `fresh_id` is the id
    that a new item is to have, so that saving it again finds it.
    """
    values = kind.parse(raw)
    known_id = item_id or fresh_id
    live = await live_row(uow, kind, known_id) if known_id else None
    draft = await _open(uow, kind, known_id) if known_id else None
    if item_id and live is None and not (draft is not None and _theirs(author, draft)):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    _require_fixed(kind, live, values)
    item_id = known_id or uuid7()
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
    return await begin(uow, kind, item_id, owner, author, stored)


async def _save_over(
    uow: UnitOfWork, author: Viewer, draft: Row, stored: Mapping[str, Any], unless_changed_since: datetime | None
) -> UUID:
    if not _theirs(author, draft):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    if draft["state"] not in EDITABLE:
        raise Refused(Refusal.OPEN_REVISION, ["id"])
    condition = (REVISION.c.id == draft["id"]) & state_is(EDITABLE)
    if unless_changed_since is not None:
        condition &= REVISION.c.updated_at <= unless_changed_since
    written = {**stored, "author_id": author.account_id, "author_name": author.display_name}
    changed = await uow.value(update(REVISION).where(condition).values(written).returning(REVISION.c.id))
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
    live = await live_row(uow, kind, revision["item_id"])
    before = published_values(kind, live)
    if before == revision["values"]:
        raise Refused(Refusal.NOTHING_CHANGED, ["id"])
    words = await moderation.find_in_values(values.model_dump(mode="json"))
    _require_clean(words, confirm_words=confirm_words)
    if kind.check is not None:
        await kind.check(uow, values, revision["item_id"])
    await move(
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
        if w["severity"] == Severity.BLOCK
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
    await move(
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
        await publish(uow, revision)


async def reject(uow: UnitOfWork, reviewer: Viewer, revision_id: UUID, remark: str | None) -> None:
    """Sends a proposal back to its author with a reason."""
    if not (remark or "").strip():
        raise Refused(Refusal.REASON_REQUIRED, ["remark"])
    revision = await _reviewable(uow, reviewer, revision_id, remark)
    await move(
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
    await move(uow, revision, WITHDRAWABLE, Refusal.NOT_PENDING, state=RevisionState.WITHDRAWN)


async def publish_unreviewed(
    uow: UnitOfWork, author: Viewer, kind: Kind, item_id: UUID, values: Values, owner: str
) -> None:
    """Publishes without review, for imports in development and for sample data. Callers refuse it in production."""
    stored = {
        "title": getattr(values, kind.title)[:300],
        "values": values.model_dump(mode="json"),
        "submitted_at": clock.now(),
    }
    revision_id = await begin(uow, kind, item_id, owner, author, {**stored, "state": RevisionState.PENDING_REVIEW})
    revision = await uow.one(select(REVISION).where(REVISION.c.id == revision_id))
    if revision is not None:
        await publish(uow, revision)


async def _open(uow: UnitOfWork, kind: Kind, item_id: UUID) -> Row | None:
    chosen = (REVISION.c.kind == kind.name) & (REVISION.c.item_id == item_id)
    return await uow.one(select(REVISION).where(chosen, state_is(WITHDRAWABLE)))


async def _mine(uow: UnitOfWork, author: Viewer, revision_id: UUID) -> Row:
    """Held to the end of the transaction, so that nobody rewrites a draft while its words are checked."""
    revision = await uow.one(select(REVISION).where(REVISION.c.id == revision_id).with_for_update())
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

"""What the public sees: approved values are copied to the domain's table, taken offline and brought back."""

from uuid import UUID

from asyncpg import IntegrityConstraintViolationError
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from auth.viewer import Viewer
from auth.visibility import may_review, may_write
from kit import clock
from kit.db import Row
from kit.errors import Refused
from kit.ids import global_id
from models.events import ItemsChanged
from models.publishing import PublicationState, RevisionState
from models.refusals import Refusal, texts_of
from services.publishing.kinds import KINDS, Kind
from services.publishing.steps import REVISION, live_row, move
from services.uow import UnitOfWork, refusal_of


async def publish(uow: UnitOfWork, revision: Row) -> None:
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
    await uow.execute(upsert(kind.table).values({**row, **new}).on_conflict_do_update(index_elements=["id"], set_=row))
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


async def publish_due(uow: UnitOfWork) -> int:
    """Publishes every scheduled revision whose business time has come: for a ticker, and when the clock is moved."""
    rows = await uow.execute(
        select(REVISION)
        .where(REVISION.c.state == RevisionState.SCHEDULED, REVISION.c.publish_at <= clock.now())
        .order_by(REVISION.c.publish_at)
        .limit(100)
        .with_for_update(skip_locked=True)
    )
    for revision in rows:
        try:
            async with uow.savepoint():
                await publish(uow, revision)
        except (IntegrityConstraintViolationError, Refused) as error:
            await _send_back(uow, revision, error)
    return len(rows)


async def _send_back(uow: UnitOfWork, revision: Row, error: IntegrityConstraintViolationError | Refused) -> None:
    """What can no longer be published, such as a record that meanwhile exists, goes to its author and holds none up."""
    refused = error if isinstance(error, Refused) else refusal_of(error)
    if refused is None:
        raise error
    await move(
        uow,
        revision,
        (RevisionState.SCHEDULED,),
        Refusal.NOT_PENDING,
        state=RevisionState.REJECTED,
        remark=" / ".join(texts_of(refused)),
    )


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
    live = await live_row(uow, kind, item_id)
    if live is None or not (may_write(actor, live["owner"]) or may_review(actor, live["owner"])):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    taken_by_another = live["state"] == PublicationState.OFFLINE and live["offline_by"] != actor.id
    if to is PublicationState.PUBLISHED and taken_by_another and not may_review(actor, live["owner"]):
        raise Refused(Refusal.NOT_YOURS, ["id"])
    table = kind.table
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

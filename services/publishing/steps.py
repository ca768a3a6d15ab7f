"""The single steps of the workflow: a revision begins, a state changes, a published row is read."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, select, update

from auth.viewer import Viewer
from kit import clock
from kit.db import Row
from kit.errors import Refused
from kit.ids import global_id
from models.base import table_of
from models.events import ReviewQueueChanged
from models.publishing import Revision, RevisionState
from models.refusals import Refusal
from services.publishing.kinds import Kind
from services.uow import UnitOfWork

REVISION = table_of(Revision)


async def begin(
    uow: UnitOfWork, kind: Kind, item_id: UUID, owner: str, author: Viewer, stored: Mapping[str, Any]
) -> UUID:
    """A new revision under the item's next number. Of two at once the constraints of `revision` let one through."""
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


def state_is(states: Iterable[RevisionState]) -> ColumnElement[bool]:
    """The revision is in one of the states. As an array, so that the statement's text is the same for any number."""
    return REVISION.c.state == func.any(list(states))


async def move(
    uow: UnitOfWork, revision: Row, expected: tuple[RevisionState, ...], refusal: Refusal, **changes: Any
) -> None:
    """Changes an open revision's state; the condition on the old state decides races, and the loser gets `refusal`."""
    changed = await uow.value(
        update(REVISION)
        .where(REVISION.c.id == revision["id"], state_is(expected))
        .values(updated_at=clock.real(), **changes)
        .returning(REVISION.c.id)
    )
    if changed is None:
        raise Refused(refusal, ["id"])
    details = {"remark": changes["remark"]} if changes.get("remark") else {}
    uow.touch(global_id("revision", revision["id"]), **details)
    uow.emit(ReviewQueueChanged())


async def live_row(uow: UnitOfWork, kind: Kind, item_id: UUID) -> Row | None:
    return await uow.one(select(kind.table).where(kind.table.c.id == item_id))

"""How often items are opened: marked per visit, folded into the items' counts by a ticker."""

from collections import Counter
from uuid import UUID, uuid5

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit import clock
from kit.ids import global_id
from models.base import table_of
from models.events import ItemsChanged
from models.publishing import Visit
from services.publishing import KINDS, Kind
from services.uow import UnitOfWork

VISIT = table_of(Visit)
BATCH = 10_000


async def count(uow: UnitOfWork, kind: Kind, item_id: UUID, visit: str) -> None:
    """Marks that a visit opened the item. A ticker folds marks into the count, so no hot row is locked."""
    visit_id = uuid5(item_id, visit[:200])
    row = {"item_id": item_id, "visit_id": visit_id, "kind": kind.name, "folded": False}
    await uow.execute(upsert(Visit).values(row).on_conflict_do_nothing())
    uow.touch(global_id(kind.name, item_id))


async def fold(uow: UnitOfWork) -> int:
    """Adds unfolded visits to the items' counts, also in the index, which sorts by them.

    The mark says what is folded, so late commits are not lost.
    """
    marked = (
        update(VISIT)
        .where(
            VISIT.c.visit_id.in_(
                select(VISIT.c.visit_id).where(~VISIT.c.folded).limit(BATCH).with_for_update(skip_locked=True)
            )
        )
        .where(~VISIT.c.folded)
        .values(folded=True)
        .returning(VISIT.c.kind, VISIT.c.item_id)
    )
    counts = Counter((row.kind, row.item_id) for row in await uow.execute(marked))
    for (name, item_id), count in sorted(counts.items()):
        table = KINDS[name].table
        more = {"view_count": table.c.view_count + count, "updated_at": clock.real()}
        await uow.execute(update(table).where(table.c.id == item_id).values(more))
        uow.emit(ItemsChanged(name, (item_id,)))
    return sum(counts.values())

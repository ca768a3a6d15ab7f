"""How often items are opened: marked per visit, folded into the items' counts by a ticker."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID, uuid5

from sqlalchemy import ARRAY, Integer, Uuid, column, func, literal, select, update
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
EVENT_ITEMS = 500


async def count(uow: UnitOfWork, kind: Kind, item_id: UUID, visit: str) -> None:
    """Marks that a visit opened the item. A ticker folds marks into the count, so no hot row is locked."""
    visit_id = uuid5(item_id, visit[:200])
    row = {"item_id": item_id, "visit_id": visit_id, "kind": kind.name, "folded": False}
    await uow.execute(upsert(Visit).values(row).on_conflict_do_nothing())
    uow.touch(global_id(kind.name, item_id))


async def fold(uow: UnitOfWork) -> int:
    """Adds unfolded visits to the items' counts, also in the index, which sorts by them.

    The mark says what is folded, so late commits are not lost. One transaction for all, since each ends every kept
    answer that was made of the items (`kit/generations.py`).
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
    counts: dict[str, Counter[UUID]] = defaultdict(Counter)
    for row in await uow.execute(marked):
        counts[row["kind"]][row["item_id"]] += 1
    for name, items in sorted(counts.items()):
        await _add(uow, name, sorted(items.items()))
    return sum(items.total() for items in counts.values())


async def _add(uow: UnitOfWork, name: str, counts: Sequence[tuple[UUID, int]]) -> None:
    table = KINDS[name].table
    ids, more = zip(*counts, strict=True)
    arrays = (literal(list(ids), ARRAY(Uuid)), literal(list(more), ARRAY(Integer)))
    added = func.unnest(*arrays).table_valued(column("id", Uuid), column("more", Integer)).render_derived()
    changes = {"view_count": table.c.view_count + added.c.more, "updated_at": clock.real()}
    await uow.execute(update(table).where(table.c.id == added.c.id).values(changes))
    for first in range(0, len(ids), EVENT_ITEMS):
        uow.emit(ItemsChanged(name, ids[first : first + EVENT_ITEMS]))

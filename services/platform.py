"""The business clock's offset, shared by all processes through one row of the database."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from kit import clock
from kit.db import fetch_value
from models.account import PlatformClock
from models.base import table_of
from services.uow import UnitOfWork

CLOCK = table_of(PlatformClock)


async def move_clock(uow: UnitOfWork, now: datetime) -> None:
    """Sets business time; every process follows within a second (`jobs/schedule.py`), this one at once."""
    moment = now if now.tzinfo else now.replace(tzinfo=UTC)
    offset = moment - clock.real()
    row = {"id": 1, "offset_seconds": offset.total_seconds(), "updated_at": clock.real()}
    await uow.execute(upsert(CLOCK).values(row).on_conflict_do_update(index_elements=["id"], set_=row))
    uow.touch("clock", now=moment.isoformat())
    clock.set_offset(offset)


async def follow_clock() -> None:
    """Takes over the offset that another process has set."""
    seconds = await fetch_value(select(CLOCK.c.offset_seconds).where(CLOCK.c.id == 1))
    clock.set_offset(timedelta(seconds=seconds or 0.0))

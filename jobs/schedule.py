"""What happens by itself, as time passes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy import text

from kit import clock
from services import content, platform, policy, product, publishing, store, visits  # noqa: F401 - register their kinds
from services.uow import unit_of_work

log = structlog.get_logger()
QUEUE_LOG_KEPT = timedelta(days=7)


async def publish_due() -> None:
    """Timed publishing, by the business clock."""
    async with unit_of_work() as uow:
        await publishing.publish_due(uow)


async def fold_visits() -> None:
    """Not often: every fold ends all kept answers about the kinds of content that were opened."""
    async with unit_of_work() as uow:
        while await visits.fold(uow) == visits.BATCH:
            pass


async def forget_done() -> None:
    """The queue's own log and counts grow by some rows with every event; a week of them tells enough."""
    async with unit_of_work() as uow:
        for table in ("pgqueuer_log", "pgqueuer_statistics"):
            old = text(f"DELETE FROM {table} WHERE created < :moment")  # noqa: S608 - the two names above
            await uow.execute(old, moment=clock.real() - QUEUE_LOG_KEPT)


SCHEDULE: tuple[tuple[float, Callable[[], Awaitable[None]]], ...] = (
    (1.0, platform.follow_clock),
    (1.0, publish_due),
    (30.0, fold_visits),
    (3600.0, forget_done),
)


async def tick(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Acts again and again; any failure is logged and the next turn tries again."""
    while True:
        started = clock.real()
        try:
            await act()
        except Exception:
            log.warning("schedule.failed", act=act.__name__, exc_info=True)
        elapsed = (clock.real() - started).total_seconds()
        await asyncio.sleep(max(0.1, seconds - elapsed))

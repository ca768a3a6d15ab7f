"""What happens by itself, as time passes."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from kit import clock
from services import content, platform, policy, product, publishing, store, visits  # noqa: F401 - register their kinds
from services.uow import unit_of_work

log = structlog.get_logger()


async def publish_due() -> None:
    """Timed publishing, by the business clock."""
    async with unit_of_work() as uow:
        await publishing.publish_due(uow)


async def fold_visits() -> None:
    async with unit_of_work() as uow:
        await visits.fold(uow)


SCHEDULE: tuple[tuple[float, Callable[[], Awaitable[None]]], ...] = (
    (1.0, platform.follow_clock),
    (1.0, publish_due),
    (2.0, fold_visits),
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

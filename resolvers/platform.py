"""The platform's own clock."""

from datetime import datetime
from typing import Any

from kit import clock
from kit.errors import Refused
from kit.settings import settings
from models.refusals import Refusal
from resolvers.context import Info, write
from services import platform, publishing


async def now(_info: Info) -> datetime:
    """Business time (业务时间), by which windows open and close."""
    return clock.now()


async def clock_set(info: Info, now: datetime) -> Any:
    """Moves business time, in development only; what was waiting for that time is published (调整业务时间)."""
    if not settings.development:
        raise Refused(Refusal.DEVELOPMENT_ONLY, ["now"])
    async with write(info) as uow:
        await platform.move_clock(uow, now)
        await publishing.publish_due(uow)
    return clock.now()

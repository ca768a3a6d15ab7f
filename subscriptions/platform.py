"""The clock that all countdowns follow."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime

from kit import clock
from resolvers.context import Info


async def server_time(_info: Info) -> AsyncGenerator[datetime, None]:
    """Business time, every second (服务器时间): what countdowns in clients follow."""
    shown = None
    while True:
        second = clock.now().replace(microsecond=0)
        if second != shown:
            yield second
            shown = second
        await asyncio.sleep(1 - clock.now().microsecond / 1_000_000)

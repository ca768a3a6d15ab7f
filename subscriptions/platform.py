"""The clock that all countdowns follow."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime

from kit import clock
from resolvers.context import Info


async def server_time(_info: Info) -> AsyncGenerator[datetime, None]:
    """Business time, every second (服务器时间): what countdowns in clients follow."""
    while True:
        yield clock.now().replace(microsecond=0)
        await asyncio.sleep(1 - clock.real().microsecond / 1_000_000)

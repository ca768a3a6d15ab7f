"""The clock that all countdowns follow."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from kit import clock
from resolvers.context import Info

SECOND = timedelta(seconds=1)


async def server_time(_info: Info) -> AsyncGenerator[datetime, None]:
    """Business time, every second (服务器时间): what countdowns in clients follow."""
    while True:
        second = clock.now().replace(microsecond=0)
        yield second
        while second <= (now := clock.now()) < second + SECOND:  # noqa: ASYNC110 - time itself is what is waited for
            await asyncio.sleep((second + SECOND - now).total_seconds())

"""Results over a response that stays open: heartbeats while nothing happens, an end at disconnect or token expiry."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from enum import Enum
from typing import Any

from starlette.types import Receive

from auth.viewer import Viewer
from engine.wire import Answer, Reply, disconnected
from kit import clock

Respond = Callable[[Reply, Receive, AsyncGenerator[Answer, None], Viewer, float], Awaitable[None]]

EXPIRED_REASON = "The token has expired (令牌已过期)"


class Beat(Enum):
    """What a stream yields besides results."""

    ALIVE = "ALIVE"
    EXPIRED = "EXPIRED"


def seconds_left(viewer: Viewer) -> float | None:
    """Until the viewer's token ends, never below 0; None for a viewer without one."""
    if viewer.expires_at is None:
        return None
    return max(0.0, (viewer.expires_at - clock.real()).total_seconds())


async def beating(
    results: AsyncGenerator[Answer, None], viewer: Viewer, keep_alive_seconds: float
) -> AsyncGenerator[Answer | Beat, None]:
    """The results, with ALIVE in each silent interval and EXPIRED as the last when the token ends. Closes `results`."""
    upcoming = asyncio.ensure_future(anext(results))
    try:
        while True:
            left = seconds_left(viewer)
            if left == 0:
                yield Beat.EXPIRED
                return
            pause = keep_alive_seconds if left is None else min(left, keep_alive_seconds)
            await asyncio.wait({upcoming}, timeout=pause)
            if not upcoming.done():
                yield Beat.ALIVE
                continue
            try:
                result = upcoming.result()
            except StopAsyncIteration:
                return
            yield result
            upcoming = asyncio.ensure_future(anext(results))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await results.aclose()


async def until_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Does the work, or as much of it as the client stays for."""
    task, gone = asyncio.create_task(work), asyncio.create_task(disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()):
        raise error

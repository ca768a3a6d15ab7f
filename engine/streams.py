"""Events over a response that stays open, with signs of life while nothing happens and a reason at the end."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from starlette.types import Receive

from auth.revocations import revocations
from auth.viewer import Viewer
from engine.errors import Described, describe
from engine.fanout import TOO_SLOW, Event, Subscriber
from engine.wire import Reply, disconnected
from kit import clock
from kit.errors import ApiError, ErrorCode, Unauthenticated

EXPIRED_REASON = "The token has expired (令牌已过期)"
LAST_WORDS_SECONDS = 5.0  # for the reason to reach a client that may no longer be here


def seconds_left(viewer: Viewer) -> float | None:
    """Until the viewer's token ends, never below 0; None for a viewer without one."""
    if viewer.expires_at is None:
        return None
    return max(0.0, (viewer.expires_at - clock.real()).total_seconds())


class Stream(Subscriber):
    """What one response is told. `over` is done when nothing follows, with the errors for which it ended."""

    __slots__ = ("_idle", "_keep_alive_seconds", "_news", "_next", "_timer", "_unwatch", "over")

    def __init__(self, viewer: Viewer, keep_alive_seconds: float) -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[list[Described]] = loop.create_future()
        self._keep_alive_seconds = keep_alive_seconds
        self._news = asyncio.Event()
        self._next: Event | None = None
        self._idle = False
        left = seconds_left(viewer)
        self._timer = None if left is None else loop.call_later(left, self._turn_out, EXPIRED_REASON)
        self._unwatch = revocations.watch(viewer, self._turn_out)

    @property
    def busy(self) -> bool:
        return not self._idle

    def send(self, event: Event) -> None:
        self._next, self._idle = event, False
        self._news.set()

    def end(self, errors: list[Described]) -> None:
        if not self.over.done():
            self.over.set_result(errors)
            self._news.set()

    def end_slow(self) -> None:
        self.end([describe(ApiError(ErrorCode.RATE_LIMITED, TOO_SLOW))])

    def _turn_out(self, reason: str) -> None:
        self.cancel()
        self.end([describe(Unauthenticated(reason))])

    async def events(self) -> AsyncGenerator[Event | None, None]:
        """Each event as soon as its reader asks for it; None in each silent interval. Ends when it is `over`."""
        while True:
            self._next, self._idle = None, True
            self._news.clear()
            self.flush()
            while self._next is None and not self.over.done():
                try:
                    async with asyncio.timeout(self._keep_alive_seconds):
                        await self._news.wait()
                except TimeoutError:
                    yield None
            if self._next is None:
                return
            yield self._next

    def close(self) -> None:
        self.cancel()
        self._unwatch()
        if self._timer is not None:
            self._timer.cancel()


Respond = Callable[[Reply, Stream], Coroutine[Any, Any, None]]


async def until_gone(receive: Receive, stream: Stream, work: Coroutine[Any, Any, None]) -> None:
    """Does the work, or as much of it as the client stays for, and no longer than it may be told something."""
    task, gone = asyncio.create_task(work), asyncio.create_task(disconnected(receive))
    ends: set[asyncio.Future[Any]] = {task, gone}
    try:
        await asyncio.wait({*ends, stream.over}, return_when=asyncio.FIRST_COMPLETED)
        if stream.over.done():
            await asyncio.wait(ends, timeout=LAST_WORDS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stream.close()
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()):
        raise error

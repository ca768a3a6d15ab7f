"""What PostgreSQL tells this process: one LISTEN connection, however many channels.

A notification is part of the transaction that sends it, so it comes exactly when that commits, whoever wrote. Nobody
may take silence for news, though: `connected` is true only while the server has answered within the last seconds.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import structlog

BEAT_SECONDS = 0.5
SILENCE_SECONDS = 2
RECONNECT_SECONDS = 0.1

log = structlog.get_logger()


class Feed:
    """Opened once per process, and connects again for as long as it takes. Subscribe before `open`."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[str], None]]] = defaultdict(list)
        self._resets: list[Callable[[], None]] = []
        self._follower: asyncio.Task[None] | None = None
        self._listening = False
        self._heard = 0.0
        self._tried = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether all that was sent has come, but for the last two seconds at most, were the line to be cut now.

        Also false after this process itself stood still: what it missed is read first.
        """
        return self._listening and time.perf_counter() - self._heard < SILENCE_SECONDS

    def subscribe(self, channel: str, callback: Callable[[str], None]) -> None:
        """Calls back with each payload that is sent to the channel, in the order of the commits."""
        if callback not in self._callbacks[channel]:
            self._callbacks[channel].append(callback)

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Calls back when the connection is lost, and again when it is back (`connected` tells which of the two).

        What was sent in between is lost: whoever keeps something by this feed must look again.
        """
        if callback not in self._resets:
            self._resets.append(callback)

    async def open(self, url: str) -> None:
        """Returns when the first attempt is over, whether or not it went well."""
        self._tried = asyncio.Event()
        self._follower = asyncio.create_task(self._follow(url), name="feed")
        await self._tried.wait()

    async def close(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        self._follower = None

    async def _follow(self, url: str) -> None:
        while True:
            try:
                await self._listen(url)
            except Exception as error:  # noqa: BLE001 - a follower that ended would leave everything uncached
                log.warning("feed.lost", error=type(error).__name__)
            self._tried.set()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, url: str) -> None:
        connection = await asyncpg.connect(
            url,
            timeout=SILENCE_SECONDS,
            command_timeout=SILENCE_SECONDS,
            server_settings={"application_name": "esc feed"},
        )
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            for channel in self._callbacks:
                await connection.add_listener(channel, self._take)
            await self._beat(connection)
            self._turn(listening=True)
            self._tried.set()
            while not lost.is_set():
                with suppress(TimeoutError):  # `wait_for` would swallow a cancellation that comes with the loss
                    async with asyncio.timeout(BEAT_SECONDS):
                        await lost.wait()
                await self._beat(connection)
        finally:
            connection.terminate()
            if self._listening:
                self._turn(listening=False)

    async def _beat(self, connection: "asyncpg.Connection[Any]") -> None:
        """Notifications and answers share a line: with the answer, all that was sent before the question is here."""
        asked = time.perf_counter()
        await connection.execute("SELECT 1")
        self._heard = asked

    def _turn(self, *, listening: bool) -> None:
        self._listening = listening
        for callback in self._resets:
            callback()

    def _take(self, _connection: Any, _pid: int, channel: str, payload: Any) -> None:
        for callback in self._callbacks[channel]:
            callback(payload)


feed = Feed()

"""The read pool: plain connections, since what asyncpg's own pool does around a query costs as much as the query."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[Any]"

BROKEN = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,
    OSError,
)
"""The connection is of no use any more, also where asyncpg has yet to see its end: the server spoke its last word."""


class ReadPool:
    """Up to `size` connections, opened as they are needed, the one used last first. Who waits is served in turn.

    Every statement stands alone and changes nothing, so one whose connection broke is sent again, once.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._turns = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def open(self) -> None:
        """Raises what asyncpg raises where the server cannot be reached."""
        self._idle.append(await self._connect())

    async def close(self) -> None:
        """Waits for the statements that are running."""
        for _ in range(self._size):
            await self._turns.acquire()
        await asyncio.gather(*(connection.close() for connection in self._idle))
        self._idle.clear()

    async def fetch(self, text: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """All rows. Raises what asyncpg raises for the statement, and OSError while the server is away."""
        async with self._turns:
            connection = self._take() or await self._connect()
            try:
                return await self._on(connection, text, arguments)
            except (asyncpg.InterfaceError, *BROKEN):
                if not connection.is_closed():
                    raise
            return await self._on(await self._connect(), text, arguments)

    def _take(self) -> "Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def _on(self, connection: Connection, text: str, arguments: Sequence[Any]) -> Sequence[asyncpg.Record]:
        try:
            rows: Sequence[asyncpg.Record] = await connection.fetch(text, *arguments)
        except BaseException as error:
            if isinstance(error, BROKEN):
                connection.terminate()
            if not connection.is_closed():
                self._idle.insert(0, connection)  # it may be busy for a while: a cancelled query ends at the server
            raise
        self._idle.append(connection)
        return rows

"""The pools: plain connections, since what asyncpg's own pool does around a query costs as much as the query."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
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

UNDO_SECONDS = 5.0
CLOSE_SECONDS = 10.0


class Pool:
    """Up to `size` connections, opened as they are needed, the one used last first. Who waits is served in turn."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._turns = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def open(self) -> None:
        """Raises what asyncpg raises where the server cannot be reached."""
        self._idle.append(await self._connect())

    async def close(self) -> None:
        """Waits for what is running, but no longer than a server that stops may take."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                for _ in range(self._size):
                    await self._turns.acquire()
        await asyncio.gather(*(_close(connection) for connection in self._idle))
        self._idle.clear()

    def _take(self) -> "Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None


class ReadPool(Pool):
    """Every statement stands alone and changes nothing, so one whose connection broke is sent again, once."""

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


class WritePool(Pool):
    """Lends connections that have begun a transaction. One that may still be in it is closed, never lent again."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """A transaction that commits when the block ends, and rolls back when it raises.

        Raises what asyncpg raises, and OSError while the server is away. Where the commit raises, nobody knows whether
        it arrived.
        """
        async with self._turns:
            connection = await self._begun()
            try:
                yield connection
                await _commit(connection)
            except BaseException:
                await self._undo(connection)
                raise
            self._idle.append(connection)

    async def _begun(self) -> Connection:
        """A connection kept, or a new one where the server has closed that one: nothing was sent yet but BEGIN."""
        if connection := self._take():
            with suppress(asyncpg.InterfaceError, *BROKEN):
                return await _begin(connection)
        return await _begin(await self._connect())

    async def _undo(self, connection: Connection) -> None:
        """Rolls back, once the server has ended what was cancelled; else closes the connection, which undoes it too."""
        with suppress(Exception):
            try:
                async with asyncio.timeout(UNDO_SECONDS):
                    await connection.execute("ROLLBACK")
            except BaseException:
                connection.terminate()
                raise
            self._idle.insert(0, connection)


async def _close(connection: Connection) -> None:
    """Takes leave of the server. asyncpg has no limit of its own for the end of a query that was cancelled."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()


async def _begin(connection: Connection) -> Connection:
    try:
        await connection.execute("BEGIN")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _commit(connection: Connection) -> None:
    """PostgreSQL answers a COMMIT after a statement that failed, whoever caught its error, with a ROLLBACK."""
    if await connection.execute("COMMIT") != "COMMIT":
        raise asyncpg.InFailedSQLTransactionError("a statement had failed, so nothing was committed")

"""The two pools (`docs/architecture.md`, "Writes"): our own for reads (`kit/pool.py`), SQLAlchemy's for writes.

The read pool is autocommit, read-only, and is handed on without a reset round trip, so nothing may leave session state
on it: no SET, LISTEN, temporary table or session lock. Reads are SQLAlchemy Core statements, compiled to text
(`kit/statements.py`) and fetched with asyncpg; a row is an `asyncpg.Record`, read by name.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import asyncpg
import orjson
from sqlalchemy import Executable, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from kit import footprint, metrics
from kit.pool import Connection, ReadPool
from kit.settings import Settings
from kit.statements import Prepared, prepare

STATEMENT_TIMEOUT_MS = 15_000

Observer = Callable[[str], None]
observers: list[Observer] = []


class Row(Protocol):
    """A row of either pool, read by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Database:
    """Opened once per process. `reads` and `writes` are None until `open`."""

    def __init__(self) -> None:
        self._reads: ReadPool | None = None
        self._writes: AsyncEngine | None = None

    @property
    def reads(self) -> ReadPool:
        if self._reads is None:
            raise RuntimeError("the database is not open")
        return self._reads

    @property
    def writes(self) -> AsyncEngine:
        if self._writes is None:
            raise RuntimeError("the database is not open")
        return self._writes

    async def open(self, settings: Settings) -> None:
        self._writes = create_async_engine(
            engine_url(settings.database_url),
            pool_size=settings.write_pool_size,
            max_overflow=5,
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
            json_deserializer=orjson.loads,
        )
        event.listen(self._writes.sync_engine, "checkout", _refuse_closed)
        self._reads = ReadPool(partial(connect, settings.database_url), settings.read_pool_size)
        await self._reads.open()

    async def close(self) -> None:
        if self._reads is not None:
            await self._reads.close()
        if self._writes is not None:
            await self._writes.dispose()
        self._reads = self._writes = None


database = Database()


def engine_url(url: str) -> str:
    """SQLAlchemy's form of a libpq address."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


def _refuse_closed(_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Lets the pool open another connection in the place of one that the server has closed; saves asking it each time.

    asyncpg notices by itself, since it reads from the socket all the time.
    """
    driver = record.driver_connection
    if driver is None or driver.is_closed():
        raise DisconnectionError("the server has closed the connection")


async def connect(url: str) -> Connection:
    """A connection for reads that stand alone: read-only, and no statement may take long."""
    connection = await asyncpg.connect(
        url,
        server_settings={
            "default_transaction_read_only": "on",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "application_name": "esc reads",
        },
    )
    codec = partial(connection.set_type_codec, schema="pg_catalog")
    try:
        await codec("jsonb", format="binary", encoder=_encode_jsonb, decoder=_decode_jsonb)
        await codec("numeric", format="text", encoder=str, decoder=Decimal)  # asyncpg's own takes twice as long
    except BaseException:
        connection.terminate()
        raise
    return connection


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + (value.encode() if isinstance(value, str) else orjson.dumps(value, default=str))


def _decode_jsonb(raw: bytes) -> Any:
    return orjson.loads(raw[1:])


async def fetch(statement: Executable | Prepared, **late_values: Any) -> Sequence[asyncpg.Record]:
    """All rows of a read. What it reads is noted in the running footprint."""
    prepared = statement if isinstance(statement, Prepared) else prepare(statement)
    return await _send(prepared.text, prepared.arguments(late_values), prepared.tables)


async def fetch_text(text: str, *arguments: Any, tables: frozenset[str] | None = None) -> Sequence[asyncpg.Record]:
    """All rows of a read written by hand. `tables`: all that it reads; without them no answer of it is shared."""
    return await _send(text, arguments, tables)


async def _send(text: str, arguments: Sequence[Any], tables: frozenset[str] | None) -> Sequence[asyncpg.Record]:
    if running := footprint.current.get():
        if tables is None:
            running.private = True
        else:
            running.tables.update(tables)
    metrics.SQL_STATEMENTS.inc()
    for observe in observers:
        observe(text)
    rows: Sequence[asyncpg.Record] = await database.reads.fetch(text, *arguments)
    return rows


async def fetch_one(statement: Executable | Prepared, **late_values: Any) -> asyncpg.Record | None:
    rows = await fetch(statement, **late_values)
    return rows[0] if rows else None


async def fetch_value(statement: Executable | Prepared, **late_values: Any) -> Any:
    """The first column of the first row, or None."""
    row = await fetch_one(statement, **late_values)
    return row[0] if row is not None else None

"""The two pools (`docs/architecture.md`, "Writes"; `kit/pool.py`): one for reads, one for transactions.

The read pool is autocommit and read-only. Connections of both are handed on without a reset round trip, so nothing may
leave session state on them: no SET, LISTEN, temporary table or session lock. Statements are SQLAlchemy Core's, compiled
to text (`kit/statements.py`) and sent with asyncpg; a row is an `asyncpg.Record`, read by name.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import asyncpg
import orjson
from sqlalchemy import Executable

from kit import footprint, metrics
from kit.pool import Connection, ReadPool, WritePool
from kit.settings import Settings
from kit.statements import Prepared, prepare
from kit.writes import Transaction

READS = {"application_name": "esc reads", "default_transaction_read_only": "on", "statement_timeout": "15s"}
"""No read may take long."""
WRITES = {
    "application_name": "esc writes",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "10min",
}
"""A write may wait for its turn behind a long import, but nothing holds its locks for ever."""

Observer = Callable[[str], None]
observers: list[Observer] = []


class Row(Protocol):
    """A row, read by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Database:
    """Opened once per process. `reads` and `writes` are None until `open`."""

    def __init__(self) -> None:
        self._reads: ReadPool | None = None
        self._writes: WritePool | None = None

    @property
    def reads(self) -> ReadPool:
        if self._reads is None:
            raise RuntimeError("the database is not open")
        return self._reads

    @property
    def writes(self) -> WritePool:
        if self._writes is None:
            raise RuntimeError("the database is not open")
        return self._writes

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that tells nobody of what it wrote but the database; acts have `services/uow.py`."""
        async with self.writes.begin() as connection:
            yield Transaction(connection)

    async def open(self, settings: Settings) -> None:
        self._writes = WritePool(partial(connect, settings.database_url, WRITES), settings.write_pool_size)
        self._reads = ReadPool(partial(connect, settings.database_url), settings.read_pool_size)
        await self._reads.open()

    async def close(self) -> None:
        if self._reads is not None:
            await self._reads.close()
        if self._writes is not None:
            await self._writes.close()
        self._reads = self._writes = None


database = Database()


def engine_url(url: str) -> str:
    """SQLAlchemy's form of a libpq address, for migrations."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


async def connect(url: str, settings: Mapping[str, str] = READS) -> Connection:
    """A connection with these settings of the session, and our codecs."""
    connection = await asyncpg.connect(url, server_settings=dict(settings))
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

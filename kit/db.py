"""The two pools (`docs/architecture.md`, "Writes"): asyncpg for reads, SQLAlchemy's own for writes.

The read pool is autocommit, read-only, and is handed on without a reset round trip, so nothing may leave session state
on it: no SET, LISTEN, temporary table or session lock. Reads are SQLAlchemy Core statements, compiled to text and
fetched with asyncpg; a row is an `asyncpg.Record`, read by name.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
import orjson
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.sql.cache_key import CacheKey
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement

from kit import metrics
from kit.settings import Settings

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
STATEMENT_TIMEOUT_MS = 15_000
COMPILED_STATEMENTS = 500

Observer = Callable[[str], None]
observers: list[Observer] = []


class Row(Protocol):
    """A row of either pool, read by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Database:
    """Opened once per process. `reads` and `writes` are None until `open`."""

    def __init__(self) -> None:
        self._reads: asyncpg.Pool | None = None
        self._writes: AsyncEngine | None = None

    @property
    def reads(self) -> asyncpg.Pool:
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
            pool_pre_ping=True,
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
            json_deserializer=orjson.loads,
        )
        self._reads = await asyncpg.create_pool(
            settings.database_url,
            min_size=1,
            max_size=settings.read_pool_size,
            init=_init_connection,
            reset=_no_reset,
            server_settings={
                "default_transaction_read_only": "on",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "application_name": "esc reads",
            },
        )

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


async def _init_connection(connection: "asyncpg.Connection[Any]") -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_encode_jsonb, decoder=lambda raw: orjson.loads(raw[1:])
    )


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + (value.encode() if isinstance(value, str) else orjson.dumps(value, default=str))


async def _no_reset(_connection: Any) -> None:
    """Saves one round trip per read; safe since the read pool holds no session state."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A text, and for each of its `$n` which bound value of the statement it takes and how that type is sent."""

    text: str
    binds: tuple[tuple[int, Callable[[Any], Any] | None], ...]

    def arguments(self, values: Sequence[BindParameter[Any]]) -> list[Any]:
        return [
            process(values[index].effective_value) if process else values[index].effective_value
            for index, process in self.binds
        ]


_compiled: OrderedDict[tuple[Any, ...], _Compiled] = OrderedDict()


def compile_sql(statement: Executable) -> tuple[str, list[Any]]:
    """The statement's text with `$1…` and its arguments in that order, as asyncpg wants them.

    Compiling costs more than most queries, so the text is kept by SQLAlchemy's cache key: all of a statement but its
    values, which are always those of the statement at hand.
    """
    if not isinstance(statement, ClauseElement):
        raise TypeError(f"not a SQL statement: {statement!r}")
    key = statement._generate_cache_key()  # noqa: SLF001 - what SQLAlchemy's own cache goes by
    if key is None or key.params:
        return _values(_compile(statement, None))
    kept = _compiled.get(key.key)
    if kept is None:
        compiled = _compile(statement, key)
        kept = _reusable(compiled, key)
        if kept is None:
            return _values(compiled)
        _compiled[key.key] = kept
        if len(_compiled) > COMPILED_STATEMENTS:
            _compiled.popitem(last=False)
    else:
        _compiled.move_to_end(key.key)
    return kept.text, kept.arguments(key.bindparams)


def _compile(statement: ClauseElement, key: CacheKey | None) -> SQLCompiler:
    compiled = statement._compiler(  # noqa: SLF001 - `compile` would drop the key
        DIALECT, cache_key=key, compile_kwargs={"render_postcompile": True}
    )
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"not a query: {statement!r}")
    return compiled


def _values(compiled: SQLCompiler) -> tuple[str, list[Any]]:
    """What a statement that is compiled anew each time sends."""
    parameters = compiled.params
    return compiled.string, [
        process(parameters[name]) if (process := _processor(compiled, name)) else parameters[name]
        for name in compiled.positiontup or ()
    ]


def _reusable(compiled: SQLCompiler, key: CacheKey) -> _Compiled | None:
    """None where the text depends on values, as that of `IN (…)` does, or it is not plain which value is whose."""
    match = compiled._cache_key_bind_match  # noqa: SLF001 - which binds the compiler made of which of the key's
    distinct = len({bind.key for bind in key.bindparams}) == len(key.bindparams)
    if compiled.post_compile_params or compiled.literal_execute_params or match is None or not distinct:
        return None
    bound = match[0]
    source = {bind: index for index, each in enumerate(key.bindparams) for bind in bound.get(each, ())}
    names = compiled.positiontup or ()
    if any(compiled.binds[name] not in source for name in names):
        return None
    return _Compiled(
        compiled.string, tuple((source[compiled.binds[name]], _processor(compiled, name)) for name in names)
    )


def _processor(compiled: SQLCompiler, name: str) -> Callable[[Any], Any] | None:
    process = compiled._bind_processors.get(name)  # noqa: SLF001 - the only place that knows how a type is sent
    return process if callable(process) else None


async def fetch(statement: Executable) -> Sequence[asyncpg.Record]:
    """All rows of a read."""
    text, arguments = compile_sql(statement)
    return await fetch_text(text, *arguments)


async def fetch_text(text: str, *arguments: Any) -> Sequence[asyncpg.Record]:
    metrics.SQL_STATEMENTS.inc()
    for observe in observers:
        observe(text)
    rows: Sequence[asyncpg.Record] = await database.reads.fetch(text, *arguments)
    return rows


async def fetch_one(statement: Executable) -> asyncpg.Record | None:
    rows = await fetch(statement)
    return rows[0] if rows else None


async def fetch_value(statement: Executable) -> Any:
    """The first column of the first row, or None."""
    row = await fetch_one(statement)
    return row[0] if row is not None else None

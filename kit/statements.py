"""Statements as asyncpg takes them: compiled to text once, then sent with the values of the moment.

A statement is built with SQLAlchemy Core. `late` stands in the place of a value that is only known when it is sent, a
`bindparam` with a `callable_` in that of one that follows the clock, so one text serves all keys, cursors and days.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from typing import cast as typed

import orjson
from sqlalchemy import ColumnElement, Executable, Insert, Table, TextClause, UpdateBase, bindparam, cast, select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.cache_key import CacheKey
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement
from sqlalchemy.types import TypeEngine

DIALECT = PGDialect_asyncpg(  # type: ignore[no-untyped-call]
    json_serializer=lambda value: orjson.dumps(value, default=str).decode()
)
COMPILED_STATEMENTS = 500

Process = Callable[[Any], Any]
Bind = tuple[BindParameter[Any], Process | None]


def late(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> BindParameter[Any]:
    """A place for a value that is given when the statement is sent, in the form that asyncpg takes it."""
    return bindparam(name, type_=kind, required=True)


def unseen(value: BindParameter[Any]) -> ColumnElement[Any]:
    """The value in a form that PostgreSQL does not look at before it plans.

    It plans a statement anew for each value at hand as long as that looks cheaper than one plan for any value, as it
    does for few keys and for early pages, though planning costs more than the rows do. Where no value could make
    another plan a better one, this lets it plan once.
    """
    return cast(select(value).scalar_subquery(), value.type)


class Prepared:
    """A text, the tables that it names, those that it writes (None: unknown), and what to send for each of its `$n`."""

    __slots__ = ("_called", "_fixed", "_late", "tables", "text", "written")

    def __init__(
        self,
        text: str,
        tables: frozenset[str] | None,
        binds: Sequence[Bind],
        written: frozenset[str] | None = frozenset(),
    ) -> None:
        self.text = text
        self.tables = tables
        self.written = written
        self._fixed: list[Any] = [None] * len(binds)
        self._late: list[tuple[int, str]] = []
        self._called: list[tuple[int, Callable[[], Any], Process | None]] = []
        for position, (bind, process) in enumerate(binds):
            if bind.required:
                self._late.append((position, bind.key))
            elif bind.callable is not None:
                self._called.append((position, bind.callable, process))
            else:
                self._fixed[position] = process(bind.value) if process else bind.value

    def arguments(self, late_values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of `$1…`. Raises KeyError for a late one that is missing."""
        arguments = self._fixed.copy()
        for position, name in self._late:
            arguments[position] = late_values[name]
        for position, call, process in self._called:
            arguments[position] = process(call()) if process else call()
        return arguments


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A text, and for each of its `$n` what it takes and how that type is sent.

    It takes one of the statement's bound values, by its place among them, or a column's default.
    """

    text: str
    tables: frozenset[str] | None
    binds: tuple[tuple[int | BindParameter[Any], Process | None], ...]
    written: frozenset[str] | None


_compiled: OrderedDict[tuple[Any, ...], _Compiled] = OrderedDict()


def prepare(statement: Executable) -> Prepared:
    """The statement, ready to be sent any number of times.

    Compiling costs more than most queries, so the text is kept by SQLAlchemy's cache key: all of a statement but its
    values, which are always those of the statement at hand. Values by `.params()` are not looked at: give late ones.
    """
    if not isinstance(statement, ClauseElement):
        raise TypeError(f"not a SQL statement: {statement!r}")
    key = statement._generate_cache_key()  # noqa: SLF001 - what SQLAlchemy's own cache goes by
    if key is None:
        return _once(_compile(statement, None), _tables(statement), _written(statement))
    kept = _compiled.get(key.key)
    if kept is None:
        compiled = _compile(statement, key)
        kept = _reusable(compiled, key, _tables(statement), _written(statement))
        if kept is None:
            return _once(compiled, _tables(statement), _written(statement))
        _compiled[key.key] = kept
        if len(_compiled) > COMPILED_STATEMENTS:
            _compiled.popitem(last=False)
    else:
        _compiled.move_to_end(key.key)
    binds = [(key.bindparams[each] if isinstance(each, int) else each, process) for each, process in kept.binds]
    return Prepared(kept.text, kept.tables, binds, kept.written)


def prepare_rows(statement: Insert, rows: Sequence[Mapping[str, Any]]) -> tuple[Prepared, list[list[Any]]]:
    """An insert of one row, and what to send for each of many. All have the columns of the first, or more."""
    columns = [statement.table.c[name] for name in rows[0]]
    prepared = prepare(statement.values({column.name: late(column.name, column.type) for column in columns}))
    processes = [(column.name, column.type._cached_bind_processor(DIALECT)) for column in columns]  # noqa: SLF001 - as the compiler does
    return prepared, [
        prepared.arguments({name: process(row[name]) if process else row[name] for name, process in processes})
        for row in rows
    ]


def _tables(statement: ClauseElement) -> frozenset[str] | None:
    """All tables that the statement names, however deep; None where it has text that may name others."""
    elements = list(visitors.iterate(statement))
    if any(isinstance(each, TextClause) for each in elements):
        return None
    return frozenset(each.name for each in elements if isinstance(each, Table))


def _written(statement: ClauseElement) -> frozenset[str] | None:
    """The tables that the statement writes, in its common table expressions too; None for a text, which tells none."""
    if isinstance(statement, TextClause):
        return None
    parts = (part for part in visitors.iterate(statement) if isinstance(part, UpdateBase))
    return frozenset(typed("Table", part.table).name for part in parts)


def _compile(statement: ClauseElement, key: CacheKey | None) -> SQLCompiler:
    compiled = statement._compiler(  # noqa: SLF001 - `compile` would drop the key
        DIALECT, cache_key=key, compile_kwargs={"render_postcompile": True}
    )
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"not a query: {statement!r}")
    return compiled


def _once(
    compiled: SQLCompiler, tables: frozenset[str] | None, written: frozenset[str] | None = frozenset()
) -> Prepared:
    """A statement that is compiled anew each time: the members of its `IN (…)` are among the values."""
    known = {**compiled.binds, **_defaults(compiled)}
    names = compiled.positiontup or ()
    if written and (lost := [name for name in names if name in known and _is_lost(known[name])]):
        raise TypeError(f"name the columns {', '.join(lost)}: SQLAlchemy forgets defaults of a write within another")
    values = compiled.params if any(name not in known for name in names) else {}
    binds = [
        (known[name] if name in known else bindparam(None, values[name]), _processor(compiled, name)) for name in names
    ]
    return Prepared(compiled.string, tables, binds, written)


def _defaults(compiled: SQLCompiler) -> dict[str, BindParameter[Any]]:
    """What columns that a write does not name are given, worked out each time that it is sent."""
    inserted = ((column, column.default) for column in compiled.insert_prefetch)
    updated = ((column, column.onupdate) for column in compiled.update_prefetch)
    return {
        column.key: bindparam(column.key, callable_=partial(_default, given), type_=column.type)
        for column, given in (*inserted, *updated)
    }


def _is_lost(bind: BindParameter[Any]) -> bool:
    """Whether the compiler made it for a default: what statements hold has a value, a callable or a name of its own."""
    return bind.value is None and bind.callable is None and not bind.required and not bind.unique


def _default(given: Any) -> Any:
    return given.arg(None) if given.is_callable else given.arg


def _reusable(
    compiled: SQLCompiler, key: CacheKey, tables: frozenset[str] | None, written: frozenset[str] | None
) -> _Compiled | None:
    """None where the text depends on values, as that of `IN (…)` does, or it is not plain which value is whose."""
    match = compiled._cache_key_bind_match  # noqa: SLF001 - which binds the compiler made of which of the key's
    distinct = len({bind.key for bind in key.bindparams}) == len(key.bindparams)
    if compiled.post_compile_params or compiled.literal_execute_params or match is None or not distinct:
        return None
    bound = match[0]
    source = {bind: index for index, each in enumerate(key.bindparams) for bind in bound.get(each, ())}
    names = compiled.positiontup or ()
    defaults = _defaults(compiled)
    if any(name not in defaults and compiled.binds[name] not in source for name in names):
        return None
    binds = tuple(
        (defaults[name] if name in defaults else source[compiled.binds[name]], _processor(compiled, name))
        for name in names
    )
    return _Compiled(compiled.string, tables, binds, written)


def _processor(compiled: SQLCompiler, name: str) -> Process | None:
    process = compiled._bind_processors.get(name)  # noqa: SLF001 - the only place that knows how a type is sent
    return process if callable(process) else None

"""What is written together: statements on one connection, within one transaction."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import Executable, Insert

from kit import metrics
from kit.pool import Connection
from kit.statements import Prepared, prepare, prepare_rows


@dataclass(slots=True)
class Transaction:
    """A connection in a transaction that somebody else ends. Statements are SQLAlchemy Core's, rows asyncpg's.

    `written` are the tables written so far; `anything`: a statement was a text, so it may be any table.
    """

    connection: Connection
    written: set[str] = field(default_factory=set, init=False)
    anything: bool = field(default=False, init=False)

    async def execute(self, statement: Executable | Prepared, **late_values: Any) -> Sequence[asyncpg.Record]:
        """The rows that it returns. Raises what asyncpg raises, which then says nothing of the values."""
        prepared = statement if isinstance(statement, Prepared) else prepare(statement)
        self._note(prepared)
        try:
            rows: Sequence[asyncpg.Record] = await self.connection.fetch(
                prepared.text, *prepared.arguments(late_values)
            )
        except asyncpg.PostgresError as error:
            raise _without_values(error) from None
        return rows

    async def insert(self, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts rows that have the same columns."""
        if not rows:
            return
        prepared, arguments = prepare_rows(statement, rows)
        self._note(prepared)
        try:
            await self.connection.executemany(prepared.text, arguments)
        except asyncpg.PostgresError as error:
            raise _without_values(error) from None

    async def one(self, statement: Executable | Prepared, **late_values: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        rows = await self.execute(statement, **late_values)
        return rows[0] if rows else None

    async def value(self, statement: Executable | Prepared, **late_values: Any) -> Any:
        """The first column of the first row, or None."""
        row = await self.one(statement, **late_values)
        return row[0] if row is not None else None

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What the block writes is undone when it raises, and the transaction goes on."""
        await self.connection.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            await self.connection.execute("ROLLBACK TO part; RELEASE part")
            raise
        await self.connection.execute("RELEASE part")

    def _note(self, prepared: Prepared) -> None:
        metrics.SQL_STATEMENTS.inc()
        if prepared.written is None:
            self.anything = True
        else:
            self.written |= prepared.written


def _without_values(error: asyncpg.PostgresError) -> asyncpg.PostgresError:
    """Takes out what is quoted of the row: it may be somebody's name or draft, and errors end in the log."""
    error.detail = None
    if isinstance(error, asyncpg.DataError):
        error.args = (f"a value does not fit ({error.sqlstate})",)
    return error

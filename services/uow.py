"""The one write transaction of an act: its statements, its events and its audit row commit together or not at all."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

import orjson
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import CursorResult, Executable, Table, TextClause, UpdateBase, func, insert, select
from sqlalchemy.engine.interfaces import Compiled
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import visitors

from auth.viewer import STAFF, Viewer
from kit import metrics
from kit.db import Row, database, fetch_text
from kit.errors import Refused
from kit.generations import generations
from kit.ids import uuid7
from models.account import AuditEntry
from models.events import Event
from models.refusals import Refusal

EVENT_ENTRYPOINT = "event"

CONSTRAINTS: dict[str, tuple[Refusal, list[str]]] = {
    "uq_account_username": (Refusal.ALREADY_EXISTS, ["username"]),
    "uq_revision_open": (Refusal.OPEN_REVISION, ["id"]),
    "uq_revision_item_id_no": (Refusal.OPEN_REVISION, ["id"]),
    "uq_policy_source": (Refusal.ALREADY_EXISTS, ["values", "source_id"]),
    "uq_store_district": (Refusal.ALREADY_EXISTS, ["values", "district_code"]),
    "uq_store_department": (Refusal.ALREADY_EXISTS, ["values", "department_code"]),
    "uq_sensitive_word_word": (Refusal.ALREADY_EXISTS, ["word"]),
    "uq_sensitive_exception_phrase": (Refusal.ALREADY_EXISTS, ["phrase"]),
}
SQLSTATES = {"23505": Refusal.ALREADY_EXISTS, "23503": Refusal.STILL_IN_USE, "23514": Refusal.INVALID_VALUE}


@dataclass(frozen=True, slots=True)
class Act:
    """Who does what, from where: the head of an audit row."""

    viewer: Viewer
    action: str
    request_id: str = ""
    client_ip: str = ""


@dataclass(slots=True)
class UnitOfWork:
    """Handed first to every service that writes. Services never commit and never open one."""

    connection: AsyncConnection
    act: Act | None = None
    events: list[Event] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    consequences: list[Callable[[], None]] = field(default_factory=list)

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        metrics.SQL_STATEMENTS.inc()
        result = await self.connection.execute(statement, parameters)
        if compiled := result.context.compiled:
            self.written |= tables_written(compiled)
        return result

    async def one(self, statement: Executable) -> Row | None:
        """The first row by name, or None."""
        return (await self.execute(statement)).mappings().first()

    async def value(self, statement: Executable) -> Any:
        return (await self.execute(statement)).scalar()

    async def take_turns(self, act: str) -> None:
        """Waits until no other transaction does this act, so that what one wrote the next one finds."""
        await self.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(act, 0))))

    def emit(self, event: Event) -> None:
        """Queues the event's reactions (`jobs/on_event.py`) in this transaction: rolled back with it."""
        if event not in self.events:
            self.events.append(event)

    def touch(self, target: str, **details: Any) -> None:
        """Notes what was touched, for the audit row that each act of staff leaves (R-SEC-02)."""
        if target not in self.targets:
            self.targets.append(target)
        self.details.update(details)

    def afterwards(self, consequence: Callable[[], None]) -> None:
        """Calls it once the act is committed and before it is answered: for what this process keeps in memory."""
        self.consequences.append(consequence)

    async def finish(self) -> None:
        await self._audit()
        await enqueue(self.connection, self.events)

    async def _audit(self) -> None:
        act = self.act
        if act is None or act.viewer.id is None or not (act.viewer.level >= STAFF or act.viewer.roles):
            return
        entry = AuditEntry(
            actor_id=act.viewer.id,
            action=act.action,
            targets=self.targets,
            details=self.details,
            request_id=act.request_id,
            client_ip=act.client_ip,
        )
        await self.execute(insert(AuditEntry).values(entry.model_dump()))


async def enqueue(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Puts events into the job queue on the transaction's own connection. Handlers are idempotent by its id."""
    if not events:
        return
    raw = await connection.get_raw_connection()
    payloads: list[bytes | None] = [
        orjson.dumps({"id": uuid7().hex, "type": type(event).__name__, **asdict(event)}, default=str)
        for event in events
    ]
    queue = Queries(AsyncpgDriver(raw.driver_connection))  # type: ignore[arg-type]
    await queue.enqueue([EVENT_ENTRYPOINT] * len(payloads), payloads, [0] * len(payloads))


async def queue_depth() -> dict[str, int]:
    """Jobs that wait, run, or failed for good and are held."""
    rows = await fetch_text("SELECT status::text, count(*) FROM pgqueuer GROUP BY status")
    return {"queued": 0, "picked": 0, "failed": 0} | {row[0]: row[1] for row in rows}


_written: WeakKeyDictionary[Compiled, frozenset[str]] = WeakKeyDictionary()


def tables_written(compiled: Compiled) -> frozenset[str]:
    """The tables that a statement writes, in its common table expressions too. A text tells none, so it means all."""
    if (known := _written.get(compiled)) is not None:
        return known
    if isinstance(compiled.statement, TextClause):
        return generations.watched
    parts = visitors.iterate(compiled.statement)
    tables = frozenset(cast("Table", part.table).name for part in parts if isinstance(part, UpdateBase))
    _written[compiled] = tables
    return tables


def refusal_of(error: IntegrityError) -> Refused | None:
    """The refusal that a broken constraint means to the caller, by the constraint's name, else by its kind."""
    cause = getattr(error.orig, "__cause__", None)
    name = getattr(cause, "constraint_name", None)
    if name in CONSTRAINTS:
        code, path = CONSTRAINTS[name]
        return Refused(code, path)
    if code_by_state := SQLSTATES.get(str(getattr(cause, "sqlstate", ""))):
        return Refused(code_by_state, zh=name, en=name)
    return None


@asynccontextmanager
async def unit_of_work(act: Act | None = None) -> AsyncIterator[UnitOfWork]:
    """Commits when the block ends, rolls back when it raises; a broken constraint is raised as `Refused`.

    What was written is told to this process at once, also when nobody knows whether the commit arrived.
    """
    written = set[str]()
    try:
        async with database.writes.begin() as connection:
            uow = UnitOfWork(connection, act)
            yield uow
            await uow.finish()
            written = uow.written
        for consequence in uow.consequences:
            consequence()
    except IntegrityError as error:
        raise refusal_of(error) or error from error
    finally:
        generations.rise(written)

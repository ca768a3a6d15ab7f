"""The one write transaction of an act: its statements, its events and its audit row commit together or not at all."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from asyncpg import IntegrityConstraintViolationError
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import Text, func, insert, select

from auth.viewer import STAFF, Viewer
from kit.db import database, fetch_text
from kit.errors import Refused
from kit.generations import generations
from kit.ids import uuid7
from kit.pool import Connection
from kit.statements import late, prepare
from kit.writes import Transaction
from models.account import AuditEntry
from models.base import table_of
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
_TAKE_TURNS = prepare(select(func.pg_advisory_xact_lock(func.hashtextextended(late("act", Text), 0))))
_ENTRY = table_of(AuditEntry)
_NOTED = ("actor_id", "action", "targets", "details", "request_id", "client_ip")
_AUDIT = prepare(insert(_ENTRY).values({name: late(name, _ENTRY.c[name].type) for name in _NOTED}))
SQLSTATES = {"23505": Refusal.ALREADY_EXISTS, "23503": Refusal.STILL_IN_USE, "23514": Refusal.INVALID_VALUE}


@dataclass(frozen=True, slots=True)
class Act:
    """Who does what, from where: the head of an audit row."""

    viewer: Viewer
    action: str
    request_id: str = ""
    client_ip: str = ""


@dataclass(slots=True)
class UnitOfWork(Transaction):
    """Handed first to every service that writes. Services never commit and never open one."""

    act: Act | None = None
    events: list[Event] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    consequences: list[Callable[[], None]] = field(default_factory=list)

    async def take_turns(self, act: str) -> None:
        """Waits until no other transaction does this act, so that what one wrote the next one finds."""
        await self.execute(_TAKE_TURNS, act=act)

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
        await self.execute(
            _AUDIT,
            actor_id=act.viewer.id,
            action=act.action,
            targets=self.targets,
            details=self.details,
            request_id=act.request_id,
            client_ip=act.client_ip,
        )


async def enqueue(connection: Connection, events: Sequence[Event]) -> None:
    """Puts events into the job queue on the transaction's own connection. Handlers are idempotent by its id."""
    if not events:
        return
    payloads: list[bytes | None] = [
        orjson.dumps({"id": uuid7().hex, "type": type(event).__name__, **asdict(event)}, default=str)
        for event in events
    ]
    queue = Queries(AsyncpgDriver(connection))
    await queue.enqueue([EVENT_ENTRYPOINT] * len(payloads), payloads, [0] * len(payloads))


async def queue_depth() -> dict[str, int]:
    """Jobs that wait, run, or failed for good and are held."""
    rows = await fetch_text("SELECT status::text, count(*) FROM pgqueuer GROUP BY status")
    return {"queued": 0, "picked": 0, "failed": 0} | {row[0]: row[1] for row in rows}


def refusal_of(error: IntegrityConstraintViolationError) -> Refused | None:
    """The refusal that a broken constraint means to the caller, by the constraint's name, else by its kind."""
    name = error.constraint_name
    if name in CONSTRAINTS:
        code, path = CONSTRAINTS[name]
        return Refused(code, path)
    if code_by_state := SQLSTATES.get(error.sqlstate):
        return Refused(code_by_state, zh=name, en=name)
    return None


@asynccontextmanager
async def unit_of_work(act: Act | None = None) -> AsyncIterator[UnitOfWork]:
    """Commits when the block ends, rolls back when it raises; a broken constraint is raised as `Refused`.

    What was written is told to this process at once, also when nobody knows whether the commit arrived.
    """
    written: Iterable[str] = ()
    try:
        async with database.writes.begin() as connection:
            uow = UnitOfWork(connection, act)
            yield uow
            await uow.finish()
            written = generations.watched if uow.anything else uow.written
        for consequence in uow.consequences:
            consequence()
    except IntegrityConstraintViolationError as error:
        raise refusal_of(error) or error from error
    finally:
        generations.rise(written)

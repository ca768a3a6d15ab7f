"""Sessions that ended before their tokens did, known to every process at once and asked for without I/O.

PostgreSQL tells of each in the transaction that ends it (`migrations/versions/0003_ended_sessions.py`). While that
line is down, or what was said before is not read yet, each question goes to the database: nobody gets in unasked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import select, union_all

from auth.viewer import Viewer
from kit import clock
from kit.db import fetch, fetch_one
from kit.errors import Unauthenticated
from kit.feed import Feed, feed
from models.account import Account, Session
from models.base import table_of

ENDED, RESTORED = "esc_ended", "esc_restored"
KEPT = timedelta(hours=1)  # longer than any access token of a session lives
RETRY_SECONDS = 0.2
REASON = "The session has ended (会话已结束)"

ACCOUNT = table_of(Account)
SESSION = table_of(Session)

log = structlog.get_logger()


class Revocations:
    """Ids of sessions that ended and of accounts that were disabled, and who wants to hear of the next."""

    def __init__(self, source: Feed) -> None:
        self._source = source
        self._ended: OrderedDict[UUID, datetime] = OrderedDict()
        self._watchers: dict[UUID, set[Callable[[str], None]]] = {}
        self._complete = False
        self._loading: asyncio.Task[None] | None = None
        source.subscribe(ENDED, lambda payload: self.end(UUID(payload)))
        source.subscribe(RESTORED, lambda payload: self._restore(UUID(payload)))
        source.on_reset(self._reset)

    async def check(self, viewer: Viewer) -> None:
        """Raises `Unauthenticated` where the viewer's session has ended, or its account may no longer sign in.

        What has no session, such as a visitor, has none to end.
        """
        if viewer.session_id is None:
            return
        up_to_date = self._complete and self._source.connected
        if self._has_ended(viewer) or not (up_to_date or await _lives(viewer)):
            raise Unauthenticated(REASON)

    def watch(self, viewer: Viewer, callback: Callable[[str], None]) -> Callable[[], None]:
        """Calls back with a reason when the viewer's session ends, soon if it has. Returns what stops the watching."""
        if viewer.session_id is None:
            return lambda: None
        ids = {viewer.session_id, viewer.account_id}
        for each in ids:
            self._watchers.setdefault(each, set()).add(callback)
        soon = asyncio.get_running_loop().call_soon(callback, REASON) if self._has_ended(viewer) else None

        def stop() -> None:
            if soon is not None:
                soon.cancel()
            for each in ids:
                callbacks = self._watchers.get(each, set())
                callbacks.discard(callback)
                if not callbacks:
                    self._watchers.pop(each, None)

        return stop

    def _has_ended(self, viewer: Viewer) -> bool:
        return viewer.session_id in self._ended or viewer.id in self._ended

    def end(self, id_: UUID) -> None:
        """A session ended, or an account was disabled. Who does it says so too, so as not to be overtaken."""
        now = clock.real()
        self._ended[id_] = now
        self._ended.move_to_end(id_)
        while now - next(iter(self._ended.values())) > KEPT:
            self._ended.popitem(last=False)
        for callback in tuple(self._watchers.get(id_, ())):
            callback(REASON)

    def _restore(self, id_: UUID) -> None:
        self._ended.pop(id_, None)
        if not self._complete:
            self._reset()  # what is being read may be older than this

    def _reset(self) -> None:
        self._complete = False
        self._ended.clear()
        if self._loading is not None:
            self._loading.cancel()
        self._loading = asyncio.create_task(self._load(), name="revocations") if self._source.connected else None

    async def _load(self) -> None:
        """Reads what was said while nobody listened. What is said meanwhile is heard already."""
        while self._source.connected:
            try:
                ended = await _ended_since(clock.real() - KEPT)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("revocations.unread", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for each in ended:
                self.end(each)
            self._complete = True
            return


async def _ended_since(moment: datetime) -> list[UUID]:
    rows = await fetch(
        union_all(
            select(SESSION.c.id).where(SESSION.c.ended_at > moment),
            select(ACCOUNT.c.id).where(~ACCOUNT.c.enabled, ACCOUNT.c.updated_at > moment),
        )
    )
    return [row["id"] for row in rows]


async def _lives(viewer: Viewer) -> bool:
    row = await fetch_one(
        select(SESSION.c.id)
        .join(ACCOUNT, ACCOUNT.c.id == SESSION.c.account_id)
        .where(SESSION.c.id == viewer.session_id, SESSION.c.ended_at.is_(None), ACCOUNT.c.enabled)
    )
    return row is not None


revocations = Revocations(feed)

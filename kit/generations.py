"""What has changed since when: a count of this process, and for each table where it stood at the table's last change.

The truth is in the database: a trigger on each watched table tells with the commit that it was written to, whoever did
(`migrations/versions/0002_watched_tables.py`). The process that writes raises its own tables before it answers.
"""

from collections.abc import Iterable

from kit.db import fetch_text
from kit.feed import Feed

CHANNEL = "esc_tables"
_WATCHED = """
SELECT relname::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE proname = 'esc_tell_change' AND tgenabled = 'A'
"""


class Generations:
    """Opened once per process. Until then, and whenever the feed is away, nothing may be kept or told from memory."""

    def __init__(self) -> None:
        self._feed: Feed | None = None
        self._watched: frozenset[str] = frozenset()
        self._count = 0
        self._void = 0
        self._changed: dict[str, int] = {}

    async def open(self, feed: Feed, announced: Iterable[str] = ()) -> None:
        """Before the feed is. `announced` are names that are no tables, raised by `announce`."""
        self._watched = frozenset([row[0] for row in await fetch_text(_WATCHED)]).union(announced)
        feed.subscribe(CHANNEL, self._hear)
        feed.on_reset(self._reset)
        self._feed = feed

    @property
    def watched(self) -> frozenset[str]:
        """What can be asked about. A change of anything else goes unnoticed."""
        return self._watched

    @property
    def connected(self) -> bool:
        return self._feed is not None and self._feed.connected

    def now(self) -> int:
        """Taken before the first statement of what is to be kept: it then holds all that was told before."""
        return self._count

    def fresh(self, since: int, names: Iterable[str]) -> bool:
        """Whether nothing of this has changed since, as far as a connected feed tells."""
        changed = self._changed
        return self.connected and since >= self._void and all(changed.get(name, 0) <= since for name in names)

    def rise(self, names: Iterable[str]) -> None:
        """These have changed. For who wrote them, right after the commit and before the answer."""
        for name in names:
            self._count += 1
            self._changed[name] = self._count

    def rise_all(self) -> None:
        self.rise(self._watched)

    def _hear(self, name: str) -> None:
        self.rise((name,))

    def _reset(self) -> None:
        self._count += 1
        self._void = self._count


async def announce(name: str) -> None:
    """Tells every process that this has changed, for what is no table."""
    await fetch_text("SELECT pg_notify($1, $2)", CHANNEL, name)


generations = Generations()

"""Answers that are told again for as long as they are true, and never by a time-out.

An answer holds for whoever asks with the same text and would be told the same by every rule and row gate that it
consulted, until a table changes that it was made of, or the moment comes that it depends on. Which rules and gates an
operation consults may depend on what it finds, so each text has a short list of them, and each of these its answers by
what the rules and gates say of a viewer: their *standing*.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from auth.access import Decision, decide
from auth.viewer import Viewer
from auth.visibility import GATES, PERSONAL
from engine.lru import Lru
from kit import clock, metrics
from kit.footprint import Footprint
from kit.generations import Generations

CAPACITY_BYTES = 64 * 1024 * 1024
TEXT_BYTES = 700
ANSWER_BYTES = 300
"""What is kept of a text and of an answer beside their own bytes, as measured."""
VARIES_PER_TEXT = 8
STANDINGS_PER_VARY = 64

Standing = tuple[Decision | str, ...]
Scope = Callable[[Viewer], str]
SCOPES: dict[str, Scope] = {str(model.__tablename__): gate.scope for model, gate in GATES.items()}


class Start(NamedTuple):
    """Where things stood before an answer's first statement: the count of changes, and business time's offset."""

    changes: int
    offset: timedelta


@dataclass(frozen=True, slots=True)
class Entry:
    """An encoded answer, and the operation's name and kind, for those who count operations."""

    body: bytes
    name: str | None
    kind: str
    since: int
    tables: tuple[str, ...]
    until: datetime | None


@dataclass(slots=True)
class _Vary:
    """The rules and gates that one run of a text consulted, and its answers by what these say of a viewer.

    Gates that depend on the same of a viewer are asked once.
    """

    rules: tuple[str, ...]
    scopes: tuple[Scope, ...]
    answers: dict[Standing, Entry] = field(default_factory=dict)

    def standing(self, viewer: Viewer) -> Standing:
        return (*[decide(rule, viewer) for rule in self.rules], *[scope(viewer) for scope in self.scopes])


class ResponseCache:
    """Bounded by bytes: the text that was asked longest ago goes first, with all its answers."""

    def __init__(self, generations: Generations, capacity: int = CAPACITY_BYTES) -> None:
        self._generations = generations
        self._kept: Lru[list[_Vary]] = Lru(capacity // TEXT_BYTES, capacity)

    def find(self, text: bytes, english: bool, viewer: Viewer) -> Entry | None:  # noqa: FBT001 - as `keep`
        """The answer to this very text, body or query string as it was sent, or None. Counts a hit."""
        for vary in self._kept.get((text, english, clock.offset())) or ():
            entry = vary.answers.get(vary.standing(viewer))
            if entry is not None and self._holds(entry):
                metrics.CACHE_HIT.inc()
                return entry
        return None

    def begin(self) -> Start | None:
        """Called before the first statement of a query that was not found, and before its footprint is current.

        None: nothing may be kept now.
        """
        if self._generations.connected:
            return Start(self._generations.now(), clock.offset())
        metrics.CACHE_BYPASS.inc()
        return None

    def keep(
        self,
        text: bytes,
        english: bool,  # noqa: FBT001 - one of the two languages
        viewer: Viewer,
        rules: Collection[str],
        footprint: Footprint,
        start: Start | None,
        body: bytes,
        name: str | None,
        kind: str,
    ) -> None:
        """Keeps what a query answered without errors. `rules` are all that were consulted, whatever they said."""
        if start is None:
            return
        if not self._shared(rules, viewer, footprint):
            metrics.CACHE_PRIVATE.inc()
            return
        metrics.CACHE_MISS.inc()
        vary = _Vary(tuple(sorted(rules)), tuple(dict.fromkeys(SCOPES[gate] for gate in sorted(footprint.scopes))))
        exact = bytes(memoryview(body))  # orjson's own stands in a buffer of twice to forty times its size
        entry = Entry(exact, name, kind, start.changes, tuple(footprint.tables), footprint.until)
        if clock.offset() == start.offset and self._holds(entry):
            self._put((text, english, start.offset), vary, vary.standing(viewer), entry)

    def _holds(self, entry: Entry) -> bool:
        return self._generations.fresh(entry.since, entry.tables) and (entry.until is None or clock.now() < entry.until)

    def _shared(self, rules: Collection[str], viewer: Viewer, footprint: Footprint) -> bool:
        """Whether this answer may be told to anybody else, and all that it was made of tells when it changes."""
        if footprint.private or not footprint.tables <= self._generations.watched:
            return False
        for gate, scope in footprint.scopes.items():
            if scope.startswith(PERSONAL) or gate not in SCOPES or scope != SCOPES[gate](viewer):
                return False
        return all(decide(rule, viewer) is not Decision.OWN for rule in rules)

    def _put(self, key: tuple[bytes, bool, timedelta], vary: _Vary, standing: Standing, entry: Entry) -> None:
        varies = self._kept.get(key) or []
        for known in varies:
            if (known.rules, known.scopes) == (vary.rules, vary.scopes):
                vary = known
                break
        else:
            varies = [*varies[1 - VARIES_PER_TEXT :], vary]
        vary.answers.pop(standing, None)
        while len(vary.answers) >= STANDINGS_PER_VARY:
            del vary.answers[next(iter(vary.answers))]
        vary.answers[standing] = entry
        answers = [each for known in varies for each in known.answers.values()]
        weight = TEXT_BYTES + len(key[0]) + sum(ANSWER_BYTES + len(each.body) for each in answers)
        self._kept.put(key, varies, weight)
        metrics.CACHE_BYTES.set(self._kept.weight)
        metrics.CACHE_TEXTS.set(len(self._kept))

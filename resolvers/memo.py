"""Statements that were made for one viewer, kept for all who are shown the same rows.

Building a statement and finding its text cost more than most queries. What is made may depend on the viewer only
through row gates; those that it went through are noted while it is made, so it is found again by the scopes of these
gates. What only one viewer may use, or what was made of the clock or of something unnoted, is made anew each time.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from auth.viewer import Viewer
from auth.visibility import PERSONAL, scope_of
from kit import footprint
from kit.footprint import Footprint

Made = TypeVar("Made")
ENTRIES = 1_000


class Memo(Generic[Made]):
    """Keeps what was used last."""

    def __init__(self, entries: int = ENTRIES) -> None:
        self._entries = entries
        self._gates: OrderedDict[Hashable, tuple[str, ...]] = OrderedDict()
        self._kept: OrderedDict[Hashable, tuple[Made, dict[str, str]]] = OrderedDict()

    def get(self, viewer: Viewer, shape: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes for the viewer and the shape, which is all else that it depends on; None: make it anew."""
        gates = self._gates.get(shape)
        if gates is not None:
            key = (shape, gates, *[scope_of(table, viewer) for table in gates])
            kept = self._kept.get(key)
            if kept is not None:
                self._gates.move_to_end(shape)
                self._kept.move_to_end(key)
                if running := footprint.current.get():
                    running.scopes.update(kept[1])
                return kept[0]
        made, made_of = _noting(make)
        if shape is not None and _lasting(made_of):
            self._keep(shape, made, made_of.scopes)
        return made

    def _keep(self, shape: Hashable, made: Made, scopes: dict[str, str]) -> None:
        gates = self._gates[shape] = tuple(scopes)
        self._kept[(shape, gates, *scopes.values())] = (made, scopes)
        if len(self._gates) > self._entries:
            self._gates.popitem(last=False)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)


def _noting(make: Callable[[], Made]) -> tuple[Made, Footprint]:
    """What is made, and what went into it, which the running footprint is told too."""
    running = footprint.current.get()
    made_of = Footprint()
    token = footprint.current.set(made_of)
    try:
        made = make()
    finally:
        footprint.current.reset(token)
    if running:
        running.tables.update(made_of.tables)
        running.scopes.update(made_of.scopes)
        running.private |= made_of.private
        if made_of.until:
            running.ends(made_of.until)
    return made, made_of


def _lasting(made_of: Footprint) -> bool:
    personal = any(scope.startswith(PERSONAL) for scope in made_of.scopes.values())
    return not personal and not made_of.private and made_of.until is None

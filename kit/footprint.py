"""What an answer was made of: which tables were read, under which row gates, and until when it holds.

Whoever reads notes it here, in the footprint of the operation that is running: `kit.db` the tables of each statement,
`auth.visibility` the scope of each gate, `kit.clock` the day. Nothing has to be declared, so nothing can be forgotten:
two callers who would be told the same thing by all that was noted would be told the same answer.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Footprint:
    """`scopes` by the name of the gated table. `until` is business time. `private`: depends on something unnoted."""

    tables: set[str] = field(default_factory=set)
    scopes: dict[str, str] = field(default_factory=dict)
    until: datetime | None = None
    private: bool = False

    def ends(self, moment: datetime) -> None:
        """The answer changes at this moment, if not before."""
        if self.until is None or moment < self.until:
            self.until = moment


current: ContextVar[Footprint | None] = ContextVar("footprint", default=None)

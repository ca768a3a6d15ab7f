"""What the engine asks of the platform's data: one call for all parents of a level.

A field says in its metadata where its value comes from, so that a plan can fetch it without calling a resolver:

| metadata | meaning |
| --- | --- |
| `source`, `by` | the source's value for the key in the row's column `by`; a list of keys gives a list of values |
| `source`, `key` | at the root: for the key that `key(arguments)` makes of them, None where there can be none |
| `source` alone | at the root: the one value that the source has, under the key None |
| `needs` | a resolver that is a pure function of these columns of its row, and of the business day |
| `shared` | a resolver that depends on nothing but its row, its arguments and what it reads through `kit.db` |

The reference executor reaches the same source through the resolver of the field.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from auth.viewer import Viewer

CURSORS = "*cursors"
"""Among the columns of a page's rows: what their cursors are made of, whichever columns that takes."""

AS_TEXT = "*text "
"""Before the name of a column: its text will do, as PostgreSQL writes it, since it is only written out."""


class Source(Protocol):
    """Rows, lists or pages by key, behind the row gate of what they show."""

    @property
    def many(self) -> bool:
        """Whether a key has a list, empty where nothing is found. A key without a value is left out otherwise."""
        ...

    @property
    def at_hand(self) -> bool:
        """Whether its values are in memory but for rare exceptions: nothing is gained by reading beside it."""
        ...

    async def load(
        self, viewer: Viewer, keys: Sequence[Any], arguments: Mapping[str, Any], columns: frozenset[str] | None
    ) -> Mapping[Any, Any]:
        """The value of each key. `arguments` are the field's, by their Python names, as a resolver gets them.

        Of each row only `columns` are read, more may be there; None: all. Raises `kit.errors.ApiError` for arguments
        that it refuses.
        """
        ...

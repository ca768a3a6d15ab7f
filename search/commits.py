"""Writing to an index in turns: those who wait for the same turn share one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from search.base import Document, NeedsRebuild, Removal, SearchUnavailable


@dataclass(eq=False, slots=True)
class Change:
    """One caller's wish. Once done it holds the error, if any, that its caller is to raise."""

    documents: Sequence[Document]
    removals: Sequence[Removal]
    done: bool = field(default=False, init=False)
    error: Exception | None = field(default=None, init=False)


class Commits:
    """A commit costs about 0.1 s however much it holds, and jobs come one by one: so they are written together.

    `turn` is the lock that a commit holds; whatever else must not happen meanwhile takes it too.
    """

    def __init__(self, write: Callable[[Sequence[Change]], Awaitable[None]]) -> None:
        self.turn = asyncio.Lock()
        self._write = write
        self._waiting: list[Change] = []

    async def apply(self, documents: Sequence[Document], removals: Sequence[Removal]) -> None:
        """Returns when the change is written. Raises SearchUnavailable where the commit that held it failed."""
        change = Change(documents, removals)
        self._waiting.append(change)
        async with self.turn:
            if not change.done:
                await self._commit()
        if isinstance(change.error, NeedsRebuild):
            raise NeedsRebuild from change.error
        if change.error:
            raise SearchUnavailable(str(change.error)) from change.error

    async def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        outcome: Exception | None = SearchUnavailable("the commit was interrupted (写入被中断)")
        try:
            await self._write(batch)
            outcome = None
        except Exception as error:  # noqa: BLE001 - raised again by each caller of the batch
            outcome = error
        finally:
            for change in batch:
                change.done, change.error = True, outcome

"""Running a plan, breadth first: each selection set for all its parents at once, each relation by one call.

A plan is a tree of *nodes* (one selection set on one object type) that *steps* connect. A node's generated `project`
makes one dict a row, with the leaves in place and None where a step comes; a step gets one value for each row and puts
what a *completer* makes of it into the dicts. Whatever is unusual raises, and then the reference answers the whole
operation, so there is no error handling in here.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from asyncpg import Record
from graphql.execution import Executor

from auth.viewer import Viewer
from engine.gate import cell
from engine.leaves import Bail
from engine.sources import Source

KEYED = frozenset({Record, dict})
"""Rows whose fields are read by key; those of all others by the schema's own default resolver."""

Project = Callable[[Sequence[Any], Any], list[dict[str, Any]]]


class Run:
    """One execution of a plan. Its executor, the reference's, and its context exist only once something asks."""

    __slots__ = ("_executor", "_make_executor", "memo", "variables", "viewer")

    def __init__(
        self, viewer: Viewer, variables: Mapping[str, Any], make_executor: Callable[[], Executor[Any]]
    ) -> None:
        self.viewer = viewer
        self.variables = variables
        self.memo: dict[Any, dict[Any, Any]] = {}
        self._make_executor = make_executor
        self._executor: Executor[Any] | None = None

    @property
    def executor(self) -> Executor[Any]:
        if self._executor is None:
            self._executor = self._make_executor()
        return self._executor

    async def load(self, source: Source, keys: Sequence[Any], columns: frozenset[str] | None) -> Mapping[Any, Any]:
        """Values by key of a source without arguments; what this run has loaded before is not asked for again."""
        known = self.memo.get((source, columns))
        if known is None:
            known = self.memo[source, columns] = dict(await source.load(self.viewer, keys, {}, columns))
        elif missing := [key for key in keys if key not in known]:
            known.update(await source.load(self.viewer, missing, {}, columns))
        return known


class Getter(Protocol):
    """Where a step's values come from: one for each row."""

    waits: bool

    async def values(self, run: Run, rows: Sequence[Any]) -> Sequence[Any]: ...


class Completer(Protocol):
    """Makes values into what goes out, all at once."""

    waits: bool

    async def complete(self, run: Run, values: Sequence[Any]) -> Sequence[Any]: ...


class Step:
    """One field that is no plain leaf. `own` names the column by which only a row's owner sees it."""

    def __init__(self, name: str, key: str, getter: Getter, completer: Completer, own: str | None = None) -> None:
        """`name` is the field's, `key` what it is called in the answer."""
        self.name = name
        self.key = key
        self.getter = getter
        self.completer = completer
        self.own = own
        self.waits = getter.waits or completer.waits

    async def fill(
        self,
        run: Run,
        rows: Sequence[Any],
        outs: Sequence[dict[str, Any]],
        kept: dict[str, Any] | None = None,
    ) -> None:
        """`kept` gets the value of the one row before it is completed, also where that is an exception."""
        if self.own is not None:
            mine = [number for number, row in enumerate(rows) if cell(row, self.own) == run.viewer.id]
            rows, outs = [rows[number] for number in mine], [outs[number] for number in mine]
            if not rows:
                return
        key = self.key
        if kept is None:
            values = await self.getter.values(run, rows)
        else:
            try:
                values = await self.getter.values(run, rows)
            except Exception as error:
                kept[key] = error
                raise
            kept[key] = values[0]
        for out, value in zip(outs, await self.completer.complete(run, values), strict=True):
            out[key] = value


class Node:
    """One selection set on one object type."""

    def __init__(
        self,
        make_keyed: Callable[[], Project],
        make_plain: Callable[[], Project],
        steps: Sequence[Step],
        columns: frozenset[str] | None,
        is_type: Any,
    ) -> None:
        """`columns` are all that it reads of a row, None: unknown.

        `is_type` tests whether a row is of the type. One that goes `by_name_only` need not look at a database row: its
        name has been looked at already where the type is open.
        """
        self._make_keyed = make_keyed
        self._make_plain = make_plain
        self.steps = steps
        self.columns = columns
        self._is_type = is_type
        self._by_name = getattr(is_type, "by_name_only", False)
        self.waits = any(step.waits for step in steps)

    @cached_property
    def _keyed(self) -> Project:
        return self._make_keyed()

    @cached_property
    def _plain(self) -> Project:
        return self._make_plain()

    async def run(self, run: Run, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """What goes out for each row. Rows are never None, and all of one kind."""
        if not rows:
            return []
        kind = type(rows[0])
        tested = self._is_type is not None and not (kind is Record and self._by_name)
        if tested and not all(self._is_type(row, None) for row in rows):
            raise Bail
        project = self._keyed if kind in KEYED else self._plain
        outs = project(rows, run.viewer.id)
        await fill(self.steps, run, rows, outs)
        return outs


async def fill(steps: Sequence[Step], run: Run, rows: Sequence[Any], outs: list[dict[str, Any]]) -> None:
    """All steps of a selection set: those that wait for something at the same time."""
    waiting = []
    for step in steps:
        if step.waits:
            waiting.append(step)
        else:
            await step.fill(run, rows, outs)
    if len(waiting) == 1:
        await waiting[0].fill(run, rows, outs)
    elif waiting:
        await together([step.fill(run, rows, outs) for step in waiting])


async def together(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Does all at the same time; when one fails, ends the others before it raises."""
    first, *others = works
    tasks = [asyncio.ensure_future(each) for each in others]
    try:
        await first
        for task in tasks:
            await task
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise

"""Running a plan, breadth first: each selection set for all its parents at once, each relation by one call.

A plan is a tree of *nodes* (one selection set on one object type) that *steps* connect. A node's generated `project`
makes one dict a row, with the leaves in place and None where a step comes; a step gets one value for each row and puts
what a *completer* makes of it into the dicts. Whatever is unusual raises, and then the reference answers the whole
operation, so there is no error handling in here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, cast

from asyncpg import Record
from graphql import GraphQLField, GraphQLObjectType
from graphql.execution import Executor
from graphql.language import FieldNode
from graphql.pyutils import Path
from graphql.type import get_nullable_type, is_list_type
from strawberry.execution import optimized_is_awaitable

from auth.viewer import Viewer
from engine.arguments import Arguments
from engine.gate import cell
from engine.leaves import Bail, Value
from engine.sources import Source

KEYED = frozenset({Record, dict})
"""Rows whose fields are read by key; those of all others by the schema's own default resolver."""

NULL = id(None)

is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)
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
        keyed: Project,
        plain: Project,
        steps: Sequence[Step],
        columns: frozenset[str] | None,
        is_type: Any,
    ) -> None:
        """`columns` are all that it reads of a row, None: unknown.

        `is_type` tests whether a row is of the type. One that goes `by_name_only` need not look at a database row: its
        name has been looked at already where the type is open.
        """
        self._keyed = keyed
        self._plain = plain
        self.steps = steps
        self.columns = columns
        self._is_type = is_type
        self._by_name = getattr(is_type, "by_name_only", False)
        self.waits = any(step.waits for step in steps)

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


class Read:
    """A getter that waits for nothing: a field of the row, or a function of it."""

    waits = False

    def __init__(self, read: Value) -> None:
        self._read = read

    async def values(self, _run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        return [self._read(row) for row in rows]


class Awaited:
    """A resolver that takes nothing but its row, and is awaited."""

    waits = True

    def __init__(self, resolve: Callable[[Any], Awaitable[Any]]) -> None:
        self._resolve = resolve

    async def values(self, _run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        return await settled([self._resolve(row) for row in rows])


class Related:
    """A source's values for the keys in a column of the rows."""

    waits = True

    def __init__(self, source: Source, by: str, columns: frozenset[str] | None) -> None:
        self._source = source
        self._by = by
        self._columns = columns

    async def values(self, run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        by = self._by
        keys = [row[by] for row in rows]
        if list in set(map(type, keys)):
            return await self._lists(run, keys)
        wanted = dict.fromkeys(keys)
        wanted.pop(None, None)
        found = await run.load(self._source, list(wanted), self._columns) if wanted else {}
        if self._source.many:
            return [[] if key is None else found.get(key) for key in keys]
        return list(map(found.get, keys))

    async def _lists(self, run: Run, keys: Sequence[Any]) -> Sequence[Any]:
        """Where a row has a list of keys it gets the list of those values that there are."""
        wanted = dict.fromkeys(each for key in keys if key is not None for each in key)
        found = await run.load(self._source, list(wanted), self._columns) if wanted else {}
        return [key and [value for each in key if (value := found.get(each)) is not None] for key in keys]


class Paged:
    """Pages of a connection for the keys in a column of the rows."""

    waits = True

    def __init__(self, source: Source, by: str, arguments: Arguments, columns: frozenset[str] | None) -> None:
        self._source = source
        self._by = by
        self._arguments = arguments
        self._columns = columns

    async def values(self, run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        by = self._by
        keys = [row[by] for row in rows]
        if None in keys:
            raise Bail
        wanted = list(dict.fromkeys(keys))
        found = await self._source.load(run.viewer, wanted, self._arguments.python(run.variables), self._columns)
        return [found.get(key) for key in keys]


class Entry:
    """A root field that has a source: one thing by key, or the one value there is."""

    waits = True

    def __init__(
        self,
        source: Source,
        key: Callable[[Mapping[str, Any]], Any] | None,
        arguments: Arguments,
        columns: frozenset[str] | None,
    ) -> None:
        self._source = source
        self._key = key
        self._arguments = arguments
        self._columns = columns

    async def values(self, run: Run, _rows: Sequence[Any]) -> Sequence[Any]:
        arguments = self._arguments.python(run.variables)
        if self._key is None:
            found = await self._source.load(run.viewer, [None], arguments, self._columns)
            return [found.get(None)]
        key = self._key(arguments)
        if key is None:
            return [None]
        return [(await run.load(self._source, [key], self._columns)).get(key)]


class Called:
    """Any other resolver, called as the reference does, once for each row.

    Below a list its `info.path` names no index: no resolver reads it, and errors get theirs from the reference.
    """

    waits = True

    def __init__(
        self, field: GraphQLField, parent: GraphQLObjectType, key: str, nodes: list[FieldNode], arguments: Arguments
    ) -> None:
        if field.resolve is None:
            raise Bail
        self._resolve = field.resolve
        self._field = field
        self._parent = parent
        self._path = Path(None, key, parent.name)
        self._nodes = nodes
        self._arguments = arguments
        self._is_list = is_list_type(get_nullable_type(field.type))

    async def values(self, run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        info = run.executor.build_resolve_info(self._field, self._nodes, self._parent, self._path)
        arguments = self._arguments.raw(run.variables)
        results: list[Any] = []
        try:
            for row in rows:
                results.append(self._resolve(row, info, **arguments))  # noqa: PERF401 - those before a failure must end
        except BaseException:
            for each in results:
                if asyncio.iscoroutine(each):
                    each.close()
            raise
        await settled(results)
        if self._is_list:
            for each in results:
                if type(each) is list:
                    await settled(each)
        return results


async def settled(results: list[Any]) -> list[Any]:
    """The same list, what must be awaited in it replaced by what it came to."""
    waiting = [number for number, result in enumerate(results) if is_awaitable(result)]
    if len(waiting) == 1:
        results[waiting[0]] = await results[waiting[0]]
    elif waiting:

        async def put(number: int) -> None:
            results[number] = await results[number]

        await together([put(number) for number in waiting])
    return results


class Leaves:
    """Completes leaves, and lists of leaves."""

    waits = False

    def __init__(self, make: Value) -> None:
        self._make = make

    async def complete(self, _run: Run, values: Sequence[Any]) -> Sequence[Any]:
        return [self._make(value) for value in values]


class Objects:
    """Completes rows of one type. The same row is projected once, and its dict stands wherever the row did."""

    def __init__(self, node: Node, *, required: bool) -> None:
        self.node = node
        self.waits = node.waits
        self._required = required

    async def complete(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        places = list(map(id, values))
        rows = dict(zip(places, values, strict=True))
        has_null = rows.pop(NULL, rows) is None
        if has_null and self._required:
            raise Bail
        done: dict[int, Any] = dict(zip(rows, await self.node.run(run, list(rows.values())), strict=True))
        if has_null:
            done[NULL] = None
        return list(map(done.__getitem__, places))


class Abstract:
    """Completes rows of several types, which each row names in its `__typename`."""

    def __init__(self, types: Mapping[str, Objects], *, required: bool) -> None:
        self._types = types
        self.waits = any(each.waits for each in types.values())
        self._required = required

    async def complete(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        done: list[Any] = [None] * len(values)
        groups: dict[str, list[int]] = {}
        for number, value in enumerate(values):
            if type(value) in KEYED:
                groups.setdefault(value["__typename"], []).append(number)
            elif value is not None or self._required:
                raise Bail
        for typename, numbers in groups.items():
            outs = await self._types[typename].complete(run, [values[number] for number in numbers])
            for number, out in zip(numbers, outs, strict=True):
                done[number] = out
        return done


class Lists:
    """Completes lists: the items of all of them at once."""

    def __init__(self, item: Completer, *, required: bool) -> None:
        self.item = item
        self.waits = item.waits
        self._required = required

    async def complete(self, run: Run, values: Sequence[Any]) -> Sequence[Any]:
        items: list[Any] = []
        for value in values:
            if type(value) is list or type(value) is tuple:
                items.extend(value)
            elif value is not None or self._required:
                raise Bail
        done = list(await self.item.complete(run, items))
        lists: list[Any] = []
        start = 0
        for value in values:
            end = start + (0 if value is None else len(value))
            lists.append(None if value is None else done[start:end])
            start = end
        return lists

"""Where the values of a step come from: a column, a source, or a resolver, for all rows of a selection set at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeGuard, cast

from graphql import GraphQLField, GraphQLObjectType
from graphql.language import FieldNode
from graphql.pyutils import Path
from graphql.type import get_nullable_type, is_list_type
from strawberry.execution import optimized_is_awaitable

from engine.arguments import Arguments
from engine.execute import Run, together
from engine.leaves import Bail, Value
from engine.sources import Source

is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


class Read:
    """A getter that waits for nothing: a field of the row, or a function of it."""

    waits = False

    def __init__(self, read: Value) -> None:
        self._read = read

    async def values(self, _run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        return [self._read(row) for row in rows]


class Masked:
    """Nothing, for a field that the viewer may not see; but its arguments must be right, as for all others."""

    waits = False

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments

    async def values(self, run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        self._arguments.raw(run.variables)
        return [None for _ in rows]


class Awaited:
    """A resolver that takes nothing but its row, and is awaited."""

    waits = True

    def __init__(self, resolve: Callable[[Any], Awaitable[Any]]) -> None:
        self._resolve = resolve

    async def values(self, _run: Run, rows: Sequence[Any]) -> Sequence[Any]:
        return await settled([self._resolve(row) for row in rows])


class Related:
    """A source's values for the keys in a column of the rows."""

    def __init__(self, source: Source, by: str, columns: frozenset[str] | None) -> None:
        self.waits = not source.at_hand
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
        if any(type(key) is not list and key is not None for key in keys):
            raise Bail
        wanted = dict.fromkeys(each for key in keys if key for each in key)
        if None in wanted:
            raise Bail
        found = await run.load(self._source, list(wanted), self._columns) if wanted else {}
        absent: list[Any] | None = [] if self._source.many else None
        return [
            absent if key is None else [value for each in key if (value := found.get(each)) is not None] for key in keys
        ]


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

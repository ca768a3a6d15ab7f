"""From values to what goes out: leaves, objects, objects of several types, and lists of them, all values at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.execute import KEYED, Completer, Node, Run
from engine.leaves import Bail, Value

NULL = id(None)


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
        distinct = set(places)
        if len(distinct) == len(values) and NULL not in distinct:
            return await self.node.run(run, values)
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

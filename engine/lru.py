"""A cache bounded by entries and by weight."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Lru(Generic[Value]):
    """Forgets what was used longest ago. Weights are a measure of memory that costs nothing to take: sizes of texts."""

    def __init__(self, entries: int, weight: int) -> None:
        self._entries = entries
        self._capacity = weight
        self._weight = 0
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def weight(self) -> int:
        return self._weight

    def get(self, key: Hashable) -> Value | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Value, weight: int) -> None:
        if weight > self._capacity:
            return
        if key in self._kept:
            self._weight -= self._kept.pop(key)[1]
        self._kept[key] = (value, weight)
        self._weight += weight
        while len(self._kept) > self._entries or self._weight > self._capacity:
            self._weight -= self._kept.popitem(last=False)[1][1]

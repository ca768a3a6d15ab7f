"""A cache bounded by entries and by weight."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Lru(Generic[Value]):
    """Forgets what was used longest ago. Weights are a measure of memory that costs nothing to take: lengths."""

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
        if key in self._kept:
            self._weight -= self._kept.pop(key)[1]
        if weight > self._capacity:
            return
        self._kept[key] = (value, weight)
        self._weight += weight
        while len(self._kept) > self._entries or self._weight > self._capacity:
            self._weight -= self._kept.popitem(last=False)[1][1]

    def grow(self, key: Hashable, weight: int) -> None:
        """What is kept by the key, if it still is, has come to weigh more."""
        if found := self._kept.get(key):
            self.put(key, found[0], found[1] + weight)

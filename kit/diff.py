"""What an author changed, field by field, as a reviewer wants to see it (修改前 / 修改后; R-ADM-05, R-ADM-06)."""

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TypeAlias, TypeVar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T", str, list[Json], dict[str, Json])
Piece: TypeAlias = tuple[str, str]
"""The same stretch before and after; equal where nothing changed."""

_UNITS = (
    re.compile(r"[^\n]*\n+|[^\n]+"),
    re.compile(r"[^。！？；!?;\n>]*[。！？；!?;\n>]+|[^。！？；!?;\n>]+"),
)
_CHARACTERS = re.compile(r"</?[a-z][^<>\n]*>|[0-9]+(?:[.,][0-9]+)*|[A-Za-z]+|.", re.DOTALL)
_BLOCK_CELLS = 100_000_000
_TEXT_CELLS = 400_000_000


class ChangeKind(StrEnum):
    """How a field changed (修改类型). ADDED: it was blank before. REMOVED: it is blank now."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


class TextOp(StrEnum):
    """What became of a text (文本变化): EQUAL and DELETE spans are what was before, EQUAL and INSERT what is after."""

    EQUAL = "EQUAL"
    INSERT = "INSERT"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A stretch of text that stayed, came or went. None is empty, and no two neighbours have the same op."""

    op: TextOp
    text: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed field; `field` is its path, dotted where objects nest (`contact.phone`).

    `text` is filled for texts, `items_added` and `items_removed` for lists, whose items are compared as wholes, each as
    often as it occurs. A list with the same items in another order is CHANGED with neither added nor removed items.
    """

    field: str
    kind: ChangeKind
    before: Json
    after: Json
    text: list[TextSpan]
    items_added: list[Json]
    items_removed: list[Json]


def diff(
    before: Mapping[str, Json] | None, after: Mapping[str, Json], read: Callable[[str], str] = str
) -> list[FieldChange]:
    """The changed fields, in the order of `after`, then those that only `before` has.

    `read` makes of a text what a person reads of it, such as `plain_text` of HTML: the text spans compare that.

    None before is a first submission: all fields that are not blank are ADDED. None, an empty text, list or object are
    blank, the same as a field that is missing, so going from one to the other is no change. 1 and true differ.
    """
    return list(_changes("", before or {}, after, read))


def _changes(
    prefix: str, before: Mapping[str, Json], after: Mapping[str, Json], read: Callable[[str], str]
) -> Iterator[FieldChange]:
    for name in {**after, **before}:
        field, old, new = prefix + name, before.get(name), after.get(name)
        if _key(old) == _key(new):
            continue
        old_object, new_object = _as(dict, old), _as(dict, new)
        if old_object is None or new_object is None:
            yield _change(field, old, new, read)
        else:
            yield from _changes(f"{field}.", old_object, new_object, read)


def _change(field: str, old: Json, new: Json, read: Callable[[str], str]) -> FieldChange:
    kind = ChangeKind.ADDED if _blank(old) else ChangeKind.REMOVED if _blank(new) else ChangeKind.CHANGED
    old_text, new_text = _as(str, old), _as(str, new)
    old_items, new_items = _as(list, old), _as(list, new)
    lists = old_items is not None and new_items is not None
    return FieldChange(
        field=field,
        kind=kind,
        before=old,
        after=new,
        text=text_diff(read(old_text), read(new_text)) if old_text is not None and new_text is not None else [],
        items_added=_left_over(new_items or [], old_items or []) if lists else [],
        items_removed=_left_over(old_items or [], new_items or []) if lists else [],
    )


def _blank(value: Json) -> bool:
    return value is None or value in ("", [], {})


def _key(value: Json) -> str:
    return "" if _blank(value) else json.dumps(value, sort_keys=True)


def _as(kind: type[T], value: Json) -> T | None:
    """The value if it is of that kind, an empty one for a blank, else None."""
    if isinstance(value, kind):
        return value
    return kind() if _blank(value) else None


def _left_over(items: Iterable[Json], others: Iterable[Json]) -> list[Json]:
    """Items that have no equal partner among the others, in order."""
    partners = Counter(_key(other) for other in others)
    left = []
    for item in items:
        key = _key(item)
        if partners[key]:
            partners[key] -= 1
        else:
            left.append(item)
    return left


def text_diff(before: str, after: str) -> list[TextSpan]:
    """First by lines, then by sentences inside changed lines, then by characters, words, numbers and tags inside those.

    Lines and sentences that occur once on both sides are the fixed points (patience diff), so the time is near linear;
    characters are compared within a budget, past which a stretch is shown as replaced.
    """
    pieces = _Comparison().pieces(before, after)
    spans = []
    for old, new in _joined(_without_crumbs(list(_joined(pieces)))):
        if old == new:
            spans.append(TextSpan(TextOp.EQUAL, old))
        else:
            spans += [TextSpan(op, text) for op, text in ((TextOp.DELETE, old), (TextOp.INSERT, new)) if text]
    return spans


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Neighbouring pieces that stayed as one, and neighbouring pieces that changed as one."""
    for _, group in groupby((piece for piece in pieces if piece != ("", "")), key=lambda piece: piece[0] == piece[1]):
        olds, news = zip(*group, strict=True)
        yield "".join(olds), "".join(news)


def _without_crumbs(pieces: list[Piece]) -> Iterator[Piece]:
    """Between something that went and something that came, a short piece that stayed only makes both harder to read.

    Short is what lies within a line and is no longer than the change on either side.
    """
    for index, (old, new) in enumerate(pieces):
        sides = pieces[index - 1 : index] + pieces[index + 1 : index + 2]
        if old == new and "\n" not in old and 0 < index < len(pieces) - 1 and _drowned(old, *sides):
            yield old, ""
            yield "", new
        else:
            yield old, new


def _drowned(text: str, left: Piece, right: Piece) -> bool:
    gone, come = left[0] + right[0], left[1] + right[1]
    return bool(gone and come) and len(text) <= min(max(map(len, left)), max(map(len, right)))


class _Comparison:
    """One comparison of two texts and what is left of its budget, in cells of old times new length."""

    def __init__(self) -> None:
        self._cells = _TEXT_CELLS

    def pieces(self, before: str, after: str, level: int = 0) -> Iterator[Piece]:
        if before == after or not before or not after:
            yield before, after
        elif level == len(_UNITS):
            yield from self._by_characters(_CHARACTERS.findall(before), _CHARACTERS.findall(after))
        else:
            old, new = _UNITS[level].findall(before), _UNITS[level].findall(after)
            at_old = at_new = 0
            for to_old, to_new in [*_fixed_points(old, new), (len(old), len(new))]:
                yield from self._gap(old[at_old:to_old], new[at_new:to_new], level + 1)
                yield from ((unit, unit) for unit in old[to_old : to_old + 1])
                at_old, at_new = to_old + 1, to_new + 1

    def _gap(self, old: list[str], new: list[str], level: int) -> Iterator[Piece]:
        """What lies between two fixed points: equal units at its ends stay, the middle is looked at more closely."""
        head = _common(old, new)
        tail = _common(old[head:][::-1], new[head:][::-1])
        yield from ((unit, unit) for unit in old[:head])
        middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
        before, after = "".join(middle_old), "".join(middle_new)
        if len(middle_old) == len(middle_new) and len(before) * len(after) > _BLOCK_CELLS:
            for one, other in zip(middle_old, middle_new, strict=True):
                yield from self.pieces(one, other, level)
        else:
            yield from self.pieces(before, after, level)
        yield from ((unit, unit) for unit in old[len(old) - tail :])

    def _by_characters(self, old: list[str], new: list[str]) -> Iterator[Piece]:
        cells = len(old) * len(new)
        if cells > min(_BLOCK_CELLS, self._cells):
            yield "".join(old), "".join(new)
            return
        self._cells -= cells
        at_old = at_new = 0
        for to_old, to_new in [*_longest_common(old, new), (len(old), len(new))]:
            yield "".join(old[at_old:to_old]), "".join(new[at_new:to_new])
            yield from ((unit, unit) for unit in old[to_old : to_old + 1])
            at_old, at_new = to_old + 1, to_new + 1


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many units at the beginning are the same."""
    return next(
        (n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )


def _longest_common(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence, by Hyyrö's bit-parallel method: a machine word at a time, never worse."""
    masks: dict[str, int] = {}
    for index, unit in enumerate(old):
        masks[unit] = masks.get(unit, 0) | 1 << index
    full = (1 << len(old)) - 1
    row, rows = full, [full]
    for unit in new:
        hits = row & masks.get(unit, 0)
        row = ((row + hits) | (row - hits)) & full
        rows.append(row)
    places = []
    at_old, at_new = len(old), len(new)
    while at_old and at_new:
        if rows[at_new] >> (at_old - 1) & 1:
            at_old -= 1
            continue
        at_new -= 1
        if rows[at_new] >> (at_old - 1) & 1:
            at_old -= 1
            places.append((at_old, at_new))
    return places[::-1]


def _fixed_points(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Places of units that occur once on both sides, the longest series of them that rises on both."""
    in_old, in_new = Counter(old), Counter(new)
    place = {unit: index for index, unit in enumerate(new) if in_new[unit] == 1}
    pairs = [(index, place[unit]) for index, unit in enumerate(old) if in_old[unit] == 1 and unit in place]
    ends: list[int] = []
    chains: list[int] = []
    previous: list[int] = []
    for number, (_, target) in enumerate(pairs):
        length = bisect_left(ends, target)
        previous.append(chains[length - 1] if length else -1)
        ends[length : length + 1] = [target]
        chains[length : length + 1] = [number]
    series = []
    number = chains[-1] if chains else -1
    while number >= 0:
        series.append(pairs[number])
        number = previous[number]
    return series[::-1]

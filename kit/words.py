r"""Finds sensitive words (敏感字) in linear time, also where they are spelt to escape notice (R-ADM-03, R-ADM-04).

Both the words and the text are compared without case, width and compatibility forms (NFKC), and these are passed over
inside a word: invisible characters and accents (any number), blanks, dashes other than —, symbols, emoji and the marks
`# & ' * . / @ \ · • ‧ ・` (up to four from one character to the next). A word never runs over other punctuation, a
tab or the end of a line: in `治疗，效果` and in two cells or two lines nobody reads 疗效. A Latin word or number is
found only where no further letter or digit touches it: 100% is not in 2100%, best not in bestow.

Offsets count code points, as Python does; browsers, which count UTF-16 units, convert them.
"""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import ahocorasick  # type: ignore[import-not-found]  # a C extension without type hints

_MAX_SEPARATORS = 4
_FIRST_CJK = "\u2e80"
_INVISIBLE = frozenset({"Cf", "Mn", "Me", "Cc", "Cs", "Co", "Cn"})
_SEPARATING = frozenset({"Zs", "Pd", "Pc", "Sk", "Sm", "So"})
_SEPARATORS = frozenset("#&'*./@\\·•‧・")
_BARRIERS = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x85—―…")


class Severity(StrEnum):
    """What finding a word does (级别): WARN points it out, BLOCK also keeps the text from being published."""

    WARN = "WARN"
    BLOCK = "BLOCK"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the library, and what to write instead."""

    word: str
    category: str
    severity: Severity
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A word found: `text` is what stands at `[start, end)`, in code points of the text that was searched."""

    start: int
    end: int
    word: str
    text: str
    category: str
    severity: Severity
    suggestion: str


class _Place(NamedTuple):
    """Where a pattern occurs; without a word it is an exception."""

    start: int
    end: int
    word: Word | None


@lru_cache(maxsize=1 << 16)
def _folded(character: str) -> str:
    """The character as it is compared: nothing where it is passed over, several where it stands for several."""
    if character in _BARRIERS:
        return character
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    return "".join(part for part in plain if not _passed_over(part))


def _passed_over(character: str) -> bool:
    return character in _SEPARATORS or unicodedata.category(character) in _INVISIBLE | _SEPARATING


@lru_cache(maxsize=1 << 16)
def _separates(character: str) -> bool:
    return not _folded(character) and unicodedata.category(character) not in _INVISIBLE


def normalise(text: str) -> str:
    """The text as it is compared. Words with the same form are one word; a word whose form is empty is never found."""
    return "".join(map(_folded, text))


class WordList:
    """The words to look for and the phrases in which they are harmless, such as 最高人民法院.

    Of two words with the same form the more severe counts. A phrase that is also a word is harmless.
    """

    def __init__(self, words: Iterable[Word], exceptions: Iterable[str] = ()) -> None:
        patterns: dict[str, Word | None] = {}
        for word in sorted(words, key=lambda word: word.severity == Severity.BLOCK):
            patterns[normalise(word.word)] = word
        patterns.update((normalise(phrase), None) for phrase in exceptions)
        patterns.pop("", None)
        self._automaton: Any = ahocorasick.Automaton()
        for form, word_or_exception in patterns.items():
            self._automaton.add_word(form, (len(form), word_or_exception))
        self._automaton.make_automaton()

    def find(self, text: str) -> list[Match]:
        """Leftmost, longest, without overlaps; nothing that lies within an exception."""
        matches = []
        end = 0
        for place, word in _harmful(sorted(self._places(text), key=lambda place: (place.start, -place.end))):
            if place.start >= end:
                start, end, _ = place
                found = text[start:end]
                matches.append(Match(start, end, word.word, found, word.category, word.severity, word.suggestion))
        return matches

    def _places(self, text: str) -> Iterator[_Place]:
        """All occurrences of words and exceptions, mapped back from the compared form to the text."""
        pieces = list(map(_folded, text))
        found = list(self._automaton.iter("".join(pieces))) if self._automaton else []
        if not found:
            return
        ends = list(accumulate(map(len, pieces)))
        separators = [0, *accumulate(map(_separates, text))]
        for last, (length, word) in found:
            first = last + 1 - length
            start, final = bisect_right(ends, first), bisect_left(ends, last + 1)
            whole = ends[start] - len(pieces[start]) == first and ends[final] == last + 1
            near = separators[final] - separators[start] <= _MAX_SEPARATORS * (length - 1)
            if whole and near and _stands_alone(pieces, start, final):
                yield _Place(start, final + 1, word)


def _harmful(places: Iterable[_Place]) -> Iterator[tuple[_Place, Word]]:
    """Words that no exception covers, from places in order of their start, the longest first."""
    covered = 0
    for place in places:
        if place.word is None:
            covered = max(covered, place.end)
        elif place.end > covered:
            yield place, place.word


def _stands_alone(pieces: list[str], start: int, final: int) -> bool:
    """Whether no letter or digit continues a Latin word or number at either edge."""
    before, after = pieces[start - 1] if start else "", pieces[final + 1] if final + 1 < len(pieces) else ""
    return not (_joins(before[-1:], pieces[start][:1]) or _joins(pieces[final][-1:], after[:1]))


def _joins(left: str, right: str) -> bool:
    return all(side.isalnum() and side < _FIRST_CJK for side in (left, right))

"""Chinese text for searching: one normal form, its units and pairs, synonyms, marks on the raw text. Pure functions.

A unit is one Chinese character, or a whole run of Latin letters and digits ("2024", "5g"). Pairs of neighbouring units
find any passage without knowing where words begin; words (rjieba with `dictionary.txt`) tell a good match from chance.
Punctuation and spaces do not count, so 沪府规〔2024〕5号 is found in every form of its brackets.
"""

import csv
import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import rjieba

HERE = Path(__file__).parent
DICTIONARY, SYNONYMS, TRADITIONAL = (HERE / name for name in ("dictionary.txt", "synonyms.csv", "traditional.txt"))
MARK, UNMARK = "<mark>", "</mark>"
SNIPPET = 120
MAX_SCANNED = 50_000
MAX_VARIANTS = 4

_DOMAIN_WORD_FREQUENCY = 20_000
_LATIN = "0-9a-z\u00df-\u024f\u0370-\u03ff\u0430-\u052f"
_UNIT = re.compile(rf"[{_LATIN}]{{1,40}}|[^\W_]")
_LATIN_UNIT = re.compile(rf"[{_LATIN}]+")
_SENTENCE_END = re.compile(r"[。；！？;!?\n\r]")


@dataclass(frozen=True, slots=True)
class Snippet:
    """Raw text from `start` to `end`, and the ranges in it that matched. Offsets count characters of the raw text."""

    start: int
    end: int
    marks: tuple[tuple[int, int], ...]

    def html(self, raw: str) -> str:
        """The passage escaped for HTML, each match in `<mark>…</mark>`. Nothing is added or left out."""
        parts, at = [], self.start
        for start, end in self.marks:
            parts += [html.escape(raw[at:start]), MARK, html.escape(raw[start:end]), UNMARK]
            at = end
        return "".join([*parts, html.escape(raw[at : self.end])])


def fold(text: str) -> str:
    """Letters and digits in half width, lower case, simplified; one for one, so offsets stay those of the raw text."""
    return _changing().sub(_folded, text)


def normalise(text: str) -> str:
    """The form that is compared: NFKC, then `fold`. Its length may differ (㎡ becomes m2)."""
    return fold(unicodedata.normalize("NFKC", text))


def units(text: str) -> list[str]:
    """Single Chinese characters and whole runs of Latin letters or digits, in order, without anything between them."""
    return _UNIT.findall(normalise(text))


def chunks(text: str) -> list[list[str]]:
    """The units of each part that spaces set apart, without repetition."""
    parts = (tuple(units(part)) for part in text.split())
    return [list(part) for part in dict.fromkeys(parts) if part]


def pairs(of: Sequence[str]) -> list[str]:
    """Neighbouring units as one token each; two Latin units keep a bar, so that 2024|5 is not 20245."""
    return [f"{a}_{b}" if _LATIN_UNIT.match(a) and _LATIN_UNIT.match(b) else a + b for a, b in pairwise(of)]


def words(text: str) -> list[str]:
    """Words and the words inside them, for recall. The same for an index and its questions."""
    return [word for word in _segmenter().cut_for_search(normalise(text)) if _UNIT.search(word)]


def variants(text: str) -> list[str]:
    """The question in other words (`synonyms.csv`), normalised: known terms replaced by equivalents, the longest first.

    高企补贴 gives 高新技术企业补贴 and others, at most MAX_VARIANTS, never the question itself. A term whose equivalent
    the question already holds stays as it is.
    """
    source = normalise(text)
    found = [
        (match, others)
        for match in _term_pattern().finditer(source)
        if (others := [other for other in _synonyms()[match[0]] if other not in source])
    ]
    if not found:
        return []
    first = [_replaced(source, match, others[0]) for match, others in found]
    every = source
    for match, others in reversed(found):
        every = _replaced(every, match, others[0])
    further = [_replaced(source, match, other) for match, others in found for other in others[1:]]
    return list(dict.fromkeys([*first, every, *further]))[:MAX_VARIANTS]


def needles(*questions: str) -> tuple[str, ...]:
    """What to mark: pairs of Chinese characters and whole Latin units; a single character only if it stands alone."""
    found: dict[str, None] = {}
    for question in questions:
        for chunk in chunks(question):
            if len(chunk) == 1:
                found[chunk[0]] = None
            for a, b in pairwise(chunk):
                latin = [unit for unit in (a, b) if _LATIN_UNIT.match(unit)]
                found.update(dict.fromkeys(latin or [a + b]))
    return tuple(found)


def highlight(raw: str, wanted: Iterable[str], length: int = SNIPPET, most: int = 1) -> list[Snippet]:
    """At most `most` passages of about `length` characters of the raw text, where most matches, in reading order.

    A long unbroken match outweighs many short ones. No match, no passage. A text up to `length` is one whole passage.
    """
    runs = _runs(fold(raw[:MAX_SCANNED]), wanted)
    if not runs:
        return []
    if len(raw) <= length:
        return [Snippet(0, len(raw), tuple(runs))]
    chosen: list[Snippet] = []
    while runs and len(chosen) < most:
        best = _best_window(raw, runs, length)
        chosen.append(best)
        runs = [run for run in runs if run[1] <= best.start or run[0] >= best.end]
    return sorted(chosen, key=lambda snippet: snippet.start)


def marked(passage: str, opening: str, closing: str) -> str:
    """A passage that another engine marked with characters of its own, escaped for HTML and marked as ours are."""
    return html.escape(passage).replace(opening, MARK).replace(closing, UNMARK)


def domain_words() -> list[str]:
    """What `dictionary.txt` lists."""
    return [line for line in DICTIONARY.read_text("utf-8").splitlines() if not line.startswith("#")]


@cache
def fingerprint() -> str:
    """Changes whenever the same text would be indexed differently: the word lists are part of an index's form."""
    digest = blake2b(digest_size=6)
    for path in (DICTIONARY, TRADITIONAL):
        digest.update(path.read_bytes())
    digest.update(_UNIT.pattern.encode())
    return digest.hexdigest()


def synonym_groups() -> dict[str, list[str]]:
    """Each known term with its equivalents, as `synonyms.csv` states them, normalised."""
    return {term: list(others) for term, others in _synonyms().items()}


def _replaced(source: str, match: re.Match[str], other: str) -> str:
    return source[: match.start()] + other + source[match.end() :]


def _runs(folded: str, wanted: Iterable[str]) -> list[tuple[int, int]]:
    """Where needles occur, touching and overlapping occurrences merged."""
    found: list[tuple[int, int]] = []
    for needle in wanted:
        latin = _LATIN_UNIT.match(needle) is not None
        at = folded.find(needle)
        while at >= 0:
            end = at + len(needle)
            if not latin or not (_touches(folded, at - 1) or _touches(folded, end)):
                found.append((at, end))
            at = folded.find(needle, at + 1)
    found.sort()
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _touches(folded: str, at: int) -> bool:
    return 0 <= at < len(folded) and _LATIN_UNIT.match(folded[at]) is not None


def _best_window(raw: str, runs: Sequence[tuple[int, int]], length: int) -> Snippet:
    """The window whose matches weigh most by the squares of their lengths, from a sentence's start if one is near."""
    last, weight, best = 0, 0, (-1, 0, 0)
    for first, (start, end) in enumerate(runs):
        last = max(last, first)
        while last < len(runs) and runs[last][1] <= max(start + length, end):
            weight += (runs[last][1] - runs[last][0]) ** 2
            last += 1
        best = max(best, (weight, -first, last))
        weight -= (end - start) ** 2
    inside = runs[-best[1] : best[2]]
    room = max(0, length - (inside[-1][1] - inside[0][0]))
    earliest = max(0, inside[0][0] - room // 2)
    sentence = [match.end() for match in _SENTENCE_END.finditer(raw, earliest, inside[0][0])]
    start = sentence[-1] if sentence else earliest
    end = min(len(raw), max(start + length, inside[-1][1]))
    return Snippet(start, end, tuple(run for run in runs if start <= run[0] and run[1] <= end))


@cache
def _folding() -> dict[str, str]:
    table = {}
    lines = TRADITIONAL.read_text("utf-8").splitlines()
    simplified = {pair[0]: pair[1] for line in lines if not line.startswith("#") for pair in line.split()}
    for character in map(chr, range(0x10000)):
        plain = unicodedata.normalize("NFKC", character).lower()
        plain = simplified.get(plain, plain)
        if len(plain) == 1 and plain != character and plain.isalnum():
            table[character] = plain
    return table


@cache
def _changing() -> re.Pattern[str]:
    return re.compile("[" + "".join(map(re.escape, _folding())) + "]")


def _folded(match: re.Match[str]) -> str:
    return _folding()[match[0]]


@cache
def _segmenter() -> rjieba.Jieba:
    segmenter = rjieba.Jieba()
    for word in domain_words():
        segmenter.add_word(word, _DOMAIN_WORD_FREQUENCY, "n")
    return segmenter


@cache
def _synonyms() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    with SYNONYMS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            term, others = normalise(row["term"]), [normalise(other) for other in row["equivalents"].split("|")]
            table.setdefault(term, []).extend(others)
            for other in others if row["mutual"] == "yes" else ():
                table.setdefault(other, []).append(term)
    return table


@cache
def _term_pattern() -> re.Pattern[str]:
    """The longest known term at each place; a Latin one (ai) only as a whole word."""
    terms = sorted(_synonyms(), key=len, reverse=True)
    return re.compile("|".join(_bounded(term) for term in terms))


def _bounded(term: str) -> str:
    return rf"(?<![{_LATIN}]){re.escape(term)}(?![{_LATIN}])" if _LATIN_UNIT.fullmatch(term) else re.escape(term)

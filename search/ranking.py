"""How the embedded index reads a question: its fields, what must match, and what counts how much.

The weights are measured, not guessed: `bench/search.py` prints the figures that a change must not lower.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import tantivy
from tantivy import FieldType, Occur, SchemaBuilder
from tantivy import Query as TantivyQuery

from search import text
from search.base import NUMBER_FIELDS, Query, SearchType

WHITESPACE = "whitespace_only"
ID, TYPE, SCOPES, FACETS, WHOLE_TITLE = "id", "type", "scopes", "facets", "whole_title"
VERSION, BORN, SOURCE = "version", "born", "source"
TEXT_FIELDS = ("title", "keywords", "body")
UNIT_WEIGHT = {"title": 2.0, "keywords": 0.3}
PAIR_WEIGHT = {"title": 1.0, "keywords": 0.7, "body": 0.2}
WORD_WEIGHT = {"title": 0.5, "keywords": 0.3}
PASSAGE_WEIGHT = {"title": 120.0, "keywords": 120.0, "body": 100.0}
WHOLE_TITLE_WEIGHT = 20.0
SYNONYM_WEIGHT = 0.8
TITLE_UNITS_NEEDED = 0.5
READINGS = 200


def schema() -> tantivy.Schema:
    """The fields of the index. Texts come as tokens apart by spaces; raw texts are kept in `source` for the marks."""
    builder = SchemaBuilder()
    builder.add_text_field(ID, stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(TYPE, fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(SCOPES, tokenizer_name="raw", index_option="basic")
    builder.add_json_field(FACETS, fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(WHOLE_TITLE, tokenizer_name="raw", index_option="basic")
    for name in TEXT_FIELDS:
        builder.add_text_field(f"{name}_units", tokenizer_name=WHITESPACE, index_option="freq")
        builder.add_text_field(f"{name}_pairs", tokenizer_name=WHITESPACE, index_option="position")
        if name in WORD_WEIGHT:
            builder.add_text_field(f"{name}_words", tokenizer_name=WHITESPACE, index_option="freq")
    for name in NUMBER_FIELDS:
        builder.add_integer_field(name, indexed=True, fast=True)
    builder.add_integer_field(VERSION, fast=True)
    builder.add_integer_field(BORN, fast=True)
    builder.add_bytes_field(SOURCE, stored=True)
    return builder.build()


SCHEMA = schema()


def question(query: Query, *, forgiving: bool = False) -> TantivyQuery:
    """All that the query demands, and the score of what its text matches. `forgiving`: any part of it will do."""
    must = list(_conditions(query))
    readings = [query.text, *text.variants(query.text)]
    scored = [TantivyQuery.boost_query(q, weight) for q, weight in _readings(readings, forgiving=forgiving)]
    if scored:
        must.append(TantivyQuery.disjunction_max_query(scored))
    return TantivyQuery.boolean_query([(Occur.Must, part) for part in must])


def _readings(readings: Iterable[str], *, forgiving: bool) -> Iterator[tuple[TantivyQuery, float]]:
    for place, reading in enumerate(readings):
        if found := _reading(reading, forgiving=forgiving):
            yield found, SYNONYM_WEIGHT if place else 1.0


def _conditions(query: Query) -> Iterator[TantivyQuery]:
    """The viewer's scopes first: no scope, no result. Conditions do not score."""
    demands: list[TantivyQuery] = [TantivyQuery.term_set_query(SCHEMA, SCOPES, list(query.scopes))]
    if query.types:
        demands.append(TantivyQuery.term_set_query(SCHEMA, TYPE, [one.value for one in query.types]))
    demands += [
        TantivyQuery.term_set_query(SCHEMA, f"{FACETS}.{name}", list(values)) for name, values in query.filters.items()
    ]
    demands += [
        TantivyQuery.range_query(SCHEMA, name, FieldType.Integer, low, high)
        for name, (low, high) in query.ranges.items()
    ]
    return (TantivyQuery.const_score_query(demand, 0.0) for demand in demands)


@lru_cache(maxsize=READINGS)
def _reading(reading: str, *, forgiving: bool) -> TantivyQuery | None:
    """Kept, since one text is asked on many pages, under many filters, by many viewers."""
    parts = text.chunks(reading)
    if not parts:
        return None
    whole = text.units(reading)
    enough = _any([_enough(part) for part in parts]) if forgiving else _enough(whole)
    should = [TantivyQuery.boost_query(_term(field, token), weight) for field, token, weight in _scored(reading, parts)]
    should.append(TantivyQuery.const_score_query(_term(WHOLE_TITLE, "".join(whole)), WHOLE_TITLE_WEIGHT))
    should += _passages([whole, *parts])
    return TantivyQuery.boolean_query(
        [(Occur.Must, TantivyQuery.const_score_query(enough, 0.0)), *((Occur.Should, part) for part in should)]
    )


def _enough(part: Sequence[str]) -> TantivyQuery:
    """A part matches with enough of its pairs in any field, or half its characters in the title or keywords.

    So a wrong or missing character is forgiven, 水保方案 finds 水土保持方案, a long question need not match in full.
    """
    distinct, alone = dict.fromkeys(part), len(set(part)) == 1
    fields = TEXT_FIELDS if alone else ("title", "keywords")
    ways = [_at_least(math.ceil(TITLE_UNITS_NEEDED * len(distinct)), fields, "units", distinct)]
    if together := dict.fromkeys(text.pairs(part)):
        ways.append(_at_least(pairs_needed(len(together)), TEXT_FIELDS, "pairs", together))
    return _any(ways)


def pairs_needed(count: int) -> int:
    """Of 1, 2, 3, 4, 8, 16 pairs: 1, 2, 2, 2, 3, 4."""
    return max(1, math.ceil(count * max(0.2, 0.6 - 0.03 * count)))


def _at_least(needed: int, fields: Iterable[str], kind: str, tokens: Iterable[str]) -> TantivyQuery:
    each = [(Occur.Should, _any([_term(f"{field}_{kind}", token) for field in fields])) for token in tokens]
    return TantivyQuery.boolean_query(each, minimum_number_should_match=needed)


def _scored(reading: str, parts: Sequence[Sequence[str]]) -> Iterator[tuple[str, str, float]]:
    """Field, token and weight of all that adds to the score; what the question repeats counts by its square root."""
    kinds = (
        ("units", UNIT_WEIGHT, Counter(unit for part in parts for unit in part)),
        ("pairs", PAIR_WEIGHT, Counter(pair for part in parts for pair in text.pairs(part))),
        ("words", WORD_WEIGHT, Counter(text.words(reading))),
    )
    for kind, weights, tokens in kinds:
        for field, weight in weights.items():
            yield from ((f"{field}_{kind}", token, weight * math.sqrt(times)) for token, times in tokens.items())


def _passages(parts: Iterable[Sequence[str]]) -> list[TantivyQuery]:
    """An unbroken passage of the text, worth more than anything else from about eight characters on.

    A cut may have gone through a number or Latin word at either end, so the passage without them counts as well.
    """
    kept: dict[tuple[str, ...], None] = {}
    for part in parts:
        inner = part[1:] if len(part[0]) > 1 else part
        inner = inner[:-1] if inner and len(inner[-1]) > 1 else inner
        kept.update(dict.fromkeys((tuple(part), tuple(inner))))
    return [
        TantivyQuery.const_score_query(phrase, weight * (min(len(passage), 20) / 10) ** 1.5)
        for passage in kept
        for field, weight in PASSAGE_WEIGHT.items()
        if (phrase := _phrase(f"{field}_pairs", text.pairs(passage)))
    ]


def _phrase(field: str, pairs: Sequence[str]) -> TantivyQuery | None:
    """The pairs in a row. Every second one is enough, as they overlap; two at least, as tantivy panics on fewer."""
    if len(pairs) <= 1:
        return None
    places = sorted({*range(0, len(pairs), 2), len(pairs) - 1})
    return TantivyQuery.phrase_query(SCHEMA, field, [(place, pairs[place]) for place in places])


def _term(field: str, token: str) -> TantivyQuery:
    return TantivyQuery.term_query(SCHEMA, field, token)


def _any(queries: Sequence[TantivyQuery]) -> TantivyQuery:
    return queries[0] if len(queries) == 1 else TantivyQuery.boolean_query([(Occur.Should, one) for one in queries])


def tokens(name: str, value: str) -> Iterator[tuple[str, str]]:
    """The index fields of one text with their tokens, apart by spaces."""
    units = text.units(value)
    yield f"{name}_units", " ".join(units)
    yield f"{name}_pairs", " ".join(text.pairs(units))
    if name in WORD_WEIGHT:
        yield f"{name}_words", " ".join(text.words(value))


def all_documents() -> TantivyQuery:
    """What is there, without the marks of what was removed."""
    return TantivyQuery.term_set_query(SCHEMA, TYPE, [one.value for one in SearchType])

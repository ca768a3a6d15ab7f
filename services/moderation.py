"""The sensitive-word check of every publishing form (R-ADM-03, R-ADM-04)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select

from kit.db import fetch
from kit.names import camel
from kit.text import plain_text
from kit.words import Match, Word, WordList
from models.base import table_of
from models.words import SensitiveException, SensitiveWord

_Version = tuple[Any, ...]
_cached: tuple[_Version, WordList] | None = None


async def word_list() -> WordList:
    """The matcher over the enabled words, built anew only when the library has changed."""
    global _cached  # noqa: PLW0603 - one automaton a process
    version = await _version()
    if _cached is None or _cached[0] != version:
        _cached = (version, await _load())
    return _cached[1]


async def _version() -> _Version:
    """Sums, not maxima: a change that was made earlier but commits later moves them too."""
    words, exceptions = table_of(SensitiveWord).c, table_of(SensitiveException).c
    rows = await fetch(
        select(func.sum(func.extract("epoch", words.updated_at)), func.count(words.id))
        .where(words.enabled)
        .union_all(select(func.sum(func.extract("epoch", exceptions.updated_at)), func.count(exceptions.id)))
    )
    return tuple(tuple(row) for row in rows)


async def _load() -> WordList:
    words = await fetch(select(table_of(SensitiveWord)).where(table_of(SensitiveWord).c.enabled))
    exceptions = await fetch(select(table_of(SensitiveException)))
    return WordList(
        [Word(row["word"], row["category"], row["severity"], row["suggestion"]) for row in words],
        [row["phrase"] for row in exceptions],
    )


async def find(text: str) -> list[Match]:
    """Sensitive words in a text as it is typed, with offsets into that text."""
    return (await word_list()).find(text)


async def find_in_values(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sensitive words in every text of a proposal."""
    return matches(await word_list(), values)


def matches(words: WordList, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The field in the API's spelling, and the match with its offsets within the plain text, markup left aside."""
    return [
        {"field": camel(field), **asdict(match)}
        for field, value in values.items()
        for text in _texts(value)
        for match in words.find(plain_text(text))
    ]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, however deep: names of attachments and clauses of conditions too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)

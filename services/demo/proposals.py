"""Proposals that wait on the review desk: changes and new things, some with words that a reviewer should see."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from kit import clock
from kit.words import Severity, Word, WordList
from kit.writes import Transaction
from models.publishing import RevisionState
from models.reference import rows
from services import moderation
from services.demo.rows import REVISION, Item, add_rows
from services.demo.texts import TITLES, Line, key, lines, name_of, parse


async def add(writing: Transaction, published: Iterable[Item]) -> int:
    """Adds the proposals that are missing, and counts them. Their authors, reference data and items must be there."""
    items = {item.id: item for item in published}
    ids = [key("revision", f"proposal:{number}") for number, _ in enumerate(lines("proposal"))]
    there = await writing.execute(select(REVISION.c.id).where(REVISION.c.id == func.any(ids)))
    known = {row["id"] for row in there}
    words = _first_library()
    missing = [
        {"id": revision_id, **_row(line, items, words)}
        for revision_id, line in zip(ids, lines("proposal"), strict=True)
        if revision_id not in known
    ]
    await add_rows(writing, REVISION, missing)
    return len(missing)


def _row(line: Line, items: Mapping[Any, Item], words: WordList) -> dict[str, Any]:
    kind, fields = line["kind"], line["values"]
    revised = line.get("revises")
    item_id = key(kind, revised or name_of(kind, fields))
    live = items[item_id] if revised else None
    whole = {**_line_of(kind, revised), **fields} if revised else fields
    values = parse(kind, whole).model_dump(mode="json")
    submitted = clock.now() - timedelta(hours=line["hours_ago"])
    now = clock.real()
    return {
        "created_at": now,
        "updated_at": now,
        "kind": kind,
        "item_id": item_id,
        "no": 2 if live else 1,
        "state": RevisionState.PENDING_REVIEW,
        "title": values[TITLES[kind]],
        "owner": live.owner if live else _owner(line, whole),
        "values": values,
        "before": live.values.model_dump(mode="json") if live else None,
        "words": moderation.matches(words, values),
        "author_id": key("account", line["author"]),
        "submitted_at": submitted,
    }


def _owner(line: Line, whole: Line) -> str:
    """A new thing belongs to its author's store unless the line says to whom."""
    owner: str = line.get("owner") or f"store:{key('store', whole['store']).hex}"
    return owner


def _line_of(kind: str, name: str) -> Line:
    return next(line for line in lines(kind) if name_of(kind, line) == name)


def _first_library() -> WordList:
    """The words as they come with the platform: the read pool may not see yet what this transaction has loaded."""
    return WordList(
        [
            Word(row["word"], row["category"], Severity(row["severity"]), row["suggestion"])
            for row in rows("sensitive_words")
        ],
        [row["phrase"] for row in rows("sensitive_exceptions")],
    )

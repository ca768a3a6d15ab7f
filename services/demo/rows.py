"""From checked values to rows of the domain tables and of `revision`, and into the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Table, func, select
from sqlalchemy.dialects.postgresql import insert

from kit import clock
from kit.writes import Transaction
from models.base import Values, table_of
from models.content import Article
from models.policy import Policy
from models.product import Product
from models.publishing import PublicationState, Revision, RevisionState
from models.store import Store
from services.demo.texts import TITLES, key

TABLES: dict[str, Table] = {
    "policy": table_of(Policy),
    "store": table_of(Store),
    "product": table_of(Product),
    "article": table_of(Article),
}
REVISION = table_of(Revision)
CHUNK = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """One published thing of the demo; `counts` are the numbers that its visitors and buyers would have made."""

    kind: str
    id: UUID
    owner: str
    values: Values
    published_at: datetime
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What lists show."""
        title: str = getattr(self.values, TITLES[self.kind])
        return title


def plausible_counts(kind: str, item_id: UUID, age_days: int) -> dict[str, Any]:
    """Numbers that grow with age and differ between items, the same at every loading for the same age."""
    chance = Random(item_id.int)  # noqa: S311 - sample data
    popularity = chance.paretovariate(1.6)
    counts: dict[str, Any] = {"view_count": int(popularity * (20 + 3 * age_days) * chance.uniform(0.6, 1.4))}
    if kind == "store":
        counts["follower_count"] = int(popularity * (30 + age_days) * chance.uniform(0.4, 1.0))
        counts["rating"] = round(chance.uniform(4.1, 4.95), 2)
    elif kind == "product":
        counts["order_count"] = int(popularity * (1 + age_days / 12) * chance.uniform(0.2, 1.0))
        counts["rating"] = round(chance.uniform(3.8, 5.0), 2) if counts["order_count"] else None
    return counts


def _item_row(item: Item) -> dict[str, Any]:
    now = clock.real()
    return {
        **item.values.model_dump(),
        "id": item.id,
        "created_at": now,
        "updated_at": now,
        "owner": item.owner,
        "state": PublicationState.PUBLISHED,
        "published_at": item.published_at,
        "revised_at": item.published_at,
        "revision_no": 1,
        **item.counts,
    }


def _revision_row(item: Item) -> dict[str, Any]:
    now = clock.real()
    return {
        "id": key("revision", f"{item.id.hex}:1"),
        "created_at": now,
        "updated_at": now,
        "kind": item.kind,
        "item_id": item.id,
        "no": 1,
        "state": RevisionState.PUBLISHED,
        "title": item.title,
        "owner": item.owner,
        "values": item.values.model_dump(mode="json"),
        "words": [],
        "author_id": key("account", "admin"),
        "submitted_at": item.published_at,
        "reviewer_id": key("account", "reviewer"),
        "decided_at": item.published_at,
    }


async def add_items(writing: Transaction, items: Iterable[Item]) -> int:
    """Adds those that are missing, each with the revision that published it, and says how many they were."""
    added = 0
    for chunk in _chunks(list(items)):
        missing = await _missing(writing, chunk)
        for kind, table in TABLES.items():
            await add_rows(writing, table, [_item_row(item) for item in missing if item.kind == kind])
        await add_rows(writing, REVISION, [_revision_row(item) for item in missing])
        added += len(missing)
    return added


async def _missing(writing: Transaction, items: Sequence[Item]) -> list[Item]:
    known: set[UUID] = set()
    for kind, table in TABLES.items():
        ids = [item.id for item in items if item.kind == kind]
        known.update(row["id"] for row in await writing.execute(select(table.c.id).where(table.c.id == func.any(ids))))
    return [item for item in items if item.id not in known]


async def add_rows(writing: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Adds rows that have the same columns; those that a unique constraint refuses are there already and stay."""
    for chunk in _chunks(rows):
        await writing.insert(insert(table).on_conflict_do_nothing(), chunk)


def _chunks(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))

"""What happened, as facts for `jobs/on_event.py`. An event carries ids, never rows, and is enqueued in the writing transaction."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ItemsChanged:
    """Items of managed content were published, revised, taken offline or brought back."""

    kind: str
    item_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class ReviewQueueChanged:
    """Revisions entered or left the reviewers' work list."""


@dataclass(frozen=True, slots=True)
class SearchOutdated:
    """The index no longer fits the tables as a whole, as after loading data in bulk."""


@dataclass(frozen=True, slots=True)
class JobQueued:
    """A long act waits to be done; what it is stands in its row."""

    job_id: UUID


Event = ItemsChanged | ReviewQueueChanged | SearchOutdated | JobQueued
EVENTS: dict[str, type[Event]] = {
    event.__name__: event for event in (ItemsChanged, ReviewQueueChanged, SearchOutdated, JobQueued)
}

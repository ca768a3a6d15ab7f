"""What happened, as facts for `jobs/on_event.py`. An event carries ids, never rows, and is enqueued in the writing transaction."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ItemChanged:
    """An item of managed content was published, revised, taken offline or brought back."""

    kind: str
    item_id: UUID


@dataclass(frozen=True, slots=True)
class ReviewQueueChanged:
    """A revision entered or left the reviewers' work list."""

    kind: str
    revision_id: UUID


EVENTS = {event.__name__: event for event in (ItemChanged, ReviewQueueChanged)}
Event = ItemChanged | ReviewQueueChanged

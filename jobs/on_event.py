"""Which event causes what, on one page. At least once, tried again with back-off, so every reaction is idempotent."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any
from uuid import UUID

import orjson

from jobs import long_acts
from jobs import search as indexing
from kit.bus import bus
from models import topics
from models.events import EVENTS, Event, ItemsChanged, JobQueued, ReviewQueueChanged, SearchOutdated
from search.base import SearchIndex

Reaction = Callable[[Any, SearchIndex], Awaitable[None]]


async def _reindex(event: ItemsChanged, index: SearchIndex) -> None:
    await indexing.reindex(index, event.kind, event.item_ids)


async def _rebuild(_event: SearchOutdated, index: SearchIndex) -> None:
    await indexing.rebuild(index)


async def _run_job(event: JobQueued, _index: SearchIndex) -> None:
    await long_acts.run(event.job_id)


async def _tell_reviewers(_event: ReviewQueueChanged, _index: SearchIndex) -> None:
    await bus.publish(topics.REVIEW_QUEUE)


REACTIONS: dict[type[Event], tuple[Reaction, ...]] = {
    ItemsChanged: (_reindex,),
    ReviewQueueChanged: (_tell_reviewers,),
    SearchOutdated: (_rebuild,),
    JobQueued: (_run_job,),
}


async def handle(payload: bytes, index: SearchIndex) -> None:
    """Runs the reactions of one event. An unknown type is an error: the job is kept, for the version that knows it."""
    event = decode(payload)
    for react in REACTIONS[type(event)]:
        await react(event, index)


def decode(payload: bytes) -> Event:
    raw = orjson.loads(payload)
    kind = EVENTS[raw["type"]]
    return kind(**{field.name: _revive(field.name, raw[field.name]) for field in fields(kind)})


def _revive(name: str, value: Any) -> Any:
    if name.endswith("_ids"):
        return tuple(UUID(each) for each in value)
    return UUID(value) if name.endswith("_id") else value

"""The reviewers' work list, live: two reviewers see each other's decisions."""

from collections.abc import AsyncGenerator
from typing import Any

from kit.bus import bus
from models import topics
from resolvers.context import Info


async def review_queue_changed(_info: Info) -> AsyncGenerator[dict[str, Any], None]:
    """What waits for the viewer, now and after every change (待办变化)."""
    async with bus.listen(topics.REVIEW_QUEUE) as changes:
        yield {}
        async for _ in changes:
            yield {}

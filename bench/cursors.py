"""The cursors of the platform's lists, for the rivals: same request, same answer."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import orjson

BEFORE_ALL = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


def start_of(cursor: str | None) -> tuple[datetime, UUID]:
    """Moment and key of the row behind which a list goes on, newest first."""
    if cursor is None:
        return BEFORE_ALL
    _order, moment, key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return datetime.fromisoformat(moment), UUID(key)


def cursor_of(moment: datetime, key: UUID) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(["newest", moment, key], default=str)).decode().rstrip("=")


def key_of(global_id: str) -> UUID:
    return UUID(global_id.rpartition("_")[2])

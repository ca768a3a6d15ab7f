"""Tells a server that is away from a failure of our own: the first passes by itself, the second does not."""

import asyncpg
from redis.exceptions import RedisError

from kit.pool import BROKEN
from search.base import SearchUnavailable

AWAY = (
    SearchUnavailable,
    RedisError,
    *BROKEN,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
)
"""A server that does not answer. That passes, however long it takes, so it never holds an event."""


def away(error: Exception) -> bool:
    return isinstance(error, AWAY)

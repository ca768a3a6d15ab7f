"""Counts failures, not successes, and says for how long to wait. Without Redis each process counts for itself."""

import math
from collections import OrderedDict
from datetime import timedelta

from redis.exceptions import RedisError

from kit import clock
from kit.bus import bus

WINDOW = timedelta(minutes=10)
LOCAL_MAXIMUM = 10_000

_local: OrderedDict[str, tuple[int, float]] = OrderedDict()


async def minutes_to_wait(key: str, limit: int) -> int:
    """0 while fewer than `limit` failures were counted, else whole minutes until the count is forgotten."""
    try:
        count = int(await bus.redis.get(_name(key)) or 0)
        seconds = float(await bus.redis.ttl(_name(key))) if count >= limit else 0.0
    except (RedisError, OSError):
        count, until = _local_count(key)
        seconds = until - clock.real().timestamp()
    return max(1, math.ceil(seconds / 60)) if count >= limit else 0


async def count_failure(key: str) -> None:
    """Adds a failure; the window starts with the first one."""
    try:
        async with bus.redis.pipeline(transaction=True) as pipe:
            pipe.incr(_name(key))
            pipe.expire(_name(key), WINDOW, nx=True)
            await pipe.execute()
    except (RedisError, OSError):
        count, until = _local_count(key)
        _local[key] = (count + 1, until)
        _local.move_to_end(key)
        while len(_local) > LOCAL_MAXIMUM:
            _local.popitem(last=False)


async def forget(key: str) -> None:
    _local.pop(key, None)
    try:
        await bus.redis.delete(_name(key))
    except (RedisError, OSError):
        return


def _local_count(key: str) -> tuple[int, float]:
    now = clock.real().timestamp()
    count, until = _local.get(key, (0, 0.0))
    return (count, until) if until > now else (0, now + WINDOW.total_seconds())


def _name(key: str) -> str:
    return f"esc:failures:{key}"

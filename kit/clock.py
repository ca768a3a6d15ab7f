"""The two clocks. Nothing else in the platform reads the time, the database's `now()` included.

`now()` is business time: stage windows, days left, timed publishing. In development its offset may be moved.
`real()` is the world's: tokens, throttles, jobs, logs.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

_offset = timedelta()


def real() -> datetime:
    return datetime.now(UTC)


def now() -> datetime:
    return real() + _offset


def today() -> date:
    """The calendar day in Shanghai: what a rule means when it says "day"."""
    return now().astimezone(SHANGHAI).date()


def offset() -> timedelta:
    return _offset


def set_offset(value: timedelta) -> None:
    """Moves business time in this process; `services/platform.py` shares the offset through the database."""
    global _offset  # noqa: PLW0603 - the clock is the one piece of process-wide state
    _offset = value

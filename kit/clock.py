"""The two clocks. Nothing else in the platform reads the time, the database's `now()` included.

`now()` is business time: stage windows, days left, timed publishing. In development its offset may be moved.
`real()` is the world's: tokens, throttles, jobs, logs.

An answer that was made with the day holds until the day ends, one that was made with the moment is the asker's alone
(`kit/footprint.py`).
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kit import footprint

SHANGHAI = ZoneInfo("Asia/Shanghai")

_offset = timedelta()


def real() -> datetime:
    return datetime.now(UTC)


def now() -> datetime:
    _note_moment()
    return real() + _offset


def today() -> date:
    """The calendar day in Shanghai: what a rule means when it says "day"."""
    day = (real() + _offset).astimezone(SHANGHAI).date()
    if running := footprint.current.get():
        running.ends(datetime.combine(day + timedelta(days=1), time(), SHANGHAI))
    return day


def offset() -> timedelta:
    _note_moment()
    return _offset


def _note_moment() -> None:
    if running := footprint.current.get():
        running.private = True


def set_offset(value: timedelta) -> None:
    """Moves business time in this process; `services/platform.py` shares the offset through the database."""
    global _offset  # noqa: PLW0603 - the clock is the one piece of process-wide state
    _offset = value

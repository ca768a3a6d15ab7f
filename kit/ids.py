"""Identifiers: time-ordered UUIDs in storage, readable global ids on the wire (`policy_0192…`)."""

import os
import re
from io import StringIO
from uuid import UUID

from kit import clock

_RANDOM_DIGITS = 18
_SUPPLY = 256
_GLOBAL_ID = re.compile(r"([a-z][a-z0-9_]*)_([0-9a-f]{32})")


def uuid7() -> UUID:
    """A UUID of version 7 (RFC 9562): Unix milliseconds, then random bits: new keys go to an index's end."""
    return UUID(int=int(uuid7_hex(), 16))


def uuid7_hex() -> str:
    """The 32 digits of a `uuid7`, for an id that is only ever a text."""
    random = _random.read(_RANDOM_DIGITS)
    if len(random) < _RANDOM_DIGITS:
        _draw()
        return uuid7_hex()
    milliseconds = int(clock.real().timestamp() * 1000)
    return f"{milliseconds:012x}7{random[:3]}8{random[3:]}"


def _draw() -> None:
    """Asks the system for randomness for many ids, since it takes longer to ask than to answer."""
    global _random  # noqa: PLW0603 - a supply that is used up
    _random = StringIO(os.urandom(_RANDOM_DIGITS * _SUPPLY // 2).hex())


_random = StringIO()
os.register_at_fork(after_in_child=_draw)


def global_id(kind: str, key: UUID) -> str:
    return f"{kind}_{key.hex}"


def parse_global_id(text: str) -> tuple[str, UUID] | None:
    """The kind and key of a global id, or None for a text that is none."""
    match = _GLOBAL_ID.fullmatch(text)
    return (match[1], UUID(match[2])) if match else None


def key_of(text: str, kind: str) -> UUID | None:
    """The key in a global id of that kind, or None for any other text."""
    parsed = parse_global_id(text)
    return parsed[1] if parsed and parsed[0] == kind else None

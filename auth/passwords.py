"""Passwords: argon2id, hashed beside the event loop."""

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kit.settings import settings

CONCURRENT_HASHES = anyio.CapacityLimiter(2)


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=settings.argon2_time_cost, memory_cost=settings.argon2_memory_kib, parallelism=1)


def hash_password(password: str) -> str:
    """The PHC text of a new hash; takes tens of milliseconds."""
    return _hasher().hash(password)


_NOBODY = hash_password("nobody has this password")


def _verify(stored: str | None, password: str) -> bool:
    try:
        return _hasher().verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


async def verify_password(stored: str | None, password: str) -> bool:
    """Takes as long for an account that is not there, so that time tells nothing."""
    return await anyio.to_thread.run_sync(_verify, stored, password, limiter=CONCURRENT_HASHES)

"""Apollo's automatic persisted queries: a client sends the SHA-256 of a document, and the text only once."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.errors import Headers, bad_request, operation_error
from engine.lru import Lru
from kit.errors import ApiError, ErrorCode

VERSION = 1
TTL_SECONDS = 30 * 24 * 3600
PATIENCE_SECONDS = 0.5  # the client's own retries take longer, and a miss costs less than waiting for them
NOT_CACHED: Headers = (("cache-control", "private, no-store"),)

_HASH = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger(__name__)


class PersistedStore(Protocol):
    """Where documents outlive one process."""

    async def get(self, key: str) -> str | None: ...
    async def put(self, key: str, text: str) -> None: ...


class RedisPersistedStore:
    """Keeps documents for 30 days after their last use. A failing Redis is a miss: clients then send the text again."""

    def __init__(self, redis: Redis, *, prefix: str = "esc:persisted:", ttl_seconds: int = TTL_SECONDS) -> None:
        self._redis = redis
        self._prefix = prefix
        self._ttl = ttl_seconds

    async def get(self, key: str) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await self._redis.getex(self._prefix + key, ex=self._ttl)
        except (RedisError, OSError) as error:
            log.warning("persisted documents unreachable", error=type(error).__name__)
            return None
        return found.decode() if isinstance(found, bytes) else found

    async def put(self, key: str, text: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._redis.set(self._prefix + key, text, ex=self._ttl)
        except (RedisError, OSError) as error:
            log.warning("persisted documents unreachable", error=type(error).__name__)


class Persisted:
    """The store, behind a bounded memory of this process."""

    def __init__(self, store: PersistedStore) -> None:
        self._store = store
        self._local: Lru[str] = Lru(entries=2_000, weight=2_000_000)

    async def text(self, query: str | None, extensions: Mapping[str, Any]) -> str:
        """The document that a request means. Raises RequestError for a wrong or unknown hash, or without either."""
        key = requested_hash(extensions)
        if query is not None:
            if key is not None and sha256(query) != key:
                raise bad_request("The hash does not match the query (哈希与查询文本不符)")
            return query
        if key is None:
            raise bad_request("Send a query (缺少 query)")
        text = self._local.get(key) or await self._store.get(key)
        if text is None or sha256(text) != key:
            # clients look for exactly this message
            raise operation_error(ApiError(ErrorCode.PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound"), NOT_CACHED)
        self._local.put(key, text, weight=len(text))
        return text

    async def keep(self, query: str | None, extensions: Mapping[str, Any]) -> None:
        """Remembers a document that came with its hash. Call it for valid documents only."""
        key = requested_hash(extensions)
        if query is None or key is None or self._local.get(key) is not None:
            return
        self._local.put(key, query, weight=len(query))
        await self._store.put(key, query)


def requested_hash(extensions: Mapping[str, Any]) -> str | None:
    """The hash in `extensions.persistedQuery`, or None where there is none."""
    asked = extensions.get("persistedQuery")
    if asked is None:
        return None
    if not isinstance(asked, dict) or type(asked.get("version")) is not int or asked["version"] != VERSION:
        raise bad_request("Persisted queries are supported in version 1 only (仅支持版本 1 的持久化查询)")
    key = asked.get("sha256Hash")
    if not isinstance(key, str) or not _HASH.fullmatch(key.lower()):
        raise bad_request("sha256Hash must be 64 hexadecimal digits (sha256Hash 须为 64 位十六进制数)")
    return key.lower()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

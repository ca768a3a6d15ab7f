"""Files by key: a folder on this machine, or an S3-compatible bucket when `S3_BUCKET` is set. Same calls for both.

The content type, the name and the owner of a file are the caller's, in the database: a folder keeps none of them.
obstore's blocking calls run in threads, since its asynchronous ones abort the process when it ends soon after them.
"""

import re
from asyncio import to_thread
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, S3Store

from kit.errors import EscError
from kit.settings import Settings

CHUNK_BYTES = 1024 * 1024
_KEY_LENGTH = 512
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}
_SAFE_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class UnsafeKeyError(EscError):
    """A key that could leave the store: letters, digits and `._-/` are allowed, and no part begins with a dot."""


class KeyTakenError(EscError):
    """A file has this key already; files are never overwritten, so that a link always means the same bytes."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What the store itself knows of a file. `size` is in bytes; `etag` changes with the content."""

    size: int
    modified_at: datetime
    etag: str | None


class Files:
    """One store. Every call refuses an unsafe key; `get` and `stream` raise FileNotFoundError for a missing file."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, key: str, content: bytes | Path) -> None:
        """Stores a new file, whole or not at all; a large one is given as a path. Raises KeyTakenError."""
        try:
            await to_thread(obstore.put, self._store, _safe(key), content, mode="create")
        except AlreadyExistsError as taken:
            raise KeyTakenError(key) from taken

    async def get(self, key: str) -> bytes:
        """The whole file in memory: for small ones."""
        return await to_thread(lambda: bytes(obstore.get(self._store, _safe(key)).bytes()))

    async def stat(self, key: str) -> Stat | None:
        """None where there is no such file."""
        try:
            meta = await to_thread(obstore.head, self._store, _safe(key))
        except FileNotFoundError:
            return None
        return Stat(meta["size"], meta["last_modified"], meta["e_tag"])

    async def delete(self, key: str) -> None:
        """Deletes the file; does nothing where it is gone already."""
        if await self.stat(key):
            await to_thread(obstore.delete, self._store, _safe(key))

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to but not including `end`, in chunks of about a megabyte."""
        span: Any = {"range": {"offset": start} if end is None else (start, end)}
        found = await to_thread(obstore.get, self._store, _safe(key), options=span)
        chunks = iter(found.stream(min_chunk_size=CHUNK_BYTES))
        while (chunk := await to_thread(next, chunks, None)) is not None:
            yield bytes(chunk)


def open_files(settings: Settings) -> Files:
    """The store that the settings name; makes its folder where that is missing."""
    if not settings.s3_bucket:
        settings.files_home.mkdir(parents=True, exist_ok=True)
        return Files(LocalStore(settings.files_home))
    options: dict[str, Any] = {"region": settings.s3_region, "retry_config": _RETRIES}
    if settings.s3_endpoint:
        options |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
        options["client_options"] = {"allow_http": settings.s3_endpoint.startswith("http://")}
    if settings.s3_access_key:
        secret = settings.s3_secret_key.get_secret_value()
        options |= {"access_key_id": settings.s3_access_key, "secret_access_key": secret}
    return Files(S3Store(settings.s3_bucket, **options))


def _safe(key: str) -> str:
    if len(key) > _KEY_LENGTH or not _SAFE_KEY.fullmatch(key):
        raise UnsafeKeyError(key)
    return key

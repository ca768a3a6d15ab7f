"""Uploaded files: their bytes in the store, who they belong to in the database (R-SEC-02, R-ADM-13)."""

import secrets
from pathlib import Path
from uuid import UUID

from sqlalchemy import insert, select

from auth.viewer import Viewer
from kit.db import Row, fetch_one
from kit.errors import Refused
from kit.files import Files, open_files
from kit.ids import uuid7
from kit.settings import settings
from models.base import table_of
from models.job import StoredFile
from models.refusals import Refusal
from services.uow import UnitOfWork

FILE = table_of(StoredFile)
MAXIMUM_BYTES = 50 * 1024 * 1024

_SIGNATURES: dict[str, tuple[tuple[bytes, str], ...]] = {
    ".png": ((b"\x89PNG\r\n\x1a\n", "image/png"),),
    ".jpg": ((b"\xff\xd8\xff", "image/jpeg"),),
    ".jpeg": ((b"\xff\xd8\xff", "image/jpeg"),),
    ".gif": ((b"GIF8", "image/gif"),),
    ".webp": ((b"RIFF", "image/webp"),),
    ".pdf": ((b"%PDF-", "application/pdf"),),
    ".xlsx": ((b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),),
    ".docx": ((b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),),
    ".pptx": ((b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),),
    ".zip": ((b"PK\x03\x04", "application/zip"),),
    ".jsonl": ((b"{", "application/jsonl"),),
    ".csv": ((b"", "text/csv"),),
    ".txt": ((b"", "text/plain"),),
}


def store() -> Files:
    return open_files(settings)


def media_type(name: str, start: bytes) -> str:
    """The type that a file's ending and first bytes agree on; refuses a file whose bytes belie its ending."""
    for signature, kind in _SIGNATURES.get(Path(name).suffix.lower(), ()):
        if start.startswith(signature):
            return kind
    raise Refused(
        Refusal.BAD_FILE,
        ["file"],
        zh="不支持的文件类型，或内容与扩展名不符",
        en="its type is not accepted, or its bytes belie its ending",
    )


async def keep(uow: UnitOfWork, viewer: Viewer, name: str, content: bytes | Path, content_type: str, size: int) -> Row:
    """Stores the bytes under an unguessable key and notes whose they are. Bytes of a failed transaction are orphans."""
    file_id = uuid7()
    key = f"{file_id.hex}/{secrets.token_urlsafe(12)}{Path(name).suffix.lower()}"
    await store().put(key, content)
    row = StoredFile(
        id=file_id,
        key=key,
        name=Path(name).name[-200:],
        content_type=content_type,
        size=size,
        account_id=viewer.account_id,
    )
    await uow.execute(insert(StoredFile).values(row.model_dump()))
    return row.model_dump()


async def by_key(key: str) -> Row | None:
    """A file by the key in its address, which is its permission. PostgreSQL holds no text with U+0000."""
    return None if "\0" in key else await fetch_one(select(FILE).where(FILE.c.key == key))


async def owned(viewer: Viewer, file_id: UUID) -> Row:
    """A file of the viewer's own; refuses another's as not found."""
    row = await fetch_one(select(FILE).where(FILE.c.id == file_id))
    if row is None or row["account_id"] != viewer.id:
        raise Refused(Refusal.NOT_FOUND, ["file_id"])
    return row

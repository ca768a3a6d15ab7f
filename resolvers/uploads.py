"""Files over plain HTTP: `POST /files?name=…` takes the bytes as they are, `GET /files/<key>` gives them back."""

import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from auth.access import allowed
from auth.revocations import revocations
from auth.tokens import authenticate
from engine.wire import request_id
from kit.errors import Refused, Unauthenticated
from kit.excel import write_template
from kit.files import UnsafeKeyError
from kit.ids import global_id
from models.refusals import Refusal, texts_of
from services import files
from services.policy.records import COLUMNS as POLICY_COLUMNS
from services.uow import Act, unit_of_work
from services.words import COLUMNS as WORD_COLUMNS

SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"})
SNIFFED_BYTES = 16
TEMPLATES = {"policies": POLICY_COLUMNS, "words": WORD_COLUMNS}
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})", re.ASCII)
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and marks of direction, by which `fdp.exe` is shown as `exe.pdf`."""
_SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-site",
}


async def upload(request: Request) -> Response:
    """Keeps a file of a signed-in account, at most 50 MB; answers its id and address, 201."""
    try:
        viewer = await authenticate(request.headers.get("authorization", "").removeprefix("Bearer ").strip() or None)
        await revocations.check(viewer)
    except Unauthenticated as error:
        return _problem(401, error.code.value, str(error), str(error))
    if not allowed("file.upload", viewer):
        return _problem(401, "UNAUTHENTICATED", "请先登录", "Sign in first")
    name = _UNSHOWN.sub("", request.query_params.get("name", "")).strip()
    with tempfile.TemporaryDirectory(prefix="esc-upload-") as folder:
        path = Path(folder) / "file"
        try:
            size, start = await _receive(request, path)
            content_type = files.media_type(name, start)
            act = Act(
                viewer,
                "fileUpload",
                request_id(request.headers),
                request.client.host if request.client else "",
            )
            async with unit_of_work(act) as uow:
                row = await files.keep(uow, viewer, name, path, content_type, size)
                uow.touch(global_id("file", row["id"]))
        except Refused as refused:
            return _refusal(refused)
        except ClientDisconnect:
            return Response(status_code=400)
    body = {"id": global_id("file", row["id"]), "url": f"/files/{row['key']}", "name": row["name"]}
    return _json(201, {**body, "contentType": content_type, "size": size})


async def _receive(request: Request, path: Path) -> tuple[int, bytes]:
    """Writes the body beside the event loop's memory, and tells its size and first bytes."""
    size, start = 0, b""
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > files.MAXIMUM_BYTES:
                raise Refused(Refusal.FILE_TOO_LARGE, ["file"], megabytes=files.MAXIMUM_BYTES // 1024 // 1024)
            if len(start) < SNIFFED_BYTES:
                start += chunk[:SNIFFED_BYTES]
            file.write(chunk)
    if not size:
        raise Refused(Refusal.BAD_FILE, ["file"], zh="文件为空", en="it is empty")
    return size, start


async def template(request: Request) -> Response:
    """The Excel template of an import (R-POL-02)."""
    columns = TEMPLATES.get(request.path_params["kind"])
    if columns is None:
        return _problem(404, "NOT_FOUND", "没有该模板", "There is no such template")
    name = f"{request.path_params['kind']}.xlsx"
    headers = {**_SAFE, "content-disposition": f"attachment; filename={name}"}
    return Response(write_template(columns), 200, headers, files.media_type(name, b"PK\x03\x04"))


async def download(request: Request) -> Response:
    """The bytes of a file, whole or one range (RFC 9110 §14), never run by a browser."""
    key = request.path_params["key"]
    row = await files.by_key(key)
    if row is None:
        return _problem(404, "NOT_FOUND", "文件不存在", "There is no such file")
    size = row["size"]
    start, end, status = _span(request.headers.get("range", ""), size)
    headers = {
        **_SAFE,
        "cache-control": "private, max-age=86400, immutable",
        "accept-ranges": "bytes",
        "content-length": str(end - start),
        "content-disposition": f"{_disposition(row['content_type'])}; filename*=UTF-8''{quote(row['name'])}",
    }
    if status == 206:  # noqa: PLR2004 - Partial Content
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    try:
        content = files.store().stream(key, start, end)
    except UnsafeKeyError:
        return _problem(404, "NOT_FOUND", "文件不存在", "There is no such file")
    return StreamingResponse(content, status, headers, media_type=row["content_type"])


def _disposition(content_type: str) -> str:
    return "inline" if content_type in SHOWN_INLINE else "attachment"


def _span(header: str, size: int) -> tuple[int, int, int]:
    """From where to where, and the status. What is no range, or one that ends before it starts, is passed over."""
    match = _RANGE.fullmatch(header)
    start, end = (int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)) if match else (0, 0)
    return (start, end, 206) if start < end else (0, size, 200)


def _refusal(refused: Refused) -> Response:
    first = refused.all[0]
    status = 413 if first.code is Refusal.FILE_TOO_LARGE else 400
    return _problem(status, first.code.value, *texts_of(first))


def _problem(status: int, code: str, zh: str, en: str) -> Response:
    return _json(status, {"errors": [{"code": code, "message": zh if zh == en else f"{zh} ({en})"}]})


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, _SAFE, "application/json")

"""Files by key, in a folder and in an S3-compatible bucket, with the same answers."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kit.files import CHUNK_BYTES, Files, KeyTakenError, UnsafeKeyError, open_files
from kit.settings import ROOT, Settings


class Bucket(BaseHTTPRequestHandler):
    """The part of the S3 protocol that the platform uses, held in memory."""

    objects: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("If-None-Match") == "*" and self.path in self.objects:
            self.reply(412)
            return
        self.objects[self.path] = content
        self.reply(200)

    def do_GET(self) -> None:
        if self.path not in self.objects:
            self.reply(404)
            return
        content = self.objects[self.path]
        if (span := self.headers.get("Range")) is None:
            self.reply(200, content)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        self.reply(206, part, f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")

    do_HEAD = do_GET  # noqa: N815 - the name is the base class's

    def do_POST(self) -> None:
        assert self.path == "/esc?delete"
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        [key] = re.findall("<Key>(.*?)</Key>", body)
        del self.objects[f"/esc/{key}"]
        self.reply(200, f"<DeleteResult><Deleted><Key>{key}</Key></Deleted></DeleteResult>".encode())

    def reply(self, status: int, content: bytes = b"", span: str = "") -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        pass


def settings(**values: Any) -> Settings:
    return Settings(**values)


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Files]:
    if request.param == "folder":
        yield open_files(settings(ESC_HOME=tmp_path, S3_BUCKET=""))
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bucket", (Bucket,), {"objects": {}}))
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield open_files(
        settings(S3_ENDPOINT=address, S3_BUCKET="esc", S3_ACCESS_KEY="key", S3_SECRET_KEY="secret", S3_REGION="local")
    )
    server.shutdown()


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_what_is_put_comes_back_whole_and_in_parts(files: Files) -> None:
    content = bytes(range(256)) * 10_000
    await files.put("policy/0192/a.pdf", content)
    assert await files.get("policy/0192/a.pdf") == content
    assert [stat.size for stat in [await files.stat("policy/0192/a.pdf")] if stat] == [2_560_000]
    assert await read(files.stream("policy/0192/a.pdf")) == content
    assert await read(files.stream("policy/0192/a.pdf", 256, 300)) == content[256:300]
    assert await read(files.stream("policy/0192/a.pdf", CHUNK_BYTES)) == content[CHUNK_BYTES:]


async def test_a_large_file_is_put_from_its_path(files: Files, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 3_000_000)
    await files.put("large", tmp_path / "large")
    assert [stat.size for stat in [await files.stat("large")] if stat] == [3_000_000]


async def test_a_key_means_the_same_bytes_for_ever(files: Files) -> None:
    await files.put("a", b"first")
    with pytest.raises(KeyTakenError):
        await files.put("a", b"second")
    assert await files.get("a") == b"first"


async def test_a_missing_file_is_said_so(files: Files) -> None:
    assert await files.stat("missing") is None
    with pytest.raises(FileNotFoundError):
        await files.get("missing")
    with pytest.raises(FileNotFoundError):
        await read(files.stream("missing"))
    await files.put("gone", b"x")
    await files.delete("gone")
    await files.delete("gone")
    assert await files.stat("gone") is None


@pytest.mark.parametrize(
    "key", ["../evil", "/etc/passwd", "a//b", "a/../b", ".hidden", "a/.b", "", "a\\b", "a\0b", "政策", "x" * 513]
)
async def test_a_key_never_leaves_the_store(files: Files, key: str) -> None:
    for call in (files.put(key, b"x"), files.get(key), files.stat(key), files.delete(key), read(files.stream(key))):
        with pytest.raises(UnsafeKeyError):
            await call


def test_a_process_that_ends_right_after_its_file_ends_well(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from kit.files import open_files
from kit.settings import Settings
print(asyncio.run(open_files(Settings(ESC_HOME=sys.argv[1], S3_BUCKET="")).stat("missing")))
"""
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout) == (0, "None\n")


async def test_two_writers_of_one_key_have_one_winner(files: Files) -> None:
    results = await asyncio.gather(files.put("k", b"1"), files.put("k", b"2"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["KeyTakenError", "NoneType"]

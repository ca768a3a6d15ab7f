"""Load over HTTP/1.1 with connections kept open: each sends its next request when it has its answer.

Plain streams instead of an HTTP client, since the load shares the machine with what it measures.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple

import orjson

HOST = "127.0.0.1"
TURN_SECONDS = 30.0  # one answer may take no longer
_HEAD = (
    "POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
)


class BenchError(Exception):
    """What could not be measured, and why."""


class Request(NamedTuple):
    """The body of a GraphQL request, and the access token that it carries, if any."""

    body: bytes
    token: str = ""

    @property
    def wire(self) -> bytes:
        """The bytes that a client sends."""
        more = f"authorization: Bearer {self.token}\r\n" if self.token else ""
        return _HEAD.format(host=HOST, length=len(self.body), more=more).encode() + self.body


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one load. `failed` counts answers with another status than 200 or with errors."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    answer_bytes: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Connection:
    """One open connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(HOST, port, limit=1 << 22))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def request(query: str, *, name: str | None = None, token: str = "", **variables: object) -> Request:
    """An operation with its variables; `name` tells which it is, for a server that reads no GraphQL."""
    asked = {"query": query, "operationName": name, "variables": variables}
    return Request(orjson.dumps(asked if name else {key: asked[key] for key in ("query", "variables")}), token)


async def run(port: int, requests: Sequence[Request], *, connections: int, seconds: float, most: int) -> Outcome:
    """Sends the requests in turn until the time is over or `most` are answered. Raises TimeoutError for a lost one."""
    waiting: Iterator[bytes] = islice(cycle([each.wire for each in requests]), most)
    times: list[float] = []
    sizes = failed = 0
    deadline = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal sizes, failed
        connection = await Connection.open(port)
        for each in waiting:
            asked = time.perf_counter()
            if asked >= deadline:
                break
            async with asyncio.timeout(TURN_SECONDS):
                status, body = await connection.ask(each)
            times.append((time.perf_counter() - asked) * 1000)
            sizes += len(body)
            failed += status != 200 or body.startswith(b'{"errors"')
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    elapsed = time.perf_counter() - started
    times.sort()
    return Outcome(
        len(times), failed, elapsed, times[len(times) // 2], times[len(times) * 99 // 100], sizes // len(times)
    )

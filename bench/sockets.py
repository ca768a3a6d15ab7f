"""Many sockets that follow one tally, on bare epoll: `python -m bench.sockets PORT NUMBER SECONDS ROUND`.

Tokens come from standard input, one a line, then an empty line. It says `ready` when all sockets follow, waits for
another line, moves the tally 10 times a second and prints what arrived, as one line of JSON. asyncio would cost more
than the server that is measured.
"""

import base64
import os
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from bench.load import HOST, Request, request

FOLLOW = """subscription W5($round: ID!) { tallyChanged(roundId: $round) {
  round { id } ballotCount candidates { candidate { id } votes rank } } }"""
BUMP = """mutation ($round: ID!) { tallyBump(input: {roundId: $round}) {
  tally { ballotCount } userErrors { code } } }"""
RATE = 10
BATCH = 100
OPEN_SECONDS = 30.0
SETTLE_SECONDS, DRAIN_SECONDS = 1.0, 2.0
_UPGRADE = (
    "GET /graphql HTTP/1.1\r\nhost: {host}:{port}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)
_COUNT = b'"ballotCount":'
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_PING_MESSAGE = b'{"type":"ping"'


@dataclass
class Arrivals:
    """What came of one run. `late_ms`: from before a publish to each arrival; `closed`: sockets the server ended."""

    sockets: int
    published: int = 0
    late_ms: list[float] = field(default_factory=list)
    closed: int = 0
    seconds: float = 0.0

    def told(self) -> dict[str, float]:
        late = sorted(self.late_ms) or [0.0]
        return {
            "sockets": self.sockets,
            "published": self.published,
            "delivered": len(self.late_ms),
            "closed": self.closed,
            "seconds": self.seconds,
            "p50_ms": late[len(late) // 2],
            "p99_ms": late[len(late) * 99 // 100],
        }


def frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """A client's frame; its mask is zero, which is as good as any and costs nothing."""
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


def unpacked(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Whole frames of a server at the beginning of what was read, as opcode and payload, and what is left."""
    frames = []
    start, end = 0, len(data)
    while end - start >= 2:
        length, body = data[start + 1], start + 2
        if length == 126:
            length, body = int.from_bytes(data[start + 2 : start + 4], "big"), start + 4
        elif length == 127:
            length, body = int.from_bytes(data[start + 2 : start + 10], "big"), start + 10
        if body + length > end:
            break
        frames.append((data[start] & 0xF, data[body : body + length]))
        start = body + length
    return frames, data[start:]


class Crowd:
    """All sockets, each with what it has read of an unfinished frame."""

    def __init__(self, port: int, number: int, tokens: Sequence[str], round_id: str) -> None:
        self._port, self._round = port, round_id
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        for first in range(0, number, BATCH):
            self._open([tokens[index % len(tokens)] for index in range(first, min(first + BATCH, number))])

    def _open(self, tokens: Sequence[str]) -> None:
        opened = []
        for _ in tokens:
            each = socket.create_connection((HOST, self._port), timeout=OPEN_SECONDS)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            key = base64.b64encode(os.urandom(16)).decode()
            each.sendall(_UPGRADE.format(host=HOST, port=self._port, key=key).encode())
            opened.append(each)
        for each in opened:
            head = b""
            while b"\r\n\r\n" not in head:
                head += each.recv(4096)
            if b" 101 " not in head:
                raise OSError(head.decode())
        for each, token in zip(opened, tokens, strict=True):
            each.sendall(frame(_message("connection_init", {"authorization": f"Bearer {token}"})))
        follow = frame(_message("subscribe", {"query": FOLLOW, "variables": {"round": self._round}}, id="1"))
        for each in opened:
            data = each.recv(4096)
            if b"connection_ack" not in data:
                raise OSError(f"no acknowledgement: {data!r}")
            each.sendall(follow)
            each.settimeout(0)
            self._sockets[each.fileno()] = each
            self._rest[each.fileno()] = b""
            self._poll.register(each.fileno(), select.EPOLLIN)

    def messages(self, seconds: float) -> Iterator[tuple[float, bytes]]:
        """What comes within at most so many seconds, with the time at which it was read."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            for number, _events in self._poll.poll(left, 1024):
                for opcode, payload in self._read(number):
                    if opcode == _TEXT:
                        yield time.perf_counter(), payload

    @property
    def size(self) -> int:
        return len(self._sockets)

    def _read(self, number: int) -> Iterator[tuple[int, bytes]]:
        try:
            data = self._sockets[number].recv(1 << 16)
        except OSError:
            data = b""
        frames, self._rest[number] = unpacked(self._rest[number] + data)
        for opcode, payload in frames:
            if opcode == _PING:
                self._sockets[number].send(frame(payload, _PONG))
            elif opcode == _TEXT and payload.startswith(_PING_MESSAGE):
                self._sockets[number].send(frame(b'{"type":"pong"}'))
            else:
                yield opcode, payload
        if not data or any(opcode == _CLOSE for opcode, _ in frames):
            self._poll.unregister(number)
            self._sockets.pop(number).close()


class Publisher:
    """Moves the tally over a connection of its own, and knows when it asked for which count."""

    def __init__(self, port: int, asked: Request) -> None:
        self._wire = asked.wire
        self._socket = socket.create_connection((HOST, port))
        self.at: dict[int, float] = {}
        self._next = self._answered()

    def _answered(self) -> int:
        """The count after one step, by the answer, which is waited for."""
        self._socket.sendall(self._wire)
        data = b""
        while (found := count_in(data)) is None:
            data += self._socket.recv(1 << 16)
        return found

    def publish(self) -> None:
        """One step. Answers are read away and not waited for."""
        self._socket.settimeout(0)
        try:
            while self._socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        self._next += 1
        self.at[self._next] = time.perf_counter()
        self._socket.settimeout(OPEN_SECONDS)
        self._socket.sendall(self._wire)


def count_in(payload: bytes) -> int | None:
    """The number of ballots that a payload tells; None where it tells none, or is cut off in it."""
    start = payload.find(_COUNT)
    if start < 0:
        return None
    start += len(_COUNT)
    end = start
    while end < len(payload) and 48 <= payload[end] <= 57:
        end += 1
    return int(payload[start:end]) if start < end < len(payload) else None


def _message(kind: str, payload: object, **more: str) -> bytes:
    return orjson.dumps({"type": kind, "payload": payload, **more})


def follow(crowd: Crowd, publisher: Publisher, seconds: float) -> Arrivals:
    """Publishes for so many seconds and notes each arrival of what was published."""
    came = Arrivals(crowd.size)
    started = time.perf_counter()
    for number in range(int(seconds * RATE)):
        publisher.publish()
        _note(crowd, publisher, came, started + (number + 1) / RATE - time.perf_counter())
    came.seconds = time.perf_counter() - started
    came.published = len(publisher.at)
    _note(crowd, publisher, came, DRAIN_SECONDS)
    came.closed = came.sockets - crowd.size
    return came


def _note(crowd: Crowd, publisher: Publisher, came: Arrivals, seconds: float) -> None:
    at = publisher.at
    for moment, payload in crowd.messages(seconds):
        published = at.get(count_in(payload) or 0)
        if published is not None:
            came.late_ms.append((moment - published) * 1000)


def main() -> None:
    port, number, seconds, round_id = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    tokens = [line.strip() for line in iter(sys.stdin.readline, "\n")]
    crowd = Crowd(port, number, tokens, round_id)
    publisher = Publisher(port, request(BUMP, token=tokens[0], round=round_id))
    for _ in crowd.messages(SETTLE_SECONDS):
        pass
    print("ready", flush=True)
    sys.stdin.readline()
    print(orjson.dumps(follow(crowd, publisher, seconds).told()).decode(), flush=True)


if __name__ == "__main__":
    main()

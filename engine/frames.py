"""Text frames, as fast as a socket takes them: written to the transport, past the layers of ASGI where that can be.

ASGI's `send` costs two to three times what the frame itself does. `FrameProtocol` is uvicorn's own implementation
(`ws="engine.frames:FrameProtocol"`), which lends itself to the application as the extension `esc.frames`; under any
other server an `AsgiWire` does the same by `send`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from starlette.types import Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

EXTENSION = "esc.frames"
TEXT = 0x81  # the last and only frame of a text
SHORT, MEDIUM = 126, 1 << 16


class Wire(Protocol):
    """An accepted socket. `on_free` is called when it is no longer slow, and when it is gone."""

    on_free: Callable[[], None]

    @property
    def slow(self) -> bool:
        """Whether the peer reads more slowly than it is written to, so that texts pile up in memory."""
        ...

    def write(self, *parts: bytes) -> None:
        """One text, UTF-8, in parts. What comes after the end is dropped."""
        ...

    async def free(self) -> None:
        """Returns when it is not slow."""
        ...

    async def end(self, code: int, reason: str) -> None:
        """Closes with a reason of at most 123 bytes. A peer that does not read hears it once it does."""
        ...


def wire_of(scope: Scope, send: Send) -> Wire:
    lent: Wire | None = (scope.get("extensions") or {}).get(EXTENSION)
    return lent or AsgiWire(send)


def header(length: int) -> bytes:
    """Of an unmasked text frame with so many bytes (RFC 6455 §5.2)."""
    if length < SHORT:
        return bytes((TEXT, length))
    if length < MEDIUM:
        return bytes((TEXT, SHORT)) + length.to_bytes(2, "big")
    return bytes((TEXT, SHORT + 1)) + length.to_bytes(8, "big")


def nobody() -> None:
    """Nobody waits for the socket."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """One connection. A peer that keeps its side open though it was told to close is cut off after `close_timeout`."""

    on_free: Callable[[], None] = staticmethod(nobody)

    @property
    def slow(self) -> bool:
        return not self.writable.is_set()

    def write(self, *parts: bytes) -> None:
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(b"".join((header(sum(map(len, parts))), *parts)))

    async def free(self) -> None:
        await self.writable.wait()

    async def end(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing() or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.read_paused = False
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:  # noqa: PLR2004 - switching protocols
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def resume_writing(self) -> None:
        super().resume_writing()
        self.on_free()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.on_free()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)


class AsgiWire:
    """A socket behind ASGI's `send`: one text at a time, each when the one before is through."""

    def __init__(self, send: Send) -> None:
        self.on_free: Callable[[], None] = nobody
        self._send = send
        self._texts: deque[bytes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def slow(self) -> bool:
        return self._writer is not None

    def write(self, *parts: bytes) -> None:
        if self._ended:
            return
        self._texts.append(b"".join(parts))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        with suppress(OSError, RuntimeError):  # the client has left, or the server has closed: the reader hears of it
            while self._texts:
                await self._send({"type": "websocket.send", "text": self._texts.popleft().decode()})
        self._texts.clear()
        self._writer = None
        self.on_free()

    async def free(self) -> None:
        if self._writer is not None:
            await asyncio.wait((self._writer,))

    async def end(self, code: int, reason: str) -> None:
        self._ended = True
        await self.free()
        with suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

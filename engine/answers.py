"""Whole answers, written to the connection at once, past the layers of ASGI where that can be.

ASGI's `send` takes an answer in two messages, checks every header anew and writes twice, which costs more than all that
this server does for an answer from its cache. `AnswerProtocol` is uvicorn's own implementation
(`http="engine.answers:AnswerProtocol"`), which lends itself to the application as the extension `esc.answers`; under
any other server answers go by `send`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from kit import metrics

EXTENSION = "esc.answers"

Write = Callable[[Scope, int, Sequence[tuple[bytes, bytes]], bytes], bool]


def writer_of(scope: Scope) -> Write | None:
    """What writes a whole answer to the request of that scope: status, headers, body. It returns False if it cannot.

    Headers must be fit for the wire, with the body's length among them and nothing about the connection. None: the
    server lends no such thing.
    """
    extensions = scope.get("extensions")
    return extensions.get(EXTENSION) if extensions else None


class AnswerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP connection, lent to the application."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lent = {EXTENSION: self._write}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._lent  # type: ignore[typeddict-item]

    def _write(self, scope: Scope, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        cycle = self.cycle
        if cycle.scope is not scope or self.flow.write_paused or scope["method"] == "HEAD":
            return False  # another request waits behind this one, or the client reads slowly
        metrics.count_answer(scope["method"], status)
        if cycle.disconnected:
            return True
        lines = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n", body) if cycle.keep_alive else (b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(lines))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

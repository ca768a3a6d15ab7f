"""Lines of a log that nobody waits for."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from structlog.types import EventDict, WrappedLogger

from kit import clock

PAUSE_SECONDS = 0.1
MOST_WAITING = 20_000  # some 6 MB; a busy process has a tenth of it in a pause


class LinesHandler(logging.StreamHandler[TextIO]):
    """Writes records at once, and events that are given to it for `later` together, in a thread of their own.

    Lines keep their order: a record goes out behind the events that wait. A process that is killed outright loses the
    events of its last 0.1 seconds, one that ends in any other way loses none. Where the stream's reader stands still,
    events are dropped at a limit, and their number is told once it reads on; the event loop never waits for it.
    """

    def __init__(self, stream: TextIO, render: Callable[[WrappedLogger, str, EventDict], Any]) -> None:
        super().__init__(stream)
        self._render = render
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._timed = False

    def later(self, event: EventDict) -> None:
        """Writes the event, which must hold no secret, within 0.1 seconds."""
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(self._line("info", event))
        if not self._timed:
            self._timed = True
            timer = threading.Timer(PAUSE_SECONDS, self.flush)
            timer.daemon = True
            timer.start()

    def emit(self, record: logging.LogRecord) -> None:
        self._write_waiting()
        super().emit(record)

    def flush(self) -> None:
        """Returns when all that waited is written."""
        self.acquire()
        try:
            self._timed = False
            self._write_waiting()
            with suppress(OSError, ValueError):
                super().flush()
        finally:
            self.release()

    def _write_waiting(self) -> None:
        lines = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            told = {"event": "lines dropped", "count": dropped, "logger": __name__, "level": "warning"}
            lines.append(self._line("warning", told | {"time": clock.real()}))
        if lines:
            with suppress(OSError, ValueError):  # whoever read them is gone
                self.stream.write("".join(lines))

    def _line(self, level: str, event: EventDict) -> str:
        return f"{self._render(None, level, event)}{self.terminator}"

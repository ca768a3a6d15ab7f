"""Structured logs on standard output: readable in development, one JSON object a line elsewhere.

Each line names the request that it was written for. Personal data and secrets are masked on the way out, in keys,
texts and tracebacks, since whoever reads logs may read neither (个人信息保护法, article 51; R-SEC-02).
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from kit import clock
from kit.lines import LinesHandler
from kit.settings import Settings

MASK = "***"
_SECRET_KEY = re.compile(
    r"passw|secret|token|authorization|cookie|credential|api_?key|otp$|captcha|mobile|phone|id_?(number|card)",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"""(?<![0-9A-Za-z])(?:
        (?:\+?86[-\ ]?)? 1[3-9]\d [-\ ]?\d{4} [-\ ]?\d{4}                                      # mobile
      | [1-9]\d{5} (?:18|19|20)\d{2} (?:0[1-9]|1[0-2]) (?:0[1-9]|[12]\d|3[01]) \d{3}[\dXx]     # ID, GB 11643
      | [1-9]\d{7} (?:0[1-9]|1[0-2]) (?:0[1-9]|[12]\d|3[01]) \d{3}                             # ID of 15 digits
      | eyJ[\w-]+\.[\w-]+\.[\w-]*                                                              # JWT
    )(?![0-9A-Za-z])
    | (?<=://)[^\s/@]*:[^\s/@]+(?=@)                                                           # URL password
    | (?<=Bearer\ )[\w.~+/=-]+
    """,
    re.VERBOSE,
)
_QUIET = ("alembic", "asyncio", "httpcore", "httpx")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_KEPT_NAME = 64
_OWN_ID = 32


def configure(settings: Settings) -> None:
    """Routes structlog, the standard library's loggers and uvicorn's (run it with `log_config=None`) to one handler.

    uvicorn's access log stays off: its addresses carry GraphQL variables.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_request,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        add_time,
        structlog.processors.format_exc_info,
        mask,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    global _output  # noqa: PLW0603 - a process has one standard output
    render = _renderer(settings)
    _output = LinesHandler(sys.stdout, render)
    _output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [_output]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.setLevel(logging.NOTSET)
        logger.propagate = name != "uvicorn.access"
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def operation(
    *,
    name: str | None,
    kind: str | None,
    seconds: float,
    codes: Sequence[str],
    viewer_id: UUID | None,
    request_id: str,
    transport: str,
    members: int | None = None,
) -> None:
    """One line for an operation that is over, a little later. `members` stands in it where it is not None.

    It is the line that `structlog.get_logger("app").info("operation", …)` writes, for a hundredth of the time: of its
    values only those that a client chooses are searched for secrets.
    """
    _output.later(
        {
            "name": name if name is None else _masked_name(name),
            "kind": kind,
            "seconds": seconds,
            "codes": list(codes),
            "viewer_id": viewer_id,
            "request_id": request_id if _harmless(request_id) else masked(request_id),
            "transport": transport,
            **({} if members is None else {"members": members}),
            "event": "operation",
            "logger": "app",
            "level": "info",
            "time": clock.real(),
        }
    )


def _masked_name(name: str) -> str:
    return _masked_short(name) if len(name) <= _KEPT_NAME else str(masked(name))


@lru_cache(1024)
def _masked_short(name: str) -> str:
    return str(masked(name))


def _harmless(identifier: str) -> bool:
    """Whether it is one word of 32 letters and digits, such as our own ids: every secret is shorter or has marks."""
    return len(identifier) == _OWN_ID and identifier.isalnum()


def add_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if (current := request_id.get()) is not None:
        event.setdefault("request_id", current)
    return event


def add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["time"] = clock.real().isoformat()
    return event


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces values of telling keys, and mobile and ID numbers, tokens and URL passwords in texts, by `***`."""
    return {key: value if key.startswith("_") else masked(value, key) for key, value in event.items()}


def masked(value: Any, key: str = "") -> Any:
    """The value as it may be logged. What is neither a number nor a text nor made of them becomes its text."""
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEY.search(key):
        return MASK
    if isinstance(value, Mapping):
        return {str(name): masked(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(each) for each in value]
    text = value if isinstance(value, str) else str(value)
    hidden = _SECRET_TEXT.sub(MASK, text)
    return value if hidden == text and isinstance(value, int | float) else hidden


def _renderer(settings: Settings) -> Processor:
    if not (settings.development and settings.log_format == "console"):
        return _json
    console = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), timestamp_key="time")
    return lambda logger, method, event: console(logger, method, {key: _text(each) for key, each in event.items()})


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str).decode()


def _text(value: Any) -> Any:
    """Times and ids as JSON has them."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


_output = LinesHandler(sys.stdout, _json)

"""Which media type an answer has (RFC 9110, "Accept"; GraphQL over HTTP, "Media Types").

Clients send the same few headers again and again, so what short ones mean is remembered.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"
HTML = "text/html"
EXACT = 2
RESULT_TYPES = (JSON, GRAPHQL_JSON, EVENT_STREAM)
STREAM_TYPES = (EVENT_STREAM, MULTIPART)
REMEMBERED = 256

_PART = re.compile(r'((?:[^,"]|"(?:[^"\\]|\\.)*")+)')
_PIECE = re.compile(r'((?:[^;"]|"(?:[^"\\]|\\.)*")+)')


Meaning = TypeVar("Meaning")


def remembered(read: Callable[[bytes], Meaning]) -> Callable[[bytes], Meaning]:
    """The function, with its results for the last 256 headers of at most 256 bytes kept."""
    kept = lru_cache(REMEMBERED)(read)
    return lambda header: kept(header) if len(header) <= REMEMBERED else read(header)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of an Accept header. `precision`: 0 for `*/*`, 1 for `type/*`, EXACT for a type."""

    type: str
    quality: float
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def precision(self) -> int:
        return 0 if self.type == "*/*" else 1 if self.type.endswith("/*") else EXACT

    def admits(self, media: str) -> bool:
        if self.type not in ("*/*", media) and self.type != f"{media.partition('/')[0]}/*":
            return False
        return media != MULTIPART or self.parameters.get("subscriptionspec") == "1.0"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a client welcomes: a media type for one result, one for a stream of them, or neither.

    `page`: HTML rather than any result. `named`: a media type of ours by name, which no link, image or script sends.
    """

    result: str | None
    stream: str | None
    page: bool
    named: bool


@remembered
def accepted(header: bytes) -> Accepted:
    """The meaning of an Accept header, empty where there is none."""
    welcome = ranges(header.decode("latin-1"))
    return Accepted(
        result=choose(welcome, RESULT_TYPES),
        stream=choose((each for each in welcome if each.precision), STREAM_TYPES),
        page=choose(welcome, (*RESULT_TYPES, HTML)) == HTML,
        named=not {each.type for each in welcome}.isdisjoint(RESULT_TYPES),
    )


@remembered
def content(header: bytes) -> tuple[str, str]:
    """Media type and charset in a Content-Type header, empty where there is none."""
    media, parameters = parse_media_type(header.decode("latin-1"))
    return media, parameters.get("charset", "utf-8")


def ranges(accept: str) -> list[Range]:
    """Without a header everything is welcome. A range that wants another charset than UTF-8 admits nothing of ours."""
    found = [_range(part) for part in _PART.findall(accept or "*/*") if part.strip()]
    return [each for each in found if each.parameters.get("charset", "utf-8") in ("utf-8", "utf8")]


def choose(accepted: Iterable[Range], offers: Iterable[str]) -> str | None:
    """The best of the offers, which stand in the server's order for clients that have no wish. None: 406.

    A client that names `application/graphql-response+json` gets it over `application/json` of the same quality.
    """
    accepted = list(accepted)
    best: tuple[float, int, bool] = (0.0, -1, False)
    chosen = None
    for media in offers:
        matching = max((each for each in accepted if each.admits(media)), key=lambda each: each.precision, default=None)
        if matching is None or matching.quality <= 0:
            continue
        score = (matching.quality, matching.precision, matching.precision == EXACT and media == GRAPHQL_JSON)
        if score > best:
            best, chosen = score, media
    return chosen


def parse_media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters, names and types in lower case."""
    first, *rest = (piece.strip() for piece in _PIECE.findall(text) or [""])
    parameters = {}
    for piece in rest:
        name, _, value = piece.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"').lower()
    return first.lower(), parameters


def _range(text: str) -> Range:
    type_, parameters = parse_media_type(text)
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 0.0
    return Range(type_, quality if 0 <= quality <= 1 else 0.0, parameters)

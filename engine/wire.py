"""One HTTP request and its answer, on raw ASGI."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import methodcaller
from typing import Any, NamedTuple

import orjson
from starlette.types import Message, Receive, Scope, Send

from engine.answers import writer_of
from engine.errors import Described, Headers, RequestError, bad_request, internal
from engine.limits import Limits
from engine.negotiation import GRAPHQL_JSON, JSON
from kit.errors import Unauthenticated
from kit.ids import uuid7_hex

Result = dict[str, Any]


class Answer(NamedTuple):
    """One result as it goes out: encoded once, however many clients get it.

    `fatal`: its errors, where it has no data; nothing follows it then.
    """

    body: bytes
    fatal: list[Described] | None = None


CLOSE: Headers = (("connection", "close"),)
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"vary", b"Accept, Origin"),
)
CONTENT_TYPES = {media: f"{media}; charset=utf-8" for media in (JSON, GRAPHQL_JSON)}
DISCARDED = 16

_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")


class ClientGoneError(Exception):
    """The client left before it had sent its request."""


class Fields(Mapping[str, str]):
    """Header fields by name in lower case, decoded when they are read. Of one sent twice the first counts.

    `raw`: as they came, for who reads many of them. A client may send its Accept in parts.
    """

    __slots__ = ("raw",)

    def __init__(self, sent: Sequence[tuple[bytes, bytes]]) -> None:
        self.raw: dict[bytes, bytes] = dict(sent)
        if len(self.raw) < len(sent):
            self.raw = dict(reversed(sent))
            if b"accept" in self.raw:
                self.raw[b"accept"] = b", ".join(value for name, value in sent if name == b"accept")

    def __getitem__(self, name: str) -> str:
        return self.raw[name.encode()].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def get(self, name: str, default: Any = None) -> Any:
        value = self.raw.get(name.encode())
        return default if value is None else value.decode("latin-1")


def headers_of(scope: Scope) -> Fields:
    return Fields(scope["headers"])


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's `x-request-id` where it is fit for logs, else a new one."""
    given = headers.get("x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else uuid7_hex()


def client_of(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


def bearer(authorization: object) -> str | None:
    """The token of an `Authorization` text. None: there is none. Raises Unauthenticated for any other scheme."""
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ") if isinstance(authorization, str) else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send a bearer token (请使用 Bearer 令牌)")
    return token.strip()


def whole_body(message: Message | None, limit: int) -> bytes | None:
    """The body, where one message brought all of it and it is not too long, in bytes."""
    if message is None or message["type"] != "http.request" or message.get("more_body"):
        return None
    body: bytes = message.get("body", b"")
    return body if len(body) <= limit else None


async def read_body(
    receive: Receive, headers: Mapping[str, str], limits: Limits, first: Message | None, seconds: float
) -> bytes:
    """A body of which at most a first message has come; the rest may take so many seconds.

    Raises RequestError 413 for a body that is too long, 408 for one that takes too long to come.
    """
    announced = headers.get("content-length", "")
    body = Body(limits.body, int(announced[:20]) if announced.isdecimal() else 0)
    waits = headers.get("expect", "").lower() == "100-continue"
    try:
        async with asyncio.timeout(seconds):
            if first is not None:
                body.add(first)
            while not body.complete and not (waits and body.too_long):
                body.add(await receive())
    except TimeoutError:
        if not body.too_long:
            raise late() from None
    if body.too_long:
        raise bad_request(f"The body is longer than {limits.body} bytes (请求体超过 {limits.body} 字节)", 413, CLOSE)
    return bytes(body.data)


def late() -> RequestError:
    return bad_request("The body did not arrive in time (请求体未按时到达)", 408, CLOSE)


class Body:
    """What has come of a body, in bytes.

    One that is too long is read on and thrown away, up to 16 times the limit: a client that is still sending would see
    a broken connection instead of its answer.
    """

    def __init__(self, limit: int, announced: int) -> None:
        self.data = bytearray()
        self.complete = False
        self._limit = limit
        self._size = announced
        self._received = 0

    @property
    def too_long(self) -> bool:
        return max(self._size, self._received) > self._limit

    def add(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        self._received += len(chunk)
        if not self.too_long:
            self.data += chunk
        self.complete = not message.get("more_body", False) or self._received > self._limit * DISCARDED


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def encode(result: Any) -> bytes:
    """JSON in UTF-8. What orjson refuses (lone surrogates, 65-bit integers, 255 levels) goes out ASCII-escaped.

    A plan leaves moments and days to this; both ways of writing them are ISO 8601.
    """
    try:
        return orjson.dumps(result)
    except TypeError:
        pass
    try:
        return json.dumps(result, allow_nan=False, default=methodcaller("isoformat")).encode()
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return orjson.dumps({"errors": [internal(error)], "data": None})


class Reply:
    """The answer to one request. `headers` are those that it carries beside the ones of every answer."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self.request_id = request_id
        self.started = False
        self.headers: list[tuple[str, str]] = []

    async def start(self, status: int, media: str | None = None, headers: Headers = ()) -> None:
        await self._start(status, self._raw(media, headers))

    async def _start(self, status: int, raw: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    def _raw(self, media: str | None, headers: Headers) -> list[tuple[bytes, bytes]]:
        raw = [*ALWAYS, (b"x-request-id", self.request_id.encode())]
        if media is not None:
            raw.append((b"content-type", media.encode()))
        if headers or self.headers:
            named = {name.encode("latin-1"): value.encode("latin-1") for name, value in (*self.headers, *headers)}
            raw = list((dict(raw) | named).items())
        return raw

    async def chunk(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def whole(self, status: int, media: str | None, body: bytes, headers: Headers = ()) -> None:
        raw = self._raw(media, headers)
        if body or media is not None:
            raw.append((b"content-length", b"%d" % len(body)))
        write = writer_of(self._scope)
        if write is not None and not headers and write(self._scope, status, raw, body):
            self.started = True
            return
        await self._start(status, raw)
        await self.end(body)


class Request:
    """One exchange, in a task of its own: what came, and the media type of the reply, JSON until negotiated.

    `legacy`: the client accepts `application/json`, where a refused operation answers 200. `since`: when the
    server began to wait for what it waits for, in the event loop's seconds; `cut`: why it does so no longer.
    """

    def __init__(self, scope: Scope, receive: Receive, headers: Fields, reply: Reply) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.receive = receive
        self.headers = headers
        self.reply = reply
        self.media = JSON
        self.legacy = True
        self.since = 0.0
        self.cut: Exception | None = None

    async def result(self, status: int, body: bytes, headers: Headers = ()) -> None:
        await self.reply.whole(status, CONTENT_TYPES[self.media], body, headers)

    async def refuse(self, error: RequestError) -> None:
        status = error.json_status if self.legacy else error.status
        await self.result(status, encode({"errors": error.errors}), error.headers)

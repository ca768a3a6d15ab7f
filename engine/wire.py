"""One HTTP request and its answer, on raw ASGI."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from starlette.types import Message, Receive, Scope, Send

from engine.errors import Described, Headers, bad_request, internal
from engine.limits import Limits
from kit.errors import Unauthenticated
from kit.ids import uuid7

Result = dict[str, Any]


class Answer(NamedTuple):
    """One result as it goes out: encoded once, however many clients get it.

    `fatal`: its errors, where it has no data; nothing follows it then.
    """

    body: bytes
    fatal: list[Described] | None = None


CLOSE: Headers = (("connection", "close"),)
DISCARDED = 16

_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")


class ClientGoneError(Exception):
    """The client left before it had sent its request."""


def headers_of(scope: Scope) -> dict[str, str]:
    """Header names are in lower case. Of a header sent twice the first counts, but lists are joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name == "accept" and name in found else found.get(name, value)
    return found


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's `x-request-id` where it is fit for logs, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid7().hex


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


async def read_body(receive: Receive, headers: Mapping[str, str], limits: Limits) -> bytes:
    """Raises RequestError 413 for a body that is too long, 408 for one that takes too long to come."""
    announced = headers.get("content-length", "")
    body = Body(limits.body, int(announced[:20]) if announced.isdecimal() else 0)
    waits = headers.get("expect", "").lower() == "100-continue"
    try:
        async with asyncio.timeout(limits.body_seconds):
            while not body.complete and not (waits and body.too_long):
                body.add(await receive())
    except TimeoutError:
        if not body.too_long:
            raise bad_request("The body did not arrive in time (请求体未按时到达)", 408, CLOSE) from None
    if body.too_long:
        raise bad_request(f"The body is longer than {limits.body} bytes (请求体超过 {limits.body} 字节)", 413, CLOSE)
    return bytes(body.data)


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
    """JSON in UTF-8. What orjson refuses (lone surrogates, 65-bit integers, 255 levels) goes out ASCII-escaped."""
    try:
        return orjson.dumps(result)
    except TypeError:
        pass
    try:
        return json.dumps(result, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return orjson.dumps({"errors": [internal(error)], "data": None})


class Reply:
    """The answer to one request. Its headers are those that every answer of the server carries."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.started = False
        self.headers = {
            "x-request-id": request_id,
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
            "vary": "Accept, Origin",
        }

    async def start(self, status: int, media: str | None = None, headers: Headers = ()) -> None:
        self.started = True
        merged = self.headers | ({"content-type": media} if media else {}) | dict(headers)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in merged.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def chunk(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def whole(self, status: int, media: str | None, body: bytes, headers: Headers = ()) -> None:
        length = ("content-length", str(len(body)))
        await self.start(status, media, (*headers, length) if body or media else headers)
        await self.end(body)

"""One HTTP request and its answer, on raw ASGI."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from engine.errors import Headers, bad_request, internal
from engine.limits import Limits
from kit.errors import Unauthenticated
from kit.ids import uuid7

Result = dict[str, Any]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")


class ClientGone(Exception):
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
    """Raises RequestError 413 as soon as the body is known to be too long, 408 when it takes too long to come."""
    too_long = bad_request(
        f"The body is longer than {limits.body} bytes (请求体超过 {limits.body} 字节)", 413, (("connection", "close"),)
    )
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limits.body:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in _chunks(receive):
                body += chunk
                if len(body) > limits.body:
                    raise too_long
    except TimeoutError:
        late = "The body did not arrive in time (请求体未按时到达)"
        raise bad_request(late, 408, (("connection", "close"),)) from None
    return bytes(body)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def encode(result: Result) -> bytes:
    """A result that cannot be JSON in UTF-8 (a lone surrogate, an integer over 64 bits) becomes INTERNAL."""
    try:
        return orjson.dumps(result)
    except TypeError as error:
        return orjson.dumps({"errors": [internal(error)]})


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

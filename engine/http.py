"""GraphQL over HTTP: one request, one answer (or a stream). Every way to say no is here or in what this file calls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from graphql import OperationType
from starlette.types import Receive, Scope, Send

from auth.revocations import revocations
from auth.viewer import Viewer
from engine import ide, multipart, sse
from engine.errors import RequestError, bad_request, internal, wire_error
from engine.fanout import Fanout
from engine.limits import Limits
from engine.negotiation import (
    EVENT_STREAM,
    GRAPHQL_JSON,
    JSON,
    MULTIPART,
    RESULT_TYPES,
    Accepted,
    accepted,
    content,
)
from engine.origins import PREFLIGHT_HEADERS, Origins
from engine.params import Params, from_json, from_query_string
from engine.pipeline import Operation, Pipeline, RequestInfo, Transport
from engine.streams import Respond, Stream, until_gone
from engine.watch import Watch
from engine.wire import (
    Answer,
    ClientGoneError,
    Fields,
    Reply,
    Request,
    bearer,
    client_of,
    headers_of,
    read_body,
    request_id,
    whole_body,
)
from kit import log
from kit.errors import ApiError

METHODS = "GET, POST, OPTIONS"
ALLOWED_HEADERS = ", ".join(
    ("authorization", "content-type", "accept-language", "last-event-id", "x-request-id", *PREFLIGHT_HEADERS)
)
PREFLIGHT_SECONDS = "7200"

_STREAMS: dict[str, tuple[Transport, Respond]] = {
    EVENT_STREAM: ("sse", sse.respond),
    MULTIPART: ("multipart", multipart.respond),
}


class Http:
    """Serves one request per call. Between calls it only remembers which of them are still waiting for something."""

    def __init__(
        self,
        pipeline: Pipeline,
        fanout: Fanout,
        *,
        authenticate: Callable[[str | None], Awaitable[Viewer]],
        origins: Origins,
        limits: Limits,
        page: ide.Page | None,
    ) -> None:
        self._pipeline = pipeline
        self._fanout = fanout
        self._authenticate = authenticate
        self._origins = origins
        self._limits = limits
        self._page = page
        self._watch = Watch(limits.body_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        request = Request(scope, receive, headers, Reply(scope, send, request_id(headers)))
        bound = log.request_id.set(request.reply.request_id)
        try:
            await self._answer(request)
        except ClientGoneError:
            return
        except RequestError as error:
            await request.refuse(error)
        except ApiError as error:
            await request.refuse(wire_error(error))
        except Exception as error:  # noqa: BLE001 - the last resort: an id for the client, the rest for the log
            described = internal(error)
            if not request.reply.started:
                await request.refuse(RequestError([described], 500))
        finally:
            self._watch.leave(request)
            log.request_id.reset(bound)

    async def _answer(self, request: Request) -> None:
        origin = self._origins.listed(request.headers) if b"origin" in request.headers.raw else None
        if origin is not None:
            request.reply.headers += (
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", "x-request-id"),
            )
        welcome = accepted(request.headers.raw.get(b"accept", b""))
        if request.method == "OPTIONS":
            await self._preflight(request, listed=origin is not None)
        elif request.method not in ("GET", "POST"):
            raise bad_request("Use GET or POST (请使用 GET 或 POST)", 405, (("allow", METHODS),))
        elif request.method == "GET" and welcome.page and ide.asked_for(request.scope["query_string"]):
            await self._show_page(request)
        else:
            try:
                await self._operate(request, welcome)
            except asyncio.CancelledError:
                self._watch.explain(request)
                raise

    async def _preflight(self, request: Request, *, listed: bool) -> None:
        cors = (
            ("access-control-allow-methods", METHODS),
            ("access-control-allow-headers", ALLOWED_HEADERS),
            ("access-control-max-age", PREFLIGHT_SECONDS),
        )
        await request.reply.whole(204, None, b"", (("allow", METHODS), *(cors if listed else ())))

    async def _show_page(self, request: Request) -> None:
        viewer = await self._viewer(request)
        if self._page is None or not self._pipeline.may_introspect(viewer):
            raise bad_request("There is nothing to see here (此处没有页面)", 404)
        await ide.show(request.reply, self._page())

    async def _operate(self, request: Request, welcome: Accepted) -> None:
        media = welcome.result
        request.media = GRAPHQL_JSON if media == GRAPHQL_JSON else JSON
        request.legacy = media == JSON
        if media is None and welcome.stream is None:
            raise bad_request(f"Accept one of {', '.join(RESULT_TYPES)} (请接受其中一种媒体类型)", 406)
        text = await self._text(request)
        viewer = await self._viewer(request)
        info = RequestInfo(request.reply.request_id, "http", request.headers, client_of(request.scope))
        if media in (JSON, GRAPHQL_JSON) and (known := self._pipeline.recall(text, viewer, info)):
            await request.result(200, known.body)
            return
        params = from_json(text) if request.method == "POST" else from_query_string(text)
        try:
            operation = await self._pipeline.open(params, viewer, info, text)
        except (RequestError, ApiError) as error:
            if media != EVENT_STREAM:
                raise
            await sse.refuse(request.reply, wire_error(error) if isinstance(error, ApiError) else error)
            return
        if request.method == "GET" and operation.kind is OperationType.MUTATION:
            raise bad_request("Send mutations by POST (变更操作须使用 POST)", 405, (("allow", "POST"),))
        if operation.kind is OperationType.SUBSCRIPTION:
            await self._stream(request, operation, params, welcome.stream)
        elif media is None:
            raise bad_request(f"Accept {JSON} for this operation (该操作请接受 {JSON})", 406)
        elif media == EVENT_STREAM:
            operation.info = replace(info, transport="sse")
            await sse.whole(request.reply, (await self._run(request, operation)).body)
        else:
            await request.result(200, (await self._run(request, operation)).body)

    async def _viewer(self, request: Request) -> Viewer:
        viewer = await self._authenticate(bearer(request.headers.get("authorization")))
        await revocations.check(viewer)
        return viewer

    async def _run(self, request: Request, operation: Operation) -> Answer:
        if operation.kind is OperationType.QUERY:
            self._watch.running(request)
        try:
            return await self._pipeline.run(operation)
        finally:
            self._watch.leave(request)

    async def _text(self, request: Request) -> bytes:
        """What is asked, as it was sent: the body of a POST, the query string of a GET that no foreign page caused."""
        if request.method == "POST":
            _check_content(request.headers)
            return await self._body(request)
        text: bytes = request.scope["query_string"]
        if self._origins.forgeable(request.headers, lambda: "persistedQuery" in from_query_string(text).extensions):
            wanted = f"Send the header {PREFLIGHT_HEADERS[1]} (请携带请求头 {PREFLIGHT_HEADERS[1]})"
            raise bad_request(f"This GET could come from a foreign page. {wanted}")
        return text

    async def _body(self, request: Request) -> bytes:
        first = None
        self._watch.reading(request)
        if b"expect" not in request.headers.raw:
            first = await request.receive()
        self._watch.leave(request)
        body = whole_body(first, self._limits.body)
        if body is not None:
            return body
        left = request.since + self._limits.body_seconds - asyncio.get_running_loop().time()
        return await read_body(request.receive, request.headers, self._limits, first, left)

    async def _stream(self, request: Request, operation: Operation, params: Params, media: str | None) -> None:
        if media is None:
            wanted = f"Accept {EVENT_STREAM} or {MULTIPART};subscriptionSpec=1.0 for a subscription"
            raise bad_request(f"{wanted} (订阅请接受事件流)", 406)
        transport, respond = _STREAMS[media]
        operation.info = replace(operation.info, transport=transport)
        stream = Stream(operation.viewer, self._limits.keep_alive_seconds)
        self._fanout.join(stream, operation, params, request.headers.get("last-event-id"))
        await until_gone(request.receive, stream, respond(request.reply, stream))


def _check_content(headers: Fields) -> None:
    """Only JSON in UTF-8 is welcome, which also forces browsers to ask before a foreign page posts."""
    media, charset = content(headers.raw.get(b"content-type", b""))
    if media != JSON:
        raise bad_request(f"Send {JSON} (请发送 {JSON})", 415, (("accept", JSON),))
    if charset not in ("utf-8", "utf8"):
        raise bad_request("Send UTF-8 (请使用 UTF-8)", 415)
    if headers.raw.get(b"content-encoding", b"identity").lower() != b"identity":
        raise bad_request("Send the body uncompressed (请勿压缩请求体)", 415, (("accept-encoding", "identity"),))

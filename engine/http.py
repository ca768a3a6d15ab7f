"""GraphQL over HTTP: one request, one answer (or a stream). Every way to say no is here or in what this file calls."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from graphql import OperationType
from starlette.types import Receive, Scope, Send

from auth.viewer import Viewer
from engine import ide, multipart, sse
from engine.errors import RequestError, bad_request, internal, wire_error
from engine.limits import Limits
from engine.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, MULTIPART, choose, parse_media_type, ranges
from engine.origins import PREFLIGHT_HEADERS, Origins
from engine.params import Params, from_json, from_query_string
from engine.pipeline import Operation, Pipeline, RequestInfo, Transport
from engine.streams import Respond
from engine.wire import ClientGoneError, Reply, bearer, client_of, encode, headers_of, read_body, request_id
from kit.errors import ApiError

METHODS = "GET, POST, OPTIONS"
ALLOWED_HEADERS = ", ".join(("authorization", "content-type", "accept-language", "x-request-id", *PREFLIGHT_HEADERS))
PREFLIGHT_SECONDS = "7200"
RESULT_TYPES = (JSON, GRAPHQL_JSON, EVENT_STREAM)
STREAM_TYPES = (EVENT_STREAM, MULTIPART)

_STREAMS: dict[str, tuple[Transport, Respond]] = {
    EVENT_STREAM: ("sse", sse.respond),
    MULTIPART: ("multipart", multipart.respond),
}


class Http:
    """Serves one request at a time per call; holds nothing between them."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        authenticate: Callable[[str | None], Awaitable[Viewer]],
        origins: Origins,
        limits: Limits,
        page: ide.Page | None,
    ) -> None:
        self._pipeline = pipeline
        self._authenticate = authenticate
        self._origins = origins
        self._limits = limits
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        reply = Reply(send, request_id(headers))
        request = Request(scope, receive, headers, reply)
        with structlog.contextvars.bound_contextvars(request_id=reply.headers["x-request-id"]):
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
                if not reply.started:
                    await request.refuse(RequestError([described], 500))

    async def _answer(self, request: "Request") -> None:
        if origin := self._origins.listed(request.headers):
            request.reply.headers["access-control-allow-origin"] = origin
            request.reply.headers["access-control-expose-headers"] = "x-request-id"
        if request.method == "OPTIONS":
            await self._preflight(request, listed=origin is not None)
        elif request.method not in ("GET", "POST"):
            raise bad_request("Use GET or POST (请使用 GET 或 POST)", 405, (("allow", METHODS),))
        elif ide.asked_for(request.method, request.headers, request.query_string):
            await self._show_page(request)
        else:
            await self._operate(request)

    async def _preflight(self, request: "Request", *, listed: bool) -> None:
        cors = (
            ("access-control-allow-methods", METHODS),
            ("access-control-allow-headers", ALLOWED_HEADERS),
            ("access-control-max-age", PREFLIGHT_SECONDS),
        )
        await request.reply.whole(204, None, b"", (("allow", METHODS), *(cors if listed else ())))

    async def _show_page(self, request: "Request") -> None:
        viewer = await self._authenticate(bearer(request.headers.get("authorization")))
        if self._page is None or not self._pipeline.may_introspect(viewer):
            raise bad_request("There is nothing to see here (此处没有页面)", 404)
        await ide.show(request.reply, self._page())

    async def _operate(self, request: "Request") -> None:
        accepted = ranges(request.headers.get("accept"))
        media = choose(accepted, RESULT_TYPES)
        streaming = choose((each for each in accepted if each.precision), STREAM_TYPES)
        request.media = GRAPHQL_JSON if media == GRAPHQL_JSON else JSON
        request.legacy = media == JSON
        if media is None and streaming is None:
            raise bad_request(f"Accept one of {', '.join(RESULT_TYPES)} (请接受其中一种媒体类型)", 406)
        params = await self._params(request)
        viewer = await self._authenticate(bearer(request.headers.get("authorization")))
        try:
            operation = await self._pipeline.open(params, viewer, request.info)
        except (RequestError, ApiError) as error:
            if media != EVENT_STREAM:
                raise
            await sse.refuse(request.reply, wire_error(error) if isinstance(error, ApiError) else error)
            return
        if request.method == "GET" and operation.kind is OperationType.MUTATION:
            raise bad_request("Send mutations by POST (变更操作须使用 POST)", 405, (("allow", "POST"),))
        if operation.kind is OperationType.SUBSCRIPTION:
            await self._stream(request, operation, streaming)
        elif media == EVENT_STREAM:
            await self._stream(request, operation, media)
        elif media is None:
            raise bad_request(f"Accept {JSON} for this operation (该操作请接受 {JSON})", 406)
        else:
            await request.result(200, (await self._pipeline.run(operation)).body)

    async def _params(self, request: "Request") -> Params:
        if request.method == "POST":
            _check_content(request.headers)
            return from_json(await read_body(request.receive, request.headers, self._limits))
        params = from_query_string(request.query_string)
        if self._origins.forgeable(request.headers, hashed="persistedQuery" in params.extensions):
            wanted = f"Send the header {PREFLIGHT_HEADERS[1]} (请携带请求头 {PREFLIGHT_HEADERS[1]})"
            raise bad_request(f"This GET could come from a foreign page. {wanted}")
        return params

    async def _stream(self, request: "Request", operation: Operation, media: str | None) -> None:
        if media is None:
            wanted = f"Accept {EVENT_STREAM} or {MULTIPART};subscriptionSpec=1.0 for a subscription"
            raise bad_request(f"{wanted} (订阅请接受事件流)", 406)
        transport, respond = _STREAMS[media]
        operation.info = replace(operation.info, transport=transport)
        results = self._pipeline.stream(operation)
        await respond(request.reply, request.receive, results, operation.viewer, self._limits.keep_alive_seconds)


class Request:
    """One exchange: what came, and the media type of the reply, JSON until negotiated.

    `legacy`: the client accepts `application/json`, where a refused operation answers 200.
    """

    def __init__(self, scope: Scope, receive: Receive, headers: dict[str, str], reply: Reply) -> None:
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self.client = client_of(scope)
        self.receive = receive
        self.headers = headers
        self.reply = reply
        self.media = JSON
        self.legacy = True

    @property
    def info(self) -> RequestInfo:
        return RequestInfo(self.reply.headers["x-request-id"], "http", self.headers, self.client)

    async def result(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        await self.reply.whole(status, f"{self.media}; charset=utf-8", body, headers)

    async def refuse(self, error: RequestError) -> None:
        status = error.json_status if self.legacy else error.status
        await self.result(status, encode({"errors": error.errors}), tuple(error.headers))


def _check_content(headers: dict[str, str]) -> None:
    """Only JSON in UTF-8 is welcome, which also forces browsers to ask before a foreign page posts."""
    media, parameters = parse_media_type(headers.get("content-type", ""))
    if media != JSON:
        raise bad_request(f"Send {JSON} (请发送 {JSON})", 415, (("accept", JSON),))
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
        raise bad_request("Send UTF-8 (请使用 UTF-8)", 415)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise bad_request("Send the body uncompressed (请勿压缩请求体)", 415, (("accept-encoding", "identity"),))

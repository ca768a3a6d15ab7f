"""The protocol graphql-transport-ws on raw ASGI. Close codes are those of its specification."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any

from starlette.types import Receive, Scope, Send

from auth.viewer import Viewer
from engine.errors import Described, RequestError, describe, internal
from engine.limits import Limits
from engine.origins import Origins
from engine.params import Params, decode_json, from_object
from engine.pipeline import Pipeline, RequestInfo
from engine.streams import EXPIRED_REASON, seconds_left
from engine.wire import Answer, bearer, client_of, encode, headers_of
from kit.errors import ApiError, ErrorCode
from kit.ids import uuid7

SUBPROTOCOL = "graphql-transport-ws"
MAX_REASON_BYTES = 120  # a close frame holds 123

BAD_MESSAGE, UNAUTHORIZED, FORBIDDEN, BAD_SUBPROTOCOL, INIT_TIMEOUT = 4400, 4401, 4403, 4406, 4408
SUBSCRIBER_EXISTS, TOO_MANY_INITS, TOO_BIG, SERVER_ERROR = 4409, 4429, 1009, 1011

Message = MutableMapping[str, Any]


class ClosingError(Exception):
    """The socket must be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


class WebSocket:
    """Accepts sockets and serves each until it ends."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        authenticate: Callable[[str | None], Awaitable[Viewer]],
        origins: Origins,
        limits: Limits,
    ) -> None:
        self.pipeline = pipeline
        self.authenticate = authenticate
        self.limits = limits
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = headers_of(scope)
        if "origin" in headers and self._origins.foreign(headers):
            await send({"type": "websocket.close", "code": FORBIDDEN})  # before accept: HTTP 403
            return
        spoken = SUBPROTOCOL in scope.get("subprotocols", ())
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if spoken else None})
        if not spoken:
            reason = f"Speak {SUBPROTOCOL} (请使用 {SUBPROTOCOL})"
            await send({"type": "websocket.close", "code": BAD_SUBPROTOCOL, "reason": reason})
            return
        await Socket(self, scope, receive, send).serve()


class Socket:
    """One accepted socket. Its reader handles messages in order; each operation runs as a task of its own."""

    def __init__(self, server: WebSocket, scope: Scope, receive: Receive, send: Send) -> None:
        self._pipeline = server.pipeline
        self._authenticate = server.authenticate
        self._limits = server.limits
        self._headers = headers_of(scope)
        self._client = client_of(scope)
        self._receive = receive
        self._raw_send = send
        self._viewer: Viewer | None = None
        self._initialised = asyncio.Event()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the client leaves, breaks the protocol or its token expires. No operation outlives its socket."""
        duties = [asyncio.create_task(duty) for duty in (self._read(), self._watch_time(), self._keep_alive())]
        try:
            await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running = [*duties, *self._operations.values(), *self._ending]
            for task in running:
                task.cancel()
            outcomes = await asyncio.gather(*running, return_exceptions=True)
        left = duties[0].done() and outcomes[0] is None
        for outcome in outcomes:
            if isinstance(outcome, ClosingError) and not left:
                with suppress(OSError):
                    await self._raw_send({"type": "websocket.close", "code": outcome.code, "reason": outcome.reason})
                return

    async def _watch_time(self) -> None:
        """Ends the socket that does not introduce itself, and later the one whose token ends."""
        try:
            async with asyncio.timeout(self._limits.init_seconds):
                await self._initialised.wait()
        except TimeoutError:
            raise ClosingError(INIT_TIMEOUT, "Connection initialisation timeout (连接初始化超时)") from None
        left = seconds_left(self._viewer) if self._viewer else None
        await asyncio.sleep(left) if left is not None else await asyncio.Event().wait()
        raise ClosingError(FORBIDDEN, EXPIRED_REASON)

    async def _keep_alive(self) -> None:
        await self._initialised.wait()
        while True:
            await asyncio.sleep(self._limits.keep_alive_seconds)
            await self._send({"type": "ping"})

    async def _read(self) -> None:
        while (frame := await self._receive())["type"] == "websocket.receive":
            try:
                await self._handle(self._decoded(frame))
            except RequestError as error:
                raise ClosingError(BAD_MESSAGE, str(error)) from None
            except ClosingError:
                raise
            except Exception as error:  # noqa: BLE001 - logged; the client learns that it is our fault
                internal(error)
                raise ClosingError(SERVER_ERROR, "Internal error (内部错误)") from None

    def _decoded(self, frame: Message) -> Message:
        text = frame.get("text")
        if text is None:
            raise ClosingError(BAD_MESSAGE, "Send text frames (请发送文本帧)")
        if len(text.encode()) > self._limits.message:
            raise ClosingError(TOO_BIG, f"A message has at most {self._limits.message} bytes (消息过长)")
        message = decode_json(text)
        if not isinstance(message, dict):
            raise ClosingError(BAD_MESSAGE, "A message is a JSON object (消息须为 JSON 对象)")
        return message

    async def _handle(self, message: Message) -> None:
        match message.get("type"):
            case "connection_init":
                await self._initialise(_payload(message))
            case "ping":
                payload = _payload(message)
                await self._send({"type": "pong", "payload": payload} if payload else {"type": "pong"})
            case "pong":
                _payload(message)
            case "subscribe":
                await self._subscribe(_id(message), message.get("payload"))
            case "complete":
                if task := self._operations.pop(_id(message), None):
                    self._end(task)
            case _:
                raise ClosingError(BAD_MESSAGE, "Unknown message type (未知的消息类型)")

    async def _initialise(self, payload: Message) -> None:
        if self._viewer is not None:
            raise ClosingError(TOO_MANY_INITS, "Too many initialisation requests (重复的初始化请求)")
        given = payload.get("authorization", payload.get("Authorization", self._headers.get("authorization")))
        try:
            self._viewer = await self._authenticate(bearer(given))
        except ApiError as error:
            raise ClosingError(FORBIDDEN, f"Forbidden: {error}") from None
        self._initialised.set()
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, id_: str, payload: object) -> None:
        if self._viewer is None:
            raise ClosingError(UNAUTHORIZED, "Unauthorized: send connection_init first (请先初始化连接)")
        params = from_object(payload)
        if params.query is None and "persistedQuery" not in params.extensions:
            raise ClosingError(BAD_MESSAGE, "Send a query (缺少 query)")
        if id_ in self._operations:
            raise ClosingError(SUBSCRIBER_EXISTS, f"Subscriber for {id_} already exists (该 id 已被占用)")
        if len(self._operations) >= self._limits.concurrent:
            await self._send({"id": id_, "type": "error", "payload": [describe(_too_many(self._limits.concurrent))]})
        else:
            self._operations[id_] = asyncio.create_task(self._operate(id_, params, self._viewer))

    async def _operate(self, id_: str, params: Params, viewer: Viewer) -> None:
        try:
            info = RequestInfo(uuid7().hex, "websocket", self._headers, self._client)
            operation = await self._pipeline.open(params, viewer, info)
            errors = await self._forward(id_, self._pipeline.stream(operation))
        except RequestError as error:
            errors = error.errors
        except Exception as error:  # noqa: BLE001 - one operation's failure must not end its socket
            errors = [internal(error)]
        self._operations.pop(id_)
        await self._send({"id": id_, "type": "error", "payload": errors} if errors else {"id": id_, "type": "complete"})

    async def _forward(self, id_: str, results: AsyncGenerator[Answer, None]) -> list[Described]:
        """Sends each result. Returns the errors of a last one without data."""
        prefix = encode(id_).decode()
        async with aclosing(results):
            async for result in results:
                if result.fatal is not None:
                    return result.fatal
                await self._send_text(f'{{"id":{prefix},"type":"next","payload":{result.body.decode()}}}')
        return []

    def _end(self, task: asyncio.Task[None]) -> None:
        """Cancels an operation, which closes its generator; the id is free at once."""
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.cancel()

    async def _send(self, message: Message) -> None:
        await self._send_text(encode(dict(message)).decode())

    async def _send_text(self, text: str) -> None:
        with suppress(OSError):  # the client has left: the reader hears of it
            await self._raw_send({"type": "websocket.send", "text": text})


def _payload(message: Message) -> Message:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise ClosingError(BAD_MESSAGE, "payload must be an object (payload 须为对象)")
    return payload or {}


def _id(message: Message) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not id_:
        raise ClosingError(BAD_MESSAGE, "id must be a text (id 须为非空文本)")
    return id_


def _too_many(maximum: int) -> ApiError:
    return ApiError(ErrorCode.RATE_LIMITED, f"At most {maximum} operations at a time (同时最多 {maximum} 个操作)")

"""The protocol graphql-transport-ws on raw ASGI. Close codes are those of its specification."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from graphql import OperationType
from starlette.types import Receive, Scope, Send

from auth.revocations import revocations
from auth.viewer import Viewer
from engine.errors import Described, RequestError, describe, internal
from engine.fanout import TOO_SLOW, Event, Fanout, Subscriber
from engine.frames import nobody, wire_of
from engine.limits import Limits
from engine.origins import Origins
from engine.params import Params, decode_json, from_object
from engine.pipeline import Operation, Pipeline, RequestInfo
from engine.streams import EXPIRED_REASON, seconds_left
from engine.wire import bearer, client_of, encode, headers_of
from kit import log
from kit.errors import ApiError, ErrorCode
from kit.ids import uuid7

SUBPROTOCOL = "graphql-transport-ws"
MAX_REASON_BYTES = 120  # a close frame holds 123

BAD_MESSAGE, UNAUTHORIZED, FORBIDDEN, BAD_SUBPROTOCOL, INIT_TIMEOUT = 4400, 4401, 4403, 4406, 4408
SUBSCRIBER_EXISTS, TOO_MANY_INITS, TOO_SLOW_CODE, TOO_BIG, SERVER_ERROR = 4409, 4429, 4499, 1009, 1011

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
        fanout: Fanout,
        *,
        authenticate: Callable[[str | None], Awaitable[Viewer]],
        origins: Origins,
        limits: Limits,
    ) -> None:
        self.pipeline = pipeline
        self.fanout = fanout
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
    """One accepted socket: one task, which reads, and one timer.

    An operation begins in a task, in which a query or a mutation is answered; a subscription goes on in a channel.
    """

    __slots__ = (
        *("_client", "_closing", "_headers", "_mutations", "_operations", "_receive", "_server", "_task", "_tasks"),
        *("_timer", "_unwatch", "_viewer", "wire"),
    )

    def __init__(self, server: WebSocket, scope: Scope, receive: Receive, send: Send) -> None:
        self.wire = wire_of(scope, send)
        self._server = server
        self._headers = headers_of(scope)
        self._client = client_of(scope)
        self._receive = receive
        self._viewer: Viewer | None = None
        self._operations: dict[str, asyncio.Task[None] | Subscriber] = {}
        self._mutations: set[asyncio.Task[None] | Subscriber] = set()
        self._tasks = asyncio.TaskGroup()
        self._closing: ClosingError | None = None
        self._unwatch: Callable[[], None] = nobody
        self._task = asyncio.current_task()

    async def serve(self) -> None:
        """Until the client leaves, breaks the protocol or may no longer be here.

        No operation outlives its socket. A mutation that runs by then is waited for, as one over HTTP is: a server that
        stops cancels this task, and the mutation with it, when its own patience is over.
        """
        async with self._tasks:
            await self._converse()

    async def _converse(self) -> None:
        self.wire.on_free = self._flush
        self._timer = asyncio.get_running_loop().call_later(self._server.limits.init_seconds, self._tick)
        try:
            await self._read()
        except ClosingError as error:
            self._closing = self._closing or error
        except asyncio.CancelledError:
            if self._closing is None or self._task is None or self._task.uncancel() > 0:
                raise
        finally:
            self._task = None
            self._timer.cancel()
            self._unwatch()
            self.wire.on_free = nobody
            while self._operations:
                self._abandon(self._operations.popitem()[1])
        if self._closing is not None:
            await self.wire.end(self._closing.code, self._closing.reason)

    def close(self, code: int, reason: str) -> None:
        """Ends the socket from outside of its own task."""
        if self._closing is None and self._task is not None:
            self._closing = ClosingError(code, reason)
            self._task.cancel()

    def _tick(self) -> None:
        """Ends the socket that did not introduce itself, and later the one whose token ends; else a sign of life."""
        if self._viewer is None:
            self.close(INIT_TIMEOUT, "Connection initialisation timeout (连接初始化超时)")
        elif seconds_left(self._viewer) == 0:
            self.close(FORBIDDEN, EXPIRED_REASON)
        else:
            self._send({"type": "ping"})
            self._schedule(self._viewer)

    def _schedule(self, viewer: Viewer) -> None:
        pause, left = self._server.limits.keep_alive_seconds, seconds_left(viewer)
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause if left is None else min(pause, left), self._tick)

    def _flush(self) -> None:
        for operation in tuple(self._operations.values()):
            if isinstance(operation, Subscriber):
                operation.flush()

    async def _read(self) -> None:
        while (frame := await self._receive())["type"] == "websocket.receive":
            await self.wire.free()  # who does not read is not read from
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
        if len(text.encode()) > self._server.limits.message:
            raise ClosingError(TOO_BIG, f"A message has at most {self._server.limits.message} bytes (消息过长)")
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
                self._send({"type": "pong", "payload": payload} if payload else {"type": "pong"})
            case "pong":
                _payload(message)
            case "subscribe":
                await self._subscribe(_id(message), message.get("payload"))
            case "complete":
                if operation := self._operations.pop(_id(message), None):
                    self._abandon(operation)
            case _:
                raise ClosingError(BAD_MESSAGE, "Unknown message type (未知的消息类型)")

    async def _initialise(self, payload: Message) -> None:
        if self._viewer is not None:
            raise ClosingError(TOO_MANY_INITS, "Too many initialisation requests (重复的初始化请求)")
        given = payload.get("authorization", payload.get("Authorization", self._headers.get("authorization")))
        try:
            viewer = await self._server.authenticate(bearer(given))
            await revocations.check(viewer)
        except ApiError as error:
            raise ClosingError(FORBIDDEN, f"Forbidden: {error}") from None
        self._viewer = viewer
        self._unwatch = revocations.watch(viewer, lambda reason: self.close(FORBIDDEN, reason))
        self._schedule(viewer)
        self._send({"type": "connection_ack"})

    async def _subscribe(self, id_: str, payload: object) -> None:
        if self._viewer is None:
            raise ClosingError(UNAUTHORIZED, "Unauthorized: send connection_init first (请先初始化连接)")
        params = from_object(payload)
        if params.query is None and "persistedQuery" not in params.extensions:
            raise ClosingError(BAD_MESSAGE, "Send a query (缺少 query)")
        if id_ in self._operations:
            raise ClosingError(SUBSCRIBER_EXISTS, f"Subscriber for {id_} already exists (该 id 已被占用)")
        if len({*self._operations.values(), *self._mutations}) >= self._server.limits.concurrent:
            self._send({"id": id_, "type": "error", "payload": [describe(_too_many(self._server.limits.concurrent))]})
        else:
            self._operations[id_] = self._tasks.create_task(self._open(id_, params, self._viewer))

    async def _open(self, id_: str, params: Params, viewer: Viewer) -> None:
        info = RequestInfo(uuid7().hex, "websocket", self._headers, self._client)
        log.request_id.set(info.id)
        body, errors = b"", list[Described]()
        try:
            await revocations.check(viewer)
            operation = await self._server.pipeline.open(params, viewer, info)
            if operation.kind is OperationType.SUBSCRIPTION:
                member = SocketMember(self, id_)
                self._server.fanout.join(member, operation, params)
                self._operations[id_] = member
                return
            body = await self._run(operation)
        except (RequestError, ApiError) as error:
            errors = error.errors if isinstance(error, RequestError) else [describe(error)]
        except Exception as error:  # noqa: BLE001 - one operation's failure must not end its socket
            errors = [internal(error)]
        if self._operations.get(id_) is asyncio.current_task():
            if body:
                self.wire.write(next_of(id_), body, b"}")
            self.end(id_, errors)

    async def _run(self, operation: Operation) -> bytes:
        """The one result. From here on a mutation counts among the socket's operations until it is done."""
        task = asyncio.current_task()
        if operation.kind is OperationType.MUTATION and task is not None:
            self._mutations.add(task)
        try:
            return (await self._server.pipeline.run(operation)).body
        finally:
            self._mutations.discard(task)

    def _abandon(self, operation: asyncio.Task[None] | Subscriber) -> None:
        """Nobody waits for it any more. A mutation that has begun runs to its end all the same."""
        if operation not in self._mutations:
            operation.cancel()

    def end(self, id_: str, errors: list[Described]) -> None:
        """An operation is over, and its id is free."""
        self._operations.pop(id_, None)
        self._send({"id": id_, "type": "error", "payload": errors} if errors else {"id": id_, "type": "complete"})

    def _send(self, message: Message) -> None:
        self.wire.write(encode(message))


class SocketMember(Subscriber):
    """One operation of a socket. What can be encoded once for its socket is."""

    __slots__ = ("_id", "_prefix", "_socket")

    def __init__(self, socket: Socket, id_: str) -> None:
        super().__init__()
        self._socket = socket
        self._id = id_
        self._prefix = next_of(id_)

    @property
    def busy(self) -> bool:
        return self._socket.wire.slow

    def send(self, event: Event) -> None:
        self._socket.wire.write(self._prefix, event.body, b"}")

    def end(self, errors: list[Described]) -> None:
        self._socket.end(self._id, errors)

    def end_slow(self) -> None:
        self._socket.close(TOO_SLOW_CODE, TOO_SLOW)


def next_of(id_: str) -> bytes:
    """The beginning of a message with a result, which the result and a brace complete."""
    return b'{"id":' + encode(id_) + b',"type":"next","payload":'


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

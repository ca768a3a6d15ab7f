"""A schema with one topic of states and one of messages, served on sockets both ways, and clients that listen."""

import asyncio
import json
import os
import socket as sockets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import httpx
import strawberry
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from auth.viewer import ANONYMOUS, Level, Viewer
from engine.topics import Keep
from kit import clock
from kit.bus import bus
from kit.db import database, fetch_text
from kit.errors import ApiError, ErrorCode
from tests.engine_harness import Query, Served, make_engine, source

PROTOCOL = Subprotocol("graphql-transport-ws")
BOARD, NEWS, BREAKING = (f"{topic}-{os.getpid()}" for topic in ("board", "notes", "breaking"))
RAW, ASGI = "engine.frames:FrameProtocol", "websockets-sansio"
STATE = "subscription State($pad: Int) { state(pad: $pad) { number } }"
WHO = "subscription { state { viewer request english } }"
NOTES = "subscription Notes($after: ID) { notes(after: $after) { id text } }"


class Board:
    """What the topic of states is about. `reads` counts how often it was looked at; `held` makes the next look long."""

    number: ClassVar[int] = 0
    reads: ClassVar[int] = 0
    streams: ClassVar[int] = 0
    held: ClassVar[asyncio.Event | None] = None

    @classmethod
    def clean(cls) -> None:
        cls.number = cls.reads = cls.streams = 0
        cls.held = None

    @classmethod
    async def change(cls) -> int:
        cls.number += 1
        await bus.publish(BOARD)
        return cls.number


@strawberry.type
class State:
    number: int
    viewer: str
    request: str
    english: bool
    pad: str


@strawberry.type
class Note:
    id: strawberry.ID
    text: str


async def look(info: strawberry.Info, pad: int | None) -> State:
    Board.reads += 1
    number = Board.number
    held, Board.held = Board.held, None
    if held is not None:
        await held.wait()
    viewer, request = info.context.viewer, info.context.info
    english = request.headers.get("accept-language", "").startswith("en")
    return State(number=number, viewer=str(viewer.id), request=request.id, english=english, pad="." * (pad or 0))


async def states(info: strawberry.Info, pad: int | None) -> AsyncGenerator[State, None]:
    Board.streams += 1
    try:
        async with bus.listen(BOARD) as changes:
            yield await look(info, pad)
            async for _ in changes:
                yield await look(info, pad)
    finally:
        Board.streams -= 1


async def written(after: str | None, pad: int) -> AsyncGenerator[Note, None]:
    async with bus.listen(NEWS) as news:
        last = await newest() if after is None else place(after)
        while True:
            for row in await fetch_text("SELECT id, text FROM note WHERE id > $1 ORDER BY id", last):
                last = row["id"]
                yield Note(id=strawberry.ID(str(last)), text=row["text"] + "." * pad)
            await anext(news)


@strawberry.type
class Subscription:
    @source(access="public", shared=True)
    def state(self, info: strawberry.Info, pad: int | None = None) -> AsyncGenerator[State, None]:
        return states(info, pad)

    @source(access="public")
    def own_state(self, info: strawberry.Info, pad: int | None = None) -> AsyncGenerator[State, None]:
        return states(info, pad)

    @source(access="content.review", shared=True)
    def secret(self, info: strawberry.Info) -> AsyncGenerator[State, None]:
        return states(info, None)

    @source(access="public", shared=True)
    async def breaking(self) -> AsyncGenerator[int, None]:
        async with bus.listen(BREAKING) as news:
            yield 1
            await anext(news)
            raise ApiError(ErrorCode.RATE_LIMITED, "Enough (够了)")

    @source(access="public", keep=Keep.EVERY, cursor=lambda note: note.id)
    def notes(self, after: strawberry.ID | None = None, pad: int = 0) -> AsyncGenerator[Note, None]:
        return written(after, pad)

    @source(access="public", shared=True, keep=Keep.EVERY, cursor=lambda note: note.id)
    def all_notes(self, after: strawberry.ID | None = None, pad: int = 0) -> AsyncGenerator[Note, None]:
        return written(after, pad)


def place(after: str) -> int:
    if not after.isdecimal():
        raise ApiError(ErrorCode.BAD_USER_INPUT, "No such place (位置无效)")
    return int(after)


async def newest() -> int:
    return int((await fetch_text("SELECT coalesce(max(id), 0) FROM note"))[0][0])


async def make_notes() -> None:
    async with database.write() as writing:
        await writing.connection.execute("CREATE TABLE note (id bigint PRIMARY KEY, text text NOT NULL)")


async def post(*texts: str, quiet: bool = False) -> None:
    """Writes notes. Their numbers are taken under a lock, so a note that is seen has no earlier one still to come."""
    async with database.write() as writing:
        await writing.connection.execute("LOCK TABLE note IN EXCLUSIVE MODE")
        for text in texts:
            await writing.connection.execute("INSERT INTO note SELECT coalesce(max(id), 0) + 1, $1 FROM note", text)
    if not quiet:
        await bus.publish(NEWS)


async def authenticate(token: str | None) -> Viewer:
    """`user1`, `user2` … differ in nothing but who they are; `brief…` too, but for half a second only."""
    if token is None:
        return ANONYMOUS
    name, number = token.rstrip("0123456789"), int("".join(filter(str.isdecimal, token)))
    ends = clock.real() + timedelta(seconds=0.5) if name == "brief" else None
    return Viewer(id=UUID(int=number), username=token, level=Level.L1, expires_at=ends)


def make_live(**options: Any) -> Served:
    Board.clean()
    schema = strawberry.federation.Schema(query=Query, subscription=Subscription, federation_version="2.9")
    return make_engine(schema=schema, authenticate=authenticate, **options)


@asynccontextmanager
async def served(app: Any, ws: str | type[asyncio.Protocol] = RAW) -> AsyncIterator[str]:
    """The application on a real server of this process and loop; its host and port."""
    listener = sockets.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(app, lifespan="off", log_level="critical", ws=ws, ws_per_message_deflate=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listener.close()


class Client:
    """One acknowledged socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def subscribe(self, query: str, **variables: Any) -> None:
        await self.say(type="subscribe", id="1", payload={"query": query, "variables": variables})

    async def message(self, seconds: float = 10) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await asyncio.wait_for(self.connection.recv(), seconds))
            if message["type"] != "ping":
                return message

    async def next(self, seconds: float = 10) -> Any:
        """The one field of the next event."""
        message = await self.message(seconds)
        assert message["type"] == "next", message
        (value,) = message["payload"]["data"].values()
        return value

    async def number(self) -> int:
        return int((await self.next())["number"])

    async def until(self, number: int) -> None:
        while await self.number() != number:
            pass


@asynccontextmanager
async def client(where: str, token: str | None = None, **headers: str) -> AsyncIterator[Client]:
    address = f"ws://{where}/graphql"
    options: dict[str, Any] = {"compression": None, "max_size": None, "max_queue": None}
    async with connect(address, subprotocols=[PROTOCOL], additional_headers=headers, **options) as connection:
        opened = Client(connection)
        await opened.say(type="connection_init", payload={"authorization": f"Bearer {token}"} if token else {})
        assert await opened.message() == {"type": "connection_ack"}
        yield opened


Sent = dict[str, str]


@asynccontextmanager
async def events(
    where: str, query: str, variables: dict[str, Any] | None = None, **headers: str
) -> AsyncIterator[AsyncGenerator[Sent, None]]:
    """The fields of each event of a response, comments left out."""
    sent = {"accept": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = {"query": query, "variables": variables or {}}
    async with (
        httpx.AsyncClient(timeout=10) as http,
        http.stream("POST", f"http://{where}/graphql", json=body, headers=sent) as response,
        aclosing(_events(response)) as found,
    ):
        yield found


async def _events(response: httpx.Response) -> AsyncGenerator[Sent, None]:
    event: Sent = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name:
            event[name] = value.strip()
        elif event:
            yield event
            event = {}
        if not name:
            event = {}


def payload(event: Sent) -> Any:
    """The one field of the event's data."""
    (value,) = json.loads(event["data"])["data"].values()
    return value

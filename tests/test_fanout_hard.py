"""Many sockets, slow ones, and a Redis that dies: everybody has the latest state, nobody misses a message."""

import asyncio
import resource
import socket as sockets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Any, ClassVar

import pytest
from redis.exceptions import RedisError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine import fanout
from engine.frames import FrameProtocol
from kit.bus import bus
from kit.db import database as pools
from kit.settings import settings
from tests.engine_harness import Served, until
from tests.live import (
    ASGI,
    BOARD,
    NEWS,
    NOTES,
    PROTOCOL,
    RAW,
    STATE,
    Board,
    Client,
    client,
    events,
    make_live,
    make_notes,
    payload,
    post,
    served,
)
from tests.processes import OwnRedis, own_redis

pytestmark = pytest.mark.hard

MANY = 2_000
LARGE = 100_000
BIG_STATES = "subscription Big($pad: Int) { state(pad: $pad) { number pad } }"
BIG_NOTES = "subscription Big($pad: Int!, $after: ID) { notes(after: $after, pad: $pad) { id text } }"
BIG_SHARED = "subscription Big($pad: Int!) { allNotes(pad: $pad) { id text } }"


class Kept(FrameProtocol):
    """A protocol that is remembered, so that what it keeps in memory can be looked at."""

    made: ClassVar[list["Kept"]] = []

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.close_timeout = 0.5
        self.made.append(self)


@pytest.fixture
async def live(database: str) -> AsyncIterator[Served]:
    await make_notes()
    await asyncio.wait_for(bus.connected.wait(), 5)
    yield make_live()
    await until(lambda: Board.streams == bus.listeners(BOARD) == bus.listeners(NEWS) == 0)


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the test's two thousand sockets and their peers need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def stuck(where: str, token: str | None = None) -> AsyncIterator[Client]:
    """A client that reads only when asked, with hardly a buffer of its own."""
    host, port = where.split(":")
    plain = sockets.socket()
    plain.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
    options: dict[str, Any] = {
        "compression": None,
        "max_size": None,
        "max_queue": 1,
        "ping_interval": None,
        "close_timeout": 1,
    }
    async with connect(f"ws://{where}/graphql", sock=plain, subprotocols=[PROTOCOL], **options) as connection:
        opened = Client(connection)
        await opened.say(type="connection_init", payload={"authorization": f"Bearer {token}"} if token else {})
        assert await opened.message() == {"type": "connection_ack"}
        yield opened


async def read_to_the_end(slow: Client) -> tuple[list[int], int, str]:
    """The ids of all notes that still come, and how the socket was closed."""
    found = []
    with suppress(ConnectionClosed):
        while True:
            found.append(int((await slow.next())["id"]))
    assert slow.connection.close_code is not None
    return found, slow.connection.close_code, slow.connection.close_reason or ""


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("ws", [RAW, ASGI])
async def test_two_thousand_sockets_have_every_latest_state_and_leave_nothing_behind(live: Served, ws: str) -> None:
    async with served(live.app, ws) as where:
        before = len(asyncio.all_tasks())
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client(where)) for _ in range(MANY)]
            for each in clients:
                await each.subscribe(STATE)
            assert {await each.number() for each in clients} == {0}
            looked = Board.reads
            for _ in range(5):
                number = await Board.change()
                await asyncio.gather(*(each.until(number) for each in clients))
            assert Board.reads - looked == 5
            for _ in range(50):
                number = await Board.change()
            await asyncio.gather(*(each.until(number) for each in clients))
        await until(lambda: Board.streams == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert live.app._websocket.fanout.channels == {}  # type: ignore[attr-defined]


async def test_who_stops_reading_a_state_costs_nobody_anything_and_has_the_latest_when_he_reads_again(
    live: Served,
) -> None:
    Kept.made.clear()
    async with served(live.app, Kept) as where, stuck(where) as slow, client(where) as fast:
        for each in (slow, fast):
            await each.subscribe(BIG_STATES, pad=LARGE)
        assert await fast.number() == 0
        for number in range(1, 301):
            await Board.change()
            assert await fast.number() == number
        kept = [each.transport.get_write_buffer_size() for each in Kept.made]
        assert max(kept) < 3 * LARGE
        seen: list[int] = []
        while not seen or seen[-1] != 300:
            seen.append(await slow.number())
        assert seen == sorted(seen)
        assert len(seen) < 300
        await Board.change()
        assert [await each.number() for each in (slow, fast)] == [301, 301]


async def test_who_does_not_read_is_cut_off_soon_after_his_token_ended(live: Served) -> None:
    Kept.made.clear()
    async with served(live.app, Kept) as where, client(where) as fast, stuck(where, "brief1") as slow:
        for each in (fast, slow):
            await each.subscribe(BIG_STATES, pad=LARGE)
        assert await fast.number() == 0
        for number in range(1, 101):
            await Board.change()
            assert await fast.number() == number
        await until(lambda: sorted(each.disconnected for each in Kept.made) == [False, True])
        await Board.change()
        assert await fast.number() == 101


@pytest.mark.parametrize("ws", [RAW, ASGI])
async def test_who_stops_reading_messages_is_told_to_come_again_and_misses_none(
    live: Served, monkeypatch: pytest.MonkeyPatch, ws: str
) -> None:
    monkeypatch.setattr(fanout, "PATIENCE_SECONDS", 0.5)
    async with served(live.app, ws) as where, client(where) as again:
        async with stuck(where) as slow:
            await slow.subscribe(BIG_NOTES, pad=LARGE, after="0")
            await post(*(f"{number}" for number in range(300)))
            await until(lambda: bus.listeners(NEWS) == 1)
            await until(lambda: bus.listeners(NEWS) == 0, 10)
            read, code, reason = await read_to_the_end(slow)
        assert (code, reason) == (4499, "You read too slowly: go on with `after` (读取过慢，请以 after 续读)")
        assert read == list(range(1, len(read) + 1))
        assert 0 < len(read) < 300
        await again.subscribe(BIG_NOTES, pad=0, after=str(read[-1]))
        assert [int((await again.next())["id"]) for _ in range(300 - len(read))] == list(range(len(read) + 1, 301))


async def test_a_slow_reader_who_keeps_reading_is_waited_for(live: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "PATIENCE_SECONDS", 2.0)
    async with served(live.app, RAW) as where, stuck(where) as slow:
        await slow.subscribe(BIG_NOTES, pad=LARGE, after="0")
        await post(*(f"{number}" for number in range(300)))
        for number in range(1, 301):
            assert (await slow.next())["id"] == str(number)
            await asyncio.sleep(0.01)


async def test_of_many_who_share_messages_only_the_one_who_stops_reading_is_closed(live: Served) -> None:
    async with served(live.app, RAW) as where, stuck(where) as slow, client(where) as fast:
        for each in (slow, fast):
            await each.subscribe(BIG_SHARED, pad=LARGE)
        await until(lambda: bus.listeners(NEWS) == 1)
        await asyncio.sleep(0.2)
        for number in range(1, 301):
            await post(str(number))
            assert (await fast.next())["id"] == str(number)
        read, code, _ = await read_to_the_end(slow)
        assert (code, read) == (4499, list(range(1, len(read) + 1)))
        assert bus.listeners(NEWS) == 1


async def test_a_response_that_is_not_read_ends_with_the_reason_and_goes_on_behind_the_last_event(
    live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "PATIENCE_SECONDS", 0.5)
    async with served(live.app) as where:
        await post(*(f"{number}" for number in range(300)))
        async with events(where, BIG_NOTES, {"pad": LARGE, "after": "0"}) as sent:
            await until(lambda: bus.listeners(NEWS) == 1)
            await until(lambda: bus.listeners(NEWS) == 0, 10)
            found = [each async for each in sent]
        *read, error, end = found
        assert "RATE_LIMITED" in error["data"]
        assert (sorted(error), end["event"]) == (["data", "event"], "complete")
        assert [each["id"] for each in read] == [str(number) for number in range(1, len(read) + 1)]
        async with events(where, NOTES, last_event_id=read[-1]["id"]) as sent:
            assert payload(await anext(sent))["id"] == str(len(read) + 1)


@pytest.fixture
def redis(empty_database: str) -> Iterator[OwnRedis]:
    with own_redis() as server:
        settings.redis_url = server.url
        yield server


async def write(redis: OwnRedis, count: int) -> None:
    """Posts notes one by one, while Redis dies twice and comes back empty."""
    for number in range(1, count + 1):
        with suppress(RedisError):
            await post(str(number))
        if number in {60, 130}:
            redis.kill()
        elif number in {90, 160}:
            redis.start()
        await asyncio.sleep(0.01)


async def by_socket(where: str, after: str) -> AsyncGenerator[str, None]:
    async with client(where) as socket:
        await socket.subscribe(NOTES, after=after)
        while True:
            yield (await socket.next())["id"]


async def by_events(where: str, after: str) -> AsyncGenerator[str, None]:
    async with events(where, NOTES, last_event_id=after) as sent:
        async for each in sent:
            yield each["id"]


@pytest.mark.parametrize("read", [by_socket, by_events])
async def test_no_message_is_lost_or_told_twice_while_redis_dies_and_clients_come_and_go(
    redis: OwnRedis, read: Callable[[str, str], AsyncGenerator[str, None]]
) -> None:
    await pools.open(settings)
    await bus.open(settings.redis_url)
    await make_notes()
    seen = ["0"]
    async with served(make_live().app) as where, asyncio.timeout(20):
        writing = asyncio.create_task(write(redis, 200))
        while len(seen) <= 200:
            async with aclosing(read(where, seen[-1])) as told:
                seen.extend([await anext(told) for _ in range(min(17, 201 - len(seen)))])
        await writing
    assert seen == [str(number) for number in range(201)]
    await bus.close()
    await pools.close()

"""A mutation that has begun runs to its end, whether or not its socket still waits for it; as one over HTTP does."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import asyncpg
import pytest
import strawberry

from auth.passwords import hash_password
from engine import Limits
from kit.db import database as pools
from kit.db import fetch_text
from kit.settings import settings
from services.demo.accounts import load_demo_accounts
from tests.conftest import Api
from tests.engine_harness import SIGNED_IN, Served, make_engine, resolver, until
from tests.live import ASGI, RAW, Client, client, served
from tests.processes import Platform, Running
from tests.processes import until as until_true
from tests.test_policy import SAVE, values
from tests.test_revocation import SIGN_OUT, sign_in
from tests.test_serve import SIGN_IN, ask

WRITE = "mutation Write { first: write second: write }"
LOOK = "query Look { slow }"


class Act:
    """How often the slow resolvers began and ended, and what holds them up."""

    began: ClassVar[int] = 0
    ended: ClassVar[int] = 0
    cancelled: ClassVar[int] = 0
    held: ClassVar[asyncio.Event]

    @classmethod
    async def do(cls) -> str:
        cls.began += 1
        try:
            await cls.held.wait()
        except asyncio.CancelledError:
            cls.cancelled += 1
            raise
        cls.ended += 1
        return "done"


@strawberry.type
class Query:
    @resolver(access="public")
    async def slow(self) -> str:
        return await Act.do()

    @resolver(access="public")
    def echo(self, text: str = "") -> str:
        return text


@strawberry.type
class Mutation:
    @resolver(access="public")
    async def write(self) -> str:
        return await Act.do()

    @resolver(**SIGNED_IN)
    async def write_signed_in(self) -> str:
        return await Act.do()


SCHEMA = strawberry.federation.Schema(query=Query, mutation=Mutation, federation_version="2.9")


@pytest.fixture
def engine() -> Served:
    Act.began = Act.ended = Act.cancelled = 0
    Act.held = asyncio.Event()
    return make_engine(schema=SCHEMA, limits=Limits(concurrent=3))


@pytest.fixture(params=[RAW, ASGI], ids=["raw", "asgi"])
async def where(engine: Served, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async with served(engine.app, request.param) as address:
        yield address


async def begin(socket: Client, query: str, id_: str = "1") -> None:
    """Subscribes, and returns when the operation runs."""
    began = Act.began
    await socket.say(type="subscribe", id=id_, payload={"query": query})
    await until(lambda: Act.began == began + 1)


async def is_alive(socket: Client) -> bool:
    """Whether the next that it says is the answer to a ping."""
    await socket.say(type="ping")
    return await socket.message() == {"type": "pong"}


def reported(engine: Served) -> list[tuple[str | None, tuple[str, ...]]]:
    return [(each.name, each.codes) for each in engine.finished]


# On a socket


async def test_a_mutation_runs_on_after_complete_and_nothing_is_said_of_it(engine: Served, where: str) -> None:
    """Both of its fields, though the second had not begun. The id is free meanwhile."""
    async with client(where) as socket:
        await begin(socket, WRITE)
        await socket.say(type="complete", id="1")
        await socket.subscribe('{ echo(text: "me") }')
        assert await socket.next() == "me"
        assert await socket.message() == {"id": "1", "type": "complete"}
        await begin(socket, LOOK)
        Act.held.set()
        assert await socket.next() == "done"
        assert await socket.message() == {"id": "1", "type": "complete"}
        await until(lambda: Act.ended == 3)
        assert await is_alive(socket)
    assert Act.cancelled == 0
    assert sorted(reported(engine), key=str) == [("Look", ()), ("Write", ()), (None, ())]


async def test_a_query_ends_with_complete_and_is_reported_as_cancelled(engine: Served, where: str) -> None:
    async with client(where) as socket:
        await begin(socket, LOOK)
        await socket.say(type="complete", id="1")
        await until(lambda: Act.cancelled == 1)
        assert reported(engine) == [("Look", ("CANCELLED",))]
        assert await is_alive(socket)


async def test_a_query_ends_with_its_socket(engine: Served, where: str) -> None:
    async with client(where) as socket:
        await begin(socket, LOOK)
    await until(lambda: Act.cancelled == 1)
    await until(lambda: reported(engine) == [("Look", ("CANCELLED",))])


async def test_mutations_that_are_left_running_count_among_the_sockets_operations(where: str) -> None:
    async with client(where) as socket:
        for number in range(3):
            await begin(socket, WRITE, str(number))
            await socket.say(type="complete", id=str(number))
        await socket.subscribe(WRITE)
        refused = await socket.message()
        assert (refused["id"], refused["type"]) == ("1", "error")
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert Act.began == 3
        Act.held.set()
        await until(lambda: Act.ended == 6)
        await socket.subscribe('{ echo(text: "again") }')
        assert await socket.next() == "again"


async def test_a_mutation_that_is_heard_counts_once(where: str) -> None:
    async with client(where) as socket:
        for number in range(2):
            await begin(socket, WRITE, f"m{number}")
        await socket.subscribe('{ echo(text: "third") }')
        assert await socket.next() == "third"
        Act.held.set()


async def test_an_id_whose_mutation_is_still_heard_is_in_use(where: str) -> None:
    async with client(where) as socket:
        await begin(socket, WRITE)
        await socket.subscribe("{ echo }")
        await asyncio.wait_for(socket.connection.wait_closed(), 5)
        assert socket.connection.close_code == 4409
        Act.held.set()
    await until(lambda: Act.ended == 2)


async def test_a_mutation_outlives_its_token(where: str) -> None:
    async with client(where, "brief") as socket:
        await begin(socket, "mutation { writeSignedIn }")
        await asyncio.wait_for(socket.connection.wait_closed(), 5)
        assert socket.connection.close_code == 4403
    Act.held.set()
    await until(lambda: Act.ended == 1)
    assert Act.cancelled == 0


async def test_a_mutation_that_has_not_begun_never_does(engine: Served) -> None:
    """Its document is still being fetched when it is completed."""
    asked = asyncio.Event()

    class Slow:
        async def get(self, key: str) -> str | None:
            asked.set()
            await asyncio.Event().wait()
            return None

        async def put(self, key: str, text: str) -> None:
            """Keeps nothing."""

    app = make_engine(schema=SCHEMA, limits=Limits(concurrent=1), persisted=Slow()).app
    async with served(app) as address, client(address) as socket:
        known = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
        await socket.say(type="subscribe", id="1", payload={"extensions": known})
        await asked.wait()
        await socket.say(type="complete", id="1")
        await socket.subscribe('{ echo(text: "free") }')
        assert await socket.next() == "free"
    assert Act.began == 0


# In the database

Left = Callable[[Client, Api, str], Awaitable[None]]


@asynccontextmanager
async def locked(table: str = "revision") -> AsyncIterator[None]:
    """Nobody else writes the table in the block."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def waiting() -> bool:
    """Whether a transaction waits for the table."""
    sql = "SELECT 1 FROM pg_locks WHERE relation = 'revision'::regclass AND NOT granted"
    return bool(await fetch_text(sql))


async def drafts() -> list[tuple[str, str, int]]:
    rows = await fetch_text("SELECT title, state, no FROM revision")
    return [tuple(row) for row in rows]


async def is_written() -> bool:
    return await drafts() == [(values()["title"], "DRAFT", 1)]


async def completes(socket: Client, _api: Api, _token: str) -> None:
    await socket.say(type="complete", id="1")
    assert await is_alive(socket)


async def closes(socket: Client, _api: Api, _token: str) -> None:
    await socket.connection.close()


async def is_cut_off(socket: Client, _api: Api, _token: str) -> None:
    raw = socket.connection.transport.get_extra_info("socket")
    raw.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: reset instead of a goodbye
    socket.connection.transport.abort()


async def signs_out(socket: Client, api: Api, token: str) -> None:
    await api.raw(SIGN_OUT, headers={"authorization": f"Bearer {token}"})
    await asyncio.wait_for(socket.connection.wait_closed(), 5)
    assert socket.connection.close_code == 4403


async def breaks_the_protocol(socket: Client, _api: Api, _token: str) -> None:
    await socket.connection.send("nonsense")
    await asyncio.wait_for(socket.connection.wait_closed(), 5)
    assert socket.connection.close_code == 4400


@pytest.mark.parametrize("leave", [completes, closes, is_cut_off, signs_out, breaks_the_protocol])
async def test_what_a_mutation_writes_is_there_though_its_client_has_left(api: Api, leave: Left) -> None:
    token = (await sign_in(api, "department")).access
    async with served(api.client._transport.app) as where, client(where, token) as socket:  # type: ignore[attr-defined]
        async with locked():
            await socket.subscribe(SAVE, input={"values": values()})
            await until_true(waiting)
            await leave(socket, api, token)
            assert await waiting()
            assert await drafts() == []
        await until_true(is_written)


# When the server stops


@pytest.fixture
async def platform(database: str, tmp_path: Any) -> Platform:
    async with pools.write() as writing:
        await load_demo_accounts(writing, hash_password("esc-demo-1"))
    return Platform(tmp_path / "home", DATABASE_URL=database, REDIS_URL=settings.redis_url)


@pytest.mark.parametrize("stays", [True, False], ids=["heard", "left"])
async def test_a_server_that_is_told_to_stop_waits_for_a_mutation_on_a_socket(platform: Platform, stays: bool) -> None:
    async with platform.serving("--no-worker", ESC_LOG="json") as server:
        async with locked(), signed_in(platform) as socket:
            await socket.subscribe(SAVE, input={"values": values()})
            await until_true(waiting)
            if not stays:
                await socket.connection.close()
            stopping = asyncio.create_task(server.stop())
            await until_true(lambda: said(server, "Waiting for background tasks"))
            assert await waiting()
        await stopping
        assert await drafts() == [(values()["title"], "DRAFT", 1)]
        lines = [json.loads(line) for line in server.output.splitlines() if line.startswith('{"name":"Save"')]
        assert [(line["kind"], line["transport"], line["codes"]) for line in lines] == [("mutation", "websocket", [])]


async def test_a_server_that_is_told_to_stop_waits_for_a_mutation_over_http_and_answers_it(platform: Platform) -> None:
    async with platform.serving("--no-worker") as server:
        async with locked():
            token = await access_token(platform)
            answer = asyncio.create_task(ask(platform.url, SAVE, token, input={"values": values()}))
            await until_true(waiting)
            stopping = asyncio.create_task(server.stop())
            await until_true(lambda: said(server, "Waiting for connections to close"))
        assert (await answer)["policySave"]["revision"]["state"] == "DRAFT"
        await stopping
        assert await drafts() == [(values()["title"], "DRAFT", 1)]


@pytest.mark.hard
async def test_a_server_that_waited_long_enough_leaves_nothing_of_it(platform: Platform) -> None:
    async with platform.serving("--no-worker", ESC_LOG="json") as server:
        async with locked(), signed_in(platform) as socket:
            await socket.subscribe(SAVE, input={"values": values()})
            await until_true(waiting)
            await server.stop()
            assert not await waiting()
        assert await drafts() == []
        assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in server.output


async def access_token(platform: Platform) -> str:
    signed_in = (await ask(platform.url, SIGN_IN, u="department", p="esc-demo-1"))["signIn"]
    return str(signed_in["session"]["accessToken"])


@asynccontextmanager
async def signed_in(platform: Platform) -> AsyncIterator[Client]:
    async with client(platform.url.removeprefix("http://"), await access_token(platform)) as socket:
        yield socket


async def said(server: Running, what: str) -> bool:
    return what in server.output

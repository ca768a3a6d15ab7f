"""One run of a subscription for all who ask the same, over every transport, on a real server and Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from auth.viewer import NOBODY, Level, Role, Viewer
from engine.frames import header
from kit.bus import bus
from tests.conftest import Servers, empty_redis
from tests.engine_harness import Served, until
from tests.live import ASGI, BOARD, BREAKING, RAW, STATE, WHO, Board, Client, client, events, make_live, payload, served

SECRET = "subscription { secret { number } }"


@pytest.fixture
async def live(servers: Servers) -> AsyncIterator[Served]:
    """The engine with its topic of states; no stream is open when it is done with."""
    await bus.open(empty_redis(servers))
    await asyncio.wait_for(bus.connected.wait(), 5)
    live = make_live()
    yield live
    await until(lambda: Board.streams == 0)
    assert bus.listeners(BOARD) == 0
    assert live.app._websocket.fanout.channels == {}  # type: ignore[attr-defined]
    await bus.close()


@pytest.fixture(params=[RAW, ASGI], ids=["raw", "asgi"])
async def where(live: Served, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where it listens: sockets by raw frames, and by ASGI's own `send`."""
    async with served(live.app, request.param) as address:
        yield address


async def many(stack: AsyncExitStack, where: str, count: int, query: str = STATE) -> list[Client]:
    found = [await stack.enter_async_context(client(where, f"user{number}")) for number in range(1, count + 1)]
    for each in found:
        await each.subscribe(query)
    return found


# One run


async def test_fifty_sockets_that_ask_the_same_cost_one_execution_an_event(where: str) -> None:
    async with AsyncExitStack() as stack:
        sockets = await many(stack, where, 50)
        assert [await each.number() for each in sockets] == [0] * 50
        await until(lambda: Board.streams == 1)
        assert bus.listeners(BOARD) == 1
        looked = Board.reads
        for number in (1, 2, 3):
            assert await Board.change() == number
            assert [await each.number() for each in sockets] == [number] * 50
        assert Board.reads - looked == 3


async def test_the_three_transports_share_a_run(where: str) -> None:
    multipart = "multipart/mixed;subscriptionSpec=1.0"
    async with client(where) as socket, events(where, STATE) as sent, events(where, STATE, accept=multipart) as _parts:
        await socket.subscribe(STATE)
        assert await socket.number() == 0
        assert payload(await anext(sent)) == {"number": 0}
        await until(lambda: Board.streams == 1)
        await Board.change()
        assert await socket.number() == 1
        assert payload(await anext(sent)) == {"number": 1}


async def test_another_variable_language_or_standing_is_another_run(where: str) -> None:
    async with AsyncExitStack() as stack:
        for token, language, variables in (
            ("user1", "zh", {}),
            ("user2", "zh-CN, en;q=0.5", {}),
            ("user1", "zh", {"pad": 1}),
            ("user1", "en", {}),
            (None, "zh", {}),
        ):
            socket = await stack.enter_async_context(client(where, token, **{"accept-language": language}))
            await socket.subscribe(STATE, **variables)
            assert await socket.number() == 0
        await until(lambda: Board.streams == 4)


async def test_a_stream_that_is_not_shared_runs_for_each_who_asks(where: str) -> None:
    async with client(where, "user1") as first, client(where, "user1") as second:
        for each in (first, second):
            await each.subscribe("subscription { ownState { viewer } }")
            assert await each.next() == {"viewer": str(UUID(int=1))}
        assert Board.streams == 2


async def test_a_shared_run_is_nobodys_and_knows_only_the_language(live: Served, where: str) -> None:
    async with client(where, "user1", **{"accept-language": "en-GB,zh;q=0.2", "x-secret": "1"}) as socket:
        await socket.subscribe(WHO)
        told = await socket.next()
    (run, own) = sorted(live.finished, key=lambda each: each.members is None)
    assert [(each.viewer_id, each.members) for each in (run, own)] == [(None, 1), (UUID(int=1), None)]
    assert told == {"viewer": str(NOBODY), "request": run.request_id, "english": True}
    assert own.request_id != run.request_id
    (info,) = [each for each in live.infos if each.id == run.request_id][:1]
    assert (info.headers, info.client) == ({"accept-language": "en"}, None)


async def test_a_visitors_shared_run_is_a_visitors(where: str) -> None:
    async with client(where) as socket:
        await socket.subscribe(WHO)
        assert (await socket.next())["viewer"] == "None"


async def test_each_who_shares_a_run_is_reported_when_he_is_done_and_then_the_run(live: Served, where: str) -> None:
    async with client(where, "user1") as first, client(where, "user2") as second:
        for each in (first, second):
            await each.subscribe(STATE)
            await each.number()
        live.finished.clear()
        await first.say(type="complete", id="1")
        await until(lambda: len(live.finished) == 1)
    await until(lambda: len(live.finished) == 3)
    assert [(each.viewer_id, each.members) for each in live.finished] == [
        (UUID(int=1), None),
        (UUID(int=2), None),
        (None, 2),
    ]
    assert {(each.name, each.transport, each.codes) for each in live.finished} == {("State", "websocket", ())}


async def test_a_run_tells_how_many_heard_it_in_all(live: Served, where: str) -> None:
    """A run that only gives those who join their first state is one of its own."""
    async with client(where, "user1") as stays:
        await stays.subscribe(STATE)
        await stays.number()
        for number in (2, 3):
            async with client(where, f"user{number}") as passes:
                await passes.subscribe(STATE)
                await passes.number()
            await until(lambda: Board.streams == 1)
    await until(lambda: len(live.finished) == 6)
    assert [each.members for each in live.finished] == [1, None, 1, None, None, 3]


async def test_a_stream_that_is_not_shared_is_reported_once_as_its_viewers(live: Served, where: str) -> None:
    async with client(where, "user1") as socket:
        await socket.subscribe("subscription { ownState { viewer } }")
        await socket.next()
    await until(lambda: Board.streams == 0)
    assert [(each.viewer_id, each.members) for each in live.finished] == [(UUID(int=1), None)]


# Coming and going


async def test_the_first_may_leave_and_the_run_ends_with_the_last(where: str) -> None:
    async with client(where) as stays:
        async with client(where) as leaves:
            for each in (leaves, stays):
                await each.subscribe(STATE)
                await each.number()
        await Board.change()
        assert await stays.number() == 1
        assert Board.streams == 1
    await until(lambda: Board.streams == 0)
    assert bus.listeners(BOARD) == 0


async def test_the_end_of_ones_token_ends_nobody_else(where: str) -> None:
    async with client(where, "brief1") as brief, client(where, "user2") as stays:
        for each in (brief, stays):
            await each.subscribe(STATE)
            await each.number()
        await until(lambda: Board.streams == 1)
        await asyncio.wait_for(brief.connection.wait_closed(), 5)
        assert brief.connection.close_code == 4403
        await Board.change()
        assert await stays.number() == 1


async def test_who_joins_is_told_what_is_true_now(where: str) -> None:
    async with client(where) as first, client(where) as second, client(where) as third:
        await first.subscribe(STATE)
        assert await first.number() == 0
        Board.number = 7  # and nobody tells
        await second.subscribe(STATE)
        assert await second.number() == 7
        await third.subscribe(STATE)
        assert await third.number() == 7
        await Board.change()
        assert [await each.number() for each in (first, second, third)] == [8, 8, 8]


async def test_who_joins_while_a_run_begins_shares_it(where: str) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(client(where))
        await first.subscribe(STATE)
        assert await first.number() == 0
        held = Board.held = asyncio.Event()
        later = [await stack.enter_async_context(client(where)) for _ in range(20)]
        for each in later:
            await each.subscribe(STATE)
            await each.say(type="ping")
            assert await each.message() == {"type": "pong"}
        await until(lambda: Board.reads == 2)
        held.set()
        assert [await each.number() for each in later] == [0] * 20
        assert Board.reads == 2


async def test_who_joins_hears_after_his_first_state_what_the_others_were_told_meanwhile(where: str) -> None:
    async with client(where) as first, client(where) as second:
        await first.subscribe(STATE)
        assert await first.number() == 0
        held = Board.held = asyncio.Event()
        await second.subscribe(STATE)
        await until(lambda: Board.reads == 2)
        await Board.change()
        assert await first.number() == 1
        held.set()
        assert [await second.number() for _ in range(2)] == [0, 1]
        await Board.change()
        assert [await each.number() for each in (first, second)] == [2, 2]


async def test_who_joined_is_served_on_when_the_others_leave_while_his_first_state_is_made(where: str) -> None:
    async with client(where) as second:
        async with client(where) as first:
            await first.subscribe(STATE)
            assert await first.number() == 0
            held = Board.held = asyncio.Event()
            await second.subscribe(STATE)
            await until(lambda: Board.reads == 2)
        await until(lambda: Board.streams == 1)
        held.set()
        assert await second.number() == 0
        await Board.change()
        assert await second.number() == 1


async def test_who_leaves_while_a_run_begins_leaves_nothing(where: str) -> None:
    Board.held = asyncio.Event()
    async with client(where) as socket:
        await socket.subscribe(STATE)
        await until(lambda: Board.reads == 1)
    await until(lambda: Board.streams == 0)


async def test_all_are_told_of_a_stream_that_breaks_and_the_next_begins_anew(where: str) -> None:
    query = "subscription { breaking }"
    async with client(where) as first, client(where) as second:
        for each in (first, second):
            await each.subscribe(query)
            assert await each.next() == 1
        await until(lambda: bus.listeners(BREAKING) == 1)
        await bus.publish(BREAKING)
        for each in (first, second):
            message = await each.message()
            assert (message["type"], message["payload"][0]["message"]) == ("error", "Enough (够了)")
        await second.subscribe(query)
        assert await second.next() == 1
        await bus.publish(BREAKING)
        assert (await second.message())["type"] == "error"


@pytest.mark.parametrize(("token", "code"), [(None, "UNAUTHENTICATED"), ("user1", "ACCESS_DENIED")])
async def test_a_shared_stream_is_denied_as_any_other(live: Served, where: str, token: str | None, code: str) -> None:
    async with client(where, token) as socket:
        await socket.subscribe(SECRET)
        message = await socket.message()
    assert (message["type"], [each["extensions"]["code"] for each in message["payload"]]) == ("error", [code])
    assert [each.codes for each in live.finished] == [(code,), (code,)]


def test_a_standing_has_all_rights_and_no_identity() -> None:
    place = {"district": "310104", "department": "D1", "store_ids": frozenset({UUID(int=9)})}
    viewer = Viewer(UUID(int=1), "a", "A", Level.L5, frozenset({Role.REVIEWER}), session_id=UUID(int=2), **place)  # type: ignore[arg-type]
    same = Viewer(UUID(int=3), "b", "B", Level.L5, frozenset({Role.REVIEWER}), **place)  # type: ignore[arg-type]
    assert viewer.standing == same.standing == Viewer(NOBODY, None, "", Level.L5, viewer.roles, **place)  # type: ignore[arg-type]
    assert viewer.standing.standing == viewer.standing
    assert Viewer().standing == Viewer()


# Frames


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_header_of_a_text_frame(length: int, expected: bytes) -> None:
    assert header(length) == expected


async def test_frames_of_every_length_arrive_whole(where: str) -> None:
    async with client(where) as socket:
        for length in (*range(30, 50), *range(65_440, 65_460), 300_000):
            text = "x" * length
            await socket.subscribe("query Long($text: String!) { echo(text: $text) }", text=text)
            assert await socket.next() == text
            assert await socket.message() == {"id": "1", "type": "complete"}

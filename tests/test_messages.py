"""Streams of messages: each of them, in order, and from where a client left off, over rows of PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry

from engine.topics import Keep
from kit.bus import bus
from tests.engine_harness import Query, make_engine, source, until
from tests.live import ASGI, NEWS, NOTES, RAW, STATE, client, events, make_live, make_notes, payload, post, served


@pytest.fixture(params=[RAW, ASGI], ids=["raw", "asgi"])
async def where(database: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where it listens: sockets by raw frames, and by ASGI's own `send`. No stream is open when it is done with."""
    await make_notes()
    await asyncio.wait_for(bus.connected.wait(), 5)
    async with served(make_live().app, request.param) as address:
        yield address
    await until(lambda: bus.listeners(NEWS) == 0)


async def test_messages_come_in_order_and_each_of_them(where: str) -> None:
    async with client(where) as socket:
        await socket.subscribe(NOTES, after="0")
        texts = [f"第{number}条" for number in range(1, 301)]
        await post(*texts[:150])
        await post(*texts[150:])
        assert [await socket.next() for _ in texts] == [
            {"id": str(number), "text": text} for number, text in enumerate(texts, 1)
        ]


async def test_without_a_place_messages_begin_now_and_with_one_behind_it(where: str) -> None:
    await post("a", "b", "c")
    async with client(where) as now, client(where) as behind:
        await now.subscribe(NOTES)
        await behind.subscribe(NOTES, after="1")
        assert [(await behind.next())["text"] for _ in "bc"] == ["b", "c"]
        await until(lambda: bus.listeners(NEWS) == 2)
        await asyncio.sleep(0.1)
        await post("d")
        assert [(await each.next())["text"] for each in (now, behind)] == ["d", "d"]


async def test_a_shared_stream_of_messages_tells_each_from_when_he_joined(where: str) -> None:
    query = "subscription { allNotes { text } }"
    async with client(where) as first, client(where) as second:
        await first.subscribe(query)
        await until(lambda: bus.listeners(NEWS) == 1)
        await asyncio.sleep(0.1)
        await post("a")
        assert await first.next() == {"text": "a"}
        await second.subscribe(query)
        await second.say(type="ping")
        assert await second.message() == {"type": "pong"}
        await asyncio.sleep(0.1)
        assert bus.listeners(NEWS) == 1
        await post("b")
        assert [await each.next() for each in (first, second)] == [{"text": "b"}] * 2


async def test_sent_events_carry_their_place_and_last_event_id_goes_on_behind_it(where: str) -> None:
    await post("a", "b", "c", "d")
    async with events(where, NOTES, {"after": "0"}) as sent:
        seen = [await anext(sent) for _ in "ab"]
    assert [(each["id"], payload(each)["text"]) for each in seen] == [("1", "a"), ("2", "b")]
    async with events(where, NOTES, last_event_id=seen[-1]["id"]) as sent:
        assert [payload(await anext(sent))["text"] for _ in "cd"] == ["c", "d"]
        await post("e")
        last = await anext(sent)
        assert (last["id"], payload(last)["text"]) == ("5", "e")


async def test_the_place_that_the_operation_names_counts_before_the_header(where: str) -> None:
    await post("a", "b", "c")
    async with events(where, NOTES, {"after": "2"}, last_event_id="1") as sent:
        assert payload(await anext(sent))["text"] == "c"


async def test_a_header_that_names_no_place_is_refused_by_the_stream(where: str) -> None:
    async with events(where, NOTES, last_event_id="nonsense") as sent:
        (error,) = json.loads((await anext(sent))["data"])["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert (await anext(sent))["event"] == "complete"


async def test_states_have_no_place_and_ask_for_none(where: str) -> None:
    async with events(where, STATE, last_event_id="1") as sent:
        event = await anext(sent)
    assert (sorted(event), payload(event)) == (["data", "event"], {"number": 0})


@pytest.mark.parametrize("missing", ["cursor", "after"])
def test_a_stream_of_messages_that_could_not_be_resumed_is_not_served(missing: str) -> None:
    metadata: dict[str, Any] = {"keep": Keep.EVERY, "cursor": str} if missing == "after" else {"keep": Keep.EVERY}

    async def with_after(after: str | None = None) -> AsyncIterator[int]:
        yield 1

    async def without() -> AsyncIterator[int]:
        yield 1

    field = source(access="public", **metadata)(without if missing == "after" else with_after)
    subscription = strawberry.type(type("Subscription", (), {"letters": field}))
    schema = strawberry.federation.Schema(query=Query, subscription=subscription, federation_version="2.9")
    with pytest.raises(ValueError, match="letters keeps every event, so it needs a cursor and the argument `after`"):
        make_engine(schema=schema)

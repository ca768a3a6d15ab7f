"""What PostgreSQL tells a process: everything that commits, and plainly when it tells nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import asyncpg
import pytest

from kit.feed import SILENCE_SECONDS, Feed
from tests.processes import until


@asynccontextmanager
async def following(url: str, *channels: str) -> AsyncIterator[tuple[Feed, list[tuple[str, str]], list[bool]]]:
    """A feed of its own, what it told, and whether it was connected at each reset."""
    feed, heard, resets = Feed(), list[tuple[str, str]](), list[bool]()
    for channel in channels:
        feed.subscribe(channel, partial(_note, heard, channel))
    feed.on_reset(lambda: resets.append(feed.connected))
    await feed.open(url)
    try:
        yield feed, heard, resets
    finally:
        await feed.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _note(heard: list[tuple[str, str]], channel: str, payload: str) -> None:
    heard.append((channel, payload))


async def notify(connection: "asyncpg.Connection[Any]", channel: str, payload: str) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", channel, payload)


async def cut(connection: "asyncpg.Connection[Any]") -> int:
    """Ends the feed's connection from the server's side; how many there were."""
    pids = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'esc feed' AND datname = current_database()"
    )
    return len(pids)


async def test_a_feed_is_connected_once_it_is_open_and_tells_each_channel_in_order(empty_database: str) -> None:
    async with following(empty_database, "one", "two") as (feed, heard, resets), connected(empty_database) as writer:
        assert feed.connected
        assert resets == [True]
        for channel, payload in (("one", "a"), ("two", "b"), ("three", "c"), ("one", "d")):
            await notify(writer, channel, payload)
        await until(lambda: _is(len(heard) == 3))
        assert heard == [("one", "a"), ("two", "b"), ("one", "d")]


async def test_one_connection_serves_all_channels(empty_database: str) -> None:
    async with following(empty_database, *(f"channel_{n}" for n in range(20))), connected(empty_database) as writer:
        assert await cut(writer) == 1


async def test_what_rolls_back_is_never_told(empty_database: str) -> None:
    async with following(empty_database, "one") as (_feed, heard, _resets), connected(empty_database) as writer:
        undone = writer.transaction()
        await undone.start()
        await notify(writer, "one", "undone")
        await undone.rollback()
        await notify(writer, "one", "done")
        await until(lambda: _is(heard))
        assert heard == [("one", "done")]


async def test_a_cut_line_is_told_and_mended(empty_database: str) -> None:
    async with following(empty_database, "one") as (feed, heard, resets), connected(empty_database) as writer:
        assert await cut(writer) == 1
        await until(lambda: _is(resets == [True, False, True]))
        assert feed.connected
        await notify(writer, "one", "again")
        await until(lambda: _is(heard == [("one", "again")]))


@pytest.mark.parametrize("turns", range(9))
async def test_a_feed_closes_however_close_to_the_loss_of_its_line(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """`turns` of the event loop lie between the two."""
    connect, lines = asyncpg.connect, list["asyncpg.Connection[Any]"]()

    async def noted(*arguments: Any, **options: Any) -> "asyncpg.Connection[Any]":
        lines.append(await connect(*arguments, **options))
        return lines[-1]

    monkeypatch.setattr(asyncpg, "connect", noted)
    feed = Feed()
    await feed.open(empty_database)
    lines[0].terminate()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await feed.close()
    assert not feed.connected


async def test_a_feed_without_a_server_opens_unconnected_and_connects_when_there_is_one(empty_database: str) -> None:
    async with Gate(empty_database) as gate:
        gate.shut()
        async with following(gate.url, "one") as (feed, _heard, resets):
            assert not feed.connected
            assert resets == []
            await gate.open()
            await until(lambda: _is(feed.connected))
            assert resets == [True]


async def test_a_line_on_which_nothing_comes_any_more_is_noticed_within_two_seconds(empty_database: str) -> None:
    async with Gate(empty_database) as gate, following(gate.url, "one") as (feed, heard, resets):
        gate.hold()
        await until(lambda: _is(not feed.connected), SILENCE_SECONDS + 1)
        async with connected(empty_database) as writer:
            await notify(writer, "one", "unheard")
        gate.resume()
        await until(lambda: _is(feed.connected))
        assert heard == [("one", "unheard")] or resets[-2:] == [False, True]


async def test_a_process_that_stood_still_is_not_connected_before_it_has_read_what_it_missed(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(empty_database, "one") as (feed, heard, _resets), connected(empty_database) as writer:
        await notify(writer, "one", "missed")
        slept = time.perf_counter() + SILENCE_SECONDS
        monkeypatch.setattr("kit.feed.time.perf_counter", lambda: slept)
        assert not feed.connected
        await until(lambda: _is(feed.connected))
        assert heard == [("one", "missed")]


async def _is(condition: object) -> bool:
    return bool(condition)


class Gate:
    """A line to the server that can be shut (refused), held (silent, as when a cable is pulled) and opened again."""

    def __init__(self, url: str) -> None:
        self._target = url
        self._held = asyncio.Event()
        self._held.set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._pipes = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.cut()

    @property
    def url(self) -> str:
        login, _, place = self._target.rpartition("@")
        return f"{login}@127.0.0.1:{self._port}/{place.partition('/')[2]}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None

    async def cut(self) -> None:
        """Ends what is connected and lets nobody in."""
        self.shut()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        self._pipes.clear()

    def hold(self) -> None:
        self._held.clear()

    def resume(self) -> None:
        self._held.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.rpartition("@")[2].partition("/")[0].partition(":")
        beyond = await asyncio.open_connection(host, int(port))
        for source, target in ((reader, beyond[1]), (beyond[0], writer)):
            pipe = asyncio.create_task(self._carry(source, target))
            self._pipes.add(pipe)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._held.wait()
                target.write(data)
        finally:
            target.close()

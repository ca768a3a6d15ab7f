"""Real processes: whatever is killed, cut, frozen or hammered, what a server tells is what the database holds."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import httpx
import pytest

from kit import local
from kit.feed import SILENCE_SECONDS
from kit.settings import settings
from tests.processes import Platform, until
from tests.storefront import OFFLINE
from tests.test_feed import Gate
from tests.test_local import folder, postmaster, settings_of
from tests.test_publishing import REPUBLISH
from tests.test_serve import sign_in

pytestmark = pytest.mark.hard

POLICIES = 4
TITLES = "query Titles($ids: [ID!]!) { nodes(ids: $ids) { ... on Policy { title } } }"
STATE = "query State($id: ID!) { policy(id: $id) { state offlineReason } }"
WRITE = "UPDATE policy SET title = '第' || $2::int || '版' WHERE id = $1"
CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'esc feed' AND datname = current_database()"""

Answer = dict[str, Any]


@pytest.fixture
def platform(empty_database: str, tmp_path: Path) -> Platform:
    return Platform(tmp_path / "home", DATABASE_URL=empty_database, REDIS_URL=settings.redis_url)


class Client:
    """One connection, and therefore one server process."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(
            base_url=url, timeout=30, headers=headers, limits=httpx.Limits(max_connections=1)
        )

    async def __call__(self, query: str, **variables: Any) -> Any:
        """The data, or None where the database was away."""
        answer = (await self._http.post("/graphql", json={"query": query, "variables": variables})).json()
        if "errors" in answer:
            assert {error["extensions"]["code"] for error in answer["errors"]} == {"INTERNAL"}, answer
            return None
        return answer["data"]

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def client(url: str, token: str | None = None) -> AsyncIterator[Client]:
    made = Client(url, token)
    try:
        yield made
    finally:
        await made.close()


@dataclass
class Ledger:
    """Who wrote what and when: for each policy the numbers that were begun, and those that the database confirmed.

    Times are those of the event loop. A read may tell a number that was begun before it ended, and must tell one no
    older than what was confirmed `lag` before it began.
    """

    keys: Sequence[Any]
    begun: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    confirmed: dict[Any, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(lambda: [(0.0, 0)]))
    reads: int = 0
    late: list[float] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [f"policy_{key.hex}" for key in self.keys]

    async def write(self, connection: "asyncpg.Connection[Any]", key: Any) -> None:
        self.begun[key] += 1
        number = self.begun[key]
        await connection.execute(WRITE, key, number)
        self.confirmed[key].append((asyncio.get_running_loop().time(), number))

    async def read(self, ask: Client) -> None:
        """Raises AssertionError for what was never written, or is older than the promise allows."""
        started = asyncio.get_running_loop().time()
        answer = await ask(TITLES, ids=self.ids)
        if answer is None:
            return
        for key, node in zip(self.keys, answer["nodes"], strict=True):
            told = int(node["title"][1:-1])
            assert told <= self.begun[key], "nobody has written this yet"
            overtaken = next((at for at, number in self.confirmed[key] if number > told), started)
            self.late.append(max(0.0, started - overtaken))
        self.reads += 1

    async def settled(self, ask: Client, connection: "asyncpg.Connection[Any]") -> None:
        """In the end, what is told is what the database holds."""

        async def same() -> bool:
            answer = await ask(TITLES, ids=self.ids)
            rows = await connection.fetch("SELECT id, title FROM policy WHERE id = ANY($1)", self.keys)
            held = {row["id"]: row["title"] for row in rows}
            return bool(answer and [node["title"] for node in answer["nodes"]] == [held[key] for key in self.keys])

        await until(same, 10)


@asynccontextmanager
async def written(url: str) -> AsyncIterator[tuple[Ledger, "asyncpg.Connection[Any]"]]:
    """A ledger of some policies of the sample city, each in its version 0, and a connection past the platform."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT id FROM policy WHERE state = 'PUBLISHED' ORDER BY id LIMIT $1", POLICIES)
        ledger = Ledger([row["id"] for row in rows])
        for key in ledger.keys:
            await connection.execute(WRITE, key, 0)
        yield ledger, connection
    finally:
        await connection.close()


@asynccontextmanager
async def beside(*acts: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Does these again and again until the block ends; what one of them raises is raised."""
    ended = asyncio.Event()

    async def again(act: Callable[[], Awaitable[None]]) -> None:
        while not ended.is_set():
            await act()

    async with asyncio.TaskGroup() as group:
        for act in acts:
            group.create_task(again(act))
        try:
            yield
        finally:
            ended.set()


async def hits(url: str) -> int:
    """How many answers of one of the processes behind the address came from its cache."""
    async with httpx.AsyncClient() as http:
        lines = (await http.get(f"{url}/metrics")).text.splitlines()
    return sum(
        int(float(line.split()[1])) for line in lines if line.startswith('esc_cache_answers_total{outcome="hit"}')
    )


async def test_four_processes_hammered_by_readers_and_writers_tell_what_the_database_holds(
    platform: Platform, empty_database: str
) -> None:
    """Writes of others are told within the promise of the feed, one's own at once."""
    random = Random(1)  # noqa: S311 - draws, no secrets
    async with platform.serving("--no-worker", "--workers", "4"), written(empty_database) as (ledger, connection):
        admin = await sign_in(platform.url, "admin")
        owned = await connection.fetch("SELECT id FROM policy WHERE state = 'PUBLISHED' ORDER BY id DESC LIMIT 3")
        readers = [Client(platform.url) for _ in range(8)]
        writers = [(Client(platform.url, admin), f"policy_{row['id'].hex}") for row in owned]

        async def write() -> None:
            await ledger.write(connection, random.choice(ledger.keys))
            await asyncio.sleep(random.choice((0, 0, 0.05, 0.3)))

        def reading(ask: Client) -> Callable[[], Awaitable[None]]:
            return lambda: ledger.read(ask)

        def owning(ask: Client, item: str) -> Callable[[], Awaitable[None]]:
            return lambda: taken_down_and_put_back(ask, item)

        acts = [write, *map(reading, readers), *(owning(*writer) for writer in writers)]
        async with beside(*acts):
            await asyncio.sleep(20)
        await ledger.settled(readers[0], connection)
        assert max(ledger.late) < SILENCE_SECONDS
        assert sorted(ledger.late)[int(len(ledger.late) * 0.99)] < 0.3
        assert ledger.reads > 1_000
        found = [await hits(platform.url) for _ in range(20)]
        assert max(found) > 100, found
        for ask in (*readers, *(ask for ask, _ in writers)):
            await ask.close()


async def taken_down_and_put_back(ask: Client, item: str) -> None:
    """The process that wrote tells of it from then on."""
    for state, reason, query in (("OFFLINE", os.urandom(4).hex(), OFFLINE), ("PUBLISHED", None, REPUBLISH)):
        given = {"id": item, **({"reason": reason} if reason else {})}
        (payload,) = (await ask(query, input=given)).values()
        assert payload["userErrors"] == []
        for _ in range(3):
            assert (await ask(STATE, id=item))["policy"] == {"state": state, "offlineReason": reason}


async def test_a_writer_that_is_killed_right_after_its_commit_is_told_of(
    platform: Platform, empty_database: str
) -> None:
    script = (
        "import asyncio, asyncpg, os, signal, sys\n"
        "async def main():\n"
        "    connection = await asyncpg.connect(sys.argv[1])\n"
        "    await connection.execute(sys.argv[2])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    async with (
        platform.serving("--no-worker"),
        written(empty_database) as (ledger, connection),
        client(platform.url) as ask,
    ):
        for number in range(1, 6):
            await ledger.read(ask)
            statement = f"UPDATE policy SET title = '第{number}版' WHERE title = '第{number - 1}版'"  # noqa: S608
            ended = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", script, empty_database, statement], check=False
            )
            assert ended.returncode == -signal.SIGKILL
            for key in ledger.keys:
                ledger.begun[key] = number
            await ledger.settled(ask, connection)


async def test_what_a_killed_server_had_written_is_told_by_the_others(
    platform: Platform, empty_database: str, tmp_path: Path
) -> None:
    """Killed at any moment of a mutation: before its commit, after it, or before its answer."""
    random = Random(2)  # noqa: S311 - draws, no secrets
    other = Platform(tmp_path / "home", DATABASE_URL=empty_database, REDIS_URL=settings.redis_url)
    async with other.serving("--no-worker"), written(empty_database) as (_ledger, connection):
        admin = await sign_in(other.url, "admin")
        key = await connection.fetchval("SELECT id FROM policy WHERE state = 'PUBLISHED' ORDER BY id DESC LIMIT 1")
        item = f"policy_{key.hex}"
        for _ in range(4):
            async with platform.serving("--no-worker") as server, client(other.url, admin) as ask:
                writing = asyncio.create_task(_write_until_gone(platform.url, admin, item))
                for _ in range(20):
                    await ask(STATE, id=item)
                await asyncio.sleep(random.random())
                await server.kill()
                await writing

                async def same() -> bool:
                    held = 'SELECT state, offline_reason AS "offlineReason" FROM policy WHERE id = $1'
                    (row,) = await connection.fetch(held, key)
                    return bool((await ask(STATE, id=item))["policy"] == dict(row))

                await until(same, 5)


async def _write_until_gone(url: str, token: str, item: str) -> None:
    async with client(url, token) as ask:
        try:
            while True:
                for query, more in ((OFFLINE, {"reason": os.urandom(4).hex()}), (REPUBLISH, {})):
                    await ask(query, input={"id": item, **more})
        except httpx.TransportError:
            return


async def test_a_feed_that_is_cut_again_and_again_costs_answers_but_tells_no_lie(
    platform: Platform, empty_database: str
) -> None:
    random = Random(3)  # noqa: S311 - draws, no secrets
    async with platform.serving("--no-worker"), written(empty_database) as (ledger, connection):
        stranger = await asyncpg.connect(empty_database)
        readers = [Client(platform.url) for _ in range(4)]

        async def write() -> None:
            await ledger.write(connection, random.choice(ledger.keys))
            await asyncio.sleep(random.choice((0, 0.02, 0.2)))

        async def cut() -> None:
            await stranger.execute(CUT)
            await asyncio.sleep(random.choice((0.05, 0.3, 1)))

        def reading(ask: Client) -> Callable[[], Awaitable[None]]:
            return lambda: ledger.read(ask)

        async with beside(write, cut, *map(reading, readers)):
            await asyncio.sleep(10)
        await ledger.settled(readers[0], connection)
        assert max(ledger.late) < SILENCE_SECONDS
        before = await hits(platform.url)
        await until(lambda: _more_hits(ledger, readers[0], platform.url, before))
        for ask in readers:
            await ask.close()
        await stranger.close()


async def _more_hits(ledger: Ledger, ask: Client, url: str, before: int) -> bool:
    await ledger.read(ask)
    return await hits(url) > before


async def test_a_server_that_stood_still_tells_nothing_old_when_it_goes_on(
    platform: Platform, empty_database: str
) -> None:
    """Frozen for longer than its feed may be silent, it is asked before it can have read what it missed."""
    async with (
        platform.serving("--no-worker") as server,
        written(empty_database) as (ledger, connection),
        client(platform.url) as ask,
    ):
        for _ in range(3):
            await ledger.settled(ask, connection)
            await ledger.read(ask)
            os.kill(server.pid, signal.SIGSTOP)
            for key in ledger.keys:
                await ledger.write(connection, key)
            await asyncio.sleep(SILENCE_SECONDS + 0.5)
            reading = asyncio.create_task(ask(TITLES, ids=ledger.ids))
            await asyncio.sleep(0.1)
            os.kill(server.pid, signal.SIGCONT)
            told = [node["title"] for node in (await reading)["nodes"]]
            assert told == [f"第{ledger.begun[key]}版" for key in ledger.keys]


async def test_a_silent_line_to_the_database_is_not_taken_for_news(platform: Platform, empty_database: str) -> None:
    """As when a cable is pulled: nothing is refused and nothing comes."""
    async with Gate(empty_database) as gate:
        other = Platform(platform.home, DATABASE_URL=gate.url, REDIS_URL=settings.redis_url)
        async with (
            other.serving("--no-worker"),
            written(empty_database) as (ledger, connection),
            client(other.url) as ask,
        ):
            await ledger.settled(ask, connection)
            await ledger.read(ask)
            gate.hold()
            for key in ledger.keys:
                await ledger.write(connection, key)
            await asyncio.sleep(SILENCE_SECONDS)
            reading = asyncio.create_task(ledger.read(ask))
            await asyncio.sleep(1)
            assert not reading.done(), "the cache answered"
            gate.resume()
            await reading
            await ledger.settled(ask, connection)
            assert max(ledger.late) < SILENCE_SECONDS + 1


async def test_a_database_that_was_killed_and_is_back_voids_what_was_kept() -> None:
    with folder(0o755) as home:
        servers = await asyncio.to_thread(local.start, settings_of(home))
        city = Platform(home)
        async with city.serving("--no-worker"), client(city.url) as ask:
            for _ in range(3):
                async with written(servers.database_url) as (ledger, connection):
                    await ledger.settled(ask, connection)
                    await ledger.read(ask)
                    os.kill(postmaster(home), signal.SIGKILL)
                servers = await asyncio.to_thread(local.start, settings_of(home))
                connection = await asyncpg.connect(servers.database_url)
                for key in ledger.keys:
                    await ledger.write(connection, key)
                await ledger.settled(ask, connection)
                await connection.close()
        local.stop(home)

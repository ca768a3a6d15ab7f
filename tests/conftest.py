"""Real PostgreSQL and Redis for every test: the embedded servers, one template database, one fresh database a test."""

import asyncio
import fcntl
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from redis import Redis
from sqlalchemy import select

import migrations
from auth import tokens
from auth.viewer import Viewer
from kit import clock, local
from kit.bus import bus
from kit.db import database as pools
from kit.db import fetch_one
from kit.local.host import host_of
from kit.settings import ROOT, settings
from services import platform, reference
from services.account import ACCOUNT, viewer_of
from services.uow import unit_of_work

HOME = ROOT / ".esc" / "tests"
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
numbers = count(1)


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers that all tests share."""

    postgres: str
    redis: str

    def database(self, name: str) -> str:
        return f"{self.postgres.rsplit('/', 1)[0]}/{name}"


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def servers() -> Servers:
    """The embedded servers of the tests, apart from those of development, or those that the environment names."""
    settings.home = HOME
    settings.argon2_memory_kib, settings.argon2_time_cost = 64, 1
    with one_at_a_time("servers"):
        started = local.start(settings)
        if "postgres" in started.embedded:
            _forget_durability()
    return Servers(started.database_url, started.redis_url)


def _forget_durability() -> None:
    """The tests' data may die with the machine: without fsync a database is copied in a fifth of the time."""
    data = host_of(HOME).place / "postgres"
    configuration = data / "postgresql.auto.conf"
    if "fsync" not in configuration.read_text():
        with configuration.open("a") as file:
            file.write("fsync = off\n")
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)


def template_name() -> str:
    """Tells one form of the database from another, so that runs of the same code share a template."""
    sources = sorted([*(ROOT / "migrations").rglob("*.py"), *(ROOT / "models" / "reference").glob("*.csv")])
    return f"esc_template_{hashlib.sha256(b''.join(path.read_bytes() for path in sources)).hexdigest()[:12]}"


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """A migrated database with reference data, made once for each form of the database."""
    name = template_name()
    with one_at_a_time("template"):
        asyncio.run(_make_template(servers, name))
    return name


async def _make_template(servers: Servers, name: str) -> None:
    connection = await asyncpg.connect(servers.postgres)
    try:
        if await connection.fetchval("SELECT datistemplate FROM pg_database WHERE datname = $1", name):
            return
        await drop(connection, name)
        await connection.execute(f"CREATE DATABASE {name}")
        settings.database_url = servers.database(name)
        await migrations.upgrade(settings.database_url)
        await pools.open(settings)
        async with pools.write() as writing:
            await reference.load(writing)
        await pools.close()
        await connection.execute(f"ALTER DATABASE {name} IS_TEMPLATE true")
    finally:
        await connection.close()


async def drop(connection: "asyncpg.Connection[Any]", name: str) -> None:
    """Drops a database and ends what uses it; its autovacuum only PostgreSQL itself may end, which it does unforced."""
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute(f"DROP DATABASE IF EXISTS {name}")


def empty_redis(servers: Servers) -> str:
    """The address of this worker's own database of Redis, with nothing in it: no failures to sign in, for one."""
    url = f"{servers.redis.rstrip('/').removesuffix('/0')}/{WORKER}"
    with Redis.from_url(url) as redis:
        redis.flushdb()
    return url


@pytest.fixture
async def empty_database(servers: Servers, template: str, tmp_path: Path) -> AsyncIterator[str]:
    """A fresh database with reference data only, dropped afterwards; nothing is connected to it yet."""
    name = f"esc_test_{WORKER}_{os.getpid()}_{next(numbers)}"
    connection = await asyncpg.connect(servers.postgres)
    with one_at_a_time("template"):
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    settings.database_url = servers.database(name)
    settings.redis_url = empty_redis(servers)
    settings.home = tmp_path
    clock.set_offset(clock.offset() * 0)
    try:
        yield settings.database_url
    finally:
        await drop(connection, name)
        await connection.close()


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[str]:
    """A fresh database with the pools and the bus open, for tests below GraphQL."""
    async with opened():
        yield empty_database


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    await pools.open(settings)
    await bus.open(settings.redis_url)
    try:
        yield
    finally:
        await bus.close()
        await pools.close()


Answer = dict[str, Any]


class Api:
    """The platform as its callers see it: GraphQL over HTTP, as one of the demo accounts or as a visitor."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def raw(
        self, query: str, *, viewer: str | None = None, headers: dict[str, str] | None = None, **variables: Any
    ) -> Answer:
        """The whole answer, errors included."""
        sent = {**(headers or {}), **({"authorization": f"Bearer {await token(viewer)}"} if viewer else {})}
        response = await self.client.post("/graphql", json={"query": query, "variables": variables}, headers=sent)
        answer: Answer = response.json()
        return answer

    async def __call__(self, query: str, *, viewer: str | None = None, **variables: Any) -> Answer:
        """The data of an operation that meets no top-level error."""
        answer = await self.raw(query, viewer=viewer, **variables)
        assert "errors" not in answer, answer["errors"]
        data: Answer = answer["data"]
        return data

    async def refusals(
        self, query: str, *, viewer: str | None = None, **variables: Any
    ) -> list[tuple[str, list[str] | None]]:
        """Codes and fields of the `userErrors` of a mutation that is refused: its payload's result is null."""
        (payload,) = (await self(query, viewer=viewer, **variables)).values()
        (result,) = [value for name, value in payload.items() if name != "userErrors"]
        assert result is None, payload
        return [(error["code"], error["field"]) for error in payload["userErrors"]]


async def account(username: str) -> Viewer:
    row = await fetch_one(select(ACCOUNT).where(ACCOUNT.c.username == username))
    assert row is not None, f"no account {username}"
    return await viewer_of(row)


async def token(username: str) -> str:
    return tokens.issue(await account(username))[0]


async def shift(offset: timedelta) -> None:
    """Moves business time as `clockSet` does: what stands in the database a running platform takes over each second."""
    async with unit_of_work() as uow:
        await platform.move_clock(uow, clock.real() + offset)


Settle = Callable[[], Awaitable[None]]


@pytest.fixture
async def api(empty_database: str) -> AsyncIterator[Api]:
    """The whole platform in this process on a fresh database with the demo accounts."""
    import app  # noqa: PLC0415 - builds the schema
    from auth.passwords import hash_password  # noqa: PLC0415
    from services.demo import accounts as demo_accounts  # noqa: PLC0415

    application = app.Application()
    async with app.lifespan(application.starlette):
        async with pools.write() as writing:
            await demo_accounts.load_demo_accounts(writing, hash_password("esc-demo-1"))
        transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://esc.test") as client:
            yield Api(client)


@pytest.fixture
def settle() -> Settle:
    """Does all events that wait, as the worker would."""
    from jobs import worker  # noqa: PLC0415

    async def drained() -> None:
        async with asyncio.timeout(20):
            await worker.drain(settings)

    return drained

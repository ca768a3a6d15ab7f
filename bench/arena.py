"""Where the contenders meet: one PostgreSQL with the big city, one Redis, and each contender in a process of its own.

The server under load has core 0 for itself; PostgreSQL, Redis and the load share core 1.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg

from bench import proc
from bench.load import HOST, BenchError, Connection, Outcome, Request
from kit import clock, local
from kit.local.host import peek
from kit.settings import ROOT, Settings

SERVER_CORE, LOAD_CORE = 0, 1
ACCOUNTS = 2_000
TOKEN_SECONDS = 20 * 3600.0
DEMO_SECONDS, READY_SECONDS, STOP_SECONDS = 180.0, 60.0, 20.0
SECRET = {"ESC_SECRET_KEY": "for measurements on this machine only, and no secret"}
_NOTHING: Mapping[str, str] = MappingProxyType({})
_PINNED = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execvp(sys.argv[2], sys.argv[2:])"


@dataclass(frozen=True)
class Contender:
    """A server under test: what the report calls it and how it is started."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT


@dataclass(frozen=True)
class Server:
    """A contender that runs."""

    contender: Contender
    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Window:
    """One load on one server: CPU in microseconds a request; `foreign` is how many cores other work took meanwhile."""

    outcome: Outcome
    server_us: float
    database_us: float
    foreign: float


class Arena:
    """Holds the servers of a folder for as long as this process lives."""

    def __init__(self, home: Path) -> None:
        self.home = home
        servers = local.start(Settings(ESC_HOME=home, DATABASE_URL="", REDIS_URL=""))  # type: ignore[call-arg]
        self.database_url, self.redis_url = servers.database_url, servers.redis_url
        self._running: list[int] = []

    @property
    def tokens(self) -> list[str]:
        """Access tokens of plain accounts."""
        return (self.home / "tokens").read_text().split()

    def settle(self) -> None:
        """Loads the big city where it is missing, and gives this process and the servers their core."""
        file = self.home / "tokens"
        if file.exists() and clock.real().timestamp() - file.stat().st_mtime < TOKEN_SECONDS:
            self._manage("migrate")
        else:
            self._manage("demo", "--scale", "bench", "--accounts", str(ACCOUNTS), "--tokens", str(file))
        if (os.cpu_count() or 1) < 2:
            raise BenchError("two cores are needed: one for the server, one for the load and PostgreSQL")
        proc.pin([os.getpid(), *self.database_pids(), *self._redis_pids()], LOAD_CORE)

    def _manage(self, *arguments: str) -> None:
        environment = {**os.environ, **SECRET, "ESC_ENV": "development", "ESC_HOME": str(self.home)}
        done = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEMO_SECONDS,
        )
        if done.returncode:
            raise BenchError(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")

    @asynccontextmanager
    async def connected(self, url: str | None = None) -> AsyncIterator["asyncpg.Connection[Any]"]:
        connection = await asyncpg.connect(url or self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    def database_pids(self) -> list[int]:
        return proc.family(int((peek(self.home) / "postgres" / "postmaster.pid").read_text().split()[0]))

    def _redis_pids(self) -> list[int]:
        return [int((peek(self.home) / "redis" / "server.pid").read_text())]

    @asynccontextmanager
    async def all_serving(self, contenders: Sequence[Contender]) -> AsyncIterator[dict[str, Server]]:
        """All of them at once, so that their turns may alternate; who is not asked rests."""
        async with AsyncExitStack() as stack:
            yield {each.name: await stack.enter_async_context(self.serving(each)) for each in contenders}

    @asynccontextmanager
    async def serving(self, contender: Contender, database_url: str | None = None) -> AsyncIterator[Server]:
        """A contender on the core for servers, ready to answer."""
        port = free_port()
        own = {"DATABASE_URL": database_url or self.database_url, "PORT": str(port), **contender.environment}
        command = (sys.executable, "-c", _PINNED, str(SERVER_CORE), *contender.command)
        async with self.running(contender.name, command, own, contender.folder) as process:
            if not await opened(process, port):
                raise BenchError(f"{contender.name} did not start, see its log:\n{self._end_of_log(contender.name)}")
            yield Server(contender, port, process.pid)

    @asynccontextmanager
    async def running(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] = _NOTHING, folder: Path = ROOT
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process that works on the arena's servers. Its log goes to a file, as a production's does to a pipe."""
        own = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "ESC_HOME": str(self.home)}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ESC_")}
        with self._log(name).open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env={**kept, **own, **SECRET, **environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        self._running.append(process.pid)
        try:
            yield process
        finally:
            self._running.remove(process.pid)
            await _stop(process)

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _end_of_log(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")[-2000:]

    async def window(self, server: Server, load: Callable[[], Awaitable[Outcome]]) -> Window:
        """What a load came to and cost."""
        ours = [*self._running, *self.database_pids(), *self._redis_pids(), os.getpid()]
        database = self.database_pids()
        busy, own, ended = proc.busy_seconds(), proc.cpu_seconds(ours), proc.ended_seconds()
        server_before, database_before = proc.cpu_seconds([server.pid]), proc.cpu_seconds(database)
        started = time.perf_counter()
        outcome = await load()
        seconds = time.perf_counter() - started
        server_used = proc.cpu_seconds([server.pid]) - server_before
        database_used = proc.cpu_seconds(database) - database_before
        known = proc.cpu_seconds(ours) - own + proc.ended_seconds() - ended
        foreign = max(0.0, (proc.busy_seconds() - busy - known) / seconds)
        each = 1e6 / max(1, outcome.requests)
        return Window(outcome, server_used * each, database_used * each, foreign)


async def ask(server: Server, request: Request) -> bytes:
    """The body of one answer. Raises BenchError where it is none."""
    connection = await Connection.open(server.port)
    status, body = await connection.ask(request.wire)
    connection.close()
    if status != 200 or b'"errors":[' in body[:20]:
        raise BenchError(f"{server.contender.name} answered {status}: {body[:500].decode(errors='replace')}")
    return body


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def opened(process: asyncio.subprocess.Process, port: int) -> bool:
    """Waits until somebody listens on the port; false where the process ends first, or takes too long."""
    deadline = time.perf_counter() + READY_SECONDS
    while process.returncode is None and time.perf_counter() < deadline:
        try:
            (await asyncio.open_connection(HOST, port))[1].close()
        except OSError:
            await asyncio.sleep(0.1)
        else:
            return True
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

"""The platform as its operator meets it: `manage.py serve`, `worker` and `import` as processes, and servers to kill."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from redis import Redis
from redis.exceptions import RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from jobs import worker
from kit import clock
from kit.local.host import free_port, pause
from kit.local.redis import program
from kit.settings import ROOT, settings

CHEAP_PASSWORDS = {"ESC_ARGON2_MEMORY_KIB": "64", "ESC_ARGON2_TIME_COST": "1"}
PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code and what it wrote."""

    code: int
    output: str


class Running:
    """A process of the platform; `kill` is -9, as the kernel does it without memory."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def children(self) -> list[int]:
        """Processes that it started itself and that still run."""
        tasks = Path(f"/proc/{self.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def workers(self) -> list[int]:
        """Those of its children that are `manage.py worker`."""
        return [pid for pid in self.children if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]

    async def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """Ends it as an operator does, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, seconds)

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)


class Platform:
    """Processes of one home folder. `settings` are environment variables; those without an address run embedded."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.logs = home.parent
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"ESC_HOME": str(home), "PORT": str(self.port), "DATABASE_URL": "", "REDIS_URL": "", "COLUMNS": "200"}
        self.environment = {**os.environ, **CHEAP_PASSWORDS, **own, **settings}

    @asynccontextmanager
    async def started(self, *arguments: str, **settings: str) -> AsyncIterator[Running]:
        """A command that runs until the block ends, if not before."""
        log = self.logs / f"{arguments[0]}.log"
        process = Running([sys.executable, "manage.py", *arguments], {**self.environment, **settings}, log)
        try:
            yield process
        finally:
            await process.stop()

    @asynccontextmanager
    async def serving(self, *arguments: str, **settings: str) -> AsyncIterator[Running]:
        """`manage.py serve`, ready; without a worker, which builds the index, alive."""
        sign = "healthz" if "--no-worker" in arguments else "readyz"
        async with self.started("serve", *arguments, **settings) as server, httpx.AsyncClient() as client:
            async with asyncio.timeout(60):
                while not await is_well(client, f"{self.url}/{sign}"):
                    assert server.process.poll() is None, server.output
                    await asyncio.sleep(0.1)
            yield server

    async def run(self, *arguments: str, **settings: str) -> Ended:
        """A command from its start to its end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "manage.py",
            *arguments,
            cwd=ROOT,
            env={**self.environment, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(60):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return Ended(process.returncode or 0, out.decode())


async def is_well(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def alive(pid: int) -> bool:
    """Whether the process runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """What the condition tells once it is true; fails when it is not within the given time."""
    deadline = clock.real() + timedelta(seconds=seconds)
    while not (found := await condition()):
        assert clock.real() < deadline, "the condition never held"
        await asyncio.sleep(0.05)
    return found


class OwnRedis:
    """A Redis of one test, to be killed and frozen, and to come back on the same port, empty as after a real crash."""

    def __init__(self) -> None:
        self.port = free_port(0)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        binary = program()
        assert binary is not None
        self.process = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd="/",
            stdout=subprocess.DEVNULL,
        )
        for _ in range(200):
            with suppress(RedisError), Redis.from_url(self.url) as client:
                client.ping()
                return
            pause(0.05)
        raise AssertionError("Redis did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Its port stays open and nothing answers, as on a machine that swaps."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    server = OwnRedis()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def subscribed(url: str, query: str, token: str | None = None, **variables: Any) -> AsyncIterator["Subscription"]:
    """A subscription over a WebSocket of its own (`graphql-transport-ws`)."""
    address = f"ws{url.removeprefix('http')}/graphql"
    async with connect(address, subprotocols=[PROTOCOL]) as socket:
        payload = {"authorization": f"Bearer {token}"} if token else {}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        operation = {"query": query, "variables": variables}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        yield Subscription(socket)


class Subscription:
    """What a subscription delivers, one message after another."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def message(self, seconds: float = 5) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await asyncio.wait_for(self._socket.recv(), seconds))
            if message["type"] != "ping":
                return message

    async def next(self, seconds: float = 5) -> Any:
        """The data of the next event, which is to come within the given time."""
        message = await self.message(seconds)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def until(self, wanted: Any, seconds: float = 5) -> None:
        """Passes over events until the wanted one: a state may be told more than once."""
        async with asyncio.timeout(seconds):
            while await self.next(seconds) != wanted:
                pass


@asynccontextmanager
async def listening(application: Any) -> AsyncIterator[str]:
    """An application whose lifespan has begun already, behind a real server of this process; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application, lifespan="off", log_level="critical", ws="engine.frames:FrameProtocol")
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listener.close()


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """The worker, in this process."""
    task = asyncio.create_task(worker.run(settings))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

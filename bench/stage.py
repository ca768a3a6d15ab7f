"""A real platform in a throw-away folder: the command line in processes of its own, on servers of its own."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench import proc
from bench.load import HOST, BenchError
from kit.local import postgres
from kit.local.host import peek
from kit.settings import ROOT

READY_SECONDS = 120.0
STOP_SECONDS = 30.0
LOG_LINES = 15


@dataclass(frozen=True)
class Command:
    """A command that ended well: how long it took, and what it wrote."""

    seconds: float
    output: str


class Stage:
    """The folder, the port, and the commands that share them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ESC_")}
        own = {"ESC_ENV": "development", "ESC_HOME": str(home), "PORT": str(self.port), "COLUMNS": "200"}
        self._environment = kept | own | {"DATABASE_URL": "", "REDIS_URL": "", "MEILI_URL": "", "S3_BUCKET": ""}

    async def run(self, *arguments: str, seconds: float) -> Command:
        """Runs `manage.py` with these arguments to its end, in at most so many seconds."""
        started = time.perf_counter()
        process = await self._start(arguments, asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(seconds):
                output = (await process.communicate())[0].decode(errors="replace")
        except TimeoutError:
            process.kill()
            raise BenchError(f"manage.py {' '.join(arguments)} took longer than {seconds:.0f} s") from None
        if process.returncode:
            raise BenchError(f"manage.py {' '.join(arguments)} failed:\n{_tail(output)}")
        return Command(time.perf_counter() - started, output)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[tuple[float, int]]:
        """A running server: after how many seconds it was ready, and its process."""
        log = self.home / "serve.log"
        with log.open("wb") as output:
            started = time.perf_counter()
            process = await self._start(("serve",), output.fileno())
            try:
                await self._until_ready(process, log)
                yield time.perf_counter() - started, process.pid
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)

    async def _start(self, arguments: tuple[str, ...], output: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "manage.py",
            *arguments,
            cwd=ROOT,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def _until_ready(self, process: asyncio.subprocess.Process, log: Path) -> None:
        deadline = time.perf_counter() + READY_SECONDS
        while process.returncode is None and time.perf_counter() < deadline:
            if await self._ready():
                return
            await asyncio.sleep(0.1)
        raise BenchError(f"the server was not ready:\n{_end_of(log)}")

    async def _ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
        status = await reader.readline()
        writer.close()
        return b" 200 " in status

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        connection = await asyncpg.connect(postgres.address(self.home))
        try:
            yield connection
        finally:
            await connection.close()

    def processes(self, server: int) -> dict[str, list[int]]:
        """The processes behind each part of the platform, the server's own without the worker it started."""
        data = peek(self.home)
        postmaster = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        redis = int((data / "redis" / "server.pid").read_text())
        workers = [pid for pid in proc.family(server) if pid != server]
        return {"server": [server], "worker": workers, "PostgreSQL": proc.family(postmaster), "Redis": [redis]}


def _end_of(log: Path) -> str:
    return _tail(log.read_text(errors="replace"))


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_LINES:])

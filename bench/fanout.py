"""W5: one event for thousands of sockets, 10 times a second, by the platform and by mercurius."""

import asyncio
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from bench import contenders
from bench.arena import Arena, Contender, Server, Window
from bench.compare import Say
from bench.load import BenchError, Outcome
from bench.voting import open_rounds

SIZES = (200, 1_000, 5_000)
SECONDS, QUICK_SECONDS = 8, 2
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Fanout:
    """One run. A message is one event at one socket; `lost` never came, or was passed over by a later state."""

    contender: str
    sockets: int
    window: Window
    lost: int
    closed: int


async def measure(arena: Arena, say: Say, sizes: Sequence[int], seconds: int) -> list[Fanout]:
    _allow_sockets()
    async with arena.connected() as connection:
        (round_id,) = await open_rounds(connection, 1)
    told = []
    for size in sizes:
        for contender in (contenders.CACHED, contenders.MERCURIUS):
            say(f"{size} sockets follow {contender.name} …")
            told.append(await _follow(arena, contender, size, seconds, round_id))
    return told


async def _follow(arena: Arena, contender: Contender, size: int, seconds: int, round_id: str) -> Fanout:
    """A server of its own for each run, so that none bears what was left of the one before."""
    async with arena.serving(contender) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.sockets", str(server.port), str(size), str(seconds), round_id),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            return await _measure(arena, server, process, size, seconds)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _measure(
    arena: Arena, server: Server, process: asyncio.subprocess.Process, size: int, seconds: int
) -> Fanout:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join((*arena.tokens, "", "")).encode())
    if await asyncio.wait_for(process.stdout.readline(), READY_SECONDS) != b"ready\n":
        raise BenchError(f"{size} sockets could not follow {server.contender.name}")
    answer: dict[str, float] = {}

    async def load() -> Outcome:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        output, _ = await asyncio.wait_for(process.communicate(), seconds + READY_SECONDS)
        answer.update(orjson.loads(output))
        return Outcome(int(answer["delivered"]), 0, answer["seconds"], answer["p50_ms"], answer["p99_ms"], 0)

    window = await arena.window(server, load)
    lost = int(answer["published"] * size - answer["delivered"])
    return Fanout(server.contender.name, size, window, lost, int(answer["closed"]))


def _allow_sockets() -> None:
    """As many open files as this user may have, here and in every process that is started."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

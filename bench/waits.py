"""How long one waits for the platform: starts, imports, the first search; and what it weighs at rest.

A real server, worker, PostgreSQL and Redis run in a throw-away folder and answer on loopback.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import load, proc, workloads
from bench.load import Outcome, Request
from bench.stage import Command, Stage

IMPORT_SECONDS, DEMO_SECONDS = 90.0, 120.0
CONNECTIONS = (1, 16)
WARM_UP_REQUESTS = 100
SETTLE_SECONDS = 3.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Speed:
    """One load: CPU in milliseconds a request; `foreign_cores` is what other work took of the machine meanwhile."""

    name: str
    connections: int
    outcome: Outcome
    server_ms: float
    database_ms: float
    foreign_cores: float


@dataclass
class Waits:
    """Seconds. Without the reference data `imports` stays empty."""

    first_start_seconds: float = 0.0
    next_start_seconds: float = 0.0
    imports: list[Command] = field(default_factory=list)
    demo: Command | None = None
    searches: list[Speed] = field(default_factory=list)
    memory_mib: dict[str, float] = field(default_factory=dict)


async def measure(home: Path, data: Path | None, load_seconds: float, say: Say) -> Waits:
    stage, waits = Stage(home), Waits()
    say("Starting on an empty folder …")
    async with stage.served() as (waits.first_start_seconds, _server):
        if data is not None:
            say("Importing the real policies …")
            await _measure_import(stage, data, waits)
        say("Loading the big city …")
        waits.demo = await stage.run("demo", "--scale", "bench", seconds=DEMO_SECONDS)
    say("Starting again …")
    async with stage.served() as (waits.next_start_seconds, server):
        async with stage.connected() as connection:
            await connection.execute("ANALYZE")  # as autovacuum does within minutes
            requests = await workloads.searches(connection)
        say("Searching …")
        warm_up, fresh = requests[:WARM_UP_REQUESTS], requests[WARM_UP_REQUESTS:]
        await load.run(stage.port, warm_up, connections=1, seconds=load_seconds, most=len(warm_up))
        for place, connections in enumerate(CONNECTIONS):
            unasked = fresh[place :: len(CONNECTIONS)]  # no answer comes from the cache
            waits.searches.append(await _measure_load(stage, server, unasked, connections, load_seconds))
        await asyncio.sleep(SETTLE_SECONDS)
        waits.memory_mib = {part: proc.memory_mib(pids) for part, pids in stage.processes(server).items()}
    return waits


async def _measure_import(stage: Stage, data: Path, waits: Waits) -> None:
    """The real policies into the small city, twice; from a copy, since the warnings are written beside the file."""
    file = stage.home / "policies.jsonl"
    shutil.copy(data / "policies" / "policies.jsonl", file)
    for _ in range(2):
        waits.imports.append(await stage.run("import", "policies", str(file), "--publish", seconds=IMPORT_SECONDS))


async def _measure_load(
    stage: Stage, server: int, requests: Sequence[Request], connections: int, seconds: float
) -> Speed:
    """One load, what it cost the server and PostgreSQL, and what else kept the machine busy meanwhile."""
    parts = stage.processes(server)
    ours = {os.getpid(), *(pid for pids in parts.values() for pid in pids)}
    busy, own = proc.busy_seconds(), proc.cpu_seconds(ours)
    before = {part: proc.cpu_seconds(pids) for part, pids in parts.items()}
    outcome = await load.run(stage.port, requests, connections=connections, seconds=seconds, most=len(requests))
    milliseconds = {
        part: (proc.cpu_seconds(pids) - before[part]) * 1000 / outcome.requests for part, pids in parts.items()
    }
    foreign = (proc.busy_seconds() - busy) - (proc.cpu_seconds(ours) - own)
    return Speed(
        "Search, 4 to 10 characters",
        connections,
        outcome,
        server_ms=milliseconds["server"],
        database_ms=milliseconds["PostgreSQL"],
        foreign_cores=max(0.0, foreign / outcome.seconds),
    )

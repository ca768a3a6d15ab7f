"""Everything that is measured, in one run of at most 6 minutes: `python -m bench [--data FOLDER] [--output FILE]`.

A real server, worker, PostgreSQL and Redis run in a throw-away folder and answer on loopback. The result is printed
and written to `docs/performance.md`. Nothing is asserted: people judge the figures. Needs Linux.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import load, proc, report, search, workloads
from bench.report import Facts, Speed
from bench.stage import BenchError, Stage
from kit import clock
from kit.settings import ROOT

BUDGET_SECONDS = 360.0
IMPORT_SECONDS, DEMO_SECONDS = 90.0, 120.0
LOAD_SECONDS = 5.0
CONNECTIONS = (1, 16)
MOST_REQUESTS = 50_000
WARM_UP_REQUESTS = 100
SETTLE_SECONDS = 3.0
CUTS, SEED = 3, 1


async def measure(home: Path, data: Path | None, load_seconds: float) -> Facts:
    """All parts, one after the other. Without `data`, the reference data, those that need them are left out."""
    facts = Facts(clock.real(), proc.machine(), load_seconds)
    began = time.perf_counter()
    async with asyncio.timeout(BUDGET_SECONDS):
        await _measure_platform(Stage(home), data, facts)
        if data is not None:
            _say("Asking the index for pieces of the real policies …")
            facts.found = await search.measure(data, CUTS, SEED)
    facts.took_seconds = time.perf_counter() - began
    return facts


async def _measure_platform(stage: Stage, data: Path | None, facts: Facts) -> None:
    _say("Starting on an empty folder …")
    async with stage.served() as (facts.first_start_seconds, _server):
        if data is not None:
            await _measure_import(stage, data, facts)
        _say("Loading the big city …")
        facts.demo = await stage.run("demo", "--scale", "bench", seconds=DEMO_SECONDS)
    _say("Starting again …")
    async with stage.served() as (facts.next_start_seconds, server):
        await stage.analyse()
        for name, requests in (await workloads.prepare(stage.port)).items():
            _say(f"Asking: {name} …")
            await load.run(stage.port, requests, connections=1, seconds=facts.load_seconds, most=WARM_UP_REQUESTS)
            for connections in CONNECTIONS:
                facts.speeds.append(await _measure_load(stage, server, name, requests, connections, facts.load_seconds))
        await asyncio.sleep(SETTLE_SECONDS)
        facts.memory_mib = {part: proc.memory_mib(pids) for part, pids in stage.processes(server).items()}


async def _measure_import(stage: Stage, data: Path, facts: Facts) -> None:
    """The real policies into the small city, twice; from a copy, since the warnings are written beside the file."""
    file = stage.home / "policies.jsonl"
    shutil.copy(data / "policies" / "policies.jsonl", file)
    for _ in range(2):
        _say("Importing the real policies …")
        facts.imports.append(await stage.run("import", "policies", str(file), "--publish", seconds=IMPORT_SECONDS))


async def _measure_load(
    stage: Stage, server: int, name: str, requests: Sequence[bytes], connections: int, seconds: float
) -> Speed:
    """One load, what it cost the server and PostgreSQL, and what else kept the machine busy meanwhile."""
    parts = stage.processes(server)
    ours = {os.getpid(), *(pid for pids in parts.values() for pid in pids)}
    busy, own = proc.busy_seconds(), proc.cpu_seconds(ours)
    before = {part: proc.cpu_seconds(pids) for part, pids in parts.items()}
    outcome = await load.run(stage.port, requests, connections=connections, seconds=seconds, most=MOST_REQUESTS)
    milliseconds = {
        part: (proc.cpu_seconds(pids) - before[part]) * 1000 / outcome.requests for part, pids in parts.items()
    }
    foreign = (proc.busy_seconds() - busy) - (proc.cpu_seconds(ours) - own)
    return Speed(
        name,
        connections,
        outcome,
        server_ms=milliseconds["server"],
        database_ms=milliseconds["PostgreSQL"],
        foreign_cores=max(0.0, foreign / outcome.seconds),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--data", type=Path, default=search.DATA, help="reference data, with policies/ and qa/")
    parser.add_argument("--seconds", type=float, default=LOAD_SECONDS, help="length of each of the eight loads")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "performance.md")
    asked = parser.parse_args()
    data = asked.data if asked.data.is_dir() else None
    try:
        with tempfile.TemporaryDirectory(prefix="esc-bench-") as folder:
            Path(folder).chmod(0o755)  # the servers' own user must enter it where we are root
            facts = asyncio.run(measure(Path(folder), data, asked.seconds))
    except (BenchError, TimeoutError) as error:
        raise SystemExit(f"{error or f'not done within {BUDGET_SECONDS:.0f} s'}") from error
    text = report.markdown(facts)
    asked.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

"""`python -m tests.mutants [words of names]`: shows which test dies of each mutant; fails where one survives.

Each mutant lives in a copy of the packages. The directed tests come first, since they die at once and say of what; a
few random operations with a fixed seed come second.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import asyncpg

from kit import local
from kit.db import database as pools
from kit.settings import ROOT, settings
from tests import conftest, plan_city
from tests.mutants import MUTANTS, Mutant

EXAMPLES, SEED = 150, 7
DIRECTED = ("tests/test_plan_directed.py", "tests/test_plan_values.py", "tests/test_plan_memory.py")
AT_ONCE = 2
SECONDS = 600
COPIED = (
    "auth",
    "engine",
    "integrations",
    "jobs",
    "kit",
    "migrations",
    "models",
    "resolvers",
    "schema",
    "search",
    "services",
    "subscriptions",
    "tests",
    "pyproject.toml",
)


@dataclass(frozen=True)
class City:
    """The database and the search index that all trials read."""

    address: str
    home: Path


@contextmanager
def city(home: Path) -> Iterator[City]:
    """A database of its own, dropped at the end."""
    settings.home = conftest.HOME
    with conftest.one_at_a_time("servers"):
        started = local.start(settings)
    servers = conftest.Servers(started.database_url, started.redis_url)
    template, name = conftest.template_name(), f"esc_mutants_{os.getpid()}"
    with conftest.one_at_a_time("template"):
        asyncio.run(conftest._make_template(servers, template))
        asyncio.run(_run(servers.postgres, f"CREATE DATABASE {name} TEMPLATE {template}"))
    settings.database_url, settings.home = servers.database(name), home
    try:
        asyncio.run(_build())
        yield City(settings.database_url, home)
    finally:
        asyncio.run(_run(servers.postgres, f"DROP DATABASE {name}"))


async def _run(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(statement)
    await connection.close()


async def _build() -> None:
    await pools.open(settings)
    try:
        await plan_city.build()
    finally:
        await pools.close()


def copy_to(place: Path) -> Path:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place / name)
    return place


def killer(copy: Path, where: City) -> str | None:
    """What fails on the copy: a directed test, or the random operations; None where all pass."""
    directed = _python(copy, "pytest", "-x", "-q", "-p", "no:cacheprovider", *DIRECTED)
    if directed.returncode:
        failed = [line for line in directed.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0].partition(" - ")[0].partition("::")[2] if failed else directed.stdout[-300:]
    random = _python(copy, "tests.mutants.trial", where.address, str(where.home), str(EXAMPLES), str(SEED))
    return f"random operations: {random.stdout or random.stderr[-300:]}" if random.returncode else None


def _python(copy: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, cwd=copy, env=environment, timeout=SECONDS, capture_output=True, text=True, check=False
    )


def tried(mutant: Mutant, copies: "SimpleQueue[Path]", where: City) -> str | None:
    """What kills the mutant."""
    copy = copies.get()
    file = copy / mutant.file
    usual = file.read_text()
    try:
        file.write_text(mutant.source(ROOT))
        return killer(copy, where)
    finally:
        file.write_text(usual)
        copies.put(copy)


def main(words: Sequence[str]) -> int:
    chosen = [each for each in MUTANTS if all(word in each.name for word in words)]
    with tempfile.TemporaryDirectory() as folder, city(Path(folder)) as where:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(AT_ONCE):
            copies.put(copy_to(Path(folder) / f"copy{number}"))
        original = Mutant("the original", chosen[0].file, chosen[0].old, chosen[0].old)
        if fault := tried(original, copies, where):
            sys.stderr.write(f"the engine itself fails: {fault}\n")
            return 2
        survivors = []
        with ThreadPoolExecutor(AT_ONCE) as trials:
            runs = [(each, trials.submit(tried, each, copies, where)) for each in chosen]
            for mutant, run in runs:
                killed_by = run.result()
                sys.stdout.write(f"{mutant.name:60} {killed_by or 'SURVIVES'}\n")
                sys.stdout.flush()
                survivors += [] if killed_by else [mutant.name]
    sys.stdout.write(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants die\n")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

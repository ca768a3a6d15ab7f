"""Whether reads stay as quick when there are 10 and 100 times the rows, in a copy of the database.

New rows repeat the old ones under new ids; their days of publication spread over four hundred days before.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench import contenders, workloads
from bench.arena import Arena, Window
from bench.compare import Client, Pace, Say, middle, rotated

FACTORS = (1, 10, 100)
# What is not repeated as it is; `n` is the number of the repetition.
_SPREAD = "published_at - make_interval(secs => ('x' || left(md5(id::text || n), 7))::bit(28)::int % 34560000)"
_NEW: dict[str, Mapping[str, str]] = {
    "store": {"id": "md5(id::text || n)::uuid", "published_at": _SPREAD},
    "product": {
        "id": "md5(id::text || n)::uuid",
        "store_id": "md5(store_id::text || n)::uuid",
        "published_at": _SPREAD,
    },
    "policy": {"id": "md5(id::text || n)::uuid", "source_id": "source_id || '-' || n", "published_at": _SPREAD},
}
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
  AND attgenerated = '' AND attidentity = ''"""


@dataclass(frozen=True, slots=True)
class Grown:
    """A read at so many times the rows, by one connection; `times` as long as at first, the median of the rounds."""

    workload: str
    factor: int
    window: Window
    times: float


async def measure(arena: Arena, client: Client, pace: Pace, say: Say) -> list[Grown]:
    """A server for each size, asked in turns, since the machine itself gets faster and slower."""
    loads, windows = {}, defaultdict(list)
    async with AsyncExitStack() as stack:
        servers = {}
        for factor, url in (await _databases(arena, stack, say)).items():
            async with arena.connected(url) as connection:
                for workload, requests in (await workloads.reads(connection)).items():
                    loads[factor, workload] = client.load(f"{workload}-{factor}", requests, connections=1)
            contender = replace(contenders.OURS, name=f"ours-{factor}")
            servers[factor] = await stack.enter_async_context(arena.serving(contender, url))
        say("Asking the old and the grown …")
        for turn in range(-1, pace.rounds):
            for workload in ("W1", "W2", "W3"):
                for factor in rotated(list(servers), turn):
                    load = partial(loads[factor, workload], servers[factor].port, pace.window)
                    window = await arena.window(servers[factor], load)
                    if turn >= 0:
                        windows[workload, factor].append(window)
    return [Grown(*key, middle(turns), _times(turns, windows[key[0], 1])) for key, turns in sorted(windows.items())]


def _times(turns: Sequence[Window], first: Sequence[Window]) -> float:
    return median(one.outcome.p50_ms / other.outcome.p50_ms for one, other in zip(turns, first, strict=True))


async def _databases(arena: Arena, stack: AsyncExitStack, say: Say) -> dict[int, str]:
    """The address of a database of each size; the grown ones are copies, and dropped when the stack ends."""
    urls = {1: arena.database_url}
    for before, factor in pairwise(FACTORS):
        say(f"Growing to {factor} times the rows …")
        urls[factor] = await stack.enter_async_context(_copied(arena, urls[before], f"esc_growth_{factor}"))
        async with arena.connected(urls[factor]) as connection:
            await _grow(connection, before, factor)
    return urls


@asynccontextmanager
async def _copied(arena: Arena, url: str, name: str) -> AsyncIterator[str]:
    """The address of a copy of a database that nobody uses at this moment."""
    parts = urlsplit(url)
    async with arena.connected(urlunsplit(parts._replace(path="/postgres"))) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {name}")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {parts.path[1:]}")
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            await connection.execute(f"DROP DATABASE {name}", timeout=60)


async def _grow(connection: "asyncpg.Connection[Any]", size: int, factor: int) -> None:
    """From `size` times the first rows to `factor` times."""
    for table, new in _NEW.items():
        await connection.execute(f"CREATE TABLE IF NOT EXISTS first_{table} AS SELECT id FROM {table}")  # noqa: S608
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # it would run beside the loads
        names = [row["attname"] for row in await connection.fetch(_COLUMNS, table)]
        values = ", ".join(new.get(name, name) for name in names)
        await connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} "  # noqa: S608 - names of our own
            f"FROM {table} JOIN first_{table} USING (id), generate_series({size}, {factor - 1}) AS n",
            timeout=300,
        )
    await connection.execute(f"VACUUM (ANALYZE, INDEX_CLEANUP off) {', '.join(_NEW)}", timeout=300)

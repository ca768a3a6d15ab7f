"""Whether reads stay as quick when there are 10 and 100 times the rows, in a copy of the database.

New rows repeat the old ones under new ids; their days of publication spread over four hundred days before.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench import contenders, workloads
from bench.arena import Arena, Window
from bench.compare import Client, Pace, Say, middle

FACTORS = (1, 10, 100)
COPY = "esc_growth"
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
    """A read at so many times the rows, by one connection."""

    workload: str
    factor: int
    window: Window


async def measure(arena: Arena, client: Client, pace: Pace, say: Say) -> list[Grown]:
    told = []
    async with _copied(arena) as url:
        size = 1
        for factor in FACTORS:
            say(f"Growing to {factor} times the rows …")
            async with arena.connected(url) as connection:
                await _grow(connection, size, factor)
                asked = await workloads.reads(connection)
            size = factor
            async with arena.serving(contenders.OURS, url) as server:
                for workload, requests in asked.items():
                    load = client.load(f"grown-{workload}", requests, connections=1)
                    await load(server.port, pace.warm_up)
                    windows = [
                        await arena.window(server, partial(load, server.port, pace.window)) for _ in range(pace.rounds)
                    ]
                    told.append(Grown(workload, factor, middle(windows)))
    return told


@asynccontextmanager
async def _copied(arena: Arena) -> AsyncIterator[str]:
    """The address of a copy of the database, dropped afterwards."""
    parts = urlsplit(arena.database_url)
    async with arena.connected(urlunsplit(parts._replace(path="/postgres"))) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {COPY}")
        await connection.execute(f"CREATE DATABASE {COPY} TEMPLATE {parts.path[1:]}")
        try:
            yield urlunsplit(parts._replace(path=f"/{COPY}"))
        finally:
            await connection.execute(f"DROP DATABASE {COPY}", timeout=60)


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

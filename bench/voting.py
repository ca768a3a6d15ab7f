"""The tables of the stand-in for the contest, which the rivals share, and the worker that counts what was cast.

`python -m bench.voting` is that worker: it folds new ballots into the tallies at most 5 times a second, in one
transaction, and wakes whoever follows them.
"""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text, Uuid, text

from kit import clock
from kit.bus import bus
from kit.db import database
from kit.ids import global_id, uuid7
from kit.settings import settings
from services.uow import unit_of_work

FOLD_SECONDS = 0.2
YEAR = timedelta(days=365)
CANDIDATES = 10
ROUND_KIND, CANDIDATE_KIND, BALLOT_KIND = "ballot_round", "contest_project", "ballot"

_TABLES = MetaData()
_MOMENT = DateTime(timezone=True)
ROUND = Table(
    "bench_round",
    _TABLES,
    Column("id", Uuid, primary_key=True),
    Column("opens_at", _MOMENT),
    Column("closes_at", _MOMENT),
    Column("max_choices", Integer),
    Column("ballot_count", Integer),
)
TALLY = Table(
    "bench_tally",
    _TABLES,
    Column("round_id", Uuid, primary_key=True),
    Column("candidate_id", Uuid, primary_key=True),
    Column("votes", Integer),
)
CLAIM = Table(
    "bench_claim",
    _TABLES,
    Column("round_id", Uuid, primary_key=True),
    Column("claimant", LargeBinary, primary_key=True),
    Column("period", Text, primary_key=True),
)
BALLOT = Table(
    "bench_ballot",
    _TABLES,
    Column("id", Uuid, primary_key=True),
    Column("round_id", Uuid),
    Column("choices", ARRAY(Uuid)),
    Column("receipt", Text),
    Column("cast_at", _MOMENT),
    Column("folded", Integer),
)
_CREATE = """
CREATE TABLE IF NOT EXISTS bench_round (id uuid PRIMARY KEY, opens_at timestamptz NOT NULL,
  closes_at timestamptz NOT NULL, max_choices int NOT NULL, ballot_count int NOT NULL);
CREATE TABLE IF NOT EXISTS bench_tally (round_id uuid, candidate_id uuid, votes int NOT NULL,
  PRIMARY KEY (round_id, candidate_id));
CREATE TABLE IF NOT EXISTS bench_claim (round_id uuid, claimant bytea, period text,
  PRIMARY KEY (round_id, claimant, period));
CREATE TABLE IF NOT EXISTS bench_ballot (id uuid PRIMARY KEY, round_id uuid NOT NULL, choices uuid[] NOT NULL,
  receipt text NOT NULL, cast_at timestamptz NOT NULL, folded int NOT NULL);
CREATE INDEX IF NOT EXISTS bench_ballot_unfolded ON bench_ballot (round_id) WHERE folded = 0;
TRUNCATE bench_round, bench_tally, bench_claim, bench_ballot
"""
_FOLD = text("""
WITH folded AS (UPDATE bench_ballot SET folded = 1 WHERE folded = 0 RETURNING round_id, choices),
  votes AS (SELECT round_id, choice, count(*) AS number FROM folded, unnest(choices) AS choice GROUP BY 1, 2),
  counted AS (UPDATE bench_tally SET votes = bench_tally.votes + number FROM votes
    WHERE bench_tally.round_id = votes.round_id AND candidate_id = choice),
  ballots AS (SELECT round_id, count(*) AS number FROM folded GROUP BY 1)
UPDATE bench_round SET ballot_count = ballot_count + number FROM ballots WHERE id = round_id RETURNING id""")


def topic(round_id: UUID) -> str:
    """What the bus calls the tally of a round."""
    return f"tally:{round_id.hex}"


async def open_rounds(connection: "asyncpg.Connection[Any]", count: int) -> dict[str, list[str]]:
    """Empty tables with so many open rounds; the ids of the candidates by the id of their round."""
    await connection.execute(_CREATE)
    now = clock.now()
    rounds = {uuid7(): [uuid7() for _ in range(CANDIDATES)] for _ in range(count)}
    await connection.executemany(
        "INSERT INTO bench_round VALUES ($1, $2, $3, 3, 0)", [(key, now - YEAR, now + YEAR) for key in rounds]
    )
    tallies = [(key, each) for key, candidates in rounds.items() for each in candidates]
    await connection.executemany("INSERT INTO bench_tally VALUES ($1, $2, 0)", tallies)
    return {
        global_id(ROUND_KIND, key): [global_id(CANDIDATE_KIND, each) for each in candidates]
        for key, candidates in rounds.items()
    }


async def fold() -> None:
    """Counts what is not yet counted: each ballot bears its own mark, so a late commit is not passed by."""
    async with unit_of_work() as uow:
        changed = await uow.execute(_FOLD)
    for row in changed:
        await bus.publish(topic(row["id"]))


async def main() -> None:
    await database.open(settings)
    await bus.open(settings.redis_url)
    while True:
        await fold()
        await asyncio.sleep(FOLD_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())

"""W4: a ballot, by the platform and by mercurius in turns. Each request is another account's or another round's."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product

from bench import contenders
from bench.arena import Arena, Server, Window
from bench.compare import Client, Comparison, Pace, Say, rotated
from bench.load import Request, request
from bench.voting import open_rounds

CAST = """mutation W4($round: ID!, $choices: [ID!]!) { ballotCast(input: {roundId: $round, choices: $choices}) {
  ballot { id receipt } userErrors { code } } }"""
MOST_A_SECOND = 10_000


async def measure(arena: Arena, client: Client, pace: Pace, say: Say, told: Comparison) -> None:
    """Adds windows of W4. An answer counts as failed where no ballot came of it."""
    say("Casting ballots …")
    async with arena.connected() as connection:
        await open_rounds(connection, 1)
    async with counting(arena), arena.all_serving((contenders.CACHED, contenders.MERCURIUS)) as servers:
        for turn in range(-1, pace.rounds):
            for server in rotated(list(servers.values()), turn):
                window = await _cast(arena, client, server, pace.warm_up if turn < 0 else pace.window)
                if turn >= 0:
                    told.add(server.contender.name, "W4", window)


@asynccontextmanager
async def counting(arena: Arena) -> AsyncIterator[None]:
    """The worker that counts ballots, on the core of the load."""
    async with arena.running("counting", (sys.executable, "-m", "bench.voting")):
        yield


async def _cast(arena: Arena, client: Client, server: Server, seconds: int) -> Window:
    requests = await _requests(arena, MOST_A_SECOND * seconds)
    load = client.load("W4", requests)
    window = await arena.window(server, lambda: load(server.port, seconds))
    async with arena.connected() as connection:
        kept = await connection.fetchval("SELECT count(*) FROM bench_ballot")
    outcome = window.outcome
    return replace(window, outcome=replace(outcome, failed=max(outcome.failed, outcome.requests - kept)))


async def _requests(arena: Arena, number: int) -> list[Request]:
    """So many votes that nobody has cast, in rounds made for them."""
    tokens = arena.tokens
    async with arena.connected() as connection:
        rounds = await open_rounds(connection, -(-number // len(tokens)))
    return [
        request(CAST, name="W4", token=token, round=key, choices=candidates[:2])
        for (key, candidates), token in product(rounds.items(), tokens)
    ]

"""What a server process weighs: when it has started, and when it has read ten thousand different documents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from bench import contenders, load, proc, workloads
from bench.arena import Arena
from bench.compare import Say
from bench.load import BenchError, Request, request

NUMBER, QUICK_NUMBER = 10_000, 500
CONNECTIONS = 8
MOST_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Documents:
    """MiB of proportional set size: at rest, after half of the documents, after all; and how many a second it read."""

    number: int
    at_rest: float
    after_half: float
    after_all: float
    per_second: float


async def measure(arena: Arena, say: Say, number: int) -> Documents:
    """Each document is a different text with other aliases, so that no cache knows it."""
    say(f"Reading {number:,} different documents …")
    async with arena.connected() as connection:
        asked = await workloads.reads(connection)
    async with arena.serving(contenders.CACHED) as server:
        at_rest = proc.memory_mib([server.pid])
        documents = list(_different(number, asked["W1"]))
        half, rest = documents[: number // 2], documents[number // 2 :]
        seconds = await _read(server.port, half)
        after_half = proc.memory_mib([server.pid])
        seconds += await _read(server.port, rest)
        return Documents(number, at_rest, after_half, proc.memory_mib([server.pid]), number / seconds)


def _different(number: int, asked: Sequence[Request]) -> Iterator[Request]:
    """Of ten, eight are W1, one is W2 and one W3, all under names of their own."""
    texts = (*(workloads.POLICY,) * 8, workloads.PRODUCTS, workloads.STORES)
    policy = orjson.loads(asked[0].body)["variables"]
    for place in range(number):
        text = texts[place % 10].replace("nodes {", f"nodes {{ key{place}: id").replace("title", f"title{place}: title")
        yield request(text, **(policy if place % 10 < 8 else {}))


async def _read(port: int, documents: Sequence[Request]) -> float:
    """Seconds that it took. Raises BenchError where one is not answered as it should."""
    outcome = await load.run(port, documents, connections=CONNECTIONS, seconds=MOST_SECONDS, most=len(documents))
    if outcome.failed or outcome.requests < len(documents):
        raise BenchError(
            f"of {len(documents)} documents {outcome.requests} were answered, {outcome.failed} with errors"
        )
    return outcome.seconds

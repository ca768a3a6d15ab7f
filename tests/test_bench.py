"""The measuring itself: load that is counted right, costs read from /proc, a report that hides no noise."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import load, proc, report, waits, workloads
from bench.load import Outcome
from bench.stage import Command

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="measures on Linux only")

HEAD, GOOD, BAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", b'{"data":{}}', b'{"errors":[]}'


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """A server that gives these answers in turn, the last one for ever; its port."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            while (line := await reader.readline()) != b"\r\n":
                head += line
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            body = left.pop(0) if len(left) > 1 else left[0]
            writer.write(HEAD % len(body) + body)
        writer.close()

    async with await asyncio.start_server(serve, load.HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_load_stops_at_its_most_requests_and_counts_answers_with_errors() -> None:
    async with answering(BAD, BAD, GOOD) as port:
        outcome = await load.run(port, [load.request("{ now }")], connections=4, seconds=20, most=100)
    assert (outcome.requests, outcome.failed) == (100, 2)


async def test_a_load_ends_when_its_time_is_over() -> None:
    async with answering(GOOD) as port, asyncio.timeout(20):
        outcome = await load.run(port, [load.request("{ now }")], connections=2, seconds=0.2, most=10**9)
    assert outcome.failed == 0
    assert outcome.answer_bytes == len(GOOD)


async def test_a_child_process_belongs_to_the_family_and_has_memory() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    try:
        assert child.pid in proc.family(os.getpid())
        assert proc.memory_mib([child.pid]) < proc.memory_mib([child.pid, os.getpid()])
        assert proc.cpu_seconds([os.getpid()]) <= proc.busy_seconds()
    finally:
        await child.communicate(b"\n")
    assert proc.cpu_seconds([child.pid]) == 0
    assert proc.memory_mib([child.pid]) == 0


def facts(*, foreign: float, failed: int) -> report.Facts:
    """A run with one load of two seconds."""
    outcome = Outcome(requests=200, failed=failed, seconds=2.0, p50_ms=9.87, p99_ms=20.0, answer_bytes=4_000)
    imported = Command(8.25, "Importing\n408 new, 0 changed, 0 unchanged, 0 refused, 2 warnings\n")
    waited = waits.Waits(
        imports=[imported],
        searches=[waits.Speed("Search", 16, outcome, 1.234, 0.5, foreign)],
        memory_mib={"server": 100.4, "Redis": 3.0},
    )
    return report.Facts(at=datetime(2026, 1, 1, 17, tzinfo=UTC), machine="2 cores", waits=waited)


def test_the_report_says_when_other_work_ran_beside_it() -> None:
    text = report.markdown(facts(foreign=0.9, failed=0))
    assert "**Other work ran beside it**" in text
    assert "| Search | 16 | 100 | 9.9 | 20.0 | 1.23 | 0.50 | 4.0 | 0.90 |" in text
    assert "408 new, 0 changed, 0 unchanged, 0 refused, 2 warnings | 8.2 |" in text
    assert "| together | 103 |" in text
    assert "on 2026-01-02" in text


def test_the_report_says_when_answers_failed_and_when_the_machine_was_quiet() -> None:
    text = report.markdown(facts(foreign=0.02, failed=3))
    assert "**3 answers failed.**" in text
    assert "Nothing else took more than 0.02 cores" in text


@pytest.mark.parametrize("query", [workloads.POLICY, workloads.PRODUCTS, workloads.STORES, workloads.SEARCH])
def test_what_is_asked_under_load_is_valid_in_the_contract(query: str) -> None:
    from graphql import parse, validate  # noqa: PLC0415 - the contract takes a second to build

    import schema  # noqa: PLC0415

    assert validate(schema.build()._schema, parse(query)) == []

"""The measurements as `docs/performance.md`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from platform import python_version

from bench import tables
from bench.arena import Window
from bench.compare import CONNECTIONS, Comparison
from bench.documents import Documents
from bench.fanout import Fanout
from bench.growth import Grown
from bench.search import Figures
from bench.stage import Command
from bench.tables import section, table
from bench.waits import Waits
from kit.clock import SHANGHAI

QUIET_CORES = 0.15

_INTRODUCTION = """\
# Performance

Written by `make bench` in {took:.0f} s, on {day}: {machine}, Python {python}.

{noise}{failed}
"""
_QUIET = 'Nothing else took more than {most:.2f} cores during any load ("others").'
_NOISY = """\
**Other work ran beside it**: "others" says how many of the cores it took during each load. Where that is above
{limit:g}, the server could have answered more and sooner; CPU per request is what such noise moves least."""
_VERDICT = """\
In brackets stands the goal; what misses it is bold. All contenders answer on the same PostgreSQL with
`synchronous_commit=on`, and were seen to answer the same before the loads began. They take turns of two seconds, in
another order each round; a ratio is the median of the rounds' own ratios, everything else the median of the windows.
The server has one core for itself, PostgreSQL and the load ({client}, {many} connections) share another, so that what
costs PostgreSQL much is bound by that core for everybody. CPU is that of all threads of the server's process, read
from `/proc`. Each request has other variables than the one before, but for hits in the cache: sixteen requests, asked
again and again. W4 and W5 run on a stand-in (`bench/standin.py`), since the contest is not there yet.
"""
_COMPARED = """\
- **ours** is `app.py` with its rules, row gates and JSON log on, as production runs it; its reference executor is the
  same with plans off. A ballot verifies the token, and one statement in a unit of work checks the round and its
  candidates and writes; a worker counts what was cast, five times a second, on the core of PostgreSQL.
- **mercurius** runs on fastify with its compiler on, loaders, and postgres.js with a pool of ten. Its ballot is one
  statement, its token is not verified, and nothing counts its ballots. It knows neither rules nor logs.
- **plain Strawberry** has its caches for parsing and validating on, DataLoaders, and asyncpg's rows.
- **the bare limit** is one route of Starlette and one statement a request that PostgreSQL answers in JSON, on
  asyncpg's pool as it comes, which resets each connection after use. It is no ceiling: the reset is a round trip.
"""
_FOLLOWED = """\
Each event changes one row and reaches every socket as an encoded state with ten candidates; lateness runs from before
the change is asked for to the arrival. Our followers are of two thousand accounts, and what they get is worked out
once for all who stand alike. mercurius reads the tally once, in the mutation. "lost" was passed over by a later state.
"""
_GROWN = """\
One connection, plans without the cache, on a copy whose rows repeat under other ids and days. 1.3 times is the goal.
What is asked again and again fits into PostgreSQL's memory, which is as large as in production (512 MB).
"""
_IMPORTED = re.compile(r"\d+ new, .*warnings")


@dataclass
class Facts:
    """What was measured; None or empty: not asked for. Without the reference data `found` stays None."""

    at: datetime
    machine: str
    took_seconds: float = 0.0
    waits: Waits | None = None
    found: Figures | None = None
    comparison: Comparison | None = None
    client: str = ""
    fanouts: list[Fanout] = field(default_factory=list)
    documents: Documents | None = None
    growth: list[Grown] = field(default_factory=list)


def markdown(facts: Facts) -> str:
    sections = [_introduction(facts), _verdict(facts)]
    if facts.comparison:
        sections.append(section("Each contender", tables.compared(facts.comparison), _COMPARED))
    if facts.fanouts:
        sections.append(section("Followers of one tally (W5)", tables.followed(facts.fanouts), _FOLLOWED))
    if facts.growth:
        sections.append(section("Ten and a hundred times the rows", tables.grown(facts.growth), _GROWN))
    if facts.waits:
        sections += [_waits(facts.waits), _searches(facts.waits)]
    sections.append(_finding(facts))
    if facts.waits:
        sections.append(_memory(facts.waits))
    if facts.documents:
        sections.append(_weight(facts.documents))
    return "\n".join(each for each in sections if each).rstrip() + "\n"


def _introduction(facts: Facts) -> str:
    loads = [(each.foreign, each.outcome.failed) for each in _windows(facts)]
    loads += [(speed.foreign_cores, speed.outcome.failed) for speed in (facts.waits.searches if facts.waits else ())]
    most, failed = max((load[0] for load in loads), default=0.0), sum(load[1] for load in loads)
    return _INTRODUCTION.format(
        took=facts.took_seconds,
        day=facts.at.astimezone(SHANGHAI).date(),
        machine=facts.machine,
        python=python_version(),
        noise=(_QUIET if most <= QUIET_CORES else _NOISY).format(most=most, limit=QUIET_CORES),
        failed=f"\n\n**{failed} answers failed.**" if failed else "",
    )


def _windows(facts: Facts) -> Iterator[Window]:
    for turns in facts.comparison.windows.values() if facts.comparison else ():
        yield from turns
    yield from (each.window for each in facts.fanouts)
    yield from (each.window for each in facts.growth)


def _verdict(facts: Facts) -> str:
    rows = tables.verdict(facts.comparison) if facts.comparison else []
    if facts.fanouts:
        rows.append(tables.fanned_out(facts.fanouts))
    if not rows:
        return ""
    heads = ("one worker, rules and log on", "× mercurius", "× the bare limit", "server CPU a request")
    return section("What was to be reached", table(heads, rows), _VERDICT.format(client=facts.client, many=CONNECTIONS))


def _waits(waits: Waits) -> str:
    rows = [
        (
            "First start on an empty folder, until ready: servers made, migrated, sample city searchable",
            waits.first_start_seconds,
        ),
        ("Next start, with the big city, until ready", waits.next_start_seconds),
        *((f"Import of the real policies, until searchable: {_told(done)}", done.seconds) for done in waits.imports),
    ]
    if waits.demo:
        rows.append(("The big city (500 stores, 5,100 products, 2,260 policies), until searchable", waits.demo.seconds))
    return section("Waiting", table(("what", "seconds"), [(what, f"{seconds:.1f}") for what, seconds in rows]))


def _told(done: Command) -> str:
    """What the import says of itself."""
    told = _IMPORTED.search(done.output)
    return told[0] if told else "(it did not say)"


def _searches(waits: Waits) -> str:
    titles = (
        "asked",
        "connections",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "server CPU ms",
        "PostgreSQL CPU ms",
        "KB",
        "others",
    )
    rows = [
        (
            speed.name,
            f"{speed.connections}",
            f"{speed.outcome.per_second:,.0f}",
            f"{speed.outcome.p50_ms:.1f}",
            f"{speed.outcome.p99_ms:.1f}",
            f"{speed.server_ms:.2f}",
            f"{speed.database_ms:.2f}",
            f"{speed.outcome.answer_bytes / 1000:.1f}",
            f"{speed.foreign_cores:.2f}",
        )
        for speed in waits.searches
    ]
    return section("Searches in the big city", table(titles, rows), _SEARCHES)


_SEARCHES = """\
Here the server, its worker, PostgreSQL, Redis and the load share all cores. No question is asked twice. CPU is for each
request; KB is the body of an answer.
"""


def _finding(facts: Facts) -> str:
    found = facts.found
    if found is None:
        return ""
    rows = [
        ("8 to 16 characters cut from a title: its policy is the first hit", f"{found.title_top1 * 100:.1f} %"),
        ("the same, or another policy that holds the very passage", f"{found.title_top1_verbatim * 100:.1f} %"),
        ("8 to 16 characters cut from a body: its policy is among the first five", f"{found.body_top5 * 100:.1f} %"),
        ("the same, or another policy that holds the very passage", f"{found.body_top5_verbatim * 100:.1f} %"),
        ("everyday name of a service: a right item is the first hit", f"{found.names_top1 * 100:.1f} %"),
        ("everyday name of a service: mean reciprocal rank", f"{found.names_mrr:.3f}"),
        ("one question to the index, without HTTP", f"p50 {found.p50_ms:.1f} ms, p95 {found.p95_ms:.1f} ms"),
    ]
    return section("Finding, in the embedded index, with real texts", table(("what", "figure"), rows))


def _memory(waits: Waits) -> str:
    rows = [(part, f"{mebibytes:.0f}") for part, mebibytes in waits.memory_mib.items()]
    rows.append(("together", f"{sum(waits.memory_mib.values()):.0f}"))
    return section("Memory at rest, after the loads", table(("part", "MiB (PSS)"), rows))


def _weight(documents: Documents) -> str:
    rows = [
        ("when it has started", f"{documents.at_rest:.0f}"),
        (f"after {documents.number // 2:,} different documents", f"{documents.after_half:.0f}"),
        (f"after {documents.number:,} different documents", f"{documents.after_all:.0f}"),
    ]
    told = f"It read {documents.per_second:.0f} documents a second that it did not know, answers included.\n"
    return section("Memory of a server process", table(("when", "MiB (PSS)"), rows), told)

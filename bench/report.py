"""The measurements as `docs/performance.md`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from platform import python_version

from bench.load import Outcome
from bench.search import Figures
from bench.stage import Command
from kit.clock import SHANGHAI

QUIET_CORES = 0.15

_INTRODUCTION = """\
# Performance

Written by `make bench` in {took:.0f} s, on {day}: {machine}, Python {python}.

The server (one process), its worker, PostgreSQL, Redis and the load share these cores, and a load lasts {load:g} s at
most, so a difference below a fifth means nothing. Each request has other variables than the one before. There is no
cache of results: every answer is worked out. {failed}

{noise}
"""
_QUIET = 'Nothing else took more than {most:.2f} cores during any load ("others").'
_NOISY = """\
**Other work ran beside it**: "others" says how many of the cores it took during each load. Where that is above
{limit:g}, the server could have answered more and sooner; CPU per request is what such noise moves least."""
_IMPORTED = re.compile(r"\d+ new, .*warnings")


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
class Facts:
    """What was measured. Without the reference data `imports` and `found` stay empty."""

    at: datetime
    machine: str
    load_seconds: float
    took_seconds: float = 0.0
    first_start_seconds: float = 0.0
    next_start_seconds: float = 0.0
    imports: list[Command] = field(default_factory=list)
    demo: Command | None = None
    speeds: list[Speed] = field(default_factory=list)
    memory_mib: dict[str, float] = field(default_factory=dict)
    found: Figures | None = None


def markdown(facts: Facts) -> str:
    sections = (_introduction(facts), _waits(facts), _loads(facts), _finding(facts), _memory(facts))
    return "\n".join(sections).rstrip() + "\n"


def _introduction(facts: Facts) -> str:
    most = max(speed.foreign_cores for speed in facts.speeds)
    failed = sum(speed.outcome.failed for speed in facts.speeds)
    return _INTRODUCTION.format(
        took=facts.took_seconds,
        day=facts.at.astimezone(SHANGHAI).date(),
        machine=facts.machine,
        python=python_version(),
        noise=(_QUIET if most <= QUIET_CORES else _NOISY).format(most=most, limit=QUIET_CORES),
        load=facts.load_seconds,
        failed=f"**{failed} answers failed.**" if failed else "All answers came with status 200 and without errors.",
    )


def _waits(facts: Facts) -> str:
    rows = [
        (
            "First start on an empty folder, until ready: servers made, migrated, sample city searchable",
            facts.first_start_seconds,
        ),
        ("Next start, with the big city, until ready", facts.next_start_seconds),
        *((f"Import of the real policies, until searchable: {_told(done)}", done.seconds) for done in facts.imports),
    ]
    if facts.demo:
        rows.append(("The big city (500 stores, 5,100 products, 2,260 policies), until searchable", facts.demo.seconds))
    return _table("Waiting", ("what", "seconds"), [(what, f"{seconds:.1f}") for what, seconds in rows])


def _told(done: Command) -> str:
    """What the import says of itself."""
    told = _IMPORTED.search(done.output)
    return told[0] if told else "(it did not say)"


def _loads(facts: Facts) -> str:
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
        for speed in facts.speeds
    ]
    return _table("Reads of the big city", titles, rows) + _LOADS


_LOADS = """
CPU is for each request; KB is the body of an answer. The planner's statistics are those of the loaded data, as
autovacuum keeps them. The operations stand in `bench/workloads.py`.
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
    return _table("Finding, in the embedded index, with real texts", ("what", "figure"), rows)


def _memory(facts: Facts) -> str:
    rows = [(part, f"{mebibytes:.0f}") for part, mebibytes in facts.memory_mib.items()]
    rows.append(("together", f"{sum(facts.memory_mib.values()):.0f}"))
    return _table("Memory at rest, after the loads", ("part", "MiB (PSS)"), rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    return f"## {title}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

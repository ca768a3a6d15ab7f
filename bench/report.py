"""The measurements as `docs/performance.md`."""

import re
from dataclasses import dataclass
from datetime import datetime
from platform import python_version

from bench import tables
from bench.compare import Comparison
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


def markdown(facts: Facts) -> str:
    sections = [_introduction(facts)]
    if facts.comparison:
        sections += [_verdict(facts), section("Reads, by all contenders", tables.compared(facts.comparison))]
    if facts.waits:
        sections += [_waits(facts.waits), _searches(facts.waits)]
    sections.append(_finding(facts))
    if facts.waits:
        sections.append(_memory(facts.waits))
    return "\n".join(each for each in sections if each).rstrip() + "\n"


def _introduction(facts: Facts) -> str:
    loads = [(speed.foreign_cores, speed.outcome.failed) for speed in (facts.waits.searches if facts.waits else ())]
    if facts.comparison:
        loads += [(each.foreign, each.outcome.failed) for turns in facts.comparison.windows.values() for each in turns]
    most, failed = max((load[0] for load in loads), default=0.0), sum(load[1] for load in loads)
    return _INTRODUCTION.format(
        took=facts.took_seconds,
        day=facts.at.astimezone(SHANGHAI).date(),
        machine=facts.machine,
        python=python_version(),
        noise=(_QUIET if most <= QUIET_CORES else _NOISY).format(most=most, limit=QUIET_CORES),
        failed=f"\n\n**{failed} answers failed.**" if failed else "",
    )


def _verdict(facts: Facts) -> str:
    heads = ("", "against mercurius", "against the bare limit", "CPU of the server a request")
    rows = tables.verdict(facts.comparison) if facts.comparison else []
    return section("Goals", table(heads, rows))


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
Here the server, its worker, PostgreSQL, Redis and the load share all cores. CPU is for each request; KB is the body of
an answer.
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

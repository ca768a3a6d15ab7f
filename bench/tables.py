"""Tables of the comparisons, for the report."""

from collections.abc import Sequence

from bench import contenders
from bench.compare import Comparison
from bench.fanout import Fanout
from bench.growth import Grown
from bench.workloads import TITLES

OURS_WHOLE = {contenders.CACHED.name: "ours"}

GOALS = {
    # workload: times the requests of mercurius, of the limit, microseconds of the server's CPU
    "W1": (1.0, 1.0, 190),
    "W2": (1.5, 1.0, 700),
    "W3": (1.2, 0.9, 1_100),
    "W4": (0.3, None, 600),
    "hit": (3.0, 3.0, 70),
}
LESS_CPU, MESSAGE_US, LATE_MS = 3.0, 15.0, 150.0
GROWTH = 1.3


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def section(title: str, *parts: str) -> str:
    return f"## {title}\n\n" + "\n".join(parts)


def verdict(told: Comparison) -> list[tuple[str, str, str, str]]:
    """What was reached of each goal, which stands in brackets; what was missed is bold."""
    rows = []
    for name, (mercurius, limit, microseconds) in GOALS.items():
        contender = contenders.CACHED.name if name in {"W4", "hit"} else contenders.OURS.name
        workload = "W1" if name == "hit" else name
        reached = told.typical(contender, workload)
        rows.append(
            (
                "Cache hit, on W1" if name == "hit" else TITLES[workload],
                at_least(told.ratio(contender, contenders.MERCURIUS.name, workload), mercurius),
                at_least(told.ratio(contender, contenders.LIMIT.name, workload), limit),
                at_most(reached.server_us if reached else None, microseconds, "µs"),
            )
        )
    return rows


def fanned_out(told: Sequence[Fanout]) -> tuple[str, str, str, str]:
    """W5 in the same four columns: its goals are CPU for a message and lateness, with the most sockets."""
    most = max(each.sockets for each in told)
    ours, rival = (_of(told, each.name, most) for each in (contenders.CACHED, contenders.MERCURIUS))
    return (
        f"W5 {most:,} sockets × 10 events a second",
        at_least(rival.window.server_us / ours.window.server_us, LESS_CPU) + " less CPU a message",
        at_most(ours.window.server_us, MESSAGE_US, "µs a message"),
        at_most(ours.window.outcome.p99_ms, LATE_MS, "ms p99"),
    )


def _of(told: Sequence[Fanout], contender: str, sockets: int) -> Fanout:
    return next(each for each in told if (each.contender, each.sockets) == (contender, sockets))


def followed(told: Sequence[Fanout]) -> str:
    heads = ("contender", "sockets", "messages/s", "p50 ms", "p99 ms", "server CPU µs a message", "lost", "others")
    titles = {contenders.MERCURIUS.name: contenders.MERCURIUS.title, **OURS_WHOLE}
    rows = [
        (
            titles[each.contender],
            f"{each.sockets:,}",
            f"{each.window.outcome.per_second:,.0f}",
            f"{each.window.outcome.p50_ms:.0f}",
            f"{each.window.outcome.p99_ms:.0f}",
            f"{each.window.server_us:.1f}",
            f"{each.lost:,}",
            f"{each.window.foreign:.2f}",
        )
        for each in told
    ]
    return table(heads, rows)


def grown(told: Sequence[Grown]) -> str:
    """Times of one connection, and how many times the first size's; above the goal they are bold."""
    heads = ("asked", "rows", "p50 ms", "times", "server CPU µs", "PostgreSQL CPU µs", "others")
    rows = [
        (
            TITLES[each.workload],
            f"× {each.factor}",
            f"{each.window.outcome.p50_ms:.2f}",
            _judged(f"{each.times:.2f}", good=each.times <= GROWTH),
            f"{each.window.server_us:,.0f}",
            f"{each.window.database_us:,.0f}",
            f"{each.window.foreign:.2f}",
        )
        for each in told
    ]
    return table(heads, rows)


def at_least(value: float | None, goal: float | None) -> str:
    return "–" if value is None or goal is None else _judged(f"{value:.2f} (≥ {goal:g})", good=value >= goal)


def at_most(value: float | None, goal: float, unit: str) -> str:
    return "–" if value is None else _judged(f"{value:,.0f} {unit} (≤ {goal:,g})", good=value <= goal)


def _judged(text: str, *, good: bool) -> str:
    return text if good else f"**{text}**"


def compared(told: Comparison) -> str:
    heads = (
        *("contender", "requests/s", "× mercurius", "× limit", "p50 ms", "p99 ms"),
        *("server CPU µs", "PostgreSQL CPU µs", "KB", "others"),
    )
    parts = []
    for workload, title in TITLES.items():
        rows = [
            _row(told, each.name, OURS_WHOLE.get(each.name, each.title) if workload == "W4" else each.title, workload)
            for each in contenders.READERS
            if (each.name, workload) in told.windows
        ]
        parts.append(f"### {title}\n\n{table(heads, rows)}")
    return "\n".join(parts)


def _row(told: Comparison, name: str, title: str, workload: str) -> tuple[str, ...]:
    window = told.typical(name, workload)
    if window is None:
        return (title,)
    outcome = window.outcome
    ratios = (told.ratio(name, rival.name, workload) for rival in (contenders.MERCURIUS, contenders.LIMIT))
    return (
        title,
        f"{outcome.per_second:,.0f}",
        *("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        f"{outcome.p50_ms:.1f}",
        f"{outcome.p99_ms:.1f}",
        f"{window.server_us:,.0f}",
        f"{window.database_us:,.0f}",
        f"{outcome.answer_bytes / 1000:.1f}",
        f"{window.foreign:.2f}",
    )

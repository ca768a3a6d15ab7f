"""Tables of the comparisons, for the report."""

from collections.abc import Sequence

from bench import contenders
from bench.compare import Comparison
from bench.workloads import TITLES

GOALS = {
    # workload: times the requests of mercurius, of the limit, microseconds of the server's CPU
    "W1": (1.0, 1.0, 190),
    "W2": (1.5, 1.0, 700),
    "W3": (1.2, 0.9, 1_100),
    "W4": (0.3, None, 600),
    "hit": (3.0, 3.0, 70),
}


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
            _row(told, each.name, each.title, workload)
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

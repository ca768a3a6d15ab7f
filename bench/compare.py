"""W1 to W3 by all contenders in turn: short windows, the order of turns changes from round to round.

First every contender answers the same requests, and all must say the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import orjson

from bench import contenders, load, workloads, wrk
from bench.arena import Arena, Server, Window, ask
from bench.load import BenchError, Outcome, Request

CONNECTIONS = 32
CHECKED = 20
REPEATED = 16
MANY = 10**9

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long: seconds of warming up and of a window, and how many rounds of windows."""

    warm_up: int = 1
    window: int = 2
    rounds: int = 3


@dataclass
class Comparison:
    """Windows by contender and workload, in the order of the rounds."""

    windows: dict[tuple[str, str], list[Window]] = field(default_factory=dict)

    def add(self, contender: str, workload: str, window: Window) -> None:
        self.windows.setdefault((contender, workload), []).append(window)

    def typical(self, contender: str, workload: str) -> Window | None:
        """A window of medians, None where it was not measured."""
        windows = self.windows.get((contender, workload))
        return middle(windows) if windows else None

    def ratio(self, contender: str, rival: str, workload: str) -> float | None:
        """How many times the requests of the rival: the median of the rounds, since the machine's pace drifts."""
        pairs = zip(self.windows.get((contender, workload), ()), self.windows.get((rival, workload), ()), strict=False)
        ratios = [one.outcome.per_second / other.outcome.per_second for one, other in pairs if other.outcome.requests]
        return median(ratios) if ratios else None


def middle(windows: Sequence[Window]) -> Window:
    """A window that has the median of each figure."""

    def of(figure: str, each: Sequence[Any]) -> Any:
        return median(getattr(one, figure) for one in each)

    outcomes = [each.outcome for each in windows]
    seconds = of("seconds", outcomes)
    outcome = Outcome(
        requests=round(of("per_second", outcomes) * seconds),
        failed=sum(each.failed for each in outcomes),
        seconds=seconds,
        p50_ms=of("p50_ms", outcomes),
        p99_ms=of("p99_ms", outcomes),
        answer_bytes=round(of("answer_bytes", outcomes)),
    )
    return Window(outcome, *(of(figure, windows) for figure in ("server_us", "database_us", "foreign")))


class Client:
    """Makes the load: wrk where it is, else Python, which costs so much that it may be what is measured."""

    def __init__(self, home: Path, *, by_wrk: bool) -> None:
        self._home, self._by_wrk = home, by_wrk

    @property
    def name(self) -> str:
        return "wrk" if self._by_wrk else "a client in Python"

    def load(
        self, name: str, requests: Sequence[Request], connections: int = CONNECTIONS
    ) -> Callable[[int, int], Awaitable[Outcome]]:
        """What sends the requests in turn to a port, for so many seconds."""
        if not self._by_wrk:
            return partial(_by_python, requests, connections)
        return partial(_by_wrk, wrk.write(requests, self._home / f"{name}.requests"), connections)


async def _by_wrk(file: Path, connections: int, port: int, seconds: int) -> Outcome:
    return await wrk.run(port, file, connections=connections, seconds=seconds)


async def _by_python(requests: Sequence[Request], connections: int, port: int, seconds: int) -> Outcome:
    return await load.run(port, requests, connections=connections, seconds=seconds, most=MANY)


async def measure(arena: Arena, client: Client, pace: Pace, say: Say, told: Comparison, among: Sequence[str]) -> None:
    """Adds windows of W1 to W3 by the contenders of these names."""
    async with arena.connected() as connection:
        await connection.execute("VACUUM (ANALYZE)")
        asked = await workloads.reads(connection)
    async with arena.all_serving([each for each in contenders.READERS if each.name in among]) as servers:
        say("Asking all the same …")
        for requests in asked.values():
            await _agree(list(servers.values()), requests[:CHECKED])
        loads = {
            (name, workload): client.load(f"{name}-{workload}", _requests_for(name, requests))
            for workload, requests in asked.items()
            for name in servers
        }
        for turn in range(-1, pace.rounds):
            say("Warming up …" if turn < 0 else f"Round {turn + 1} of {pace.rounds} …")
            for workload in asked:
                for server in rotated(list(servers.values()), turn):
                    key = server.contender.name, workload
                    seconds = pace.warm_up if turn < 0 else pace.window
                    window = await arena.window(server, partial(loads[key], server.port, seconds))
                    if turn >= 0:
                        told.add(*key, window)


def _requests_for(name: str, requests: Sequence[Request]) -> Sequence[Request]:
    """The cache is asked few things again and again, everybody else something new each time."""
    return requests[:REPEATED] if name == contenders.CACHED.name else requests


def rotated(all_: Sequence[T], turn: int) -> list[T]:
    """Another order each turn."""
    shift = turn % len(all_)
    turned = [*all_[shift:], *all_[:shift]]
    return turned if turn % 2 == 0 else turned[::-1]


async def _agree(servers: Sequence[Server], requests: Sequence[Request]) -> None:
    """Raises BenchError where two contenders answer the same request differently."""
    for request in requests:
        answers = {server.contender.name: canonical(await ask(server, request)) for server in servers}
        if len(set(answers.values())) > 1:
            (first, expected), *others = answers.items()
            different = [name for name, answer in others if answer != expected]
            raise BenchError(f"{', '.join(different)} answer otherwise than {first}: {request.body[:200]!r}")


def canonical(answer: bytes) -> bytes:
    """The answer as bytes that are the same where it says the same: moments have several spellings."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: _moment(each) if key == "publishedAt" else plain(each) for key, each in value.items()}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return orjson.dumps(plain(orjson.loads(answer)), option=orjson.OPT_SORT_KEYS)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

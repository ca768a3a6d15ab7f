"""Everything that is measured, in one run of about 10 minutes: `python -m bench [--only PART,…] [--quick]`.

The result is printed and, after a whole run, written to `docs/performance.md`. Nothing is asserted: people judge the
figures. Needs Linux and two cores.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import (
    ballots,
    compare,
    contenders,
    documents,
    fanout,
    growth,
    proc,
    report,
    search,
    waits,
    workloads,
    wrk,
)
from bench.arena import LOAD_CORE, Arena
from bench.compare import Client, Comparison, Pace
from bench.load import HOST, BenchError
from bench.report import Facts
from kit import clock, local
from kit.settings import ROOT

BUDGET_SECONDS = 900.0
LOAD_SECONDS = 5.0
CUTS, SEED = 3, 1
QUICK = Pace(warm_up=1, window=1, rounds=1)
PARTS = ("waits", "compare", "fanout", "documents", "growth")


def measure(asked: argparse.Namespace) -> Facts:
    """The parts that are asked for, one after the other."""
    facts = Facts(clock.real(), proc.machine())
    compared = set(asked.only) - {"waits"}
    if not proc.tells():
        raise BenchError("this system does not tell what threads cost (/proc/self/schedstat)")
    if compared:
        contenders.check()
    began = time.perf_counter()
    if "waits" in asked.only:
        _measure_waits(asked.data if asked.data.is_dir() else None, facts)
    if compared:
        with _arena(asked.home) as arena:
            asyncio.run(_measure_in(arena, asked, facts))
    facts.took_seconds = time.perf_counter() - began
    return facts


def _measure_waits(data: Path | None, facts: Facts) -> None:
    """Without `data`, the reference data, what needs them is left out."""
    with tempfile.TemporaryDirectory(prefix="esc-bench-") as folder:
        Path(folder).chmod(0o755)  # the servers' own user must enter it where we are root
        facts.waits = asyncio.run(waits.measure(Path(folder), data, LOAD_SECONDS, _say))
    if data is not None:
        _say("Asking the index for pieces of the real policies …")
        facts.found = asyncio.run(search.measure(data, CUTS, SEED))


@contextmanager
def _arena(kept: Path | None) -> Iterator[Arena]:
    """The servers with the big city, in a folder that is kept or in one for this time."""
    with tempfile.TemporaryDirectory(prefix="esc-bench-") as folder:
        home = kept or Path(folder)
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        _say("Loading the big city …")
        arena = Arena(home)
        try:
            arena.settle()
            yield arena
        finally:
            local.stop()


async def _measure_in(arena: Arena, asked: argparse.Namespace, facts: Facts) -> None:
    pace = QUICK if asked.quick else Pace(rounds=asked.rounds)
    client = Client(arena.home, by_wrk=wrk.install())
    facts.client = client.name
    async with asyncio.timeout(BUDGET_SECONDS):
        if "compare" in asked.only:
            facts.comparison = Comparison()
            await compare.measure(arena, client, pace, _say, facts.comparison, asked.contenders)
            await ballots.measure(arena, client, pace, _say, facts.comparison)
        if "fanout" in asked.only:
            seconds = fanout.QUICK_SECONDS if asked.quick else fanout.SECONDS
            facts.fanouts = await fanout.measure(arena, _say, fanout.SIZES, seconds)
        if "documents" in asked.only:
            number = documents.QUICK_NUMBER if asked.quick else documents.NUMBER
            facts.documents = await documents.measure(arena, _say, number)
        if "growth" in asked.only:
            facts.growth = await growth.measure(arena, client, pace, _say)


async def _stay(arena: Arena, name: str) -> None:
    """Keeps one contender on its core until it is interrupted, for a profiler or for a load by hand."""
    (contender,) = (each for each in contenders.READERS if each.name == name)
    client = Client(arena.home, by_wrk=wrk.install())
    async with arena.connected() as connection:
        asked = await workloads.reads(connection)
    async with arena.serving(contender) as server:
        _say(f"{contender.title}: process {server.pid}, log in {arena.home / f'{name}.log'}")
        for workload, requests in asked.items():
            client.load(workload, requests)
            file = arena.home / f"{workload}.requests"
            _say(f"taskset -c {LOAD_CORE} wrk -t1 -c32 -d5s -s {wrk.SCRIPT} http://{HOST}:{server.port} -- {file}")
        await asyncio.Event().wait()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return names

    return read


def _arguments() -> argparse.Namespace:
    everybody = [each.name for each in contenders.READERS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_names(PARTS), default=list(PARTS), help=f"parts of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="short windows: to see that it runs, not to be quoted")
    parser.add_argument(
        "--contenders", type=_names(everybody), default=everybody, help=f"in the comparison: {', '.join(everybody)}"
    )
    parser.add_argument("--rounds", type=int, default=Pace.rounds, help="rounds of windows; more even out more")
    parser.add_argument("--serve", choices=everybody, help="only serve this contender, for a profiler")
    parser.add_argument("--home", type=Path, help="keep the loaded city in this folder, for the next run")
    parser.add_argument("--data", type=Path, default=search.DATA, help="reference data, with policies/ and qa/")
    parser.add_argument("--output", type=Path, help="where to write the report; docs/performance.md after a whole run")
    return parser.parse_args()


def main() -> None:
    asked = _arguments()
    try:
        if asked.serve:
            with suppress(KeyboardInterrupt), _arena(asked.home) as arena:
                asyncio.run(_stay(arena, asked.serve))
            return
        facts = measure(asked)
    except (BenchError, TimeoutError) as error:
        raise SystemExit(f"{error or f'not done within {BUDGET_SECONDS:.0f} s'}") from error
    text = report.markdown(facts)
    whole = set(asked.only) == set(PARTS) and not asked.quick
    output = asked.output or (ROOT / "docs" / "performance.md" if whole else None)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

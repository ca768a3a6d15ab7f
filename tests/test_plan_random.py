"""Plans are exact: operations drawn from the whole schema are answered as the reference answers them."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import schema
from kit.db import database as pools
from kit.settings import settings
from tests import plan_city
from tests.comparison import Tally, examine
from tests.operations import Contract

SHORT, LONG = 1_000, 20_000
PROCESSES = 2
SEED = 20261124


@pytest.fixture
def city(empty_database: str) -> str:
    """The address of a database with everything that a query can come to."""

    async def build() -> None:
        await pools.open(settings)
        try:
            await plan_city.build()
        finally:
            await pools.close()

    asyncio.run(build())
    return empty_database


def check(tallies: Sequence[Tally], count: int) -> None:
    """Few operations were refused, most were answered by plans, some were not, and all of the schema was reached."""
    contract = Contract(schema.build()._schema)
    asked = sum(tally.examples for tally in tallies)
    compared = sum(tally.comparisons for tally in tallies)
    reached = Tally()
    for tally in tallies:
        for type_, names in tally.reached.items():
            reached.reached.setdefault(type_, set()).update(names)
    fields = sum(len(names) for names in contract.reachable.values())
    missing = reached.missing(contract)
    assert asked >= count
    assert compared == 3 * asked
    assert sum(tally.refused for tally in tallies) < compared * 0.05
    assert sum(tally.planned for tally in tallies) > asked * 0.8
    assert 0 < sum(tally.fallbacks for tally in tallies) < compared * 0.2
    assert set(contract.reachable) - set(reached.reached) == set()
    assert len(missing) < fields * 0.05, missing


def test_random_operations_are_answered_as_by_the_reference(city: str) -> None:
    check([examine(SHORT, SEED, shrink=True)], SHORT)


def examined(address: str, home: Path, count: int, number: int) -> Tally:
    """In a process of its own, on the city that another has built."""
    settings.database_url, settings.home = address, home
    return examine(count, number, shrink=True)


@pytest.mark.hard
def test_many_random_operations_are_answered_as_by_the_reference(city: str) -> None:
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        runs = [
            processes.submit(examined, city, settings.home, LONG // PROCESSES, SEED + number)
            for number in range(1, PROCESSES + 1)
        ]
        check([run.result() for run in runs], LONG)

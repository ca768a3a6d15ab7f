"""What is told again is what would be found: random operations, viewers, rules, writes, clocks and indexings."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Table, func, select, update

import schema
from auth.viewer import Viewer
from engine.cache import ResponseCache
from engine.errors import RequestError
from engine.federation import check_entities
from engine.gate import gate
from engine.limits import Limits
from engine.params import Params
from jobs.search import reindex
from kit import clock
from kit.db import fetch
from kit.feed import feed
from kit.generations import generations
from kit.settings import settings
from models.publishing import PublicationState
from resolvers.search import search_index
from search import open_index
from search.base import SEARCH, SearchIndex
from services.demo.rows import TABLES
from services.uow import unit_of_work
from tests import plan_city
from tests.arguments import Dice
from tests.comparison import OTHER_RULES, REQUEST, Answered, ask, compare, cursors, frozen_clock, pipeline, ruled
from tests.operations import Author, Contract
from tests.processes import until
from tests.test_cache import counts, more

SHORT, LONG = 250, 4_000
POOL = 10
SEED = 20261125


@dataclass(frozen=True)
class Question:
    """An operation with its variables, and the bytes by which it is recalled."""

    text: str
    variables: dict[str, Any]

    @property
    def sent(self) -> bytes:
        return json.dumps({"query": self.text, "variables": self.variables}).encode()


class Changes:
    """Things that end answers. Each returns when this process knows."""

    def __init__(self, random: Random, index: SearchIndex, stranger: "asyncpg.Connection[Any]") -> None:
        self._random = random
        self._index = index
        self._stranger = stranger

    async def one(self) -> None:
        acts: Sequence[tuple[Callable[[], Awaitable[None]], int]] = (
            (self.write, 60),
            (self.write_past_the_platform, 20),
            (self.index, 5),
            (self.move_clock, 10),
            (self.pass_time, 10),
            (self.lose_the_feed, 5),
        )
        (act,) = self._random.choices([act for act, _ in acts], [weight for _, weight in acts])
        await act()

    async def write(self) -> None:
        table, key = await self._item()
        async with unit_of_work() as uow:
            await uow.execute(update(table).where(table.c.id == key).values(self._values(table)))

    async def write_past_the_platform(self) -> None:
        since, name = generations.now(), self._random.choice(("district", "department", "industry", "policy", "store"))
        column = "title" if name == "policy" else "name"
        await self._stranger.execute(f"UPDATE {name} SET {column} = left({column}, 20) || '变'")  # noqa: S608
        await self._known(since, name)

    async def index(self) -> None:
        kind = self._random.choice(sorted(TABLES))
        since, table = generations.now(), TABLES[kind]
        keys = [row["id"] for row in await fetch(select(table.c.id).order_by(func.random()).limit(20))]
        await reindex(self._index, kind, keys)
        await self._known(since, SEARCH)

    async def move_clock(self) -> None:
        clock.set_offset(timedelta(days=self._random.randrange(4)))

    async def pass_time(self) -> None:
        later = clock.real() + timedelta(hours=self._random.randrange(1, 30))
        clock.real = lambda: later

    async def lose_the_feed(self) -> None:
        since = generations.now()
        await self._stranger.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'esc feed'"
            " AND datname = current_database()"
        )
        await self._known(since, SEARCH)
        if self._random.random() < 0.5:

            async def back() -> bool:
                return generations.connected

            await until(back)

    async def _item(self) -> tuple[Table, Any]:
        table = self._random.choice(list(TABLES.values()))
        (row,) = await fetch(select(table.c.id).order_by(func.random()).limit(1))
        return table, row["id"]

    def _values(self, table: Table) -> dict[str, Any]:
        title = "title" if "title" in table.c else "name"
        return self._random.choice(
            (
                {"view_count": table.c.view_count + 1},
                {"state": self._random.choice(list(PublicationState)), "offline_reason": "整改"},
                {title: func.left(table.c[title], 20) + "新"},
                {"owner": self._random.choice(("platform", "district:310115", "department:SHEITC"))},
            )
        )

    async def _known(self, since: int, name: str) -> None:
        async def known() -> bool:
            return not generations.fresh(since, (name,))

        await until(known)


class Comparison:
    """The platform with its cache beside the platform without."""

    def __init__(self, random: Random, viewers: Sequence[Viewer], contract: Contract, facts: Any) -> None:
        core, executor_class = contract.schema, schema.build().execution_context_class
        self._random = random
        self._viewers = viewers
        self._contract = contract
        self._facts = facts
        self._cached = pipeline(core, executor_class, plans=True)
        self._cached._cache = ResponseCache(generations)
        self._fresh = pipeline(core, executor_class, plans=True)
        self._fresh._documents = self._cached._documents
        self._pool: list[Question] = []

    async def one(self, change: Callable[[], Awaitable[None]]) -> None:
        """One question of three viewers, with a change at any point, each time asked both ways."""
        question = self._question()
        with ruled(self._random.choice(OTHER_RULES) if self._random.random() < 0.2 else {}):
            for viewer in self._random.choices(self._viewers, k=3):
                if self._random.random() < 0.05:
                    await change()
                told = await self._recalled(question, viewer)
                found = await ask(self._fresh, question.text, question.variables, viewer)
                difference = compare(told, found)
                assert not difference, f"{viewer}\n{question.text}\n{question.variables}\n{difference}"

    def _question(self) -> Question:
        if len(self._pool) < POOL or self._random.random() < 0.05:
            author = Author(self._contract, self._facts, Dice(self._random.randint))
            text = author.write()
            self._pool[POOL - 1 :] = []
            self._pool.insert(0, Question(text, author.arguments.given()))
        return self._random.choice(self._pool)

    async def _recalled(self, question: Question, viewer: Viewer) -> Answered:
        """As the engine answers a POST."""
        if answer := self._cached.recall(question.sent, viewer, REQUEST):
            return Answered(answer.body)
        try:
            params = Params(question.text, None, question.variables, {})
            operation = await self._cached.open(params, viewer, REQUEST, question.sent)
        except RequestError as error:
            return Answered(json.dumps(error.errors).encode(), refused=True)
        return Answered((await self._cached.run(operation)).body)


@pytest.fixture
async def city(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A database with everything that a query can come to, and the feed open."""
    await plan_city.build()
    await generations.open(feed, [SEARCH])
    await feed.open(database)
    search_index.open(settings)
    try:
        yield database
    finally:
        await search_index.close()
        await feed.close()


async def compared(url: str, count: int, seed: int) -> dict[str, int]:
    """Asks so many questions; how often the cache answered, and how often not."""
    random, before = Random(seed), counts()  # noqa: S311 - draws, no secrets
    core = schema.build()._schema
    gate(core)
    check_entities(core, Limits().representations)
    contract, viewers = Contract(core), await plan_city.viewers()
    plain = pipeline(core, schema.build().execution_context_class, plans=True)
    facts = await plan_city.survey(await cursors(plain, contract, viewers[-1]))
    by_name = {viewer.username: viewer for viewer in viewers}
    moved = [replace(by_name["district"], district="310104"), replace(by_name["department"], department="SHDRC")]
    comparison = Comparison(random, [*viewers, *moved], contract, facts)
    stranger = await asyncpg.connect(url)
    index = open_index(settings, writer=True)
    changes = Changes(random, index, stranger)
    try:
        for _ in range(count):
            await comparison.one(changes.one)
    finally:
        clock.set_offset(timedelta())
        await index.close()
        await stranger.close()
    return more(before)


async def test_what_is_told_again_is_what_would_be_found(city: str) -> None:
    with frozen_clock():
        outcomes = await compared(city, SHORT, SEED)
    assert outcomes["hit"] > SHORT / 5, outcomes
    assert outcomes["miss"] > SHORT / 5, outcomes


@pytest.mark.hard
@pytest.mark.parametrize("seed", range(2))
async def test_what_is_told_again_is_what_would_be_found_however_long_one_tries(city: str, seed: int) -> None:
    with frozen_clock():
        outcomes = await compared(city, LONG // 2, SEED + 1 + seed)
    assert outcomes["hit"] > LONG / 10, outcomes

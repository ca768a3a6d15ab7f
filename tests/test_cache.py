"""The response cache: who may be told a kept answer, until when, and how each write ends it, whoever writes."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest
from sqlalchemy import Executable, delete, func, insert, literal, select, text, update
from sqlmodel import SQLModel

from auth.access import RULES, Rule
from auth.viewer import ANONYMOUS, REGISTERED, STAFF, Level, Role, Viewer
from auth.visibility import GATES
from engine.cache import ANSWER_BYTES, STANDINGS_PER_VARY, TEXT_BYTES, VARIES_PER_TEXT, Entry, ResponseCache, Start
from kit import clock, metrics
from kit.db import fetch_text
from kit.feed import SILENCE_SECONDS, Feed
from kit.footprint import Footprint
from kit.generations import announce, generations
from kit.ids import uuid7
from kit.statements import prepare
from models.area import District
from models.base import table_of
from models.store import Store
from models.words import SensitiveWord
from services.uow import unit_of_work
from tests.processes import until
from tests.storefront import put_stores
from tests.test_feed import Gate, cut

STORE, DISTRICT, WORD = table_of(Store), table_of(District), table_of(SensitiveWord)
QUESTION = b'{"query": "{ stores { nodes { name } } }"}'

UNWATCHED = {
    "account": "only its owner sees it",
    "audit_entry": "administrators see it, each alone",
    "job": "only its owner sees it",
    "platform_clock": "every process keeps the offset, which is part of each answer's key",
    "revision": "authors and reviewers see it, each alone",
    "session": "nobody is shown it",
    "store_member": "only its owner sees it",
    "stored_file": "only its owner sees it",
    "visit": "written at a high rate; the fold tells, through the items",
}


@dataclass
class Kept:
    """A cache with a feed of its own, and what it takes to ask it."""

    cache: ResponseCache
    feed: Feed

    def keep(self, start: Start | None = None, **but: Any) -> None:
        """Keeps an answer about stores, as the engine would after a run for a visitor."""
        usual: dict[str, Any] = {
            "text": QUESTION,
            "english": False,
            "viewer": ANONYMOUS,
            "rules": ["public"],
            "footprint": made_of("store"),
            "body": b"answer",
            "name": "Stores",
            "kind": "query",
        }
        self.cache.keep(start=start or self.cache.begin(), **(usual | but))

    def find(self, viewer: Viewer = ANONYMOUS, text: bytes = QUESTION, *, english: bool = False) -> bytes | None:
        entry = self.cache.find(text, english, viewer)
        return entry.body if entry else None


def made_of(*tables: str, viewer: Viewer = ANONYMOUS, until: datetime | None = None) -> Footprint:
    """The footprint of a read of these tables through their gates."""
    gates = {str(model.__tablename__): gate for model, gate in GATES.items()}
    return Footprint(set(tables), {table: gates[table].scope(viewer) for table in tables if table in gates}, until)


@pytest.fixture
async def kept(database: str) -> AsyncIterator[Kept]:
    feed = Feed()
    await generations.open(feed, ["search"])
    await feed.open(database)
    try:
        yield Kept(ResponseCache(generations), feed)
    finally:
        await feed.close()


@pytest.fixture
async def psql(database: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """Somebody who writes past the platform."""
    connection = await asyncpg.connect(database)
    try:
        yield connection
    finally:
        await connection.close()


def counts() -> dict[str, int]:
    """Answers so far, by outcome, without those that are zero."""
    outcomes = ("hit", "miss", "private", "bypass")
    found = {each: metrics.REGISTRY.get_sample_value("esc_cache_answers_total", {"outcome": each}) for each in outcomes}
    return {outcome: int(value or 0) for outcome, value in found.items()}


def more(before: dict[str, int]) -> dict[str, int]:
    return {outcome: count - before[outcome] for outcome, count in counts().items() if count != before[outcome]}


def person(level: Level = REGISTERED, *roles: Role, **facts: Any) -> Viewer:
    return Viewer(id=uuid7(), level=level, roles=frozenset(roles), **facts)


async def heard() -> None:
    """Returns when all that was committed until now has been told, since it is told in order."""
    since = generations.now()
    await announce("everything until now")
    await until(lambda: _is(not generations.fresh(since, ("everything until now",))))


async def changed(tables: set[str], since: int) -> None:
    """Waits until these, and nothing else, have been raised since."""

    async def risen() -> bool:
        return {table for table in generations.watched if not generations.fresh(since, (table,))} == tables

    await until(risen, 5)


# What tells


async def test_every_table_tells_when_it_changes_or_is_known_not_to(kept: Kept) -> None:
    """A new table is watched by its migration (`migrations.watch`), or named above with the reason why it is not."""
    tables = {str(table.name) for table in SQLModel.metadata.sorted_tables}
    assert generations.watched - {"search"} == tables - UNWATCHED.keys()


async def test_whatever_is_written_past_the_platform_ends_what_was_made_of_the_table(
    kept: Kept, psql: "asyncpg.Connection[Any]"
) -> None:
    for statement in (
        "INSERT INTO service_category (code, name) VALUES ('99', '其他')",
        "UPDATE service_category SET name = name WHERE code = '99'",
        "DELETE FROM service_category WHERE code = '99'",
        "WITH gone AS (DELETE FROM service_category WHERE code = '99' RETURNING code) SELECT * FROM gone",
        """MERGE INTO service_category USING (SELECT '01' AS code) AS new ON service_category.code = new.code
        WHEN MATCHED THEN UPDATE SET name = service_category.name""",
    ):
        since = generations.now()
        await psql.execute(statement)
        await changed({"service_category"}, since)
    since = generations.now()
    await psql.copy_records_to_table("service_category", records=[("98", "另一类")], columns=["code", "name"])
    await changed({"service_category"}, since)
    since = generations.now()
    await psql.execute("TRUNCATE service_category CASCADE")
    await changed({"service_category", "product"}, since)


async def test_nothing_is_told_before_the_commit_and_nothing_of_what_is_undone(
    kept: Kept, psql: "asyncpg.Connection[Any]"
) -> None:
    since = generations.now()
    writing = psql.transaction()
    await writing.start()
    await psql.execute("UPDATE district SET name = name")
    await writing.rollback()
    await psql.execute("UPDATE street SET name = name WHERE code = ''")
    await changed({"street"}, since)


async def test_a_write_of_this_process_is_known_when_it_ends_before_anything_is_told(database: str) -> None:
    feed = Feed()
    async with Gate(database) as gate:
        await generations.open(feed)
        await feed.open(gate.url)
        gate.hold()
        since = generations.now()
        async with unit_of_work() as uow:
            await uow.execute(update(DISTRICT).values(name=DISTRICT.c.name))
            assert generations.fresh(since, ("district",))
        assert not generations.fresh(since, ("district",))
        assert generations.fresh(since, ("store",))
        await feed.close()


async def test_an_act_that_is_undone_raises_nothing(kept: Kept) -> None:
    since = generations.now()
    with pytest.raises(ZeroDivisionError):
        await _write_and_fail()
    assert generations.now() == since


async def _write_and_fail() -> None:
    async with unit_of_work() as uow:
        await uow.execute(update(DISTRICT).values(name=DISTRICT.c.name))
        raise ZeroDivisionError


async def test_tables_are_found_wherever_a_statement_writes_them(kept: Kept) -> None:
    removed = delete(WORD).where(WORD.c.word == "甲").returning(WORD.c.id).cte("removed")
    renamed = update(DISTRICT).where(DISTRICT.c.code.in_(select(literal("1")))).values(name="乙").returning(literal(1))
    statements: dict[Executable, set[str] | None] = {
        insert(STORE).from_select(["id"], select(removed.c.id), include_defaults=False): {"store", "sensitive_word"},
        select(func.count()).select_from(removed): {"sensitive_word"},
        select(literal(1)).add_cte(renamed.cte("renamed")): {"district"},
        update(STORE).where(STORE.c.district_code == select(DISTRICT.c.code).scalar_subquery()).values(name="丙"): {
            "store"
        },
        select(STORE): set(),
        text("UPDATE somewhere SET a = 1"): None,
    }
    assert [prepare(statement).written for statement in statements] == list(statements.values())


async def test_the_index_is_told_of_by_whoever_has_written_it(kept: Kept) -> None:
    since = generations.now()
    await announce("search")
    await changed({"search"}, since)


# Until when


async def test_an_answer_is_told_until_its_table_changes(kept: Kept) -> None:
    before = counts()
    assert kept.find() is None
    kept.keep()
    assert (kept.find(), kept.find()) == (b"answer", b"answer")
    async with unit_of_work() as uow:
        await uow.execute(update(DISTRICT).values(name="区"))
    assert kept.find() == b"answer"
    async with unit_of_work() as uow:
        await uow.execute(update(STORE).values(name="店"))
    assert kept.find() is None
    assert more(before) == {"miss": 1, "hit": 3}


async def test_an_answer_that_a_write_overtook_is_not_kept(kept: Kept) -> None:
    start = kept.cache.begin()
    await put_stores({"name": "新店"})
    await until(lambda: _not_fresh(start))
    kept.keep(start)
    assert kept.find() is None


async def _not_fresh(start: Start | None) -> bool:
    assert start is not None
    return not generations.fresh(start.changes, ("store",))


async def test_an_answer_ends_at_its_moment_of_business_time(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=clock.SHANGHAI)
    moments = iter([midnight - timedelta(seconds=2), midnight - timedelta(microseconds=1), midnight])
    monkeypatch.setattr(clock, "real", lambda: next(moments))
    kept.keep(footprint=made_of("store", until=midnight))
    assert (kept.find(), kept.find()) == (b"answer", None)


async def test_another_business_time_has_other_answers(kept: Kept) -> None:
    kept.keep()
    clock.set_offset(timedelta(days=1))
    assert kept.find() is None
    kept.keep(body=b"tomorrow")
    assert kept.find() == b"tomorrow"
    clock.set_offset(timedelta())
    assert kept.find() == b"answer"


async def test_an_answer_that_a_move_of_the_clock_overtook_is_not_kept(kept: Kept) -> None:
    start = kept.cache.begin()
    clock.set_offset(timedelta(days=1))
    kept.keep(start)
    assert kept.find() is None
    clock.set_offset(timedelta())
    assert kept.find() is None


async def test_nothing_is_told_or_kept_while_the_feed_is_away_and_nothing_older_after(database: str) -> None:
    feed = Feed()
    async with Gate(database) as gate:
        await generations.open(feed)
        await feed.open(gate.url)
        kept = Kept(ResponseCache(generations), feed)
        kept.keep()
        before, started = counts(), kept.cache.begin()
        await gate.cut()
        await until(lambda: _is(not feed.connected))
        assert kept.find() is None
        assert kept.cache.begin() is None
        kept.keep(started)
        await gate.open()
        await until(lambda: _is(feed.connected))
        assert kept.find() is None
        kept.keep(started)
        assert kept.find() is None
        kept.keep()
        assert kept.find() == b"answer"
        assert more(before) == {"bypass": 1, "miss": 3, "hit": 1}
        await feed.close()


async def test_nothing_is_told_again_while_the_feed_is_silent(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is heard again, and nothing was lost, what was kept holds on."""
    kept.keep()
    slept = time.perf_counter() + SILENCE_SECONDS
    monkeypatch.setattr("kit.feed.time.perf_counter", lambda: slept)
    assert (kept.find(), kept.cache.begin()) == (None, None)
    await until(lambda: _is(kept.feed.connected))
    assert kept.find() == b"answer"


async def test_a_connection_that_the_server_ends_loses_no_write(kept: Kept, psql: "asyncpg.Connection[Any]") -> None:
    """Round after round, at every moment of a reconnection: what is told comes to be what was written, and stays so."""
    for number in range(20):
        name = f"店{number}"
        await cut(psql)
        await psql.execute("UPDATE district SET name = $1 WHERE code = '310101'", name)
        await asyncio.sleep(0.03 * (number % 5))
        await until(lambda name=name: _is(kept.find() in (None, name.encode())))  # type: ignore[misc]
        if start := kept.cache.begin():
            ((read,),) = await fetch_text("SELECT name FROM district WHERE code = '310101'")
            kept.keep(start, footprint=made_of("district"), body=read.encode())
        assert kept.find() in (None, name.encode())


async def _is(condition: object) -> bool:
    return bool(condition)


# For whom


async def test_viewers_of_one_scope_share_and_others_do_not(kept: Kept) -> None:
    staff = {
        "jing'an": person(STAFF, Role.DISTRICT_MANAGER, district="310106"),
        "jing'an, another": person(STAFF, Role.DISTRICT_MANAGER, district="310106"),
        "pudong": person(STAFF, Role.DISTRICT_MANAGER, district="310115"),
        "department": person(STAFF, Role.DEPARTMENT_MANAGER, department="SHDRC"),
        "buyer": person(),
        "visitor": ANONYMOUS,
    }
    for name in ("jing'an", "pudong", "visitor"):
        assert kept.find(staff[name]) is None
        kept.keep(viewer=staff[name], footprint=made_of("store", viewer=staff[name]), body=name.encode())
    assert {name: kept.find(viewer) for name, viewer in staff.items()} == {
        "jing'an": b"jing'an",
        "jing'an, another": b"jing'an",
        "pudong": b"pudong",
        "department": None,
        "buyer": b"visitor",
        "visitor": b"visitor",
    }


async def test_viewers_whom_a_rule_tells_apart_do_not_share(kept: Kept) -> None:
    buyer, reviewer = person(), person(STAFF, Role.REVIEWER)
    facts: dict[str, Any] = {"rules": ["public", "content.manage"], "footprint": made_of("district")}
    kept.keep(**facts, body=b"masked")
    kept.keep(**facts, viewer=reviewer, body=b"all")
    assert [kept.find(viewer) for viewer in (ANONYMOUS, buyer, reviewer)] == [b"masked", b"masked", b"all"]


async def test_a_text_that_consulted_other_gates_in_another_run_keeps_both_apart(kept: Kept) -> None:
    """`node(id:)` of a store asks the gate of stores, of a district that of districts."""
    reviewer = person(STAFF, Role.REVIEWER, district="310106")
    kept.keep(footprint=made_of("district"), body=b"of districts")
    assert kept.find(reviewer) == b"of districts"
    async with unit_of_work() as uow:
        await uow.execute(update(DISTRICT).values(name="区"))
    kept.keep(body=b"of stores")
    assert (kept.find(), kept.find(reviewer)) == (b"of stores", None)


async def test_languages_are_kept_apart(kept: Kept) -> None:
    kept.keep(body="答".encode())
    assert kept.find(english=True) is None
    kept.keep(english=True)
    assert (kept.find(), kept.find(english=True)) == ("答".encode(), b"answer")


async def test_what_depends_on_one_viewer_or_on_what_tells_nothing_is_not_kept(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, "of owners", Rule(STAFF, frozenset(), "applicant_id"))
    buyer = person()
    cases: tuple[dict[str, Any], ...] = (
        {"footprint": Footprint({"store"}, {"store": "PUBLIC"}, private=True)},
        {"footprint": made_of("store", "revision")},
        {"footprint": Footprint({"visit"})},
        {"footprint": Footprint({"store"}, {"nowhere": "PUBLIC"})},
        {"footprint": Footprint({"store"}, {"store": "staff:all"})},
        {"footprint": Footprint({"store"}, {"account": f"viewer:{buyer.id}"})},
        {"rules": ["public", "of owners"]},
    )
    for but in cases:
        before = counts()
        kept.keep(**{"viewer": buyer, **but})
        assert kept.find(buyer) is None
        assert more(before) == {"private": 1}


# How much


async def test_what_is_kept_stays_within_its_bytes_and_the_oldest_goes_first(kept: Kept) -> None:
    answer = b"x" * 10_000
    each = TEXT_BYTES + ANSWER_BYTES + len(answer) + 3
    kept.cache = ResponseCache(generations, capacity=10 * each)
    for number in range(100):
        kept.keep(text=b"%03d" % number, body=answer)
        if number >= 5:
            assert kept.find(text=b"005") == answer
    alive = [number for number in range(100) if kept.find(text=b"%03d" % number)]
    assert alive == [5, *range(91, 100)]
    assert metrics.REGISTRY.get_sample_value("esc_cache_bytes") == 10 * each
    assert metrics.REGISTRY.get_sample_value("esc_cache_texts") == 10


async def test_what_is_kept_takes_no_more_memory_than_is_counted(kept: Kept) -> None:
    kept.cache = ResponseCache(generations)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(200):
            kept.keep(text=b"%03d" % number, body=orjson.dumps({"name": "x" * 3_000}))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    counted = metrics.REGISTRY.get_sample_value("esc_cache_bytes")
    assert counted == 200 * (TEXT_BYTES + ANSWER_BYTES + 3 + len('{"name":""}') + 3_000)
    assert grown < counted


async def test_an_answer_beyond_all_bytes_is_not_kept(kept: Kept) -> None:
    kept.cache = ResponseCache(generations, capacity=50_000)
    kept.keep(body=b"x" * 50_000)
    assert kept.find() is None
    assert metrics.REGISTRY.get_sample_value("esc_cache_bytes") == 0


async def test_an_answer_that_is_made_again_takes_the_place_of_the_old_one(kept: Kept) -> None:
    for number in range(50):
        kept.keep(body=b"%02d" % number)
    assert kept.find() == b"49"
    assert metrics.REGISTRY.get_sample_value("esc_cache_bytes") == TEXT_BYTES + ANSWER_BYTES + len(QUESTION) + 2


async def test_a_text_has_a_bounded_number_of_answers(kept: Kept) -> None:
    managers = [person(STAFF, Role.DISTRICT_MANAGER, district=f"{number:06}") for number in range(100)]
    for manager in managers:
        kept.keep(viewer=manager, footprint=made_of("store", viewer=manager))
    assert [kept.find(manager) is not None for manager in managers] == [False] * 36 + [True] * STANDINGS_PER_VARY
    for number in range(VARIES_PER_TEXT):
        kept.keep(rules=list(RULES)[: number + 1], footprint=made_of("district"))
    assert all(kept.find(manager) == b"answer" for manager in managers)


async def test_an_entry_names_its_operation(kept: Kept) -> None:
    kept.keep()
    entry = kept.cache.find(QUESTION, False, ANONYMOUS)
    assert isinstance(entry, Entry)
    assert (entry.name, entry.kind) == ("Stores", "query")

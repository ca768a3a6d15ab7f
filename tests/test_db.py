"""The read pool, and its statements: what is kept of a compiled statement is its text, never a value."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import (
    ARRAY,
    Date,
    Executable,
    Integer,
    String,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)

from auth.viewer import Role, Viewer
from auth.visibility import visible
from kit import statements
from kit.db import connect, fetch, fetch_text, fetch_value
from kit.db import database as pools
from kit.pool import ReadPool
from kit.statements import late, prepare, unseen
from models import Industry, Policy, Product, Store
from models.policy import PolicyKind, PolicyLevel
from services.uow import unit_of_work

P = Policy.__table__.c  # type: ignore[attr-defined]
IDS = [UUID(int=number) for number in range(4)]
MANAGER = Viewer(id=IDS[1], roles=frozenset({Role.DEPARTMENT_MANAGER}), department="SHEITC")


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    statements._compiled.clear()
    yield
    statements._compiled.clear()


def shapes(number: int) -> dict[str, Executable]:
    """Statements of many shapes, the same for every number but for their values."""
    day = date(2026, 3, 1 + number)
    moment = datetime(2026, 3, 1, number, tzinfo=UTC)
    parents = (
        func.unnest(cast(bindparam("keys", IDS[:number], type_=ARRAY(Uuid)), ARRAY(Uuid)))
        .table_valued("key")
        .render_derived()
    )
    inner = select(P.id, P.title).where(P.owner == f"o{number}").limit(number).lateral("each")
    part = select(literal(f"part{number}").label("kind"), P.id).where(P.view_count > number)
    return {
        "number": select(literal(number)),
        "text": select(P.id).where(P.title == f"title {number}"),
        "none": select(literal(None if number % 2 else "x", String).label("value")),
        "enum": select(P.id).where(P.level == list(PolicyLevel)[number], P.kind == list(PolicyKind)[number]),
        "array": select(P.id).where(P.id == any_(bindparam("keys", IDS[:number], type_=ARRAY(Uuid)))),
        "date": select(literal(day).label("day"), literal(moment).label("moment")),
        "decimal": select(literal(Decimal(number) / 10)),
        "keyset": select(P.id).where(tuple_(P.published_at, P.id) < tuple_(literal(moment), literal(IDS[number]))),
        "lateral": select(inner).select_from(parents.join(inner, literal(number) > 0)),
        "union": select(union_all(part.limit(number), part.limit(number + 1)).subquery()),
        "like": select(P.id).where(P.title.icontains(f"{number}%", autoescape=True)),
        "in": select(literal(number).label("n"), P.id).where(P.title.in_([f"t{each}" for each in range(number)])),
        "public": visible(Product, Viewer()).where(P.view_count == number).limit(number),
        "manager": visible(Store, MANAGER).offset(number),
        "twice": select(bindparam("n", number, Integer).label("a"), bindparam("n", number, Integer).label("b")),
    }


def compile_sql(statement: Executable) -> tuple[str, list[Any]]:
    prepared = prepare(statement)
    return prepared.text, prepared.arguments({})


def anew(statement: Executable) -> tuple[str, list[Any]]:
    made = statements._once(statements._compile(statement, None), None)  # type: ignore[arg-type]
    return made.text, made.arguments({})


def test_a_kept_statement_says_and_sends_what_a_new_one_does() -> None:
    for number in (1, 2, 3, 1):
        for name, statement in shapes(number).items():
            assert compile_sql(statement) == anew(statement), name
    kept = len(statements._compiled)
    for statement in shapes(2).values():
        compile_sql(statement)
    assert len(statements._compiled) == kept == len(shapes(0)) - len(("in", "twice"))


async def test_rows_are_those_of_the_values_asked_for(database: str) -> None:
    for number in (1, 2, 3):
        assert await fetch_value(shapes(number)["number"]) == number
        assert await fetch_value(shapes(number)["none"]) == (None if number % 2 else "x")
        (row,) = await fetch(shapes(number)["date"])
        assert (row["day"], row["moment"]) == (date(2026, 3, 1 + number), datetime(2026, 3, 1, number, tzinfo=UTC))
        assert await fetch_value(shapes(number)["decimal"]) == Decimal(number) / 10
        assert tuple((await fetch(shapes(number)["twice"]))[0]) == (number, number)
        for name in ("text", "enum", "array", "keyset", "lateral", "union", "like", "in", "manager"):
            assert await fetch(shapes(number)[name]) == [], name


async def test_values_of_statements_run_at_once_are_never_mixed(database: str) -> None:
    async def ask(number: int) -> tuple[Any, ...]:
        statement = select(
            literal(number).label("a"), literal(f"text {number}").label("b"), literal(-number).label("c")
        )
        return tuple((await fetch(statement))[0])

    assert await asyncio.gather(*map(ask, range(50))) == [(number, f"text {number}", -number) for number in range(50)]
    assert len(statements._compiled) == 1


def test_types_and_structure_tell_statements_apart() -> None:
    texts = [
        compile_sql(statement)[0]
        for statement in (
            select(literal(1)),
            select(literal("1")),
            select(P.id).where(P.title == "x"),
            select(P.id).where(P.title == None),  # noqa: E711 - IS NULL
            select(P.id).where(P.title != "x"),
            select(P.title).where(P.title == "x"),
            select(text("1")),
            select(text("2")),
        )
    ]
    assert len(set(texts)) == len(texts)


def test_what_was_used_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "COMPILED_STATEMENTS", 2)
    one, two, three = (select(literal(1).label(name)) for name in ("one", "two", "three"))
    compile_sql(one)
    compile_sql(two)
    kept = statements._compiled[one._generate_cache_key().key]  # type: ignore[union-attr]
    compile_sql(one)
    compile_sql(three)
    assert [each.text.split()[-1] for each in statements._compiled.values()] == ["one", "three"]
    assert next(iter(statements._compiled.values())) is kept


def test_late_values_and_those_of_the_clock_are_taken_when_a_statement_is_sent() -> None:
    days = iter((date(2026, 3, 1), date(2026, 3, 2)))
    day = bindparam("day", callable_=lambda: next(days), type_=Date, unique=True)
    statement = select(P.id).where(P.id == any_(late("keys", ARRAY(Uuid))), P.apply_end >= day, P.level == "CITY")
    prepared = prepare(statement)
    assert prepared.arguments({"keys": IDS[:1], "other": 1}) == [IDS[:1], date(2026, 3, 1), "CITY"]
    assert prepared.arguments({"keys": IDS[:2]}) == [IDS[:2], date(2026, 3, 2), "CITY"]
    with pytest.raises(KeyError):
        prepared.arguments({})


def test_a_statement_knows_every_table_that_it_names() -> None:
    chosen = select(Store.__table__.c.id).cte("chosen")  # type: ignore[attr-defined]
    product = Product.__table__.alias("offered")  # type: ignore[attr-defined]
    inner = select(P.id).where(exists().where(product.c.store_id == chosen.c.id)).lateral("each")
    assert prepare(select(inner)).tables == frozenset({"policy", "store", "product"})
    assert prepare(select(literal(1))).tables == frozenset()
    assert prepare(select(text("1 FROM policy"))).tables is None


async def test_a_value_that_is_not_seen_before_planning_lets_postgresql_plan_once(database: str) -> None:
    """Few keys look dearer to plan for once than each time, though they are not."""
    column = Industry.__table__.c.code  # type: ignore[attr-defined]
    keys = late("keys", ARRAY(Text))
    for value, kept in ((keys, False), (unseen(keys), True)):
        prepared = prepare(select(column).where(column == any_(value)))
        for _ in range(8):
            assert [row["code"] for row in await fetch(prepared, keys=["A"])] == ["A"]
        counts = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
        (row,) = await pools.reads.fetch(counts, prepared.text)
        assert tuple(row) == ((3, 5) if kept else (0, 8))


async def backend(pool: ReadPool, seconds: float = 0) -> int:
    """The server's process behind the connection that is used."""
    rows = await pool.fetch("SELECT pg_backend_pid() FROM pg_sleep($1)", seconds)
    return int(rows[0][0])


@pytest.fixture
async def pool(database: str) -> AsyncIterator[ReadPool]:
    """A pool of three connections."""
    made = ReadPool(partial(connect, database), 3)
    await made.open()
    yield made
    await made.close()


async def test_the_connection_used_last_is_used_first_and_there_are_no_more_than_allowed(pool: ReadPool) -> None:
    first = await backend(pool)
    assert [await backend(pool) for _ in range(5)] == [first] * 5
    at_once = await asyncio.gather(*(backend(pool, 0.05) for _ in range(9)))
    assert len(set(at_once)) == 3
    assert sorted(Counter(at_once).values()) == [3, 3, 3]


async def test_a_cancelled_query_leaves_a_connection_that_works(pool: ReadPool) -> None:
    for _ in range(5):
        sleeping = [asyncio.create_task(backend(pool, 30)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for each in sleeping:
            each.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*sleeping, return_exceptions=True)
        )
        async with asyncio.timeout(5):
            assert len(set(await asyncio.gather(*(backend(pool, 0.02) for _ in range(3))))) == 3
    assert len(pool._idle) == 3


async def test_a_statement_whose_connection_broke_is_sent_again(pool: ReadPool, database: str) -> None:
    old = set(await asyncio.gather(*(backend(pool, 0.02) for _ in range(3))))
    waiting = asyncio.create_task(backend(pool, 0.3))
    await asyncio.sleep(0.1)
    other = await asyncpg.connect(database)
    try:
        await other.fetch("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid", list(old))
    finally:
        await other.close()
    fresh = await asyncio.gather(waiting, *(backend(pool, 0.02) for _ in range(2)))
    assert old.isdisjoint(fresh)


async def test_a_statement_that_is_wrong_is_told_and_its_connection_stays(pool: ReadPool) -> None:
    first = await backend(pool)
    with pytest.raises(asyncpg.UndefinedTableError):
        await pool.fetch("SELECT * FROM nothing")
    with pytest.raises(asyncpg.DataError):
        await pool.fetch("SELECT $1::int", "text")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await pool.fetch("DELETE FROM policy")
    assert await backend(pool) == first


async def test_a_closing_pool_waits_for_what_is_running(database: str) -> None:
    pool = ReadPool(partial(connect, database), 2)
    running = asyncio.create_task(backend(pool, 0.2))
    await asyncio.sleep(0.1)
    await pool.close()
    assert running.done()
    assert running.result() > 0


async def test_a_write_connection_that_the_server_closed_is_replaced(database: str) -> None:
    process = select(func.pg_backend_pid())
    async with unit_of_work() as uow:
        first = await uow.value(process)
    await fetch_text("SELECT pg_terminate_backend($1, 5000)", first)
    async with unit_of_work() as uow:
        assert await uow.value(process) != first

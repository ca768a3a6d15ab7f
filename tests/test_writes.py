"""Transactions and the pool that lends them: what is left of them when they fail, are cancelled or cut off."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Integer, Text, cast, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit import clock, pool
from kit.db import WRITES, connect, fetch, fetch_text, fetch_value
from kit.db import database as pools
from kit.errors import Refused
from kit.generations import generations
from kit.pool import WritePool
from kit.settings import settings
from kit.statements import prepare
from kit.writes import Transaction
from models.account import AuditEntry
from models.area import District
from models.base import table_of
from models.words import SensitiveException, SensitiveWord
from services.account import ACCOUNT
from services.uow import unit_of_work
from tests.test_feed import Gate

WORD = table_of(SensitiveWord)
PHRASE = table_of(SensitiveException)
ENTRY = table_of(AuditEntry)
DISTRICT = table_of(District)
PROCESS = select(func.pg_backend_pid())
PHRASES = select(func.count()).select_from(PHRASE).where(PHRASE.c.phrase.like("试%"))


async def add(writing: Transaction, phrase: str) -> None:
    await writing.execute(insert(PHRASE).values(phrase=phrase))


@pytest.fixture
async def lender(database: str) -> AsyncIterator[WritePool]:
    """A pool of two."""
    made = WritePool(partial(connect, database, WRITES), 2)
    yield made
    async with asyncio.timeout(5):
        await made.close()


@pytest.fixture
async def gate(empty_database: str) -> AsyncIterator[Gate]:
    """The line of the platform's own pools to the database."""
    async with Gate(empty_database) as line:
        settings.database_url = line.url
        await pools.close()
        await pools.open(settings)
        yield line


async def test_a_transaction_commits_when_its_block_ends_and_leaves_nothing_when_it_raises(database: str) -> None:
    async with pools.write() as writing:
        await add(writing, "试一")
        assert await fetch_value(PHRASES) == 0
    assert await fetch_value(PHRASES) == 1

    async def fail() -> None:
        async with pools.write() as writing:
            await add(writing, "试二")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await fetch_value(PHRASES) == 1


async def test_a_statement_that_failed_undoes_all_even_where_its_error_was_caught(database: str) -> None:
    """PostgreSQL would answer the COMMIT with a ROLLBACK, and nobody would know."""

    async def go_on() -> None:
        async with pools.write() as writing:
            await add(writing, "试一")
            with pytest.raises(asyncpg.UniqueViolationError):
                await add(writing, "试一")

    with pytest.raises(asyncpg.InFailedSQLTransactionError, match="nothing was committed"):
        await go_on()
    assert await fetch_value(PHRASES) == 0


async def test_what_fails_within_a_savepoint_is_undone_and_the_rest_stays(database: str) -> None:
    async with pools.write() as writing:
        await add(writing, "试一")
        for phrase in ("试二", "试三"):
            with pytest.raises(asyncpg.UniqueViolationError):  # noqa: PT012 - the savepoint is what is tested
                async with writing.savepoint():
                    await add(writing, phrase)
                    await add(writing, "试一")
        async with writing.savepoint():
            await add(writing, "试四")
    rows = await fetch(select(PHRASE.c.phrase).where(PHRASE.c.phrase.like("试%")).order_by(PHRASE.c.created_at))
    assert [row["phrase"] for row in rows] == ["试一", "试四"]


async def test_a_broken_constraint_is_a_refusal_that_bears_its_name(database: str) -> None:
    async def repeat() -> None:
        async with unit_of_work() as uow:
            await add(uow, "试一")
            await add(uow, "试一")

    with pytest.raises(Refused) as refused:
        await repeat()
    assert (refused.value.code.value, refused.value.field) == ("ALREADY_EXISTS", ["phrase"])


async def test_an_error_says_nothing_of_the_values(database: str) -> None:
    """They may be somebody's name or draft, and errors end in the log (个人信息保护法, article 51)."""
    secret = "张三的草稿"
    failing: dict[type[Exception], Any] = {
        asyncpg.UniqueViolationError: upsert(PHRASE).values(phrase=secret),
        asyncpg.NotNullViolationError: insert(WORD).values(word=secret, category=None),
        asyncpg.InvalidTextRepresentationError: select(cast(literal(secret, Text), Integer)),
        asyncpg.DataError: select(literal(secret, Integer)),
    }
    async with pools.write() as writing:
        await add(writing, secret)
        for kind, statement in failing.items():
            with pytest.raises(kind) as failed:
                async with writing.savepoint():
                    await writing.execute(statement)
            assert secret not in str(failed.value)
            assert failed.value.__cause__ is None
        with pytest.raises(asyncpg.UniqueViolationError) as failed:
            async with writing.savepoint():
                await writing.insert(insert(PHRASE), [{"phrase": secret}])
        assert secret not in str(failed.value)


# What is written


async def test_columns_that_a_write_does_not_name_get_their_defaults_anew_each_time(database: str) -> None:
    async with pools.write() as writing:
        for word in ("甲字", "乙字"):
            await writing.execute(insert(WORD).values(word=word, category="试", severity="WARN"))
        rows = await writing.execute(select(WORD).where(WORD.c.category == "试").order_by(WORD.c.created_at))
        assert [(row["word"], row["suggestion"], row["enabled"]) for row in rows] == [
            ("甲字", "", True),
            ("乙字", "", True),
        ]
        assert rows[0]["id"] != rows[1]["id"]
        assert rows[0]["created_at"] < rows[1]["created_at"]
        since = clock.real()
        (changed,) = await writing.execute(
            update(WORD).where(WORD.c.word == "甲字").values(category="改").returning(*WORD.c)
        )
        assert (changed["updated_at"] >= since, changed["created_at"]) == (True, rows[0]["created_at"])


async def test_many_rows_are_written_as_their_types_are(database: str) -> None:
    moment = clock.real() - timedelta(days=1)
    acts = [
        {"action": f"试{number}", "actor_id": UUID(int=1), "targets": ["甲", f"{number}"], "details": details}
        for number, details in enumerate(({}, {"since": moment, "部": [1, None]}, {"id": UUID(int=7)}))
    ]
    async with pools.write() as writing:
        await writing.execute(insert(ACCOUNT).values(id=UUID(int=1), username="试", display_name="试"))
        await writing.insert(insert(ENTRY), acts)
        await writing.insert(insert(ENTRY), [])
    rows = await fetch(select(ENTRY).where(ENTRY.c.action.like("试%")).order_by(ENTRY.c.action))
    assert [(row["action"], row["actor_id"], row["targets"], row["client_ip"]) for row in rows] == [
        (f"试{number}", UUID(int=1), ["甲", f"{number}"], "") for number in range(3)
    ]
    assert [row["details"] for row in rows] == [
        {},
        {"since": moment.isoformat(), "部": [1, None]},
        {"id": str(UUID(int=7))},
    ]


def test_a_write_within_a_write_must_name_all_columns() -> None:
    """SQLAlchemy knows the defaults of one of them only; a null in their place would not be noticed."""
    removed = delete(WORD).where(WORD.c.word == "甲").returning(WORD.c.word).cte("removed")
    with pytest.raises(TypeError, match="created_at"):
        prepare(insert(PHRASE).from_select(["phrase"], select(removed.c.word)))


# Who is lent what


async def process(lender: WritePool, seconds: float = 0) -> int:
    async with lender.begin() as connection:
        return int(await connection.fetchval("SELECT pg_backend_pid() FROM pg_sleep($1)", seconds))


async def test_there_are_no_more_transactions_at_once_than_allowed(lender: WritePool) -> None:
    first = await process(lender)
    assert [await process(lender) for _ in range(3)] == [first] * 3
    assert len(set(await asyncio.gather(*(process(lender, 0.02) for _ in range(7))))) == 2


@pytest.mark.parametrize("moment", ["statement", "idle", "begin", "commit"])
async def test_a_transaction_that_is_cancelled_is_undone_and_what_is_lent_next_is_in_none(
    lender: WritePool, moment: str
) -> None:
    reached = asyncio.Event()

    async def write() -> None:
        reached.set()
        async with lender.begin() as connection:
            await connection.execute(
                "INSERT INTO sensitive_word (id, created_at, updated_at, word, category, severity,"
                " suggestion, enabled) VALUES (gen_random_uuid(), now(), now(), '试字', '', 'WARN', '', true)"
            )
            if moment == "statement":
                await connection.execute("SELECT pg_sleep(30)")
            elif moment == "idle":
                await asyncio.sleep(30)

    for turn in range(6):
        reached.clear()
        writing = asyncio.create_task(write())
        await reached.wait()
        await asyncio.sleep(0 if moment in {"begin", "commit"} else 0.05)
        for _ in range(turn if moment == "commit" else 0):
            await asyncio.sleep(0.0005)
        writing.cancel()
        outcome = (await asyncio.gather(writing, return_exceptions=True))[0]
        left = await fetch_value(select(func.count()).select_from(WORD).where(WORD.c.word == "试字"))
        assert left == 0 or moment == "commit"
        assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        async with lender.begin() as connection:
            assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned()") is None
            await connection.execute("DELETE FROM sensitive_word WHERE word = '试字'")
    assert len(lender._idle) <= 2


async def test_who_waits_and_is_cancelled_takes_no_turn(lender: WritePool) -> None:
    async with lender.begin(), lender.begin():
        waiting = [asyncio.create_task(process(lender)) for _ in range(3)]
        await asyncio.sleep(0.02)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    async with asyncio.timeout(5), lender.begin(), lender.begin():
        pass


async def test_a_connection_that_does_not_answer_a_rollback_is_closed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "UNDO_SECONDS", 0.2)

    async def write() -> None:
        async with pools.write() as writing:
            await add(writing, "试一")
            gate.hold()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(5):
            await write()
    assert pools.writes._idle == []
    gate.resume()
    async with pools.write() as writing:
        await add(writing, "试二")
    rows = await fetch_text("SELECT phrase FROM sensitive_exception WHERE phrase LIKE '试%'")
    assert [row["phrase"] for row in rows] == ["试二"]


async def test_a_commit_of_which_nobody_knows_whether_it_arrived_counts_as_a_write(gate: Gate) -> None:
    since = generations.now()

    async def write() -> None:
        async with unit_of_work() as uow:
            await uow.execute(update(DISTRICT).values(name=DISTRICT.c.name))
            gate.hold()
            asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(gate.cut()))

    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        await write()
    assert generations._changed["district"] > since


async def test_a_connection_that_the_server_closed_is_replaced_also_where_that_is_seen_too_late(gate: Gate) -> None:
    """BEGIN is all that was sent on it."""
    old = await process(pools.writes)
    gate.hold()
    other = await asyncpg.connect(gate._target)
    await other.execute("SELECT pg_terminate_backend($1, 5000)", old)
    await other.close()
    beginning = asyncio.create_task(process(pools.writes))
    await asyncio.sleep(0.1)
    assert not beginning.done()
    gate.resume()
    assert await beginning != old


async def test_a_pool_closes_though_a_transaction_does_not_end(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CLOSE_SECONDS", 0.1)
    lender = WritePool(partial(connect, database, WRITES), 2)
    async with lender.begin() as connection:
        async with asyncio.timeout(5):
            await lender.close()
        assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_pools_close_though_the_server_says_no_more(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CLOSE_SECONDS", 0.2)
    async with pools.write():
        pass
    gate.hold()
    reading = asyncio.create_task(fetch_text("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.1)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    connections = [*pools.reads._idle, *pools.writes._idle]
    async with asyncio.timeout(5):
        await pools.close()
    assert len(connections) == 2
    assert all(connection.is_closed() for connection in connections)

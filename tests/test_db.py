"""Statements of the read pool: what is kept of a compiled statement is its text, never a value."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    ARRAY,
    Executable,
    Integer,
    String,
    Uuid,
    any_,
    bindparam,
    cast,
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
from kit.db import fetch, fetch_value
from kit.statements import prepare
from models import Policy, Product, Store
from models.policy import PolicyKind, PolicyLevel

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

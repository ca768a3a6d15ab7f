"""Loads reference data and the first library of sensitive words from `models/reference/*.csv`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from kit import clock
from kit.errors import Refused
from kit.ids import uuid7
from models.area import Department, District, Industry, ServiceCategory, Street
from models.base import table_of
from models.reference import rows
from models.refusals import Refusal
from models.words import SensitiveException, SensitiveWord
from services.uow import UnitOfWork

CHUNK = 500


async def load(connection: AsyncConnection) -> None:
    """Brings reference tables to what the files say. Words are only added: administrators edit them (R-ADM-03)."""
    await _replace(connection, District, _pick(rows("districts"), "code", "name", "name_en"))
    await _replace(connection, Street, _pick(rows("streets"), "code", "name", "district_code"))
    await _replace(connection, Department, _pick(rows("departments"), "code", "name", "short_name", "name_en"))
    await _replace(connection, Industry, (_industry(row) for row in rows("industries")))
    await _replace(connection, ServiceCategory, (_category(row) for row in rows("service_categories")))
    await _add(connection, SensitiveWord, _pick(rows("sensitive_words"), "word", "category", "severity", "suggestion"))
    await _add(connection, SensitiveException, _pick(rows("sensitive_exceptions"), "phrase"))


def _pick(source: Iterable[Mapping[str, str]], *names: str) -> Iterable[dict[str, Any]]:
    return ({name: row[name] for name in names} for row in source)


def _industry(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        "code": row["code"],
        "name": row["name"],
        "level": int(row["level"]),
        "parent_code": row["parent_code"] or None,
    }


def _category(row: Mapping[str, str]) -> dict[str, Any]:
    return {"code": row["code"], "name": row["name"], "parent_code": row["parent_code"] or None}


async def _replace(connection: AsyncConnection, model: Any, values: Iterable[dict[str, Any]]) -> None:
    table = table_of(model)
    for chunk in _chunks(values):
        statement = upsert(table).values(chunk)
        changed = {name: statement.excluded[name] for name in chunk[0] if name != "code"}
        await connection.execute(statement.on_conflict_do_update(index_elements=["code"], set_=changed))


async def _add(connection: AsyncConnection, model: Any, values: Iterable[dict[str, Any]]) -> None:
    table = table_of(model)
    now = clock.real()
    for chunk in _chunks(values):
        full = [
            {
                "id": uuid7(),
                "created_at": now,
                "updated_at": now,
                **({"enabled": True} if "enabled" in table.c else {}),
                **row,
            }
            for row in chunk
        ]
        await connection.execute(upsert(table).values(full).on_conflict_do_nothing())


def _chunks(values: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    gathered = list(values)
    return (gathered[start : start + CHUNK] for start in range(0, len(gathered), CHUNK))


async def require_code(uow: UnitOfWork, model: Any, code: str | None, field: str) -> None:
    """Refuses a code that the reference table does not hold; none is fine."""
    if code is not None:
        await require_codes(uow, model, [code], field, numbered=False)


async def require_codes(
    uow: UnitOfWork, model: Any, codes: Sequence[str], field: str, *, numbered: bool = True
) -> None:
    """Refuses the first code that the reference table does not hold, by its place in the list."""
    column = table_of(model).c.code
    known = (
        set((await uow.execute(select(column).where(column == func.any(list(codes))))).scalars()) if codes else set()
    )
    for number, code in enumerate(codes):
        if code not in known:
            raise Refused(Refusal.UNKNOWN_CODE, ["values", field, *([number] if numbered else [])], code=code)

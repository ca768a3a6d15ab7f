"""Loads reference data and the first library of sensitive words from `models/reference/*.csv`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.errors import Refused
from kit.writes import Transaction
from models.area import Department, District, Industry, ServiceCategory, Street
from models.base import table_of
from models.reference import rows
from models.refusals import Refusal
from models.words import SensitiveException, SensitiveWord
from services.uow import UnitOfWork


async def load(writing: Transaction) -> None:
    """Brings reference tables to what the files say. Words are only added: administrators edit them (R-ADM-03)."""
    await _replace(writing, District, _pick(rows("districts"), "code", "name", "name_en"))
    await _replace(writing, Street, _pick(rows("streets"), "code", "name", "district_code"))
    await _replace(writing, Department, _pick(rows("departments"), "code", "name", "short_name", "name_en"))
    await _replace(writing, Industry, (_industry(row) for row in rows("industries")))
    await _replace(writing, ServiceCategory, (_category(row) for row in rows("service_categories")))
    await _add(writing, SensitiveWord, _pick(rows("sensitive_words"), "word", "category", "severity", "suggestion"))
    await _add(writing, SensitiveException, _pick(rows("sensitive_exceptions"), "phrase"))


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


async def _replace(writing: Transaction, model: Any, values: Iterable[dict[str, Any]]) -> None:
    rows, statement = list(values), upsert(table_of(model))
    changed = {name: statement.excluded[name] for name in rows[0] if name != "code"}
    await writing.insert(statement.on_conflict_do_update(index_elements=["code"], set_=changed), rows)


async def _add(writing: Transaction, model: Any, values: Iterable[dict[str, Any]]) -> None:
    """What the columns of a new word hold besides, its table says."""
    await writing.insert(upsert(table_of(model)).on_conflict_do_nothing(), list(values))


async def require_code(uow: UnitOfWork, model: Any, code: str | None, field: str) -> None:
    """Refuses a code that the reference table does not hold; none is fine."""
    if code is not None:
        await require_codes(uow, model, [code], field, numbered=False)


async def require_codes(
    uow: UnitOfWork, model: Any, codes: Sequence[str], field: str, *, numbered: bool = True
) -> None:
    """Refuses the first code that the reference table does not hold, by its place in the list."""
    column = table_of(model).c.code
    found = await uow.execute(select(column).where(column == func.any(list(codes)))) if codes else ()
    known = {row["code"] for row in found}
    for number, code in enumerate(codes):
        if code not in known:
            raise Refused(Refusal.UNKNOWN_CODE, ["values", field, *([number] if numbered else [])], code=code)

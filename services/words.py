"""The library of sensitive words (敏感字库), which administrators collect, change and query (R-ADM-03)."""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Table, delete, insert, update

from kit.errors import Refused
from kit.ids import global_id
from models.base import Row, Values
from models.refusals import Refusal
from models.words import SensitiveException, SensitiveExceptionValues, SensitiveWord, SensitiveWordValues
from services.publishing import invalid
from services.uow import UnitOfWork

V = TypeVar("V", bound=Values)


async def save_word(uow: UnitOfWork, word_id: UUID | None, raw: Mapping[str, Any]) -> UUID:
    """Adds a word or changes one. It counts from the next check on, in every process."""
    return await _save(uow, SensitiveWord, word_id, _parse(SensitiveWordValues, raw))


async def save_exception(uow: UnitOfWork, exception_id: UUID | None, raw: Mapping[str, Any]) -> UUID:
    """Adds a phrase in which words are harmless, or changes one."""
    return await _save(uow, SensitiveException, exception_id, _parse(SensitiveExceptionValues, raw))


async def delete_word(uow: UnitOfWork, word_id: UUID) -> None:
    """Takes a word out of the library; the audit log keeps which. To pause one, disable it."""
    await _delete(uow, SensitiveWord, word_id, "word")


async def delete_exception(uow: UnitOfWork, exception_id: UUID) -> None:
    """Takes an exception out of the library; the audit log keeps which."""
    await _delete(uow, SensitiveException, exception_id, "phrase")


def _parse(values: type[V], raw: Mapping[str, Any]) -> V:
    try:
        return values.model_validate(raw)
    except ValidationError as error:
        raise invalid(error, under=()) from None


async def _save(uow: UnitOfWork, model: type[Row], key: UUID | None, values: Values) -> UUID:
    table: Table = model.__table__  # type: ignore[attr-defined]
    content = values.model_dump()
    if key is None:
        key = await uow.value(insert(table).values(content).returning(table.c.id))
    else:
        key = await uow.value(update(table).where(table.c.id == key).values(content).returning(table.c.id))
    if key is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    uow.touch(global_id(table.name, key), **values.model_dump(mode="json"))
    return key


async def _delete(uow: UnitOfWork, model: type[Row], key: UUID, name: str) -> None:
    table: Table = model.__table__  # type: ignore[attr-defined]
    gone = await uow.value(delete(table).where(table.c.id == key).returning(table.c[name]))
    if gone is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    uow.touch(global_id(table.name, key), **{name: gone})

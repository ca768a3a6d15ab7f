"""The library of sensitive words (敏感字库), which administrators collect, change and query (R-ADM-03)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import delete, func, insert, select, update

from kit.errors import Refused
from kit.excel import Column, read_rows
from kit.ids import global_id
from kit.words import Severity
from models.base import Row, Values, table_of
from models.refusals import Refusal
from models.words import SensitiveException, SensitiveExceptionValues, SensitiveWord, SensitiveWordValues
from services.imports import Problem, Report, problems_of
from services.publishing import invalid
from services.uow import UnitOfWork

V = TypeVar("V", bound=Values)
CHUNK = 500
SEVERITIES = {"需确认": Severity.WARN.value, "禁止发布": Severity.BLOCK.value}
YES_NO = {"是": "true", "否": "false"}

COLUMNS: tuple[Column, ...] = (
    Column("word", "敏感字", "Word", "必填 required", "全网第一", 24),
    Column("category", "类别", "Category", "必填 required", "广告法绝对化用语", 24),
    Column("severity", "级别", "Severity", "必填 required", "需确认", 14, tuple(SEVERITIES)),
    Column("suggestion", "替换建议", "Suggestion", "", "领先", 24),
    Column("enabled", "启用", "Enabled", "空为是 empty: yes", "是", 10, tuple(YES_NO)),
)


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
    table = table_of(model)
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
    table = table_of(model)
    gone = await uow.value(delete(table).where(table.c.id == key).returning(table.c[name]))
    if gone is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    uow.touch(global_id(table.name, key), **{name: gone})


def read_words(_name: str, content: bytes) -> Sequence[tuple[int, Mapping[str, Any]]]:
    """Numbered rows of an `.xlsx` by the template; raises `BadFile` for one that cannot be read."""
    return [(number, _from_cells(cells)) for number, cells in read_rows(content, COLUMNS)]


def _from_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    values = {key: text.strip() for key, text in cells.items() if text.strip()}
    for key, labels in (("severity", SEVERITIES), ("enabled", YES_NO)):
        if key in values:
            values[key] = labels.get(values[key], values[key])
    return values


async def import_words(
    uow: UnitOfWork,
    rows: Sequence[tuple[int, Mapping[str, Any]]],
    *,
    progress: Callable[[int], Awaitable[None]],
) -> Report:
    """Adds the words of a file and changes those that are there; bad rows are reported, the others written.

    A second import of the same file changes nothing. A word that the file holds twice counts once.
    """
    await uow.take_turns("sensitive_word_import")
    report, seen = Report(), dict[str, int]()
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        parsed = [values for number, raw in chunk if (values := _checked(report, seen, number, raw))]
        await _write(uow, report, parsed)
        await progress(start + len(chunk))
    return report


def _checked(report: Report, seen: dict[str, int], number: int, raw: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        values = SensitiveWordValues.model_validate(raw)
    except ValidationError as error:
        report.errors.extend(problems_of(number, error))
        return None
    first = seen.setdefault(values.word, number)
    if first != number:
        report.errors.append(
            Problem(number, "word", f"与第 {first} 行是同一敏感字", f"is the same word as row {first}")
        )
        return None
    return values.model_dump()


async def _write(uow: UnitOfWork, report: Report, words: Sequence[dict[str, Any]]) -> None:
    table = table_of(SensitiveWord)
    wanted = select(table).where(table.c.word == func.any([values["word"] for values in words]))
    there = {row["word"]: row for row in await uow.execute(wanted)}
    fresh = [SensitiveWord(**values).model_dump() for values in words if values["word"] not in there]
    changed = [
        (there[values["word"]]["id"], values)
        for values in words
        if values["word"] in there and any(there[values["word"]][name] != value for name, value in values.items())
    ]
    await uow.insert(insert(table), fresh)
    for key, values in changed:
        await uow.execute(update(table).where(table.c.id == key).values(values))
    uow.targets.extend(global_id(table.name, key) for key in (*(row["id"] for row in fresh), *dict(changed)))
    report.created += len(fresh)
    report.changed += len(changed)
    report.unchanged += len(words) - len(fresh) - len(changed)

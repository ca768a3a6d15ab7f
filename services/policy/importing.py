"""Imports policies: bad rows are reported, good ones written in one transaction, a second time changes nothing.

A row is the same policy as another when source and source id are equal; only without a source id, when title and
normalised 文号 are both equal. An equal title or 文号 alone is a warning, and the row is imported (R-POL-02).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, or_, select, union_all

from auth.viewer import Viewer
from kit.errors import Refused
from kit.ids import uuid7
from models.base import table_of
from models.policy import Policy, PolicyValues
from models.publishing import OPEN_STATES, Revision
from models.refusals import texts_of
from services import publishing
from services.imports import Problem, Report, problems_of
from services.policy import POLICY
from services.uow import UnitOfWork

POLICIES = table_of(Policy)
REVISIONS = table_of(Revision)
CHUNK = 100

Key = tuple[str, str | None, str | None]
Progress = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Known:
    """A policy that is there: published, or still a draft."""

    item_id: UUID
    values: Mapping[str, Any] | None


def key_of(values: PolicyValues) -> Key:
    """What makes two rows the same policy."""
    if values.source_id:
        return (values.source, values.source_id, None)
    return (values.title, None, values.document_no)


async def import_policies(
    uow: UnitOfWork,
    author: Viewer,
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    *,
    publish: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Writes the rows as drafts of `author`, or published where `publish` skips review (development only).

    Imports take turns, so that two of the same file write it once.
    """
    await uow.take_turns("policy_import")
    report = Report()
    seen: dict[Key, int] = {}
    done = 0
    for chunk in _chunks(rows):
        parsed = [(number, values) for number, raw in chunk if (values := _parse(report, number, raw))]
        fresh = [(number, values) for number, values in parsed if not _repeated(report, seen, number, values)]
        known = await _known(uow, [values for _, values in fresh])
        for number, values in fresh:
            await _one(uow, author, report, number, values, known, publish=publish)
        done += len(chunk)
        if progress is not None:
            await progress(done)
    return report


def _chunks(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterable[list[tuple[int, Mapping[str, Any]]]]:
    chunk: list[tuple[int, Mapping[str, Any]]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _parse(report: Report, number: int, raw: Mapping[str, Any]) -> PolicyValues | None:
    try:
        return PolicyValues.model_validate(raw)
    except ValidationError as error:
        report.errors.extend(problems_of(number, error))
        return None


def _repeated(report: Report, seen: dict[Key, int], number: int, values: PolicyValues) -> bool:
    first = seen.setdefault(key_of(values), number)
    if first == number:
        return False
    column = "source_id" if values.source_id else "title"
    report.errors.append(Problem(number, column, f"与第 {first} 行是同一政策", f"is the same policy as row {first}"))
    return True


async def _one(
    uow: UnitOfWork,
    author: Viewer,
    report: Report,
    number: int,
    values: PolicyValues,
    known: "_Index",
    *,
    publish: bool,
) -> None:
    same = known.same.get(key_of(values))
    if same is not None and same.values == values.model_dump(mode="json"):
        report.unchanged += 1
        return
    try:
        if publish:
            item_id = same.item_id if same else uuid7()
            owner = await POLICY.owner(uow, author, values, item_id)
            await publishing.publish_unreviewed(uow, author, POLICY, item_id, values, owner)
        else:
            raw = values.model_dump(mode="json")
            await publishing.save(uow, author, POLICY, same.item_id if same else None, raw)
    except Refused as refused:
        for each in refused.all:
            report.errors.append(Problem(number, str((each.field or ["*"])[-1]), *texts_of(each)))
        return
    if same:
        report.changed += 1
        return
    report.created += 1
    _warn_of_alike(report, number, values, known)


def _warn_of_alike(report: Report, number: int, values: PolicyValues, known: "_Index") -> None:
    for column, resembling in (("title", known.titles), ("document_no", known.numbers)):
        value = getattr(values, column)
        if value and value in resembling:
            report.warnings.append(
                Problem(
                    number,
                    column,
                    f"已有{'标题' if column == 'title' else '文号'}相同的政策",
                    f"another policy has this {column}",
                )
            )


@dataclass(slots=True)
class _Index:
    """What is there already that resembles the rows of a chunk."""

    same: dict[Key, Known] = field(default_factory=dict)
    titles: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)


async def _resembling(uow: UnitOfWork, rows: Sequence[PolicyValues]) -> list[UUID]:
    """Ids of published policies and of open drafts with the sources, titles or 文号 of the rows; some come twice."""
    sources = [values.source_id for values in rows if values.source_id]
    titles = [values.title for values in rows]
    numbers = [values.document_no for values in rows if values.document_no]
    draft = REVISIONS.c["values"]
    alike = select(POLICIES.c.id.label("item_id")).where(
        or_(
            POLICIES.c.source_id == func.any(sources),
            POLICIES.c.title == func.any(titles),
            POLICIES.c.document_no == func.any(numbers),
        )
    )
    drafted = select(REVISIONS.c.item_id).where(
        REVISIONS.c.kind == POLICY.name,
        REVISIONS.c.state.in_(OPEN_STATES),
        or_(
            draft["source_id"].astext == func.any(sources),
            REVISIONS.c.title == func.any(titles),
            draft["document_no"].astext == func.any(numbers),
        ),
    )
    return [row["item_id"] for row in await uow.execute(union_all(alike, drafted))]


async def _known(uow: UnitOfWork, rows: Sequence[PolicyValues]) -> _Index:
    """What resembles the rows, as it is to be compared: an open draft counts before what is published."""
    index = _Index()
    found = await _resembling(uow, rows)
    live = {row["id"]: row for row in await uow.execute(select(POLICIES).where(POLICIES.c.id == func.any(found)))}
    open_ones = await uow.execute(
        select(REVISIONS).where(REVISIONS.c.item_id == func.any(found), REVISIONS.c.state.in_(OPEN_STATES))
    )
    drafts = {row["item_id"]: row["values"] for row in open_ones}
    for item_id in found:
        raw = drafts.get(item_id) or publishing.published_values(POLICY, live.get(item_id))
        if raw is None:
            continue
        values = PolicyValues.model_validate(raw)
        index.same[key_of(values)] = Known(item_id, raw)
        index.titles.add(values.title)
        if values.document_no:
            index.numbers.add(values.document_no)
    return index

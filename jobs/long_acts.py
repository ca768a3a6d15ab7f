"""Does the long acts that users asked for. Each writes in one transaction and tells its progress beside it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from uuid import UUID

import anyio
import structlog
from redis.exceptions import RedisError
from sqlalchemy import select

from auth.viewer import Viewer
from jobs import outages
from kit.bus import bus
from kit.db import Row, fetch_one
from kit.errors import Refused
from kit.excel import BadFile, Column
from models import topics
from models.job import JobState
from models.refusals import Refusal, texts_of
from services import files, job, words
from services.account import ACCOUNT, viewer_of
from services.imports import Report, problems_csv
from services.policy import files as policy_files
from services.policy.records import COLUMNS as POLICY_COLUMNS
from services.uow import Act, UnitOfWork, unit_of_work

Progress = Callable[[int, int], Awaitable[None]]
Rows = Sequence[tuple[int, Mapping[str, Any]]]
TURN = anyio.Lock()

log = structlog.get_logger()


class CancelledByUser(Exception):
    """Raised inside an act whose job has ended, by its user or by another worker: its transaction rolls back."""


async def _tell(job_id: UUID, done: int, total: int) -> None:
    async with unit_of_work() as uow:
        running = await job.advance(uow, job_id, done, total)
    if not running:
        raise CancelledByUser
    with suppress(RedisError):  # progress nobody sees is no reason to begin again
        await bus.publish(topics.job(job_id))


async def run(job_id: UUID) -> None:
    """Runs one job to its end, one at a time, so that none waits with a connection in its hand.

    A kill in between leaves it RUNNING with nothing written, and it is taken up again.
    """
    async with TURN:
        async with unit_of_work() as uow:
            row = await job.begin(uow, job_id)
        if row is not None:
            await _act(row)
    await bus.publish(topics.job(job_id))


async def _act(row: Row) -> None:
    try:
        await ACTS[row["kind"]](row, lambda done, total: _tell(row["id"], done, total))
    except CancelledByUser:
        return
    except Refused as refused:
        await _failed(row, *texts_of(refused.all[0]))
    except Exception as error:
        if outages.away(error):
            raise
        log.exception("job.failed", job_id=row["id"].hex, kind=row["kind"])
        await _failed(row, "系统内部错误，未写入任何内容", "An internal error; nothing was written")


async def _failed(row: Row, zh: str, en: str) -> None:
    async with unit_of_work() as uow:
        await job.end(uow, row["id"], JobState.FAILED, message_zh=zh, message_en=en)


async def _done(uow: UnitOfWork, row: Row, **outcome: Any) -> None:
    """Ends the job in the transaction of what it wrote, so that neither is ever there without the other."""
    if not await job.end(uow, row["id"], JobState.DONE, **outcome):
        raise CancelledByUser


@dataclass(frozen=True, slots=True)
class Import:
    """How a kind of file is imported: `write` tells its progress in rows and reports what became of each."""

    action: str
    columns: Sequence[Column]
    read: Callable[[str, bytes], Rows]
    write: Callable[[UnitOfWork, Viewer, Rows, Callable[[int], Awaitable[None]]], Awaitable[Report]]


async def _import(what: Import, row: Row, progress: Progress) -> None:
    """Writes the rows of the job's file, and a file of what was wrong with some of them (R-POL-02, R-ADM-03)."""
    account = await fetch_one(select(ACCOUNT).where(ACCOUNT.c.id == row["account_id"]))
    file = await files.by_key(row["task"]["file_key"])
    if account is None or file is None:
        raise Refused(Refusal.NOT_FOUND, ["file_id"])
    viewer = await viewer_of(account)
    try:
        rows = what.read(file["name"], await files.store().get(file["key"]))
    except BadFile as error:
        raise Refused(Refusal.BAD_FILE, ["file_id"], zh=error.message_zh, en=error.message_en) from error
    await progress(0, len(rows))
    async with unit_of_work(Act(viewer, what.action)) as uow:
        report = await what.write(uow, viewer, rows, lambda done: progress(done, len(rows)))
        problems = None
        if report.errors or report.warnings:
            content = problems_csv(report, what.columns).encode("utf-8-sig")
            kept = await files.keep(uow, viewer, f"{file['name']}.errors.csv", content, "text/csv", len(content))
            problems = kept["key"]
        counts = {name: count for name, count in asdict(report).items() if isinstance(count, int)}
        await _done(
            uow,
            row,
            result={**counts, "warnings": len(report.warnings)},
            failed=len({problem.row for problem in report.errors}),
            done=len(rows),
            problems_key=problems,
        )


POLICIES = Import(
    "policyImport",
    POLICY_COLUMNS,
    policy_files.read,
    lambda uow, viewer, rows, progress: policy_files.import_policies(uow, viewer, rows, progress=progress),
)
WORDS = Import(
    "sensitiveWordImport",
    words.COLUMNS,
    words.read_words,
    lambda uow, _viewer, rows, progress: words.import_words(uow, rows, progress=progress),
)
ACTS: dict[str, Callable[[Row, Progress], Awaitable[None]]] = {
    "policy_import": partial(_import, POLICIES),
    "sensitive_word_import": partial(_import, WORDS),
}

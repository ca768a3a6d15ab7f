"""Long acts: asked for in a mutation, done by the worker, followed through their progress (R-ADM-13)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from auth.viewer import Viewer
from kit import clock
from kit.db import Row
from kit.errors import Refused
from kit.ids import global_id
from models.base import table_of
from models.events import JobQueued
from models.job import ENDED, Job, JobState
from models.refusals import Refusal
from services.uow import UnitOfWork

JOB = table_of(Job)


async def queue(uow: UnitOfWork, viewer: Viewer, kind: str, task: Mapping[str, Any]) -> UUID:
    """Asks for a long act; the worker takes it up when the transaction commits."""
    row = Job(kind=kind, account_id=viewer.account_id, task=dict(task))
    await uow.execute(insert(Job).values(row.model_dump()))
    uow.touch(global_id("job", row.id))
    uow.emit(JobQueued(row.id))
    return row.id


async def begin(uow: UnitOfWork, job_id: UUID) -> Row | None:
    """Takes a job up, also one whose worker was killed: its transaction left nothing. None when it has ended."""
    return await uow.one(
        update(JOB)
        .where(JOB.c.id == job_id, JOB.c.state.not_in(ENDED))
        .values(state=JobState.RUNNING, done=0, failed=0, updated_at=clock.real())
        .returning(*JOB.c)
    )


async def advance(uow: UnitOfWork, job_id: UUID, done: int, total: int) -> bool:
    """Notes progress; False when the job was cancelled meanwhile, so that whoever runs it stops and rolls back."""
    state = await uow.value(
        update(JOB)
        .where(JOB.c.id == job_id, JOB.c.state == JobState.RUNNING)
        .values(done=done, total=total, updated_at=clock.real())
        .returning(JOB.c.state)
    )
    return state is not None


async def end(uow: UnitOfWork, job_id: UUID, state: JobState, **outcome: Any) -> bool:
    """Ends a job once; False when it had ended before and stays as it is."""
    ended = await uow.value(
        update(JOB)
        .where(JOB.c.id == job_id, JOB.c.state.not_in(ENDED))
        .values(state=state, ended_at=clock.real(), updated_at=clock.real(), **outcome)
        .returning(JOB.c.id)
    )
    return ended is not None


async def cancel(uow: UnitOfWork, viewer: Viewer, job_id: UUID) -> None:
    """Stops a job of the viewer's; what it had not committed is rolled back."""
    job = await uow.one(select(JOB).where(JOB.c.id == job_id))
    if job is None or not (job["account_id"] == viewer.id or viewer.is_admin):
        raise Refused(Refusal.NOT_FOUND, ["id"])
    if job["state"] in ENDED:
        raise Refused(Refusal.JOB_ENDED, ["id"])
    await end(uow, job_id, JobState.CANCELLED)
    uow.touch(global_id("job", job_id))

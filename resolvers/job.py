"""Long acts as their owners follow them."""

from typing import Any

from strawberry import Parent

from kit.errors import Refused
from kit.ids import key_of
from models.refusals import Refusal
from resolvers.context import Info, write
from services import files
from services import job as jobs


def message(row: Parent[Any], info: Info) -> str:
    """What went wrong, in the caller's language; empty when all is well (说明)."""
    return str(row["message_en"] if info.context.english else row["message_zh"])


def problems_url(row: Parent[Any]) -> str | None:
    """Where the list of refused rows is, as CSV (问题清单地址)."""
    return f"/files/{row['problems_key']}" if row["problems_key"] else None


async def import_file(info: Info, kind: str, file_id: str) -> Any:
    """The long act that imports an uploaded file of the viewer's own."""
    key = key_of(file_id, "file")
    if key is None:
        raise Refused(Refusal.NOT_FOUND, ["file_id"])
    file = await files.owned(info.context.viewer, key)
    async with write(info) as uow:
        task = {"file_key": file["key"], "name": file["name"]}
        job_id = await jobs.queue(uow, info.context.viewer, kind, task)
    return await info.context.load.job.load(job_id)


async def job_cancel(info: Info, id: str) -> Any:
    """Stops a long act; what it had not finished is not written (取消任务)."""
    key = key_of(id, "job")
    if key is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    async with write(info) as uow:
        await jobs.cancel(uow, info.context.viewer, key)
    return await info.context.load.job.load(key)

"""Progress of long acts, for progress bars (R-ADM-13)."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from strawberry import ID
from strawberry import argument as about

from kit.bus import bus
from kit.ids import key_of
from models import topics
from models.job import ENDED
from resolvers.context import Context, Info


async def job_progress(
    info: Info, id: Annotated[ID, about(description="The job's global id (任务标识)")]
) -> AsyncGenerator[Any, None]:
    """The job, now and after every step, until it ends (任务进度)."""
    key = key_of(id, "job")
    if key is None:
        return
    async with bus.listen(topics.job(key)) as steps:
        row = await _fresh(info).load.job.load(key)
        while row is not None:
            yield row
            if row["state"] in ENDED:
                return
            await anext(steps)
            row = await _fresh(info).load.job.load(key)


def _fresh(info: Info) -> Context:
    return Context(info.context.viewer, info.context.request)

"""The worker: takes events from the queue, runs the schedule, and alone writes the embedded index.

One worker at a time holds an advisory lock on its LISTEN connection; a second one waits for its turn.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

from jobs import on_event
from jobs.schedule import SCHEDULE, tick
from kit.settings import Settings
from search import open_index
from search.base import SearchIndex
from services.uow import EVENT_ENTRYPOINT

WORKER_LOCK = 0x455343
LOCK_POLL_SECONDS = 0.5
MAX_ATTEMPTS = 12

log = structlog.get_logger()


def _retrying(parameters: EntrypointExecutorParameters) -> DatabaseRetryEntrypointExecutor:
    """Backs off from 0.5 s to 5 min, for about half an hour; then the job is held for a person to look at."""
    return DatabaseRetryEntrypointExecutor(
        parameters,
        max_attempts=MAX_ATTEMPTS,
        initial_delay=timedelta(seconds=0.5),
        max_delay=timedelta(minutes=5),
    )


def _queue(connection: "asyncpg.Connection[Any]", index: SearchIndex) -> PgQueuer:
    queue = PgQueuer.from_asyncpg_connection(connection)

    @queue.entrypoint(EVENT_ENTRYPOINT, on_failure="hold", executor_factory=_retrying)
    async def event(job: Job) -> None:
        try:
            await on_event.handle(job.payload or b"{}", index)
        except Exception:
            log.warning("event.failed", job_id=job.id, attempt=job.attempts, exc_info=True)
            raise

    return queue


@asynccontextmanager
async def _elected(settings: Settings, *, wait: bool) -> AsyncIterator["asyncpg.Connection[Any] | None"]:
    """The worker's own connection once it alone is the worker; None where another is and `wait` is off."""
    connection = await asyncpg.connect(settings.database_url, server_settings={"application_name": "esc worker"})
    try:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", WORKER_LOCK):
            if not wait:
                yield None
                return
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield connection
    finally:
        await connection.close()


async def run(settings: Settings) -> None:
    """Works until cancelled. The pools and the bus are open."""
    async with _elected(settings, wait=True) as connection:
        if connection is None:
            return
        index = open_index(settings, writer=True)
        await connection.execute("UPDATE pgqueuer SET status = 'queued' WHERE status = 'picked'")
        log.info("worker.started")
        tickers = [asyncio.create_task(tick(seconds, act)) for seconds, act in SCHEDULE]
        queue = _queue(connection, index)
        try:
            await queue.run(dequeue_timeout=timedelta(seconds=2), batch_size=20)
        finally:
            for ticker in tickers:
                ticker.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tickers, return_exceptions=True)
            await index.close()
            log.info("worker.stopped")


async def drain(settings: Settings) -> None:
    """Returns when all events are done: by the running worker, else by this process itself."""
    async with _elected(settings, wait=False) as connection:
        if connection is not None:
            index = open_index(settings, writer=True)
            try:
                await connection.execute("UPDATE pgqueuer SET status = 'queued' WHERE status = 'picked'")
                await _queue(connection, index).qm.run(mode=QueueExecutionMode.drain, batch_size=20)
            finally:
                await index.close()
            return
    await _until_done(settings)


async def _until_done(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        while await pending(connection):  # noqa: ASYNC110 - another process does the work
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def pending(connection: Any) -> int:
    """Events that wait or run; held ones, which failed for good, do not count."""
    count = await connection.fetchval(
        "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1 AND status IN ('queued', 'picked')", EVENT_ENTRYPOINT
    )
    return int(count)

"""The worker: takes events from the queue, runs the schedule, and alone writes the embedded index.

One worker at a time holds an advisory lock on its LISTEN connection; a second one waits for its turn. What a worker had
begun when it was killed, stopped or cut off is put back into the queue, and done again by the next.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

from jobs import on_event, outages
from jobs.schedule import SCHEDULE, tick
from kit.settings import Settings
from search import open_index
from search.base import SearchIndex
from services.uow import EVENT_ENTRYPOINT

WORKER_LOCK = 0x455343
LOCK_POLL_SECONDS = 0.5
RECONNECT_SECONDS = 1
ANSWER_SECONDS = 30
STOP_SECONDS = 5
MAX_ATTEMPTS = 12
FIRST_DELAY = timedelta(seconds=0.5)
LAST_DELAY = timedelta(minutes=1)
log = structlog.get_logger()


def _retrying(parameters: EntrypointExecutorParameters) -> DatabaseRetryEntrypointExecutor:
    """Backs off from 0.5 s to 1 min, for about seven minutes; then the job is held for a person to look at."""
    return DatabaseRetryEntrypointExecutor(
        parameters, max_attempts=MAX_ATTEMPTS, initial_delay=FIRST_DELAY, max_delay=LAST_DELAY
    )


def _queue(connection: "asyncpg.Connection[Any]", index: SearchIndex) -> PgQueuer:
    queue = PgQueuer.from_asyncpg_connection(connection)

    @queue.entrypoint(EVENT_ENTRYPOINT, on_failure="hold", executor_factory=_retrying)
    async def event(job: Job) -> None:
        try:
            await on_event.handle(job.payload or b"{}", index)
        except asyncio.CancelledError:
            # pgqueuer would take it for a job that nobody wants any more, and delete it
            raise RetryRequested(reason="the worker stopped") from None
        except Exception as error:
            log.warning("event.failed", job_id=job.id, attempt=job.attempts, exc_info=True)
            if outages.away(error):
                delay = min(FIRST_DELAY * 2 ** min(job.attempts, MAX_ATTEMPTS), LAST_DELAY)
                raise RetryRequested(delay=delay, reason=type(error).__name__) from error
            raise

    return queue


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(
        settings.database_url, command_timeout=ANSWER_SECONDS, server_settings={"application_name": "esc worker"}
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=STOP_SECONDS)


async def _elected(connection: "asyncpg.Connection[Any]") -> bool:
    """Whether this connection's owner alone is the worker, for as long as the connection lives."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", WORKER_LOCK))


async def _put_back(connection: "asyncpg.Connection[Any]") -> None:
    """What the last worker had begun and not finished waits again."""
    await connection.execute("UPDATE pgqueuer SET status = 'queued' WHERE status = 'picked'")


async def run(settings: Settings) -> None:
    """Works until cancelled, and begins anew whenever its connection is lost. The pools and the bus are open."""
    while True:
        try:
            async with _connected(settings) as connection:
                while not await _elected(connection):  # noqa: ASYNC110 - another process is the worker
                    await asyncio.sleep(LOCK_POLL_SECONDS)
                await _work(settings, connection)
        except Exception:
            log.warning("worker.lost", exc_info=True)
        await asyncio.sleep(RECONNECT_SECONDS)


async def _work(settings: Settings, connection: "asyncpg.Connection[Any]") -> None:
    await _put_back(connection)
    index = open_index(settings, writer=True)
    queue = _queue(connection, index)
    tickers = [asyncio.create_task(tick(seconds, act)) for seconds, act in SCHEDULE]
    working = asyncio.create_task(queue.run(dequeue_timeout=timedelta(seconds=2), batch_size=20))
    log.info("worker.started")
    try:
        await asyncio.shield(working)
    finally:
        queue.shutdown.set()
        await asyncio.wait({working}, timeout=STOP_SECONDS)  # what has not ended by then is put back
        for task in (working, *tickers):
            task.cancel()
        await asyncio.gather(working, *tickers, return_exceptions=True)
        await index.close()
        log.info("worker.stopped")


async def drain(settings: Settings) -> None:
    """Returns when all events are done: by the running worker, else by this process itself."""
    async with _connected(settings) as connection:
        while not await _elected(connection):
            if not await pending(connection):
                return
            await asyncio.sleep(0.1)
        index = open_index(settings, writer=True)
        try:
            await _put_back(connection)
            await _queue(connection, index).qm.run(mode=QueueExecutionMode.drain, batch_size=20)
        finally:
            await index.close()


async def pending(connection: Any) -> int:
    """Events that wait or run; held ones, which failed for good, do not count."""
    count = await connection.fetchval(
        "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1 AND status IN ('queued', 'picked')", EVENT_ENTRYPOINT
    )
    return int(count)

"""How every Python contender is served: one uvicorn process, tuned as `manage.py serve` is, the collector included."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import uvicorn
from starlette.applications import Starlette

POOL = 10


def serve(application: Any, *, http: str = "httptools", ws: str = "websockets-sansio") -> None:
    """Serves until it is told to stop; the port comes from the environment."""
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http=http,
        ws=ws,
        ws_per_message_deflate=False,
        server_header=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )


@asynccontextmanager
async def pooled(app: Starlette) -> AsyncIterator[None]:
    """The lifespan of a rival in Python: `app.state.pool` as asyncpg makes it, and what is loaded by then frozen.

    JSON comes as bytes, since nobody looks into it.
    """

    async def set_up(connection: "asyncpg.Connection[Any]") -> None:
        await connection.set_type_codec(
            "json", schema="pg_catalog", format="binary", encoder=bytes, decoder=lambda raw: raw
        )

    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL, max_size=POOL, init=set_up) as pool:
        app.state.pool = pool
        gc.freeze()
        yield

"""The ASGI composition root: routes, lifespan, middleware. Nothing else."""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import orjson
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

import migrations
import schema
from auth.tokens import authenticate
from engine import Engine, Finished, RedisPersistedStore, ResponseCache
from kit import log as logs
from kit import metrics
from kit.bus import bus
from kit.db import database, fetch_text
from kit.feed import feed
from kit.generations import generations
from kit.settings import ROOT, settings
from resolvers import uploads
from resolvers.context import Context
from resolvers.search import search_index
from search.base import SEARCH
from services import platform
from services.uow import queue_depth

EXPLORER = ROOT / "web" / "explorer"
ASSETS = EXPLORER / "dist" / "assets"
GRAPHQL = "/graphql"
GC_THRESHOLDS = (
    20_000,
    20,
    50,
)  # an answer is some thousand dicts without cycles: looking for them at each 700 is idle
DATABASE_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


def _explorer_page() -> bytes | None:
    """GraphiQL's page; the page that says it is being built until it is; None where neither is shipped."""
    for page in (EXPLORER / "dist" / "index.html", EXPLORER / "building.html"):
        if page.exists():
            return _without_demo_accounts(page.read_bytes())
    return None


def _without_demo_accounts(page: bytes) -> bytes:
    """Production has none to offer."""
    on, off = (f'name="esc-demo-accounts" content="{state}"'.encode() for state in ("on", "off"))
    return page if settings.development else page.replace(on, off)


class Assets(StaticFiles):
    """Built files: their names change with their content, so browsers keep them for a year."""

    async def check_config(self) -> None:
        """Accepts that nothing is built yet: each file is then simply not there."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        response.headers["x-content-type-options"] = "nosniff"
        return response


def _record(finished: Finished) -> None:
    if finished.members is None:
        metrics.observe_operation(finished.name, finished.kind, finished.seconds, finished.codes)
    else:
        metrics.count_errors(finished.codes)
    logs.operation(
        name=finished.name,
        kind=finished.kind,
        seconds=finished.seconds,
        codes=finished.codes,
        viewer_id=finished.viewer_id,
        request_id=finished.request_id,
        transport=finished.transport,
        members=finished.members,
    )


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    logs.configure(settings)
    _end_with_parent()
    await database.open(settings)
    await generations.open(feed, announced=[SEARCH])
    await feed.open(settings.database_url)
    await bus.open(settings.redis_url)
    search_index.open(settings)
    await platform.follow_clock()
    app.state.engine = Engine(
        schema.build(),
        authenticate=authenticate,
        context=Context,
        persisted=RedisPersistedStore(bus.redis),
        hardened=settings.hardened,
        allowed_origins=settings.allowed_origins,
        ide=_explorer_page,
        on_operation=_record,
        cache=ResponseCache(generations, settings.cache_mib << 20) if settings.cache_mib else None,
    )
    clock_follower = asyncio.create_task(_follow_clock())
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()  # the schema stays: walking it in every full collection cost two fifths of a large answer's time
    try:
        yield
    finally:
        gc.unfreeze()
        clock_follower.cancel()
        await search_index.close()
        await bus.close()
        await feed.close()
        await database.close()


def _end_with_parent() -> None:
    """One of several server processes does not hold the port when the process that started them was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


async def _follow_clock() -> None:
    while settings.development:
        await asyncio.sleep(1)
        try:
            await platform.follow_clock()
        except DATABASE_AWAY:
            continue


async def healthz(_request: Request) -> Response:
    """Alive: the event loop answers."""
    return PlainTextResponse("ok\n")


async def readyz(_request: Request) -> Response:
    """Ready: migrated, Redis there, the index built. 503 with what is missing otherwise."""
    missing = [
        problem for problem in await asyncio.gather(_database_problem(), _redis_problem(), _search_problem()) if problem
    ]
    body = orjson.dumps({"ready": not missing, "missing": missing})
    return Response(body, 503 if missing else 200, media_type="application/json")


async def _database_problem() -> str | None:
    try:
        rows = await fetch_text("SELECT version_num FROM alembic_version")
    except DATABASE_AWAY as error:
        return f"database: {type(error).__name__}"
    return None if [row[0] for row in rows] == [migrations.head()] else "database: not migrated"


async def _redis_problem() -> str | None:
    try:
        await bus.redis.ping()
    except (RedisError, OSError) as error:
        return f"redis: {type(error).__name__}"
    return None


async def _search_problem() -> str | None:
    health = await search_index.health()
    return None if health.ok and not health.needs_rebuild else f"search: {health.detail or 'not built yet'}"


async def prometheus(request: Request) -> Response:
    """Counters of this process, and the depth of the queue, which all share."""
    with suppress(asyncpg.PostgresError, OSError):
        for state, depth in (await queue_depth()).items():
            metrics.QUEUE_DEPTH.labels(state).set(depth)
    body, content_type = metrics.render(request.headers.get("accept", ""))
    return Response(body, media_type=content_type)


async def home(_request: Request) -> Response:
    return RedirectResponse(GRAPHQL)


class Application:
    """`/graphql` goes to the engine straight from the server, everything else through Starlette."""

    def __init__(self) -> None:
        self.starlette = Starlette(
            routes=[
                Route("/", home),
                Route("/healthz", healthz),
                Route("/readyz", readyz),
                Route("/metrics", prometheus),
                Route("/templates/{kind}.xlsx", uploads.template),
                Route("/files", uploads.upload, methods=["POST"]),
                Route("/files/{key:path}", uploads.download, methods=["GET"]),
                Mount(f"{GRAPHQL}/assets", GZipMiddleware(Assets(directory=ASSETS, check_dir=False))),
            ],
            lifespan=lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope["path"] == GRAPHQL:
            await self.starlette.state.engine(scope, receive, send)
        else:
            await self.starlette(scope, receive, send)


app = metrics.counted(Application())

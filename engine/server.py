"""The ASGI application for `/graphql`, composed from its parts."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import strawberry
from starlette.types import Receive, Scope, Send

from auth.viewer import Viewer
from engine import ide as ide_page
from engine.cache import ResponseCache
from engine.fanout import Fanout
from engine.federation import check_entities
from engine.gate import gate
from engine.http import Http
from engine.limits import Limits
from engine.origins import Origins
from engine.persisted import Persisted, PersistedStore
from engine.pipeline import Finished, Pipeline, RequestInfo
from engine.topics import follow_positions
from engine.ws import WebSocket


class Engine:
    """One schema, served over HTTP, server-sent events, multipart and WebSocket.

    `authenticate` turns a token's text, or None, into a viewer and raises `kit.errors.Unauthenticated` for a bad one.
    `context` is called anew for each operation and each event of a subscription; resolvers find its value in
    `info.context`, which must have the attribute `viewer`. `hardened`: introspection, the SDL, traces and the IDE only
    under the rule `schema.introspect`, and no suggestions in errors. `ide` gives GraphiQL's page, or None while it is
    being built. `on_operation` hears of every operation once it is over. `plans=False` leaves all to the reference.
    `cache` keeps answers of plans.

    Raises ValueError where a root field names no rule, and for schema extensions or operation directives of
    Strawberry's, which this executor would silently skip.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        *,
        authenticate: Callable[[str | None], Awaitable[Viewer]],
        context: Callable[[Viewer, RequestInfo], Any],
        persisted: PersistedStore,
        limits: Limits | None = None,
        hardened: bool = False,
        allowed_origins: Collection[str] = (),
        ide: ide_page.Page | None = None,
        on_operation: Callable[[Finished], None] = lambda _: None,
        plans: bool = True,
        cache: ResponseCache | None = None,
    ) -> None:
        if schema.extensions or schema.directives:
            raise ValueError("the engine runs no Strawberry extensions and no operation directives")
        limits = limits or Limits()
        origins = Origins(allowed_origins)
        core = schema._schema  # noqa: SLF001 - Strawberry has no public name for graphql-core's schema
        gate(core)
        follow_positions(core)
        check_entities(core, limits.representations)
        pipeline = Pipeline(
            core,
            schema.execution_context_class,
            context=context,
            persisted=Persisted(persisted),
            limits=limits,
            hardened=hardened,
            on_operation=on_operation,
            plans=plans,
            cache=cache,
        )
        fanout = Fanout(pipeline)
        self._http = Http(pipeline, fanout, authenticate=authenticate, origins=origins, limits=limits, page=ide)
        self._websocket = WebSocket(pipeline, fanout, authenticate=authenticate, origins=origins, limits=limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

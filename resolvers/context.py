"""What one operation knows: who asks, in which language, and the loaders that answer it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from strawberry import Info as StrawberryInfo

from auth.viewer import Viewer
from engine import RequestInfo
from kit.language import prefers_english
from resolvers.loaders import Loaders
from services.uow import Act, UnitOfWork, unit_of_work


class Context:
    """Made anew for each operation, and for each event of a subscription, so that nothing loaded goes stale."""

    def __init__(self, viewer: Viewer, request: RequestInfo) -> None:
        self.viewer = viewer
        self.request = request
        self.load = Loaders(viewer)

    @property
    def english(self) -> bool:
        """Whether messages are wanted in English; Chinese otherwise (Accept-Language)."""
        return prefers_english(self.request.headers.get("accept-language", ""))

    def forget(self) -> None:
        """Drops all that was loaded, after a write."""
        self.load = Loaders(self.viewer)


Info = StrawberryInfo[Context, Any]


@asynccontextmanager
async def write(info: Info) -> AsyncIterator[UnitOfWork]:
    """The write transaction of a mutation, audited under the mutation's name; loaders start afresh after it."""
    context = info.context
    request = context.request
    async with unit_of_work(Act(context.viewer, info.field_name, request.id, request.client or "")) as uow:
        yield uow
    context.forget()

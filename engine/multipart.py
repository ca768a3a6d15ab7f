"""Subscriptions over multipart HTTP, as Apollo's router and clients speak them (`subscriptionSpec=1.0`)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Receive

from auth.viewer import Viewer
from engine.errors import describe
from engine.streams import EXPIRED_REASON, Beat, beating, until_gone
from engine.wire import Reply, Result, encode
from kit.errors import Unauthenticated

MEDIA = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
BOUNDARY = b"\r\n--graphql"
HEADER = b"\r\nContent-Type: application/json\r\n\r\n"
END = b"--\r\n"


def part(body: Result) -> bytes:
    """A part with the boundary behind it, so that a client can read it before the next one exists."""
    return HEADER + encode(body) + BOUNDARY


async def respond(
    reply: Reply, receive: Receive, results: AsyncGenerator[Result, None], viewer: Viewer, keep_alive_seconds: float
) -> None:
    """Streams until the results end, the client leaves or its token expires; `results` are closed in any case.

    A result without `data` ended the subscription, so its errors stand beside an empty payload, as the protocol's
    fatal errors do.
    """

    async def send_all() -> None:
        await reply.start(200, MEDIA)
        await reply.chunk(BOUNDARY)
        async with aclosing(beating(results, viewer, keep_alive_seconds)) as beats:
            async for each in beats:
                if each is Beat.ALIVE:
                    await reply.chunk(part({}))
                elif each is Beat.EXPIRED:
                    await reply.chunk(part({"payload": None, "errors": [describe(Unauthenticated(EXPIRED_REASON))]}))
                else:
                    await reply.chunk(part({"payload": each} if "data" in each else {"payload": None, **each}))
        await reply.end(END)

    await until_gone(receive, send_all())

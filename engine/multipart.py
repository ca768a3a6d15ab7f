"""Subscriptions over multipart HTTP, as Apollo's router and clients speak them (`subscriptionSpec=1.0`)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Receive

from auth.viewer import Viewer
from engine.errors import Described, describe
from engine.streams import EXPIRED_REASON, Beat, beating, until_gone
from engine.wire import Answer, Reply, encode
from kit.errors import Unauthenticated

MEDIA = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
BOUNDARY = b"\r\n--graphql"
HEADER = b"\r\nContent-Type: application/json\r\n\r\n"
END = b"--\r\n"


def part(body: bytes) -> bytes:
    """A part with the boundary behind it, so that a client can read it before the next one exists."""
    return HEADER + body + BOUNDARY


def _fatal(errors: list[Described]) -> bytes:
    return part(encode({"payload": None, "errors": errors}))


async def respond(
    reply: Reply, receive: Receive, results: AsyncGenerator[Answer, None], viewer: Viewer, keep_alive_seconds: float
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
                    await reply.chunk(part(b"{}"))
                elif each is Beat.EXPIRED:
                    await reply.chunk(_fatal([describe(Unauthenticated(EXPIRED_REASON))]))
                elif isinstance(each, Answer):
                    await reply.chunk(_fatal(each.fatal) if each.fatal else part(b'{"payload":' + each.body + b"}"))
        await reply.end(END)

    await until_gone(receive, send_all())

"""Server-sent events: the protocol graphql-sse in its distinct connections mode."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Receive

from auth.viewer import Viewer
from engine.errors import RequestError, describe
from engine.negotiation import EVENT_STREAM
from engine.streams import EXPIRED_REASON, Beat, beating, until_gone
from engine.wire import Answer, Reply, encode
from kit.errors import Unauthenticated

COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"
UNBUFFERED = (("x-accel-buffering", "no"),)


def event(body: bytes) -> bytes:
    return b"event: next\ndata: " + body + b"\n\n"


async def refuse(reply: Reply, error: RequestError) -> None:
    """An operation that never began, told on an accepted stream: an EventSource cannot read the body of a 4xx."""
    await reply.start(200, f"{EVENT_STREAM}; charset=utf-8", UNBUFFERED)
    await reply.chunk(event(encode({"errors": error.errors})))
    await reply.end(COMPLETE)


async def respond(
    reply: Reply, receive: Receive, results: AsyncGenerator[Answer, None], viewer: Viewer, keep_alive_seconds: float
) -> None:
    """Streams until the results end, the client leaves or its token expires; `results` are closed in any case."""

    async def send_all() -> None:
        await reply.start(200, f"{EVENT_STREAM}; charset=utf-8", UNBUFFERED)
        await reply.chunk(COMMENT)  # the client's connection is open from here, though nothing may happen for long
        async with aclosing(beating(results, viewer, keep_alive_seconds)) as beats:
            async for each in beats:
                if each is Beat.ALIVE:
                    await reply.chunk(COMMENT)
                elif each is Beat.EXPIRED:
                    await reply.chunk(event(encode({"errors": [describe(Unauthenticated(EXPIRED_REASON))]})))
                elif isinstance(each, Answer):
                    await reply.chunk(event(each.body))
        await reply.end(COMPLETE)

    await until_gone(receive, send_all())

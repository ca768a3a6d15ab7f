"""Subscriptions over multipart HTTP, as Apollo's router and clients speak them (`subscriptionSpec=1.0`)."""

from contextlib import aclosing

from engine.streams import Stream
from engine.wire import Reply, encode

MEDIA = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
BOUNDARY = b"\r\n--graphql"
HEADER = b"\r\nContent-Type: application/json\r\n\r\n"
END = b"--\r\n"


def part(body: bytes) -> bytes:
    """A part with the boundary behind it, so that a client can read it before the next one exists."""
    return HEADER + body + BOUNDARY


async def respond(reply: Reply, stream: Stream) -> None:
    """Writes the stream to its end. Errors that ended it stand beside an empty payload, as the protocol has it."""
    await reply.start(200, MEDIA)
    await reply.chunk(BOUNDARY)
    async with aclosing(stream.events()) as events:
        async for each in events:
            await reply.chunk(part(b"{}" if each is None else b'{"payload":' + each.body + b"}"))
    if errors := stream.over.result():
        await reply.chunk(part(encode({"payload": None, "errors": errors})))
    await reply.end(END)

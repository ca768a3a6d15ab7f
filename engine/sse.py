"""Server-sent events: the protocol graphql-sse in its distinct connections mode.

Messages carry their place in the stream as the event's `id`. A client that was cut off names the last one that it saw
in `Last-Event-ID`, as an EventSource does by itself, and goes on behind it.
"""

from contextlib import aclosing

from engine.errors import RequestError
from engine.fanout import Event
from engine.negotiation import EVENT_STREAM
from engine.streams import Stream
from engine.wire import Reply, encode

COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"
UNBUFFERED = (("x-accel-buffering", "no"),)


def event(told: Event) -> bytes:
    place = b"" if told.cursor is None else b"id: %b\n" % told.cursor.encode()
    return b"%bevent: next\ndata: %b\n\n" % (place, told.body)


async def refuse(reply: Reply, error: RequestError) -> None:
    """An operation that never began, told on an accepted stream: an EventSource cannot read the body of a 4xx."""
    await whole(reply, encode({"errors": error.errors}))


async def whole(reply: Reply, body: bytes) -> None:
    """A stream of the one result that is there."""
    await reply.start(200, f"{EVENT_STREAM}; charset=utf-8", UNBUFFERED)
    await reply.chunk(event(Event(body)))
    await reply.end(COMPLETE)


async def respond(reply: Reply, stream: Stream) -> None:
    """Writes the stream to its end. A result without data is the last."""
    await reply.start(200, f"{EVENT_STREAM}; charset=utf-8", UNBUFFERED)
    await reply.chunk(COMMENT)  # the client's connection is open from here, though nothing may happen for long
    async with aclosing(stream.events()) as events:
        async for each in events:
            await reply.chunk(COMMENT if each is None else event(each))
    if errors := stream.over.result():
        await reply.chunk(event(Event(encode({"errors": errors}))))
    await reply.end(COMPLETE)

"""Topics wake whoever listens to them on the same database of the same Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from kit.bus import Bus
from tests.conftest import Servers, empty_redis


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Bus]:
    bus = Bus()
    await bus.open(url)
    try:
        async with asyncio.timeout(5):
            await bus.connected.wait()
        yield bus
    finally:
        await bus.close()


async def test_two_platforms_on_one_redis_do_not_hear_each_other(servers: Servers) -> None:
    """Redis itself hands what is published to all its databases."""
    url = empty_redis(servers)
    async with AsyncExitStack() as stack:
        here, there, beside = [
            await stack.enter_async_context(opened(each)) for each in (url, url, f"{url.rsplit('/', 1)[0]}/14")
        ]
        near, far, last = [
            await stack.enter_async_context(bus.listen(topic))
            for bus, topic in ((there, "topic"), (beside, "topic"), (beside, "last"))
        ]
        await here.publish("topic")
        await beside.publish("last")
        async with asyncio.timeout(5):
            await anext(near)
            await anext(last)
        assert not far._event.is_set()

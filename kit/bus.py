"""Events to sockets: Redis carries them between processes, a local fan-out hands them to each listener.

One Redis connection a process, however many sockets. Topics carry no data, they say "look again": at a state, or for
rows behind the last one that was told. So wake-ups need not pile up, and after a lost connection every listener looks
again and has missed nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisAway

RECONNECT_SECONDS = 0.5
ANSWER_SECONDS = 2
SILENCE_SECONDS = 2

log = structlog.get_logger()


class Listener:
    """A wake-up that does not pile up; iterating waits for the next one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    def __aiter__(self) -> "Listener":
        return self

    async def __anext__(self) -> None:
        await self._event.wait()
        self._event.clear()


class Client(Redis):
    """Fails at once while the bus knows that Redis is away: nobody who signs in waits for a server that hangs."""

    away = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self._check()
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, *args: Any, **options: Any) -> Any:
        self._check()
        return super().pipeline(*args, **options)

    def _check(self) -> None:
        if self.away:
            raise RedisAway("Redis does not answer (Redis 无响应)")


class Bus:
    """Opened once per process. `redis` is the process's one client for everything else that Redis holds."""

    def __init__(self) -> None:
        self._redis: Client | None = None
        self._channel = ""
        self._reader: asyncio.Task[None] | None = None
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self.connected = asyncio.Event()

    @property
    def redis(self) -> Client:
        if self._redis is None:
            raise RuntimeError("the bus is not open")
        return self._redis

    async def open(self, url: str) -> None:
        """Needs no Redis yet. A command tries twice without a pause, since its callers can do without or try again."""
        client = Client.from_url(
            url,
            socket_connect_timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = cast("Client", client)
        number = client.connection_pool.connection_kwargs.get("db", 0)
        self._channel = f"esc:{number}:topic:"  # what is published is heard in all databases of a server
        self.connected = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name="bus")

    async def close(self) -> None:
        while self._reader is not None and not self._reader.done():
            self._reader.cancel()  # again and again: redis-py may swallow one while it connects
            await asyncio.wait({self._reader}, timeout=0.1)
        if self._redis is not None:
            await self._redis.aclose()
        self._redis = self._reader = None

    async def publish(self, topic: str) -> None:
        """Wakes the topic's listeners in every process. Raises RedisError while Redis is away: jobs try again."""
        await self.redis.publish(self._channel + topic, b"")

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[Listener]:
        listener = Listener()
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]

    def listeners(self, topic: str) -> int:
        """How many listen here: a stream that ended must not be among them."""
        return len(self._listeners.get(topic, ()))

    async def _read(self) -> None:
        while True:
            try:
                await self._receive()
            except Exception as error:  # noqa: BLE001 - a reader that ended would leave every socket silent
                log.warning("bus.lost", error=type(error).__name__)
            self.connected.clear()
            self.redis.away = True
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _receive(self) -> None:
        async with self.redis.pubsub() as pubsub:
            await pubsub.psubscribe(self._channel + "*")
            asked = False
            while True:
                message = await pubsub.get_message(timeout=SILENCE_SECONDS)
                if message is None:
                    if asked:
                        raise TimeoutError
                    await pubsub.ping()
                asked = message is None
                if message is not None:
                    self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "psubscribe":
            self.connected.set()
            self.redis.away = False
            self._wake(*self._listeners)
        elif message["type"] == "pmessage":
            self._wake(message["channel"].decode().removeprefix(self._channel))

    def _wake(self, *topics: str) -> None:
        for topic in topics:
            for listener in self._listeners.get(topic, ()):
                listener.wake()


bus = Bus()

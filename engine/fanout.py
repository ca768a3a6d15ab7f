"""One run of a stream for all who ask the same: each event is executed once, encoded once and handed to each socket.

Those who ask the same meet in a `Channel`; a `Run` is one `pipeline.stream` of theirs, in a task of its own. Who joins
a channel of states gets one from a short run that begins then, together with all who join before it is there, and
after it what the others were told meanwhile: their listener was there before, so nobody is left with an old state. A
stream that may not be shared has a channel with one member.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from contextvars import Context
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
import structlog

from engine.errors import Described, codes, internal
from engine.params import Params
from engine.persisted import requested_hash, sha256
from engine.pipeline import Operation, Pipeline, RequestInfo
from engine.topics import Keep, Position, Topic, position, topic_of
from kit.ids import uuid7
from kit.language import prefers_english

QUEUE = 100  # messages that wait for one socket
PATIENCE_SECONDS = 5.0  # for a lone reader whose queue is full
AT_A_TIME = 100  # sockets told before others get a turn

TOO_SLOW = "You read too slowly: go on with `after` (读取过慢，请以 after 续读)"

Key = tuple[Any, ...]


class Event(NamedTuple):
    """One result, encoded. `cursor` is its place in a stream of messages."""

    body: bytes
    cursor: str | None = None


class Subscriber:
    """Who is told the events of one operation. What cannot be sent at once waits here, as the topic has it.

    A transport says whether it is `busy`, how to `send` an event and how to `end`, and calls `flush` when it is free.
    """

    __slots__ = ("_channel", "_last", "_waiting", "keep", "operation")

    operation: Operation
    keep: Keep

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._waiting: deque[Event] | None = None
        self._last: list[Described] | None = None

    @property
    def busy(self) -> bool:
        """Whether what is sent now would only pile up."""
        raise NotImplementedError

    def send(self, event: Event) -> None:
        raise NotImplementedError

    def end(self, errors: list[Described]) -> None:
        """Nothing follows. Errors are those of a stream that could not start, or broke."""
        raise NotImplementedError

    def end_slow(self) -> None:
        """Nothing follows: more messages wait than may."""
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        """Whether another event would neither displace one that waits nor be one too many."""
        if self.keep is Keep.LATEST:
            return not self._waiting and not self.busy
        return self._waiting is None or len(self._waiting) < QUEUE

    def attach(self, channel: "Channel", operation: Operation) -> None:
        self._channel, self.operation, self.keep = channel, operation, channel.topic.keep

    def tell(self, event: Event) -> None:
        if not self._waiting and not self.busy:
            self.send(event)
        elif self.keep is Keep.LATEST:
            self._waiting = deque((event,))
        elif self.has_room:
            self._waiting = self._waiting or deque()
            self._waiting.append(event)
        else:
            self.drop()

    def finish(self, errors: list[Described]) -> None:
        """Ends once all that waits is sent."""
        self._channel, self._last = None, errors
        self.flush()

    def flush(self) -> None:
        """Sends what waits, as far as it goes."""
        while self._waiting and not self.busy:
            self.send(self._waiting.popleft())
        if self._channel is not None:
            self._channel.wake()
        elif self._last is not None and not self._waiting:
            errors, self._last = self._last, None
            self.end(errors)

    def drop(self) -> None:
        self.cancel()
        self.end_slow()

    def cancel(self) -> None:
        """Leaves, and forgets what waits. May be called again."""
        channel, self._channel, self._waiting, self._last = self._channel, None, None, None
        if channel is not None:
            channel.leave(self)


class Run:
    """A stream that is running, and those who hear it. `last`: its last event; `known`: the others' when it began."""

    __slots__ = ("_channel", "_operation", "known", "last", "members", "task")

    def __init__(self, channel: "Channel", member: Subscriber) -> None:
        self._channel = channel
        self.known = channel.current.last if channel.current is not None else None
        self.members: dict[Subscriber, None] = {}
        self.last: Event | None = None
        shared = channel.topic.shared
        self._operation = _of_nobody(member.operation) if shared else member.operation
        self.add(member)
        self.task = asyncio.create_task(self._follow(self._operation), context=Context() if shared else None)

    def add(self, *members: Subscriber) -> None:
        """They hear it from now on."""
        self.members.update(dict.fromkeys(members))
        if self._operation.members is not None:
            self._operation.members += len(members)

    async def _follow(self, operation: Operation) -> None:
        place = Position(self._channel.after)
        position.set(place)
        structlog.contextvars.bind_contextvars(request_id=operation.info.id)
        try:
            errors = await self._tell_all(operation, place)
        except Exception as error:  # noqa: BLE001 - logged; members that heard nothing more would wait for ever
            errors = [internal(error)]
        members, self.members = self.members, {}
        self._channel.forget(self)
        for member in members:
            self._channel.report(member, errors)
            member.finish(errors)

    async def _tell_all(self, operation: Operation, place: Position) -> list[Described]:
        """Returns the errors of a stream that could not start, or broke."""
        async with aclosing(self._channel.pipeline.stream(operation)) as answers:
            async for answer in answers:
                if answer.fatal is not None:
                    return answer.fatal
                self.last = event = Event(answer.body, place.cursor)
                if not self._channel.goes_on(self, event):
                    break
                await self._tell(event)
                await self._pace()
        return []

    async def _tell(self, event: Event) -> None:
        for number, member in enumerate(tuple(self.members), 1):
            if member in self.members:
                member.tell(event)
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    def adopt(self, short: "Run", first: Event) -> None:
        """Takes over those for whom a short run was made, who are told its event first."""
        members, short.members = short.members, {}
        meanwhile = self.last if self.last is not short.known else None
        for member in members:
            member.tell(first)
            if meanwhile is not None and meanwhile != first:
                member.tell(meanwhile)
        self.add(*members)
        self._channel.wake()

    async def _pace(self) -> None:
        """States are made no faster than the fastest member reads. A lone reader of messages is waited for a while."""
        if self._channel.topic.keep is Keep.LATEST:
            await self._room()
        elif not self._channel.topic.shared:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._room()
            except TimeoutError:
                for member in tuple(self.members):
                    member.drop()

    async def _room(self) -> None:
        while not any(member.has_room for member in self.members):
            await self._channel.woken()


class Channel:
    """Those who asked the same. `current` is the run that they hear; `next` has not told its first event yet."""

    def __init__(
        self, pipeline: Pipeline, topic: Topic, after: str | None, on_empty: Callable[[], None] = lambda: None
    ) -> None:
        self.pipeline = pipeline
        self.topic = topic
        self.after = after
        self.current: Run | None = None
        self.next: Run | None = None
        self._on_empty = on_empty
        self._woken = asyncio.Event()

    def join(self, member: Subscriber, operation: Operation) -> None:
        member.attach(self, operation)
        if self.next is not None:
            self.next.add(member)
        elif self.current is not None and self.topic.keep is Keep.EVERY:
            self.current.add(member)
        else:
            self.next = Run(self, member)

    def leave(self, member: Subscriber) -> None:
        """A run that nobody hears any more is closed."""
        for run in (self.current, self.next):
            if run is not None and member in run.members:
                del run.members[member]
                if not run.members:
                    run.task.cancel()
                    self.forget(run)
        self.report(member, [])
        self.wake()

    def goes_on(self, run: Run, event: Event) -> bool:
        """Whether a run is the one that goes on. One that began beside it has done its work with its first event."""
        if run is self.next:
            self.next = None
            if self.current is None:
                self.current = run
            else:
                self.current.adopt(run, event)
        return run is self.current

    def forget(self, run: Run) -> None:
        if run is self.current:
            self.current = None
        elif run is self.next:
            self.next = None
        else:
            return
        if self.current is None and self.next is None:
            self._on_empty()

    def report(self, member: Subscriber, errors: list[Described]) -> None:
        """Tells that a member's own operation is over; a run that is not shared does so itself."""
        if self.topic.shared:
            member.operation.codes.update(codes(errors))
            self.pipeline.finish(member.operation)

    def wake(self) -> None:
        self._woken.set()

    async def woken(self) -> None:
        self._woken.clear()
        await self._woken.wait()


class Fanout:
    """The channels of a process that may be shared, by what is asked and who asks."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.channels: dict[Key, Channel] = {}

    def join(self, member: Subscriber, operation: Operation, params: Params, after: str | None = None) -> None:
        """From now on the member is told of the operation's events, from behind `after` where it names no place itself.

        Call it once for an operation.
        """
        topic = topic_of(operation)
        after = after if topic.keep is Keep.EVERY else None
        if not topic.shared:
            Channel(self._pipeline, topic, after).join(member, operation)
            return
        key = (*_words(params), after, operation.viewer.standing, _english(operation))
        channel = self.channels.get(key)
        if channel is None:
            channel = self.channels[key] = Channel(self._pipeline, topic, after, lambda: self._forget(key))
        channel.join(member, operation)

    def _forget(self, key: Key) -> None:
        del self.channels[key]


def _words(params: Params) -> tuple[str, str | None, bytes]:
    """What was asked. Texts are compared by their hash, which is all that some clients send."""
    text = requested_hash(params.extensions) or sha256(params.query or "")
    return text, params.operation_name, orjson.dumps(params.variables, option=orjson.OPT_SORT_KEYS)


def _english(operation: Operation) -> bool:
    return prefers_english(operation.info.headers.get("accept-language", ""))


def _of_nobody(operation: Operation) -> Operation:
    """The operation as all may ask it who stand like its viewer: without his identity, token, address or request."""
    language = {"accept-language": "en" if _english(operation) else "zh"}
    info = RequestInfo(uuid7().hex, operation.info.transport, language)
    return replace(operation, viewer=operation.viewer.standing, info=info, codes=set(), members=0)

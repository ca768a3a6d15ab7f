"""Requests that take long: a body that does not come, a query whose client has left."""

import asyncio
from typing import Any

from engine.wire import ClientGoneError, Request, disconnected, late

LOOK_SECONDS = 0.05


class Watch:
    """Ends requests that nobody should wait for, by cancelling their tasks.

    One timer looks after all of them, so that a quick request costs two changes of a dict. Mutations never come here:
    what they have begun they finish.
    """

    def __init__(self, body_seconds: float) -> None:
        self._body_seconds = body_seconds
        self._reading: dict[Request, asyncio.Task[Any]] = {}
        self._running: dict[Request, asyncio.Task[Any]] = {}
        self._listeners: dict[Request, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def reading(self, request: Request) -> None:
        """The request's body is awaited from now on."""
        self._enter(request, self._reading)

    def running(self, request: Request) -> None:
        """Its query runs from now on."""
        self._enter(request, self._running)

    def leave(self, request: Request) -> None:
        self._reading.pop(request, None)
        self._running.pop(request, None)
        if self._listeners and (listener := self._listeners.pop(request, None)):
            listener.cancel()

    def explain(self, request: Request) -> None:
        """After a cancellation: raises what the request was cut off for, if it was this that cut it off."""
        if request.cut is not None and (task := asyncio.current_task()):
            task.uncancel()
            raise request.cut

    def _enter(self, request: Request, place: dict[Request, asyncio.Task[Any]]) -> None:
        loop = self._loop
        task = None if loop is None else asyncio.current_task(loop)  # asking for the running loop is a system call
        if loop is None or task is None:
            loop = self._loop = asyncio.get_running_loop()
            task = asyncio.current_task(loop)
            loop.call_later(LOOK_SECONDS, self._look, loop)
        if task is not None:
            request.since = loop.time()
            place[request] = task

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._reading and not self._running:
            self._loop = None
            return
        loop.call_later(LOOK_SECONDS, self._look, loop)
        now = loop.time()
        for request, task in self._reading.items():
            if now - request.since > self._body_seconds and request.cut is None:
                _cut(request, task, late())
        for request in self._running:
            if now - request.since > LOOK_SECONDS and request not in self._listeners:
                self._listeners[request] = loop.create_task(self._listen(request))

    async def _listen(self, request: Request) -> None:
        await disconnected(request.receive)
        if task := self._running.get(request):
            _cut(request, task, ClientGoneError())


def _cut(request: Request, task: asyncio.Task[Any], reason: Exception) -> None:
    request.cut = reason
    task.cancel()

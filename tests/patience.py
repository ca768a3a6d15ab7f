"""A hang that explains itself: what was being done, where each task and each thread stood."""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any

SECONDS = 60.0


class HungError(BaseException):
    """Something did not end. No Exception, which the code under test could survive and hypothesis would shrink."""


@contextmanager
def patient(seconds: float = SECONDS) -> Iterator[Callable[[object], None]]:
    """Yields what to call with each thing that begins: it must be over, and the next begun, in so many seconds.

    Otherwise HungError is raised in the main thread, wherever that stands, and again after as many seconds where code
    held it back. Only in the main thread; the last thing that begins has until the end of the block.
    """
    doing: object = "beginning"

    def begin(what: object) -> None:
        nonlocal doing
        doing = what
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def hung(_number: int, _frame: Any) -> None:
        raise HungError(f"{doing}\n\n{tasks()}\n\n{threads()}")

    before = signal.signal(signal.SIGALRM, hung)
    begin(doing)
    try:
        yield begin
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tasks() -> str:
    """Where the tasks of the running loop stand, each from its own coroutine to what it waits for."""
    try:
        running = asyncio.all_tasks()
    except RuntimeError:
        return "no loop is running"
    return "\n".join("\n  ".join([f"task {task.get_name()}", *_awaits(task.get_coro())]) for task in running)


def _awaits(awaited: Any) -> Iterator[str]:
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        yield f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" if frame else repr(awaited)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


def threads() -> str:
    with TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()

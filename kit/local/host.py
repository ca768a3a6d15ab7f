"""Where the embedded servers live and as whom they run. Knows no server."""

import hashlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import EscError

OS_USER = "esc-servers"
SHARED_ROOT = Path("/var/lib/esc")
LOG_LINES = 20
_MARK = "servers.id"


class LocalServerError(EscError):
    """An embedded server that cannot run, and what to do about it: Chinese, English, then the log's end."""

    def __init__(self, zh: str, en: str, log: str = "") -> None:
        super().__init__("\n".join(part for part in (zh, en, log) if part))
        self.zh = zh
        self.en = en
        self.log = log


@dataclass(frozen=True)
class Host:
    """One checkout's servers: `place` holds their data, `user` runs them (None: whoever runs us)."""

    home: Path
    place: Path
    user: pwd.struct_passwd | None

    def run(self, *command: str | Path, text: str = "", seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a command as the servers' user, in an environment without the caller's `PG…` and `LD_…` variables.

        The folder is `/`, since the caller's may be closed to that user. Never raises on the command's own failure.
        """
        try:
            return subprocess.run(  # noqa: S603 - the commands are ours
                [str(part) for part in command],
                check=False,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                cwd="/",
                timeout=seconds,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": _utf8_locale()},
                **self._identity(),
            )
        except subprocess.TimeoutExpired as late:
            raise LocalServerError(
                f"命令 {Path(command[0]).name} 在 {seconds:.0f} 秒内没有结束。",
                f"{Path(command[0]).name} did not end within {seconds:.0f} seconds.",
            ) from late
        except OSError as refused:
            raise LocalServerError(
                f"无法运行 {command[0]}:{refused}", f"cannot run {command[0]}: {refused}"
            ) from refused

    def own(self, folder: Path) -> Path:
        """Makes a folder that only the servers' user enters. Its own mode changes, never that of a parent."""
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        return folder

    def keep(self, path: Path, make: Callable[[], str]) -> str:
        """The text of a small private file (a password, a port), written first where it is missing."""
        if not path.exists():
            self.write(path, make())
        return path.read_text()

    def write(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def usable(self, program: Path, *folders: Path) -> Path:
        """The program, or its copy where the servers' user cannot run it, as below a private home folder.

        `folders` is what the program needs of its surroundings, itself included, and shares one parent.
        """
        if self.user is None or self._can_run(program):
            return program
        parent = folders[0].parent
        stamp = program.stat()
        key = f"{program}:{stamp.st_size}:{stamp.st_mtime_ns}"
        copy = self.shared() / "programs" / hashlib.sha256(key.encode()).hexdigest()[:8]
        if not copy.exists():
            partial = copy.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            for folder in folders:
                _copy_readable(folder, partial / folder.name)
            _open(partial, partial.parent)
            partial.rename(copy)
        return copy / program.relative_to(parent)

    @property
    def outlived_home(self) -> bool:
        """Whether the data outside belong to a home that was deleted since."""
        return self.place != self.home and not _has_shared_data(self.home)

    def begin_afresh(self) -> None:
        """Drops what outlived its home (the servers must be stopped) and binds the empty folder to today's home."""
        for name in ("postgres", "redis"):
            shutil.rmtree(self.place / name, ignore_errors=True)
        mark = secrets.token_hex(16)
        (self.place / _MARK).write_text(mark)
        (self.home / _MARK).write_text(mark)

    def shared(self) -> Path:
        """This checkout's folder outside every home, made where it is missing."""
        folder = shared_folder(self.home)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _open(SHARED_ROOT, folder)
        except OSError as refused:
            raise LocalServerError(
                f"无法创建 {folder}({refused});请把 ESC_HOME 设为所有用户可进入的目录,例如 /srv/esc。",
                f"cannot make {folder} ({refused}): set ESC_HOME to a folder that all may enter, such as /srv/esc.",
            ) from refused
        return folder

    def _can_run(self, program: Path) -> bool:
        try:
            return self.run(program, "--version").returncode == 0
        except LocalServerError:
            return False

    def _identity(self) -> dict[str, Any]:
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}


def host_of(home: Path) -> Host:
    """Decides for a checkout; needs the lock of `kit/local/__init__.py`, since it may make folders and an account.

    The data stay below `home` where the servers' user may enter it, else they go to `/var/lib/esc/<hash of home>`,
    which begins afresh when `home` was deleted.
    """
    home.mkdir(parents=True, exist_ok=True)
    home = home.resolve()
    if os.geteuid() != 0:
        return Host(home, home, None)
    inside = Host(home, home, _servers_user(home / "postgres"))
    if not (home / "postgres").exists() and _has_shared_data(home):
        return _outside(home)
    if inside.run("test", "-x", home).returncode == 0:
        return inside
    if (home / "postgres").exists():
        raise LocalServerError(
            f"运行数据库的系统用户无法进入 {home};请恢复该目录的访问权限,或删除它以重新开始。",
            f"the servers' own user cannot enter {home}: restore the folder's modes, or delete it to start afresh.",
        )
    return _outside(home)


def shared_folder(home: Path) -> Path:
    return SHARED_ROOT / hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


def peek(home: Path) -> Path:
    """Where a checkout's data are, without making anything (`manage.py doctor`)."""
    home = home.resolve()
    return shared_folder(home) if os.geteuid() == 0 and _has_shared_data(home) else home


def free_port(wanted: int = 0) -> int:
    """The wanted port of loopback if it is free, else any that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LocalServerError("本机没有空闲端口。", "no free port on 127.0.0.1.")


def tail(log: Path, start: int = 0) -> str:
    """The last lines that a server wrote after the byte `start`; empty where it wrote none."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(start)
        return "\n".join(stream.read().decode(errors="replace").splitlines()[-LOG_LINES:])


def pause(seconds: float) -> None:
    """Waits in blocking code: the servers start before there is an event loop."""
    threading.Event().wait(seconds)


def _outside(home: Path) -> Host:
    folder = shared_folder(home)
    host = Host(home, folder, _servers_user(folder / "postgres"))
    host.shared()
    return host


def _has_shared_data(home: Path) -> bool:
    try:
        return (home / _MARK).read_text() == (shared_folder(home) / _MARK).read_text()
    except OSError:
        return False


def _servers_user(data: Path) -> pwd.struct_passwd:
    """The owner of existing data, else the account of the servers, else `nobody`: PostgreSQL refuses to run as root."""
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for attempt in ("find", "find again"):
        try:
            return pwd.getpwnam(OS_USER)
        except KeyError:
            if attempt == "find" and (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")):
                subprocess.run(  # noqa: S603 - a fixed command
                    [useradd, "--system", "--shell", "/usr/sbin/nologin", OS_USER], check=False, capture_output=True
                )
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise LocalServerError(
            f"PostgreSQL 不能以 root 运行,且无法创建系统用户 {OS_USER}(缺少 useradd);请以普通用户运行,或先创建该用户。",
            f"PostgreSQL does not run as root, and the system user {OS_USER} cannot be made (no useradd): run as an "
            "ordinary user, or make that user first.",
        ) from None


def _copy_readable(source: Path, target: Path) -> None:
    """Copies a folder so that everybody can read and run it, whatever the umask was when it was installed."""

    def copy(origin: str, destination: str) -> None:
        shutil.copyfile(origin, destination)
        Path(destination).chmod(0o755)

    shutil.copytree(
        source, target, copy_function=copy, ignore=shutil.ignore_patterns("include", "*.a", "*.py", "falkordb.*")
    )
    _open(*(folder for folder in (target, *target.rglob("*")) if folder.is_dir()))


def _open(*folders: Path) -> None:
    for folder in folders:
        folder.chmod(0o755)


def _utf8_locale() -> str:
    return "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"

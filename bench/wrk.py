"""Load by wrk, which costs the core that it shares with PostgreSQL a tenth of what a client in Python does."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench.load import HOST, BenchError, Outcome, Request

SCRIPT = Path(__file__).with_name("requests.lua")
GRACE_SECONDS = 30.0


def install() -> bool:
    """Whether wrk is there, after an attempt to install Debian's package where we may."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", "wrk")):
            subprocess.run([apt, *command], check=False, capture_output=True, env=environment)  # noqa: S603
    return shutil.which("wrk") is not None


def write(requests: Sequence[Request], file: Path) -> Path:
    """The requests as `requests.lua` reads them."""
    file.write_bytes(b"\n".join(b"%b\t%b" % (each.token.encode(), each.body) for each in requests))
    return file


async def run(port: int, file: Path, *, connections: int, seconds: int) -> Outcome:
    """Sends the requests of the file in turn for so many seconds. Raises BenchError where wrk fails."""
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)),
        *(f"http://{HOST}:{port}", "--", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(seconds + GRACE_SECONDS):
        output = (await process.communicate())[0]
    if process.returncode:
        raise BenchError(output.decode(errors="replace"))
    told = orjson.loads(output.strip().rpartition(b"\n")[2])
    size = told.pop("bytes") // max(1, told["requests"])
    return Outcome(**told, answer_bytes=size)

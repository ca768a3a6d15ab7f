"""The web workspace: what it ships, what it depends on, and its browser and client suites against a real server."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from kit.settings import ROOT

WEB = ROOT / "web"
PACKAGES = ("explorer", "conformance")
READY_SECONDS = 240


class Page(HTMLParser):
    """Addresses that a page loads, and the scripts that it holds itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline_scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = [value for name, value in attrs if name in ("src", "href") and value]
        self.addresses += found
        self.inline_scripts += (tag == "script" and not found) + sum(name.startswith("on") for name, _ in attrs)


def test_the_page_shown_during_the_build_needs_nothing_but_itself() -> None:
    text = (WEB / "explorer" / "building.html").read_text(encoding="utf-8")
    page = Page(text)
    assert (page.addresses, page.inline_scripts) == ([], 0)
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "正在构建" in text
    assert "The API already answers" in text


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_pinned_to_one_version(package: str) -> None:
    wanted = json.loads((WEB / package / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert {name: version for name, version in wanted.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)} == {}


def test_the_lock_file_checks_every_package_and_names_no_host() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    fetched = {path: entry for path, entry in packages.items() if "node_modules/" in path and not entry.get("link")}
    assert len(fetched) > 500
    assert [path for path, entry in fetched.items() if "integrity" not in entry and not entry.get("inBundle")] == []
    assert [path for path, entry in packages.items() if "://" in str(entry.get("resolved", ""))] == []


@pytest.mark.web
def test_the_built_page_loads_only_files_below_its_own_address() -> None:
    dist = WEB / "explorer" / "dist"
    page = Page((dist / "index.html").read_text(encoding="utf-8"))
    assert page.inline_scripts == 0
    assert page.addresses
    for address in page.addresses:
        assert address.startswith("/graphql/assets/")
        assert (dist / address.removeprefix("/graphql/")).is_file()


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[dict[str, str]]:
    """Run the whole platform with demo data on a free port, as `make serve` does, and give the suites' environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = os.environ | {"ESC_HOME": str(home), "PORT": str(port)} | environment
    log = home / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "serve"], cwd=ROOT, env=settings, stdout=output, stderr=output
        )
    try:
        wait_until_ready(url, server, log)
        yield os.environ | {"ESC_URL": url} | environment
    finally:
        server.terminate()
        server.wait(30)


def wait_until_ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"the server is not ready:\n{log.read_text(encoding='utf-8')[-4000:]}")


def run_suite(package: str, environment: dict[str, str]) -> None:
    npm = shutil.which("npm")
    assert npm, "npm is missing: make web"
    command = [npm, "test", "-w", package]
    done = subprocess.run(command, check=False, cwd=WEB, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert re.search(r"^\S fail 0$", done.stdout, re.MULTILINE), done.stdout[-2_000:]


@pytest.mark.web
def test_browsers_and_real_clients_find_nothing_wrong(tmp_path: Path) -> None:
    with serving(tmp_path) as environment:
        run_suite("explorer", environment)
        run_suite("conformance", environment)


@pytest.mark.web
def test_real_clients_find_nothing_wrong_with_a_hardened_server(tmp_path: Path) -> None:
    with serving(tmp_path, ESC_STRICT="1") as environment:
        run_suite("conformance", environment)

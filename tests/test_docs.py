"""What users read is true: links lead somewhere, queries are valid, numbers and codes are those of the code."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from graphql import GraphQLSchema, parse, validate

import schema
from engine.limits import Limits
from kit.errors import ErrorCode
from kit.settings import ROOT
from models.publishing import RevisionState
from services.demo import DEMO_ACCOUNTS, PASSWORD

PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def contract() -> GraphQLSchema:
    return schema.build()._schema


def links() -> Iterator[tuple[Path, str, str]]:
    for page in PAGES:
        for target, anchor in LINK.findall(page.read_text("utf-8")):
            if "://" not in target:
                yield page, target, anchor


def anchors(page: Path) -> set[str]:
    """Names of headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for page, target, anchor in links():
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{page.name}: {target}{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", [page.name for page in PAGES if "```graphql" in page.read_text("utf-8")])
def test_every_query_that_is_shown_is_valid(page: str) -> None:
    text = next(each for each in PAGES if each.name == page).read_text("utf-8")
    shown = [body for language, body in FENCE.findall(text) if language == "graphql"]
    assert [error.message for body in shown for error in validate(contract(), parse(body))] == []


def test_the_readme_lists_the_demo_accounts_and_their_password() -> None:
    assert PASSWORD in read("README.md")
    table = read("README.md").partition("## Demo accounts")[2].partition("##")[0]
    assert [account.username for account in DEMO_ACCOUNTS if f"`{account.username}`" not in table] == []


def test_the_contract_states_the_limits_that_are_kept() -> None:
    table = read("docs/contract.md").partition("## 6. Limits")[2].partition("**Cost**")[0]
    limits = Limits()
    stated = (
        f"| request body, socket message | {limits.body:,} bytes |",
        f"| document | {limits.source:,} characters, {limits.tokens:,} tokens, {limits.comments} comments |",
        f"| depth | {limits.depth} levels; {limits.introspection_depth} below `__schema` |",
        f"| fields | {limits.fields} |",
        f"| root fields | {limits.root_fields} |",
        f"| aliases | {limits.aliases} |",
        f"| directives | {limits.directives} |",
        f"| cost | {limits.cost:,} |",
        f"| entity representations | {limits.representations} |",
    )
    assert [row for row in stated if row not in table] == []
    assert limits.message == limits.body


def test_the_contract_names_every_code_of_an_error() -> None:
    table = read("docs/contract.md").partition("## 3. Errors")[2].partition("## 4.")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)) == {code.value for code in ErrorCode}


def test_the_picture_of_the_workflow_has_every_state_of_a_revision() -> None:
    picture = next(body for language, body in FENCE.findall(read("docs/architecture.md")) if language == "mermaid")
    assert set(re.findall(r"\b[A-Z]{5,}(?:_[A-Z]+)*\b", picture)) - {"APPROVE", "REJECT"} == {*RevisionState}


def test_the_grid_names_the_domains_that_there_are() -> None:
    grid = read("docs/architecture.md").partition("## 1. The grid")[2].partition("| folder |")[0]
    domains = {path.stem for path in (ROOT / "schema").glob("*.py")} & {
        path.stem for path in (ROOT / "resolvers").glob("*.py")
    }
    assert set(re.findall(r"\*\*(\w+)\*\*", grid)) == domains - {"__init__"}

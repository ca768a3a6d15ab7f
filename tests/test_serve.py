"""The command line as an operator uses it: real processes, free ports, signals (`docs/operations.md`)."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from auth.passwords import hash_password
from kit.db import database as pools
from kit.excel import read_rows
from kit.settings import settings
from search.base import Query, SearchType
from search.embedded import EmbeddedIndex
from services.demo.accounts import load_demo_accounts
from services.policy.records import COLUMNS
from tests.processes import Platform, Running, alive, subscribed, until
from tests.test_local import folder, postmaster, running
from tests.test_policy_import import jsonl, record

SEARCH = """query Search($q: String!, $types: [SearchType!], $first: Int, $after: String) {
  search(query: $q, types: $types, first: $first, after: $after) {
    totalCount facets { name values { value count } } pageInfo { hasNextPage endCursor }
    edges { node { __typename ... on Policy { id title } ... on Store { id name } } highlights { field text } } } }"""
SIGN_IN = """mutation SignIn($u: String!, $p: String!) { signIn(input: {username: $u, password: $p}) {
  session { accessToken refreshToken expiresAt } userErrors { code message field } } }"""
MOVE = "mutation Move($now: DateTime!) { clockSet(input: {now: $now}) { now userErrors { code } } }"
SECRET = "a-secret-of-this-test-and-of-nothing-else"


@pytest.fixture
def home() -> Iterator[Path]:
    with folder(0o755) as where:
        yield where


@pytest.fixture
def platform(empty_database: str, tmp_path: Path) -> Platform:
    """Processes on the servers that the tests share, with a database of their own."""
    return Platform(tmp_path / "home", DATABASE_URL=empty_database, REDIS_URL=settings.redis_url)


async def ask(url: str, query: str, token: str | None = None, **variables: Any) -> Any:
    """The data of one operation, over a connection of its own."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(timeout=20) as client:
        body = {"query": query, "variables": variables}
        answer = (await client.post(f"{url}/graphql", json=body, headers=headers)).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def sign_in(url: str, username: str) -> str:
    signed_in = (await ask(url, SIGN_IN, u=username, p="esc-demo-1"))["signIn"]
    assert signed_in["userErrors"] == []
    token: str = signed_in["session"]["accessToken"]
    return token


async def found(url: str, text: str) -> list[str]:
    """Titles of the policies that full text finds."""
    edges = (await ask(url, SEARCH, q=text, types=["POLICY"], first=10))["search"]["edges"]
    return [edge["node"]["title"] for edge in edges]


async def all_end(pids: list[int]) -> None:
    """None of the processes is left, or leaves by itself now that its parent has, killed or not."""

    async def ended() -> bool:
        return not any(map(alive, pids))

    await until(ended, 10)


async def page(url: str, token: str | None = None) -> httpx.Response:
    """What a browser gets at /graphql."""
    headers = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with httpx.AsyncClient() as client:
        return await client.get(
            f"{url}/graphql", headers=headers | ({"authorization": f"Bearer {token}"} if token else {})
        )


def policies(path: Path, *records: dict[str, Any]) -> str:
    path.write_bytes(jsonl(*records))
    return str(path)


async def test_an_empty_home_becomes_a_running_city_and_a_signal_leaves_only_its_data(home: Path) -> None:
    """The first start loads sample data, the second finds them; what is imported meanwhile is found at once."""
    city = Platform(home)
    async with city.serving() as server:
        assert len(await found(city.url, "专精特新 贴息")) > 0
        shown = await page(city.url)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "<title>企服云 GraphQL</title>" in shown.text
        file = policies(home.parent / "p.jsonl", record(title="关于支持量子计算中试基地的若干措施"))
        imported = await city.run("import", "policies", file, "--publish")
        assert (imported.code, "1 new, 0 changed, 0 unchanged, 0 refused" in imported.output) == (0, True)
        assert (await found(city.url, "量子计算中试基地"))[0] == "关于支持量子计算中试基地的若干措施"
        pids = [server.pid, *server.children, postmaster(home)]
        assert len(server.workers()) == 1
        await server.stop()
    await all_end(pids)
    assert running(home) == (False, False)
    async with city.serving() as server:
        assert server.output.count("Loading sample data") == 1
        assert (await found(city.url, "量子计算中试基地"))[0] == "关于支持量子计算中试基地的若干措施"


async def test_two_server_processes_share_one_clock_one_bus_and_production_manners(platform: Platform) -> None:
    async with (
        platform.serving("--workers", "2", "--clock", "2026-11-01T10:00:00+08:00", ESC_STRICT="1") as server,
        AsyncExitStack() as streams,
    ):
        url = platform.url
        admin = await sign_in(url, "admin")
        assert [(await ask(url, "{ now }"))["now"][:15] for _ in range(6)] == ["2026-11-01T02:0"] * 6
        assert len(await found(url, "专精特新")) > 0

        for token, status in ((None, 404), (admin, 200)):
            shown = await page(url, token)
            assert (shown.status_code, shown.headers.get("server")) == (status, None)
        assert (await ask(url, "{ __schema { queryType { name } } }", admin))["__schema"]["queryType"][
            "name"
        ] == "Query"
        async with httpx.AsyncClient() as client:
            hidden = (await client.post(f"{url}/graphql", json={"query": "{ __schema { queryType { name } } }"})).json()
        assert hidden["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"

        assert await by_hash(url, "{ __typename now }") == [("Query", "2026-11-01T02:0")] * 12

        queue = "subscription { reviewQueueChanged { size } }"
        opened = []
        while len(Counter(acceptors(server, platform.port))) < 2:
            opened.append(await streams.enter_async_context(subscribed(url, queue, admin)))
        before = [(await stream.next())["reviewQueueChanged"]["size"] for stream in opened]
        await submit_one(url, await sign_in(url, "department"))
        await asyncio.gather(*(stream.until({"reviewQueueChanged": {"size": before[0] + 1}}) for stream in opened))

        await ask(url, MOVE, admin, now="2030-05-05T00:00:00+08:00")

        async def all_moved() -> bool:
            return {(await ask(url, "{ now }"))["now"][:7] for _ in range(6)} == {"2030-05"}

        await until(all_moved)
        pids = [server.pid, *server.children]
        await streams.aclose()
        await server.kill()
        await all_end(pids)


async def by_hash(url: str, text: str) -> list[tuple[str, str]]:
    """Twelve answers, each over a connection of its own, to a document that one process was told once."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}
    answers = []
    for body in ({"query": text, "extensions": extensions}, *[{"extensions": extensions}] * 12):
        async with httpx.AsyncClient() as client:
            answers.append((await client.post(f"{url}/graphql", json=body)).json()["data"])
    return [(answer["__typename"], answer["now"][:15]) for answer in answers[1:]]


def acceptors(server: Running, port: int) -> list[int]:
    """For each open connection to the port the process that holds it."""
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in table if row[1].endswith(f":{port:04X}") and row[3] == "01"}
    return [
        pid
        for pid in server.children
        for held in Path(f"/proc/{pid}/fd").iterdir()
        if held.is_symlink() and held.readlink().name in {f"socket:[{inode}]" for inode in inodes}
    ]


async def submit_one(url: str, token: str) -> None:
    save = """mutation Save($input: PolicySaveInput!) { policySave(input: $input) {
      revision { id } userErrors { code field } } }"""
    values = {
        "title": "关于两个进程的若干措施",
        "issuers": ["上海市经济和信息化委员会"],
        "level": "MUNICIPAL",
        "kind": "NORMATIVE",
        "departmentCode": "SHEITC",
        "body": "<p>正文。</p>",
    }
    saved = (await ask(url, save, token, input={"values": values}))["policySave"]
    assert saved["userErrors"] == []
    submit = (
        "mutation Submit($id: ID!) { revisionSubmit(input: {id: $id, confirmWords: true}) { userErrors { code } } }"
    )
    assert await ask(url, submit, token, id=saved["revision"]["id"]) == {"revisionSubmit": {"userErrors": []}}


async def test_an_import_without_a_server_does_its_own_events_and_two_at_once_write_once(
    platform: Platform, database: str
) -> None:
    """R-POL-02."""
    async with pools.write() as writing:
        await load_demo_accounts(writing, hash_password("esc-demo-1"))
    rows = [record(id=f"T{number}", title=f"关于第{number}批试点的通知", doc_no="") for number in range(1, 21)]
    file = policies(platform.logs / "p.jsonl", *rows, record(id="T21", title=""))
    one, other = await asyncio.gather(*(platform.run("import", "policies", file, "--publish") for _ in range(2)))
    assert (one.code, other.code) == (0, 0)
    told = sorted(line for each in (one, other) for line in each.output.splitlines() if "warnings" in line)
    assert told == [
        "0 new, 0 changed, 20 unchanged, 1 refused, 0 warnings",
        "20 new, 0 changed, 0 unchanged, 1 refused, 0 warnings",
    ]
    problems = (platform.logs / "p.jsonl.errors.csv").read_text("utf-8-sig")
    assert "21,标题 title,错误 error,至少需 2 个字符,needs at least 2 characters" in problems
    index = EmbeddedIndex(platform.home / "search", writer=False)
    results = await index.search(Query("试点", types=(SearchType.POLICY,), limit=50))
    await index.close()
    assert results.total == 20


async def test_the_commands_answer_in_plain_words(platform: Platform) -> None:
    template = platform.logs / "policies.xlsx"
    doctor, contract, written, unknown = await asyncio.gather(
        platform.run("doctor"),
        platform.run("schema", "--check"),
        platform.run("template", "policies", "--to", str(template)),
        platform.run("template", "dreams"),
    )
    assert doctor.code == 0, doctor.output
    for words in ("PostgreSQL", "18.", "Redis", "Search", "tantivy", "Files", "ESC_ENV=development"):
        assert words in doctor.output
    for url in (settings.database_url, settings.redis_url):
        password = urlsplit(url).password
        assert password
        assert password not in doctor.output
    assert (contract.code, written.code, unknown.code) == (0, 0, 2)
    assert list(read_rows(template.read_bytes(), COLUMNS)) == []


async def test_production_refuses_what_is_only_for_development_and_shows_no_secret(platform: Platform) -> None:
    file = policies(platform.logs / "p.jsonl", record())
    whole = {"ESC_ENV": "production", "ESC_SECRET_KEY": SECRET, "ESC_ARGON2_MEMORY_KIB": "19456"}
    whole["ESC_ARGON2_TIME_COST"] = "2"
    published, moved, unsafe, homeless = await asyncio.gather(
        platform.run("import", "policies", file, "--publish", **whole),
        platform.run("serve", "--clock", "2026-11-01T10:00:00+08:00", **whole),
        platform.run("serve", **{**whole, "ESC_SECRET_KEY": settings.secret_key.get_secret_value()}),
        platform.run("serve", **{**whole, "REDIS_URL": ""}),
    )
    for refused, words in (
        (published, "Only in development (仅在开发环境可用)"),
        (moved, "the clock moves in development only"),
        (unsafe, "ESC_SECRET_KEY must be set in production"),
        (homeless, "production needs REDIS_URL"),
    ):
        assert refused.code != 0
        assert words in refused.output
        assert "Traceback" not in refused.output
        for secret in (
            SECRET,
            SECRET[-8:],
            settings.secret_key.get_secret_value(),
            urlsplit(settings.database_url).password,
        ):
            assert secret
            assert secret not in refused.output

"""The demo city's texts are sound before anything is loaded: checked by their models, counted, and our own."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import date
from functools import cache
from itertools import islice
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from auth.passwords import hash_password
from auth.viewer import Role
from kit import clock
from kit.db import database as pools
from kit.settings import ROOT
from kit.text import plain_text, sanitise_html
from kit.words import Severity, Word, WordList
from kit.writes import Transaction
from models.content import TOPICS
from models.policy import PolicyKind, PolicyValues
from models.product import PriceKind
from models.reference import rows
from models.store import WITHOUT_ARTICLES, StoreColumn, StoreKind
from services.demo import DEMO_ACCOUNTS, load_accounts, load_bench, load_city, load_demo_accounts
from services.demo.rows import REVISION, TABLES
from services.demo.texts import FOLDER, lines, name_of, parse

KINDS = ("policy", "store", "product", "article")
REAL_POLICIES = ROOT.parent / "shared" / "data" / "policies" / "policies.jsonl"
RUN = 30


@cache
def parsed(kind: str) -> tuple[Any, ...]:
    return tuple(parse(kind, line) for line in lines(kind))


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)


@pytest.mark.parametrize(("kind", "count"), [("policy", 60), ("store", 60), ("product", 300), ("article", 300)])
def test_the_city_has_its_counts_and_every_line_passes_its_model(kind: str, count: int) -> None:
    assert len(parsed(kind)) == count


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_unique_within_a_kind(kind: str) -> None:
    names = Counter(name_of(kind, line) for line in lines(kind))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_blank_is_left_open_and_rich_texts_are_in_the_form_that_sanitising_leaves(kind: str) -> None:
    for values in parsed(kind):
        dumped = values.model_dump(mode="json")
        assert not [text for text in texts_of(dumped) if re.search(r"[{}]", text)]
        for field in {"body", "description", "process", "requirements"} & dumped.keys():
            assert sanitise_html(dumped[field]) == dumped[field]


def test_every_code_and_name_that_a_line_refers_to_exists() -> None:
    codes = {
        name: {row["code"] for row in rows(name)}
        for name in ("districts", "departments", "industries", "service_categories")
    }
    stores = {line["name"] for line in lines("store")}
    policies = {line["title"] for line in lines("policy")}
    for policy in parsed("policy"):
        assert set(policy.districts) <= codes["districts"]
        assert set(policy.industries) <= codes["industries"]
        assert policy.department_code is None or policy.department_code in codes["departments"]
    for store in parsed("store"):
        assert {store.district_code} - {None} <= codes["districts"]
        assert {store.department_code, store.parent_department_code} - {None} <= codes["departments"]
    for product in parsed("product"):
        assert product.category_code in codes["service_categories"]
        assert set(product.service_areas) <= codes["districts"]
    assert {line["store"] for line in (*lines("product"), *lines("article")) if "store" in line} <= stores
    assert {line["linked_store"] for line in lines("article") if "linked_store" in line} <= stores
    assert {line["interprets"] for line in lines("policy") if "interprets" in line} <= policies


def test_policies_are_of_many_kinds_and_twenty_calls_are_open_today() -> None:
    kinds = Counter(policy.kind for policy in parsed("policy"))
    today = clock.today()
    calls = [policy for policy in parsed("policy") if policy.kind is PolicyKind.DECLARATION]
    assert kinds == {
        PolicyKind.DECLARATION: 26,
        PolicyKind.NORMATIVE: 9,
        PolicyKind.MEASURE: 8,
        PolicyKind.INTERPRETATION: 7,
        PolicyKind.RULES: 5,
        PolicyKind.PUBLIC_NOTICE: 5,
    }
    assert Counter(_standing(call, today) for call in calls) == {"open": 22, "coming": 2, "over": 2}


def _standing(call: PolicyValues, today: date) -> str:
    assert call.apply_start is not None
    assert call.apply_end is not None
    if today < call.apply_start:
        return "coming"
    return "over" if today > call.apply_end else "open"


def test_a_policy_names_the_days_of_its_window_in_its_text_and_is_marked_as_a_sample() -> None:
    for policy in parsed("policy"):
        text = plain_text(policy.body)
        assert 400 <= len(text) <= 1200, policy.title
        assert text.endswith("（示例文本，仅供演示，不是正式文件）")
        assert policy.source == "企服云示例数据"
        assert policy.issued_on <= clock.today()
        assert policy.written_on <= policy.issued_on
        if policy.kind is PolicyKind.DECLARATION:
            assert policy.issued_on <= policy.apply_start
            assert f"{policy.apply_end.year}年{policy.apply_end.month}月{policy.apply_end.day}日" in text


def test_interpretations_explain_a_policy_that_is_there() -> None:
    explained = [policy.interprets_id for policy in parsed("policy") if policy.kind is PolicyKind.INTERPRETATION]
    assert len(explained) == 7
    assert None not in explained


def test_all_districts_and_eight_departments_have_a_flagship_store() -> None:
    kinds = Counter(store.kind for store in parsed("store"))
    assert kinds == {StoreKind.DISTRICT: 16, StoreKind.DEPARTMENT: 8, StoreKind.INSTITUTION: 36}
    assert {store.district_code for store in parsed("store") if store.kind is StoreKind.DISTRICT} == {
        row["code"] for row in rows("districts")
    }
    assert sum(store.parent_department_code is not None for store in parsed("store")) == 10


def test_products_cover_every_category_and_way_of_paying() -> None:
    offered = {product.category_code for product in parsed("product")}
    assert offered == {row["code"] for row in rows("service_categories") if row["parent_code"]}
    assert Counter(product.price_kind for product in parsed("product")) == {
        PriceKind.PRICED: 216,
        PriceKind.FREE: 47,
        PriceKind.NEGOTIABLE: 37,
    }
    sellers = Counter(line["store"] for line in lines("product"))
    assert set(sellers) == {line["name"] for line in lines("store") if line["kind"] == "INSTITUTION"}


def test_articles_fill_every_column_and_topic_and_every_flagship_store() -> None:
    assert {article.column for article in parsed("article")} == set(StoreColumn) - WITHOUT_ARTICLES
    assert {article.topic for article in parsed("article")} - {None} == {
        topic for topics in TOPICS.values() for topic in topics
    }
    written = Counter(line.get("store") for line in lines("article"))
    assert written.pop(None) == 12
    assert set(written) == {line["name"] for line in lines("store") if line["kind"] != "INSTITUTION"}
    assert min(written.values()) == 6


def test_addresses_and_telephones_lead_to_nobody() -> None:
    for path in FOLDER.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            for text in texts_of(orjson.loads(line)):
                hosts = re.findall(r"https?://([^/\s\"<]+)", text)
                assert all(host.endswith(".example") for host in hosts), text
                assert all(number.startswith("021-01") for number in re.findall(r"\d{3,4}-\d{7,8}", text)), text


def test_published_texts_hold_no_word_that_would_be_blocked() -> None:
    blocked = WordList(
        [
            Word(row["word"], row["category"], Severity.BLOCK)
            for row in rows("sensitive_words")
            if row["severity"] == "BLOCK"
        ],
        [row["phrase"] for row in rows("sensitive_exceptions")],
    )
    found = [
        (match.word, text[:40])
        for kind in KINDS
        for values in parsed(kind)
        for text in texts_of(values.model_dump(mode="json"))
        for match in blocked.find(plain_text(text))
    ]
    assert found == []


def test_no_thirty_characters_run_as_in_a_real_policy() -> None:
    if not REAL_POLICIES.exists():
        pytest.skip("the real policies are not beside the repository")
    real: set[str] = set()
    for line in REAL_POLICIES.read_bytes().splitlines():
        for text in texts_of(orjson.loads(line)):
            real.update(_runs(text))
    ours = {path.name: path.read_bytes().splitlines() for path in FOLDER.glob("*.jsonl")}
    copied = {
        (name, run)
        for name, written in ours.items()
        for line in written
        for text in texts_of(orjson.loads(line))
        for run in islice((run for run in _runs(plain_text(text)) if run in real), 1)
    }
    assert copied == set()


def _runs(text: str) -> Iterator[str]:
    squeezed = "".join(text.split())
    return (squeezed[start : start + RUN] for start in range(len(squeezed) - RUN + 1))


def test_demo_accounts_are_those_of_the_contract() -> None:
    assert [account.username for account in DEMO_ACCOUNTS] == [
        *("admin", "department", "district", "reviewer", "staff", "seller", "buyer", "enterprise", "judge", "zone"),
        *("partner", "reporter", "expert", "volunteer", "ipo1", "ipo2", "ipo3"),
    ]
    assert {role for account in DEMO_ACCOUNTS for role in account.roles} == set(Role)


@pytest.fixture
async def writing(database: str) -> AsyncIterator[Transaction]:
    async with pools.write() as writing:
        await load_demo_accounts(writing, hash_password("esc-demo-1"))
        yield writing


async def count(writing: Transaction, kind: str) -> int:
    return int(await writing.value(select(func.count()).select_from(TABLES[kind])))


async def test_loading_the_city_twice_changes_nothing(writing: Transaction) -> None:
    first = await load_city(writing)
    again = await load_city(writing)
    assert first == {"policy": 60, "store": 60, "product": 300, "article": 300, "revision": 12}
    assert again == dict.fromkeys(first, 0)
    assert [await count(writing, kind) for kind in KINDS] == [60, 60, 300, 300]


async def test_each_item_has_its_history_and_twelve_proposals_wait_some_with_words(writing: Transaction) -> None:
    await load_city(writing)
    states = await writing.execute(select(REVISION.c.state, func.count()).group_by(REVISION.c.state))
    assert {str(state): number for state, number in states} == {"PUBLISHED": 720, "PENDING_REVIEW": 12}
    waiting = await writing.execute(select(REVISION).where(REVISION.c.state == "PENDING_REVIEW"))
    assert Counter(row["kind"] for row in waiting) == {"article": 4, "policy": 3, "product": 3, "store": 2}
    assert sum(bool(row["words"]) for row in waiting) == 5
    assert all((row["before"] is None) == (row["no"] == 1) for row in waiting)
    assert {word["severity"] for row in waiting for word in row["words"]} == {"WARN"}


async def test_a_scale_of_two_gives_every_institution_a_branch(writing: Transaction) -> None:
    added = await load_city(writing, scale=2)
    assert added == {"policy": 60, "store": 96, "product": 600, "article": 536, "revision": 12}
    (branch,) = await writing.execute(select(TABLES["store"]).where(TABLES["store"].c.name == "数织工业软件2号店"))
    assert branch["owner"] == f"store:{branch['id'].hex}"


async def test_nothing_is_published_in_the_future_and_items_are_no_older_than_400_days(
    writing: Transaction,
) -> None:
    await load_city(writing)
    for table in TABLES.values():
        ((first, last),) = await writing.execute(select(func.min(table.c.published_at), func.max(table.c.published_at)))
        assert last <= clock.now()
        assert (clock.now() - first).days <= 400


async def test_the_bench_data_have_the_platforms_real_volumes(writing: Transaction) -> None:
    assert await load_bench(writing) == {"store": 500, "product": 5_100, "policy": 2_260}
    assert await load_bench(writing) == {"store": 0, "product": 0, "policy": 0}
    bodies = await writing.execute(select(TABLES["policy"].c.body))
    lengths = [len(plain_text(row["body"])) for row in bodies]
    assert 1_900 <= sum(lengths) / len(lengths) <= 2_100


async def test_the_seller_works_for_the_store_that_the_city_brings(writing: Transaction) -> None:
    await load_city(writing)
    managed = await writing.connection.fetch(
        "SELECT account.username, store.name FROM store_member"
        " JOIN account ON account.id = store_member.account_id JOIN store ON store.id = store_member.store_id"
    )
    assert [tuple(row) for row in managed] == [("seller", "数织工业软件")]


async def test_plain_accounts_are_added_once(writing: Transaction) -> None:
    await load_accounts(writing, 3)
    await load_accounts(writing, 5)
    accounts = await writing.connection.fetch(
        "SELECT username, level FROM account WHERE username LIKE 'user%' ORDER BY 1"
    )
    assert [tuple(account) for account in accounts] == [(f"user00000{number}", 1) for number in range(1, 6)]

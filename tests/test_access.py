"""Who may do what: the table of rules, the gate of every field, and the gates of rows (R-ACC-07, R-SEC-02).

What is expected is written here a second time and by hand, so that a slip in `auth/access.py` shows.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)
from sqlalchemy import update

from auth import report
from auth.access import RULES, Decision, Rule, allowed, decide, permissions
from auth.viewer import ANONYMOUS, REGISTERED, STAFF, Level, Role, Viewer
from kit.db import database
from kit.settings import ROOT
from models.events import SearchOutdated
from services.account import ACCOUNT
from services.demo.accounts import DEMO_ACCOUNTS
from services.demo.texts import key
from services.uow import unit_of_work
from tests.conftest import Api, Settle, token
from tests.storefront import OFFLINE, ids, put_policies, put_products, put_stores, take_offline
from tests.test_schema import contract, rule_of

VISITOR_ = "visitor"
SIGNED_IN = frozenset(account.username for account in DEMO_ACCOUNTS)
EVERYONE = SIGNED_IN | {VISITOR_}
GOVERNMENT = frozenset({"admin", "staff", "department", "district"})
AUTHORS = GOVERNMENT | {"seller"}

WHO: dict[str, frozenset[str]] = {
    "public": EVERYONE,
    "signed_in": SIGNED_IN,
    "schema.introspect": frozenset({"admin"}),
    "file.upload": SIGNED_IN,
    "clock.set": EVERYONE,
    "content.write": AUTHORS,
    "content.manage": AUTHORS | {"reviewer"},
    "content.review": frozenset({"admin", "reviewer"}),
    "policy.write": GOVERNMENT,
    "policy.import": GOVERNMENT,
    "store.write": AUTHORS,
    "product.write": AUTHORS,
    "article.write": AUTHORS,
    "words.read": frozenset({"admin", "staff", "reviewer"}),
    "words.write": frozenset({"admin", "staff"}),
    "audit.read": frozenset({"admin"}),
}
OFFICES = {"PLATFORM_ADMIN", "CENTRE_STAFF", "DEPARTMENT_MANAGER", "DISTRICT_MANAGER"}
FLOORS: dict[str, tuple[int, set[str]]] = {
    "public": (0, set()),
    "signed_in": (1, set()),
    "schema.introspect": (6, {"PLATFORM_ADMIN"}),
    "file.upload": (1, set()),
    "clock.set": (0, set()),
    "content.write": (4, OFFICES | {"STORE_MANAGER"}),
    "content.manage": (4, OFFICES | {"STORE_MANAGER", "REVIEWER"}),
    "content.review": (5, {"PLATFORM_ADMIN", "REVIEWER"}),
    "policy.write": (5, OFFICES),
    "policy.import": (5, OFFICES),
    "store.write": (4, OFFICES | {"STORE_MANAGER"}),
    "product.write": (4, OFFICES | {"STORE_MANAGER"}),
    "article.write": (4, OFFICES | {"STORE_MANAGER"}),
    "words.read": (5, {"PLATFORM_ADMIN", "CENTRE_STAFF", "REVIEWER"}),
    "words.write": (5, {"PLATFORM_ADMIN", "CENTRE_STAFF"}),
    "audit.read": (6, {"PLATFORM_ADMIN"}),
}


def demo_viewers() -> Iterator[tuple[str, Viewer]]:
    yield VISITOR_, ANONYMOUS
    for account in DEMO_ACCOUNTS:
        yield account.username, Viewer(id=uuid4(), level=account.level, roles=frozenset(account.roles))


def test_each_rule_is_expected_here() -> None:
    assert set(WHO) == set(FLOORS) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_each_demo_account_passes_what_it_should(rule: str) -> None:
    assert {name for name, viewer in demo_viewers() if decide(rule, viewer) is Decision.ALLOW} == WHO[rule]


@pytest.mark.parametrize("rule", RULES)
def test_each_level_with_each_role_passes_what_it_should(rule: str) -> None:
    """A level is a floor: the highest one without the role is refused, and no role lifts a level."""
    floor, roles = FLOORS[rule]
    for level in Level:
        for role in (None, *Role):
            viewer = Viewer(id=uuid4(), level=level, roles=frozenset({role} if role else ()))
            expected = level >= floor and (not roles or role in roles)
            assert (decide(rule, viewer) is Decision.ALLOW) is expected, (level, role)
            assert allowed(rule, viewer) is expected
            assert (rule in permissions(viewer)) is expected


def test_the_owner_is_allowed_whatever_his_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed = (level reached AND one of the roles held) OR own."""
    monkeypatch.setitem(RULES, "test.own", Rule(STAFF, frozenset({Role.REVIEWER}), own="author_id"))
    owner, stranger = (Viewer(id=uuid4(), level=REGISTERED) for _ in range(2))
    reviewer = Viewer(id=uuid4(), level=STAFF, roles=frozenset({Role.REVIEWER}))
    row = {"author_id": owner.id}
    assert decide("test.own", owner) is Decision.OWN
    assert decide("test.own", ANONYMOUS) is Decision.DENY
    assert decide("test.own", reviewer) is Decision.ALLOW
    assert [allowed("test.own", viewer, row) for viewer in (owner, stranger, reviewer, ANONYMOUS)] == [
        True,
        False,
        True,
        False,
    ]
    assert not allowed("test.own", owner)
    assert not allowed("test.own", ANONYMOUS, {"author_id": None})
    assert "test.own" not in permissions(owner)


def test_a_misspelt_rule_never_passes() -> None:
    admin = Viewer(id=uuid4(), level=Level.L6, roles=frozenset(Role))
    with pytest.raises(KeyError):
        decide("policy.wirte", admin)


def test_the_page_that_people_read_is_current() -> None:
    assert (ROOT / "docs" / "access.md").read_text("utf-8") == report.page()
    assert set(report.LEVELS) == set(Level)
    assert set(report.ROLES) == set(Role)


SAMPLES = {
    "String": "x",
    "ID": "policy_" + "0" * 32,
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "DateTime": "2026-11-24T10:00:00+08:00",
    "Date": "2026-11-24",
    "Decimal": "1.00",
}


def sample(type_: Any) -> Any:
    """The least that the schema takes for a type."""
    type_ = get_nullable_type(type_)
    if is_list_type(type_):
        return [sample(type_.of_type)]
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        return {name: sample(field.type) for name, field in type_.fields.items() if is_required_input_field(field)}
    return SAMPLES[type_.name]


def operation(kind: str, name: str, field: GraphQLField) -> tuple[str, dict[str, Any]]:
    """The smallest operation that asks for a root field."""
    needed = {key: argument for key, argument in field.args.items() if is_required_argument(argument)}
    declared = f"({', '.join(f'${key}: {each.type}' for key, each in needed.items())})" if needed else ""
    given = f"({', '.join(f'{key}: ${key}' for key in needed)})" if needed else ""
    selection = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    text = f"{kind} Probe{declared} {{ {name}{given}{selection} }}"
    return text, {key: sample(argument.type) for key, argument in needed.items()}


@cache
def roots(kind: str) -> dict[str, GraphQLField]:
    root = contract().type_map[kind.capitalize()]
    assert isinstance(root, GraphQLObjectType)
    return dict(root.fields)


async def headers_of(viewer: str) -> dict[str, str]:
    return {} if viewer == VISITOR_ else {"authorization": f"Bearer {await token(viewer)}"}


def outcome(answer: dict[str, Any], name: str) -> tuple[set[str], bool]:
    """The codes of refusal in an answer, and whether it holds anything for the field."""
    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
    return codes & {"UNAUTHENTICATED", "ACCESS_DENIED"}, (answer.get("data") or {}).get(name) is not None


@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_every_root_field_refuses_whom_its_rule_does_not_admit(api: Api, kind: str) -> None:
    """A nullable field of a query is null for them; anything else says why."""
    wrong = []
    for viewer in sorted(EVERYONE):
        headers = await headers_of(viewer)
        for name, field in roots(kind).items():
            text, variables = operation(kind, name, field)
            response = await api.client.post("/graphql", json={"query": text, "variables": variables}, headers=headers)
            codes, answered = outcome(response.json(), name)
            rule = rule_of(field)
            assert rule is not None
            masked = kind == "query" and not is_non_null_type(field.type)
            refusal = set() if masked else {"UNAUTHENTICATED" if viewer == VISITOR_ else "ACCESS_DENIED"}
            passes = viewer in WHO[rule]
            if codes != (set() if passes else refusal) or (answered and not passes):
                wrong.append((viewer, name, codes, answered))
    assert wrong == []


async def test_every_subscription_refuses_whom_its_rule_does_not_admit(api: Api) -> None:
    for viewer in sorted(EVERYONE):
        headers = {**await headers_of(viewer), "accept": "text/event-stream"}
        for name, field in roots("subscription").items():
            rule = rule_of(field)
            assert rule is not None
            if viewer in WHO[rule]:
                continue
            text, variables = operation("subscription", name, field)
            body = {"query": text, "variables": variables}
            response = await api.client.post("/graphql", json=body, headers=headers)
            assert ("UNAUTHENTICATED" if viewer == VISITOR_ else "ACCESS_DENIED") in response.text, (viewer, name)


MANAGED = ("Policy", "Store", "Product", "Article", "ManagedContent")
GATED = {f"{name}.{field}" for name in MANAGED for field in ("offlineReason", "openRevision")}
FIELDS = """query Fields($id: ID!) { policy(id: $id) { title offlineReason openRevision { no } } }"""


def test_each_gated_field_below_the_roots_is_tested_here() -> None:
    found = {
        f"{each.name}.{name}"
        for each in contract().type_map.values()
        if hasattr(each, "fields") and each.name not in {"Query", "Mutation", "Subscription"}
        for name, field in each.fields.items()
        if isinstance(field, GraphQLField) and rule_of(field) is not None
    }
    assert found == GATED


async def test_a_gated_field_is_null_for_whom_its_rule_does_not_admit(api: Api) -> None:
    """`content.manage`: what is being written about an item, and why it was taken down, is not for the public."""
    (policy,) = ids("policy", await put_policies({"owner": "department:SHEITC", "title": "数字化转型贷款贴息办法"}))
    save = "mutation($input: PolicySaveInput!) { policySave(input: $input) { revision { no } userErrors { code } } }"
    least = {"issuers": ["市经济信息化委"], "level": "MUNICIPAL", "kind": "NORMATIVE", "body": "新"}
    draft = {"id": policy, "values": {**least, "title": "修订稿", "departmentCode": "SHEITC"}}
    assert (await api(save, viewer="department", input=draft))["policySave"]["userErrors"] == []
    seen = {name: (await api(FIELDS, viewer=_viewer(name), id=policy))["policy"] for name in sorted(EVERYONE)}
    assert {name for name, row in seen.items() if row["openRevision"]} == {"admin", "reviewer", "department"}
    assert {row["title"] for row in seen.values()} == {"数字化转型贷款贴息办法"}
    answer = await api(OFFLINE, viewer="department", input={"id": policy, "reason": "内容有误"})
    assert answer["itemTakeOffline"]["userErrors"] == []
    seen = {name: (await api(FIELDS, viewer=_viewer(name), id=policy))["policy"] for name in sorted(EVERYONE)}
    reasons = {name: row["offlineReason"] for name, row in seen.items() if row}
    assert reasons == dict.fromkeys(("admin", "department", "reviewer"), "内容有误")


def _viewer(name: str) -> str | None:
    return None if name == VISITOR_ else name


PLACES = ("platform", "department:SHEITC", "district:310115", "district:310104", "department:SHDRC")
LIST = """query List($ids: [ID!]!) { nodes(ids: $ids) { id }
  policies(first: 100) { totalCount nodes { id title } }
  offline: policies(filter: {keyword: "下线"}) { totalCount } }"""


async def place(username: str, **columns: Any) -> None:
    async with database.write() as writing:
        await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == username).values(**columns))


VIEWS: tuple[tuple[str | None, dict[str, Any], set[str]], ...] = (
    (None, {}, set()),
    ("buyer", {}, set()),
    ("enterprise", {"district_code": "310115"}, set()),
    ("judge", {"department_code": "SHEITC"}, set()),
    ("seller", {}, set()),
    ("staff", {}, {"platform"}),
    ("department", {}, {"department:SHEITC"}),
    ("district", {}, {"district:310115"}),
    ("department", {"department_code": None}, set()),
    ("reviewer", {}, set(PLACES)),
    ("reviewer", {"district_code": "310104"}, {"district:310104"}),
    ("reviewer", {"district_code": "310104", "department_code": "SHDRC"}, {"district:310104", "department:SHDRC"}),
    ("admin", {}, set(PLACES)),
    ("admin", {"district_code": "310104"}, set(PLACES)),
)


async def test_what_is_offline_exists_for_its_place_its_reviewers_and_administrators_only(api: Api) -> None:
    """Neither by its id, nor in a list, nor by a count is it there for others."""
    shown = ids("policy", await put_policies(*({"owner": owner, "title": f"在线 {owner}"} for owner in PLACES)))
    rows = ({"owner": owner, "title": f"下线 {owner}", "state": "OFFLINE"} for owner in PLACES)
    hidden = dict(zip(PLACES, ids("policy", await put_policies(*rows)), strict=True))
    for viewer, work, hidden_seen in VIEWS:
        if work and viewer:
            await place(viewer, **work)
        expected = {key for owner, key in hidden.items() if owner in hidden_seen}
        answer = await api(LIST, viewer=viewer, ids=[*shown, *hidden.values()])
        assert {node["id"] for node in answer["nodes"] if node} == {*shown, *expected}, (viewer, work)
        assert {node["id"] for node in answer["policies"]["nodes"]} == {*shown, *expected}, (viewer, work)
        assert answer["policies"]["totalCount"] == len(PLACES) + len(expected)
        assert answer["offline"] == {"totalCount": len(expected)}


REVISIONS = """query Revisions($id: ID!) { revision(id: $id) { title }
  revisions(first: 100) { totalCount nodes { id } } }"""


async def test_a_draft_is_seen_by_its_author_its_place_and_its_reviewers(api: Api) -> None:
    save = """mutation($input: PolicySaveInput!) { policySave(input: $input) {
      revision { id itemId } userErrors { code } } }"""
    least = {"issuers": ["某区"], "level": "DISTRICT", "kind": "NORMATIVE", "body": "正文", "districts": ["310115"]}
    saved = await api(save, viewer="district", input={"values": {**least, "title": "浦东新区草稿"}})
    draft = saved["policySave"]["revision"]
    for name in sorted(SIGNED_IN):
        answer = await api(REVISIONS, viewer=name, id=draft["id"])
        sees = name in {"district", "admin", "reviewer"}
        assert answer["revision"] == ({"title": "浦东新区草稿"} if sees else None), name
        assert answer["revisions"]["totalCount"] == int(sees), name
        item = await api(
            "query($id: ID!) { policy(id: $id) { id } node(id: $id) { id } }", viewer=name, id=draft["itemId"]
        )
        assert item == {"policy": None, "node": None}
    await place("reviewer", district_code="310104")
    assert (await api(REVISIONS, viewer="reviewer", id=draft["id"]))["revision"] is None
    await place("reviewer", district_code="310115")
    assert (await api(REVISIONS, viewer="reviewer", id=draft["id"]))["revision"] == {"title": "浦东新区草稿"}


async def test_a_store_manager_sees_what_his_own_store_took_offline(api: Api) -> None:
    """The seller's place is his store; what is offline elsewhere is not there for him."""
    own, other = key("store", "数织工业软件"), uuid4()
    for store in (own, other):
        place_of = {"owner": f"store:{store.hex}", "state": "OFFLINE"}
        await put_stores({"id": store, "name": f"店 {store.hex}", **place_of})
        await put_products(store, {"name": f"产品 {store.hex}", **place_of})
    lists = "{ stores { totalCount nodes { id } } products { totalCount nodes { store { id } } } }"
    mine = {"id": f"store_{own.hex}"}
    for viewer, count in (("seller", 1), ("reviewer", 2), ("department", 0), ("buyer", 0), (None, 0)):
        answer = await api(lists, viewer=viewer)
        assert (answer["stores"]["totalCount"], answer["products"]["totalCount"]) == (count, count), viewer
    assert await api(lists, viewer="seller") == {
        "stores": {"totalCount": 1, "nodes": [mine]},
        "products": {"totalCount": 1, "nodes": [{"store": mine}]},
    }


SEARCH = """query($q: String!) { search(query: $q, first: 50) { totalCount degraded
  nodes { ... on Policy { id } ... on Store { id } ... on Product { id } } } }"""


async def found(api: Api, query: str, viewer: str | None = None) -> tuple[int, set[str]]:
    answer = (await api(SEARCH, viewer=viewer, q=query))["search"]
    assert answer["degraded"] is False
    return answer["totalCount"], {node["id"] for node in answer["nodes"]}


async def test_search_never_shows_what_the_row_gate_hides(api: Api, settle: Settle) -> None:
    """Not even between the moment in which something is hidden and the one in which the index hears of it."""
    (policy,) = ids("policy", await put_policies({"title": "弹簧产业扶持办法", "owner": "department:SHEITC"}))
    (store_key,) = await put_stores({"name": "弹簧之家", "owner": "platform"})
    (store,) = ids("store", [store_key])
    (product,) = ids("product", await put_products(store_key, {"name": "弹簧检测", "owner": "platform"}))
    await _index(settle)
    assert await found(api, "弹簧") == (3, {policy, store, product})
    await take_offline(api, policy)
    await take_offline(api, store)
    assert await found(api, "弹簧") == (0, set())
    assert await found(api, "弹簧", "department") == (1, {policy})
    await settle()
    assert await found(api, "弹簧") == (0, set())
    assert await found(api, "弹簧", "buyer") == (0, set())
    assert await found(api, "弹簧", "department") == (1, {policy})
    assert await found(api, "弹簧", "staff") == (2, {store, product})
    assert await found(api, "弹簧", "reviewer") == (3, {policy, store, product})
    republish = "mutation($input: ItemRepublishInput!) { itemRepublish(input: $input) { userErrors { code } } }"
    await api(republish, viewer="admin", input={"id": store})
    await settle()
    assert await found(api, "弹簧") == (2, {store, product})


async def _index(settle: Settle) -> None:
    async with unit_of_work() as uow:
        uow.emit(SearchOutdated())
    await settle()


async def test_a_field_that_is_hidden_still_refuses_wrong_arguments(api: Api) -> None:
    query = f'query Hidden($id: ID = "job_{"0" * 32}") {{ job(id: $id) {{ id }} }}'
    assert await api.raw(query) == {"data": {"job": None}}
    (error,) = (await api.raw(query, id=None))["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("BAD_USER_INPUT", ["job"])

"""Where the engine gets its data: each source gives what the reference's resolver gives, and notes what it read."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count, permutations
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_object_type,
)

import schema
from auth.viewer import ANONYMOUS, Level, Role, Viewer
from auth.visibility import GATES
from engine.sources import AS_TEXT, CURSORS
from kit import clock, footprint
from kit.db import database, fetch, fetch_text
from kit.footprint import Footprint
from kit.ids import global_id
from models import Policy, PublicationState
from models.base import table_of
from resolvers.listings import Listed
from resolvers.loaders import Codes, Loader, Loaders
from resolvers.memo import Memo
from resolvers.policy import ApplicationStatus
from resolvers.product import ProductOrder
from schema.base import ENTITIES
from tests.conftest import shift
from tests.storefront import START, put, put_articles, put_policies, put_products, put_stores

ONE, TWO, THREE, FOUR, FIVE = (UUID(int=number) for number in range(1, 6))
PUDONG = Viewer(id=ONE, level=Level.L5, roles=frozenset({Role.DISTRICT_MANAGER}), district="310115")
HUANGPU = Viewer(id=TWO, level=Level.L5, roles=frozenset({Role.DISTRICT_MANAGER}), district="310101")
SELLER = Viewer(id=THREE, level=Level.L4, roles=frozenset({Role.STORE_MANAGER}), store_ids=frozenset({FIVE}))
ADMIN = Viewer(id=FOUR, level=Level.L6, roles=frozenset({Role.PLATFORM_ADMIN}))
VIEWERS = {"visitor": ANONYMOUS, "pudong": PUDONG, "huangpu": HUANGPU, "seller": SELLER, "admin": ADMIN}
OWNERS = {"pudong": "district:310115", "huangpu": "district:310101", "seller": f"store:{FIVE.hex}", "admin": "platform"}


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listed, "_readings", Memo())
    monkeypatch.setattr(Loader, "_statements", Memo())


@contextmanager
def noting() -> Iterator[Footprint]:
    """What is noted meanwhile."""
    noted = Footprint()
    token = footprint.current.set(noted)
    try:
        yield noted
    finally:
        footprint.current.reset(token)


def sources() -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """All fields that have a source: their names, the GraphQL field and what is noted at it."""
    for type_ in schema.build()._schema.type_map.values():
        if is_object_type(type_) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                definition = field.extensions.get("strawberry-definition")
                if definition is not None and "source" in definition.metadata:
                    yield f"{type_.name}.{name}", field, definition.metadata


SOURCES = {name: (field, metadata) for name, field, metadata in sources()}
LISTS = {name: each for name, each in SOURCES.items() if isinstance(each[1]["source"], Listed)}
LOADERS = {name: loader for name, loader in vars(Loaders).items() if isinstance(loader, Loader)}


async def storefront() -> dict[str, list[UUID]]:
    """Published and offline rows of each owner: the keys by table."""
    rows = [
        {"owner": owner, "state": state, "offline_reason": None if state == "PUBLISHED" else "装修"}
        for owner in OWNERS.values()
        for state in PublicationState
    ]
    flagships = ({"kind": "DEPARTMENT", "department_code": "SHEITC"}, {"kind": "DISTRICT", "district_code": "310115"})
    units = [{"parent_department_code": "SHEITC"}] * (len(rows) - len(flagships))
    stores = await put_stores(*({**row, **kind} for row, kind in zip(rows, (*flagships, *units), strict=True)))
    products, articles = [], []
    for store, row in zip(stores, rows, strict=True):
        products += await put_products(store, *({**row, "owner": each["owner"], "price": "9.90"} for each in rows[::3]))
        articles += await put_articles(store, {**row, "title": "文章"})
    call = {"kind": "DECLARATION", "apply_start": date(2026, 3, 1), "department_code": "SHEITC"}
    policies = await put_policies(*({**row, **call} for row in rows))
    await put_policies(*({**row, "interprets_id": policies[0], "kind": "INTERPRETATION"} for row in rows))
    return {"store": stores, "product": products, "article": articles, "policy": policies}


def test_every_relation_lookup_and_connection_says_where_its_values_come_from() -> None:
    assert {name for name in SOURCES if name.startswith("Query.")} == {
        f"Query.{name}"
        for name in (
            *("policy", "product", "store", "article", "revision", "job"),
            *("policies", "products", "stores", "articles", "revisions", "reviewQueue", "todayDeclarations"),
            *("auditEntries", "sensitiveWordLibrary", "sensitiveExceptions"),
        )
    }
    for name, (_, metadata) in SOURCES.items():
        assert ("by" in metadata) is not name.startswith("Query."), name
    types = schema.build()._schema.type_map
    for kind, (typename, _) in ENTITIES.items():
        noted = types[typename].fields["id"].extensions["strawberry-definition"].metadata  # type: ignore[attr-defined]
        assert (noted["id_of"], noted["needs"]) == (kind, ("id",))


def test_a_lookup_finds_the_key_of_its_own_kind_only() -> None:
    key = SOURCES["Query.policy"][1]["key"]
    assert key({"id": global_id("policy", ONE)}) == ONE
    assert [key({"id": text}) for text in (global_id("store", ONE), "policy_1", "", "junk")] == [None] * 4


async def titles(name: str, viewer: Viewer, keys: Sequence[UUID]) -> Any:
    """What a viewer is shown by a list, or by a loader for these keys."""
    if name in LOADERS:
        return set(await LOADERS[name].load(viewer, keys, {}, frozenset({"id"})))
    metadata = LISTS[name][1]
    parents = keys if metadata.get("by") else [None]
    pages = await metadata["source"].load(viewer, parents, {"first": 100}, frozenset({"id"}))
    return {
        key: ([row["id"] for row in page.nodes], await page.count(), page.end_cursor) for key, page in pages.items()
    }


ASKED = {
    **dict.fromkeys(("Store.products", "Store.articles", "Store.policies", "Store.subordinateProducts"), "store"),
    **dict.fromkeys(("Policy.interpretations", "Query.policies", "Query.todayDeclarations", "policy"), "policy"),
    **dict.fromkeys(("Query.products", "product"), "product"),
    **dict.fromkeys(("Query.articles", "article"), "article"),
    **dict.fromkeys(("Query.stores", "store"), "store"),
}


async def test_what_is_kept_for_one_viewer_never_answers_another_who_sees_other_rows(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks first: each is shown what he is shown by a statement made for him."""
    keys = await storefront()
    for name, table in ASKED.items():
        alone = {}
        for who, viewer in VIEWERS.items():
            forget(monkeypatch)
            alone[who] = await titles(name, viewer, keys[table])
        assert len({repr(each) for each in alone.values()}) >= 3, name
        for order in permutations(VIEWERS, 2):
            forget(monkeypatch)
            for who in (*order, *order):
                assert await titles(name, VIEWERS[who], keys[table]) == alone[who], (name, order, who)


async def test_each_is_shown_what_is_published_and_what_he_works_on(api: Any) -> None:
    keys = (await storefront())["policy"]
    number = {key: place for place, key in enumerate(keys)}
    published = {0, 2, 4, 6}
    shown = {who: {number[key] for key in await titles("policy", viewer, keys)} for who, viewer in VIEWERS.items()}
    assert shown == {
        "visitor": published,
        "pudong": published | {1},
        "huangpu": published | {3},
        "seller": published | {5},
        "admin": set(range(8)),
    }


async def test_viewers_of_one_scope_share_a_statement_and_nobody_shares_what_is_his_alone(api: Any) -> None:
    await storefront()
    load = LISTS["Query.policies"][1]["source"].load
    kept = Listed._readings._kept
    buyer = Viewer(id=FIVE, level=Level.L1)
    for viewer in (ANONYMOUS, buyer, ANONYMOUS):
        await load(viewer, [None], {}, None)
    assert len(kept) == 1
    for viewer in (PUDONG, HUANGPU, PUDONG):
        await load(viewer, [None], {}, None)
    assert len(kept) == 3
    for name in ("Query.revisions", "Query.reviewQueue"):
        with noting() as noted:
            await LISTS[name][1]["source"].load(PUDONG, [None], {}, None)
        assert noted.scopes == {"revision": f"viewer:{ONE}"}
    assert len(kept) == 3


async def test_new_cursors_limits_under_filters_and_keys_need_no_new_statement(api: Any) -> None:
    stores = await put_stores({"name": "店"}, {"name": "二店"})
    for store in stores:
        await put_products(store, *({"name": f"产品{number}"} for number in range(9)))
    kept = Listed._readings._kept
    load = LISTS["Query.products"][1]["source"].load
    after, seen = None, []
    for _ in range(6):
        page = (await load(ANONYMOUS, [None], {"first": 3, "after": after}, frozenset({"name", CURSORS})))[None]
        seen += [row["name"] for row in page.nodes]
        after = page.end_cursor
    assert (len(seen), page.has_next_page, len(kept)) == (18, False, 2)
    for first in (1, 2, 3):
        page = (await load(ANONYMOUS, [None], {"first": first, "filter": {"keyword": "产品8"}}, None))[None]
        assert len(page.nodes) == min(first, 2)
    assert len(kept) == 3
    below = LISTS["Store.products"][1]["source"].load
    for keys in (stores, stores[:1], stores[1:]):
        found = await below(ANONYMOUS, keys, {"first": 2}, frozenset({"name"}))
        assert {key: len(page.nodes) for key, page in found.items()} == dict.fromkeys(keys, 2)
    assert len(kept) == 4


def test_what_was_used_longest_ago_is_forgotten() -> None:
    memo = Memo[int](entries=2)
    made = count(1)
    found = [memo.get(ANONYMOUS, name, partial(next, made)) for name in ("a", "b", "a", "c", "a", "b")]
    assert found == [1, 2, 1, 3, 1, 4]
    assert len(memo._kept) == 2


def test_what_is_made_of_the_clock_or_of_something_unnoted_is_made_anew() -> None:
    memo = Memo[Any]()
    for make in (clock.today, clock.now, object):
        first, second = (memo.get(ANONYMOUS, make.__name__, make) for _ in range(2))
        assert (first is second) is (make is object)
    with noting() as noted:
        memo.get(ANONYMOUS, "today", clock.today)
    assert noted.until is not None
    assert noted.private is False
    assert memo.get(ANONYMOUS, None, object) is not memo.get(ANONYMOUS, None, object)


async def test_a_filter_by_the_day_follows_the_clock(api: Any) -> None:
    """The statement is kept, the day in it is not."""
    await put_policies({"title": "三月", "apply_start": date(2026, 3, 1), "apply_end": date(2026, 3, 31)})
    load = LISTS["Query.policies"][1]["source"].load
    chosen = {"filter": {"application_statuses": [ApplicationStatus.OPEN]}}
    try:
        for moment, shown in (("2026-03-31T23:59", 1), ("2026-04-01T00:00", 0), ("2026-03-01T00:00", 1)):
            at = datetime.fromisoformat(f"{moment}:00+08:00")
            await shift(at - clock.real())
            with noting() as noted:
                page = (await load(ANONYMOUS, [None], chosen, None))[None]
            assert len(page.nodes) == shown, moment
            midnight = datetime.combine(at.date() + timedelta(days=1), datetime.min.time(), clock.SHANGHAI)
            assert (noted.until, noted.private) == (midnight, False)
    finally:
        clock.set_offset(timedelta())
    assert len(Listed._readings._kept) == 1


async def test_the_day_holds_until_midnight_and_the_moment_is_for_its_asker_only() -> None:
    with noting() as noted:
        clock.today()
    assert noted.until is not None
    assert noted.until.astimezone(clock.SHANGHAI).time() == datetime.min.time()
    assert timedelta() < noted.until - clock.now() <= timedelta(days=1)
    for read in (clock.now, clock.offset):
        with noting() as noted:
            read()
        assert (noted.private, noted.until) == (True, None)


async def test_a_text_that_does_not_say_what_it_reads_keeps_the_answer_private(database: str) -> None:
    with noting() as noted:
        await fetch_text("SELECT 1", tables=frozenset({"policy"}))
    assert (noted.tables, noted.private) == ({"policy"}, False)
    with noting() as noted:
        await fetch_text("SELECT 1")
    assert noted.private is True


def values_of(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_of_few_columns_has_the_same_values_and_cursors(api: Any, name: str) -> None:
    keys = (await storefront())["policy" if name.startswith("Policy.") else "store"]
    field, metadata = LISTS[name]
    load, parents = metadata["source"].load, keys if metadata.get("by") else [None]
    for order in orders(field):
        whole = await load(ADMIN, parents, {"first": 3, **order}, None)
        columns = {column for page in whole.values() for row in page.nodes for column in values_of(row)}
        alone = () if order != orders(field)[0] else (frozenset({column}) for column in columns)
        for chosen in (frozenset[str](), *alone, frozenset(columns)):
            narrow = await load(ADMIN, parents, {"first": 3, **order}, chosen | {CURSORS})
            bare = await load(ADMIN, parents, {"first": 3, **order}, chosen)
            for key, page in whole.items():
                expected = [{column: row[column] for column in chosen} for row in page.nodes]
                assert [{column: row[column] for column in chosen} for row in narrow[key].nodes] == expected
                assert [{column: row[column] for column in chosen} for row in bare[key].nodes] == expected
                assert [edge["cursor"] for edge in narrow[key].edges] == [edge["cursor"] for edge in page.edges]
                assert narrow[key].has_next_page is page.has_next_page
                assert await narrow[key].count() == await page.count()


@pytest.mark.parametrize("name", LOADERS)
async def test_a_loader_of_few_columns_has_the_same_values(api: Any, name: str) -> None:
    await storefront()
    loader = LOADERS[name]
    column = loader._column.name
    keys = [row[0] for row in await fetch(loader.table.select().with_only_columns(loader._column).distinct().limit(9))]
    keys = [key for key in keys if key is not None]
    whole = await loader.load(ADMIN, keys, {}, None)
    for chosen in (frozenset[str](), frozenset({column}), *(frozenset({each.name}) for each in loader.table.c)):
        narrow = await loader.load(ADMIN, keys, {}, chosen)
        assert set(narrow) == set(whole)
        for key in whole:
            columns = [each.name for each in loader.table.c]
            rows, fewer = (each[key] if loader.many else [each[key]] for each in (whole, narrow))
            read = columns if isinstance(loader, Codes) else [each for each in columns if each in chosen | {column}]
            assert [dict(row) for row in fewer] == [{each: row[each] for each in read} for row in rows]


def orders(field: Any) -> list[dict[str, Any]]:
    """Each order of a connection, as its argument."""
    argument = field.args.get("orderBy")
    return (
        [{}]
        if argument is None
        else [{"order_by": value.value} for value in get_named_type(argument.type).values.values()]
    )


def filters(field: Any) -> Iterator[dict[str, Any]]:
    """Each filter of a connection with some value."""
    argument = field.args.get("filter")
    kind = None if argument is None else get_named_type(argument.type)
    if isinstance(kind, GraphQLInputObjectType):
        for each in kind.fields.values():
            nullable = get_nullable_type(each.type)
            value = sample(get_named_type(nullable))
            name = each.extensions["strawberry-definition"].python_name
            yield {"filter": {name: [value, value] if is_list_type(nullable) else value}}


SAMPLES: dict[str, Any] = {
    "String": "310115",
    "ID": global_id("store", ONE),
    "Int": 2026,
    "Float": 4.5,
    "Boolean": True,
    "Decimal": Decimal("9.90"),
    "DateTime": datetime(2026, 3, 1, tzinfo=UTC),
    "Date": date(2026, 3, 1),
}


def sample(kind: Any) -> Any:
    return next(iter(kind.values.values())).value if isinstance(kind, GraphQLEnumType) else SAMPLES[kind.name]


@asynccontextmanager
async def spied() -> AsyncIterator[list[tuple[str, tuple[Any, ...]]]]:
    """The statements that are sent meanwhile where something is noted, with their values."""
    pool, sent = database.reads, []

    class Spy:
        async def fetch(self, text: str, *arguments: Any) -> Any:
            if footprint.current.get() is not None:
                sent.append((text, arguments))
            return await pool.fetch(text, *arguments)

    database._reads = Spy()  # type: ignore[assignment]
    try:
        yield sent
    finally:
        database._reads = pool


def relations(plan: Any) -> Iterator[str]:
    """The tables in a plan of PostgreSQL's, however deep."""
    if isinstance(plan, dict):
        if "Relation Name" in plan:
            yield plan["Relation Name"]
        plan = list(plan.values())
    if isinstance(plan, list):
        for each in plan:
            yield from relations(each)


async def read_by(sent: Sequence[tuple[str, tuple[Any, ...]]]) -> set[str]:
    found: set[str] = set()
    for text, arguments in sent:
        rows = await database.reads.fetch(f"EXPLAIN (FORMAT JSON) {text}", *arguments)
        found.update(relations(orjson.loads(rows[0][0]) if isinstance(rows[0][0], str) else rows[0][0]))
    return found


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_notes_every_table_that_postgresql_reads_for_it_under_every_filter(api: Any, name: str) -> None:
    keys = (await storefront())["policy" if name.startswith("Policy.") else "store"]
    field, metadata = LISTS[name]
    parents = keys if metadata.get("by") else [None]
    for arguments in (*orders(field), *filters(field)):
        for viewer in (ANONYMOUS, PUDONG, ADMIN):
            footprints = []
            async with spied() as sent:
                for _ in range(2):
                    with noting() as noted:
                        pages = await metadata["source"].load(viewer, parents, arguments, None)
                        await next(iter(pages.values())).count()
                    footprints.append(noted)
            assert await read_by(sent[:2]) - noted.tables == set(), arguments
            assert footprints[0] == footprints[1], arguments
            assert noted.private is False
            assert gated(noted) == noted.scopes.keys(), arguments


def gated(noted: Footprint) -> set[str]:
    """Tables of the footprint whose rows a gate chooses. A store's gate is part of those of what it offers."""
    tables = noted.tables & {table_of(model).name for model in GATES} - {"service_category"}
    return tables if noted.scopes.keys() & {"store"} else tables - {"store"}


@pytest.mark.parametrize("name", LOADERS)
async def test_a_loader_notes_its_table_and_the_scope_of_its_gate(api: Any, name: str) -> None:
    loader = LOADERS[name]
    for viewer in VIEWERS.values():
        for _ in range(2):
            async with spied() as sent:
                with noting() as noted:
                    await loader.load(viewer, [], {}, None)
            assert await read_by(sent) - noted.tables == set()
            assert loader.table.name in noted.tables
            assert set(noted.scopes) == {loader.table.name}


async def test_scopes_are_named_by_what_the_gate_depends_on(api: Any) -> None:
    wanted = {"visitor": "PUBLIC", "pudong": "district:310115", "seller": f"store:{FIVE.hex}", "admin": "staff:all"}
    for who, scope in wanted.items():
        with noting() as noted:
            await LOADERS["product"].load(VIEWERS[who], [ONE], {}, None)
        assert noted.scopes == {"product": scope}
    with noting() as noted:
        await LOADERS["account"].load(PUDONG, [ONE], {}, None)
    assert noted.scopes == {"account": f"viewer:{ONE}"}


async def test_a_moment_carried_for_its_cursor_alone_is_exact(api: Any) -> None:
    moments = [START, START + timedelta(microseconds=1), datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)]
    await put(
        Policy,
        [
            {
                "issuers": ["某委"],
                "level": "MUNICIPAL",
                "kind": "NORMATIVE",
                "body": "正文",
                "title": "政策",
                "published_at": each,
            }
            for each in moments
        ],
    )
    load = LISTS["Query.policies"][1]["source"].load
    whole = (await load(ANONYMOUS, [None], {}, None))[None]
    narrow = (await load(ANONYMOUS, [None], {}, frozenset({"id", CURSORS})))[None]
    assert [row["published_at"] for row in whole.nodes] == sorted(moments, reverse=True)
    assert [edge["cursor"] for edge in narrow.edges] == [edge["cursor"] for edge in whole.edges]
    for number, edge in enumerate(narrow.edges):
        rest = (await load(ANONYMOUS, [None], {"after": edge["cursor"]}, frozenset({"id"})))[None]
        assert [row["id"] for row in rest.nodes] == [row["id"] for row in whole.nodes[number + 1 :]]


async def test_amounts_that_only_go_out_are_read_as_their_texts(api: Any) -> None:
    (store,) = await put_stores({})
    amounts = [None, Decimal(0), Decimal("0.01"), Decimal("12.50"), Decimal("9999999999.98")]
    products = await put_products(store, *({"price": each} for each in amounts))
    as_text = frozenset({f"{AS_TEXT}price"})
    rows = await Loaders.product.load(ANONYMOUS, products, {}, as_text)
    assert [rows[key]["price"] for key in products] == [None, "0.00", "0.01", "12.50", "9999999999.98"]
    both = await Loaders.product.load(ANONYMOUS, products, {}, as_text | {"price"})
    assert [both[key]["price"] for key in products] == amounts
    load = LISTS["Query.products"][1]["source"].load
    for order in ("PRICE_ASC", "PRICE_DESC", "NEWEST"):
        given = {"order_by": ProductOrder[order]}
        whole = (await load(ANONYMOUS, [None], given, None))[None]
        narrow = (await load(ANONYMOUS, [None], given, as_text | {CURSORS}))[None]
        texts = [None if row["price"] is None else str(row["price"]) for row in whole.nodes]
        assert [row["price"] for row in narrow.nodes] == texts
        assert [edge["cursor"] for edge in narrow.edges] == [edge["cursor"] for edge in whole.edges]

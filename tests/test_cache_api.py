"""The response cache through the API: nobody is ever told more, or older, than a fresh read would tell."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime
from itertools import permutations
from typing import Any

import asyncpg
import pytest
from sqlalchemy import update

from auth.access import RULES, Rule
from auth.viewer import PROFESSIONAL, Role
from jobs import schedule
from kit import clock
from kit.generations import generations
from kit.settings import settings
from models.policy import Policy
from services.uow import unit_of_work
from tests.conftest import Answer, Api, Settle, token
from tests.processes import until
from tests.storefront import ids, put_policies, put_products, put_stores, take_offline
from tests.test_access import place
from tests.test_cache import STORE, counts, heard, more
from tests.test_policy import publish
from tests.test_publishing import CLOCK, OPENED, act
from tests.test_search import build

LIST = """query List($ids: [ID!]!) { nodes(ids: $ids) { id }
  policies(first: 50) { totalCount nodes { title offlineReason openRevision { no } } } }"""
SHOPS = "{ stores { totalCount nodes { name state products { totalCount nodes { name offlineReason } } } } }"
FOUND = '{ search(query: "办法", types: [POLICY]) { totalCount nodes { ... on Policy { title } } } }'
HIDDEN = '{ search(query: "隐匿", types: [POLICY]) { totalCount } }'
ONE = "query One($id: ID!) { policy(id: $id) { title viewCount daysLeft } }"
NAMES = "{ stores { nodes { name } } }"
APPLY = {"apply_start": date(2026, 11, 1), "apply_end": date(2026, 11, 30)}
PLACES = ("platform", "department:SHEITC", "district:310115", "district:310104", "department:SHDRC")


class Asking:
    """Asks over HTTP with tokens that were issued before."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tokens: dict[str, str] = {}

    async def know(self, *usernames: str, **names: str) -> None:
        """`names`: what to call a token that is issued now."""
        self._tokens |= {name: await token(name) for name in usernames}
        self._tokens |= {name: await token(username) for name, username in names.items()}

    async def __call__(self, query: str, viewer: str | None = None, headers: Any = None, **variables: Any) -> Answer:
        sent = dict(headers or {})
        if viewer:
            sent["authorization"] = f"Bearer {self._tokens[viewer]}"
        body = json.dumps({"query": query, "variables": variables})
        sent["content-type"] = "application/json"
        answer: Answer = (await self._api.client.post("/graphql", content=body, headers=sent)).json()
        return answer


@pytest.fixture
def ask(api: Api) -> Asking:
    return Asking(api)


async def in_every_order(ask: Asking, viewers: Sequence[str | None], questions: Sequence[tuple[str, Any]]) -> None:
    """Each viewer is told, first and again and whoever asked before, what is told to a viewer who asks alone."""
    alone = {}
    for viewer in viewers:
        for question, variables in questions:
            generations.rise_all()
            alone[viewer, question] = await ask(question, viewer, **variables)
    for question, _ in questions:
        answers = [json.dumps(alone[viewer, question]) for viewer in viewers]
        assert len(set(answers)) > 1, "all are told the same, which proves nothing"
    for order in permutations(viewers):
        generations.rise_all()
        for viewer in (*order, *order):
            for question, variables in questions:
                assert await ask(question, viewer, **variables) == alone[viewer, question], (order, viewer)


async def test_viewers_of_different_places_are_told_their_own_whoever_asked_before(
    api: Api, ask: Asking, settle: Settle
) -> None:
    shown = [{"owner": owner, "title": f"{owner} 办法"} for owner in PLACES]
    hidden = [{"owner": owner, "title": f"{owner} 隐匿办法", "state": "OFFLINE"} for owner in PLACES]
    keys = ids("policy", await put_policies(*shown, *hidden))
    open_store, shut_store = await put_stores({"name": "开"}, {"name": "关", "owner": PLACES[2], "state": "OFFLINE"})
    for store in (open_store, shut_store):
        await put_products(store, {"owner": PLACES[2]}, {"owner": PLACES[2], "state": "OFFLINE"})
    await build(settle)
    await ask.know("district", "department")
    await place("district", district_code="310104")
    await ask.know(xuhui="district")
    await heard()
    before = counts()
    questions = [(LIST, {"ids": keys}), (SHOPS, {}), (FOUND, {}), (HIDDEN, {})]
    await in_every_order(ask, (None, "district", "xuhui", "department"), questions)
    assert more(before).keys() == {"hit", "miss", "private"}, more(before)


async def test_a_rule_of_owners_is_told_for_each_row_and_to_each_owner(
    api: Api, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask.know("department", "district", "reviewer")
    keys = ids("policy", await put_policies({"owner": PLACES[1]}, {"owner": PLACES[2]}))
    for key, owner in zip(keys, ("department", "district"), strict=True):
        await take_offline(api, key, owner)
    monkeypatch.setitem(RULES, "content.manage", Rule(PROFESSIONAL, frozenset({Role.REVIEWER}), own="offline_by"))
    await in_every_order(ask, (None, "department", "district", "reviewer"), [(LIST, {"ids": keys})])


async def test_people_of_one_kind_share_an_answer(api: Api, ask: Asking) -> None:
    await put_policies({})
    await ask.know("buyer", "enterprise")
    await heard()
    before = counts()
    answers = [await ask(LIST, viewer, ids=[]) for viewer in (None, "buyer", "enterprise", None)]
    assert answers[0]["data"]["policies"]["totalCount"] == 1
    assert answers == [answers[0]] * 4
    assert more(before) == {"miss": 1, "hit": 3}


async def test_the_outcomes_of_queries_are_counted_each_once(api: Api, ask: Asking) -> None:
    (item,) = ids("policy", await put_policies({}))
    await ask.know("buyer")
    await heard()
    before = counts()
    await ask(ONE, id=item)
    await ask(ONE, id=item)
    await ask("{ viewer { username } }", "buyer")
    await ask("{ nowhere }")
    await ask(OPENED, input={"id": item, "visitId": "一次"})
    assert more(before) == {"miss": 1, "hit": 1, "private": 1}
    page = (await api.client.get("/metrics")).text
    assert f'esc_cache_answers_total{{outcome="hit"}} {counts()["hit"]}.0' in page


async def test_each_language_and_each_spelling_of_a_request_has_its_own_answer(api: Api, ask: Asking) -> None:
    districts = "{ policyDictionary { name label } }"
    await heard()
    before = counts()
    for _ in range(2):
        await ask(districts)
        await ask(districts, headers={"accept-language": "en"})
        await ask(districts + " ")
    assert more(before) == {"miss": 3, "hit": 3}


async def test_who_writes_reads_it_at_once(api: Api, ask: Asking) -> None:
    (item,) = ids("policy", await put_policies({"owner": PLACES[1]}))
    for _ in range(10):
        assert (await ask(ONE, id=item))["data"]["policy"] is not None
        assert (await ask(ONE, id=item))["data"]["policy"] is not None
        await take_offline(api, item)
        assert (await ask(ONE, id=item))["data"]["policy"] is None
        republish = "mutation($input: ItemRepublishInput!) { itemRepublish(input: $input) { userErrors { code } } }"
        assert await act(api, republish, "admin", id=item) == []


async def test_what_is_written_past_the_platform_is_told_when_the_database_has_told_of_it(
    api: Api, ask: Asking
) -> None:
    await put_stores({"name": "旧名"})
    assert (await ask(NAMES))["data"] == {"stores": {"nodes": [{"name": "旧名"}]}}
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("UPDATE store SET name = '新名'")
    finally:
        await connection.close()

    async def told() -> bool:
        answer: Answer = await ask(NAMES)
        return bool(answer["data"] == {"stores": {"nodes": [{"name": "新名"}]}})

    await until(told, 5)


async def test_an_answer_that_a_write_overtook_is_told_once(api: Api, ask: Asking) -> None:
    """Policies are read and then renamed while the answer still waits for stores, which somebody holds locked."""
    await put_policies({"title": "旧名"})
    both = "{ policies { nodes { title } } stores { totalCount } }"
    connection = await asyncpg.connect(settings.database_url)
    try:
        holding = connection.transaction()
        await holding.start()
        await connection.execute("LOCK TABLE store IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(ask(both))

        async def only_stores_wait() -> bool:
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            rows = await connection.fetch(
                "SELECT wait_event_type FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'esc reads' AND state = 'active'"
            )
            return [row["wait_event_type"] for row in rows] == ["Lock"]

        await until(only_stores_wait)
        async with unit_of_work() as uow:
            await uow.execute(update(Policy).values(title="新名"))
        await heard()
        await holding.rollback()
    finally:
        await connection.close()
    told = [(await asked)["data"]["policies"], (await ask(both))["data"]["policies"]]
    assert told == [{"nodes": [{"title": "旧名"}]}, {"nodes": [{"title": "新名"}]}]


async def test_days_left_end_with_the_day_in_shanghai(api: Api, ask: Asking) -> None:
    """The clock is moved to just before midnight, and no further."""
    (item,) = ids("policy", await put_policies(APPLY))
    eve = datetime(2026, 11, 24, 23, 59, 58, tzinfo=clock.SHANGHAI)
    await api(CLOCK, input={"now": eve.isoformat()})
    await heard()
    before, told = counts(), []

    async def next_day() -> bool:
        over = clock.today().day == 25
        told.append((await ask(ONE, id=item))["data"]["policy"]["daysLeft"])
        assert told[-1] == 5 or not over
        return bool(told[-1] == 5)

    await until(next_day, 10)
    assert set(told) == {6, 5}
    assert more(before) == {"miss": 2, "hit": len(told) - 2}


async def test_a_moved_clock_has_answers_of_its_own(api: Api, ask: Asking) -> None:
    (item,) = ids("policy", await put_policies(APPLY))
    for day, left in ((20, 10), (21, 9), (20, 10)):
        moment = datetime(2026, 11, day, 12, tzinfo=clock.SHANGHAI)
        await api(CLOCK, input={"now": moment.isoformat()})
        told = [(await ask(ONE, id=item))["data"]["policy"]["daysLeft"] for _ in range(2)]
        assert told == [left, left]


async def test_a_search_is_told_again_until_the_index_changes(api: Api, ask: Asking, settle: Settle) -> None:
    async def found() -> int:
        return int((await ask(FOUND))["data"]["search"]["totalCount"])

    await publish(api, title="租赁办法", documentNo="")
    assert (await found(), await found()) == (1, 1)
    await settle()

    async def indexed() -> bool:
        answer: Answer = await ask('{ search(query: "办法") { degraded } }')
        return not answer["data"]["search"]["degraded"]

    await until(indexed)
    await heard()
    before = counts()
    assert (await found(), await found()) == (1, 1)
    assert more(before) == {"miss": 1, "hit": 1}
    await publish(api, title="公寓办法", documentNo="")
    assert await found() == 1
    await settle()

    async def both() -> bool:
        return await found() == 2

    await until(both, 5)


async def test_a_search_without_an_index_is_not_kept(api: Api, ask: Asking) -> None:
    await heard()
    before = counts()
    for _ in range(2):
        assert (await ask(FOUND))["data"]["search"]["totalCount"] == 0
    assert more(before) == {"private": 2}


async def test_counted_visits_are_told_after_the_fold(api: Api, ask: Asking) -> None:
    (item,) = ids("policy", await put_policies({}))
    await heard()
    assert (await ask(ONE, id=item))["data"]["policy"]["viewCount"] == 0
    before = counts()
    assert await act(api, OPENED, None, id=item, visitId="一次") == []
    assert (await ask(ONE, id=item))["data"]["policy"]["viewCount"] == 0
    assert more(before) == {"hit": 1}
    await schedule.fold_visits()
    assert (await ask(ONE, id=item))["data"]["policy"]["viewCount"] == 1


async def test_an_answer_with_an_error_is_not_kept(api: Api, ask: Asking) -> None:
    denied = "{ auditEntries(first: 1) { totalCount } districts { name } }"
    await heard()
    before = counts()
    for _ in range(2):
        assert (await ask(denied))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert more(before).get("hit", 0) == more(before).get("miss", 0) == 0


async def test_readers_of_one_process_never_see_less_than_its_writer_was_answered(api: Api, ask: Asking) -> None:
    """Each write is answered before the readers that must know it ask."""
    (store,) = await put_stores({"name": "0"})
    written, mistakes = 0, list[tuple[int, int]]()
    ended = asyncio.Event()

    async def read() -> None:
        while not ended.is_set():
            known = written
            told = int((await ask(NAMES))["data"]["stores"]["nodes"][0]["name"])
            if told < known:
                mistakes.append((known, told))
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for number in range(1, 26):
        async with unit_of_work() as uow:
            await uow.execute(update(STORE).where(STORE.c.id == store).values(name=str(number)))
        written = number
        await asyncio.sleep(0)
    ended.set()
    await asyncio.gather(*readers)
    assert mistakes == []
    assert int((await ask(NAMES))["data"]["stores"]["nodes"][0]["name"]) == 25


async def test_a_request_that_registers_a_document_is_never_recalled(api: Api) -> None:
    known = hashlib.sha256(NAMES.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": known}}
    registering = json.dumps({"query": NAMES, "extensions": extensions})
    by_hash = json.dumps({"extensions": extensions})
    before = counts()
    for body in (registering, registering, by_hash, by_hash):
        answer = await api.client.post("/graphql", content=body, headers={"content-type": "application/json"})
        assert "errors" not in answer.json()
    assert counts()["hit"] - before["hit"] == 1

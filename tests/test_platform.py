"""The platform around the API: is it alive, ready, measured, safe to frame, and what time is it (R-SEC-02)."""

import shutil
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from kit import clock
from kit.bus import bus
from kit.db import database
from kit.settings import settings
from models.events import ReviewQueueChanged, SearchOutdated
from services import platform
from services.uow import unit_of_work
from tests.conftest import Api, Settle
from tests.test_publishing import log

CLOCK = "mutation Clock($now: DateTime!) { clockSet(input: {now: $now}) { now userErrors { code field message } } }"
CLOSED_PORT = "redis://127.0.0.1:1/0"


async def ready(api: Api) -> tuple[int, list[str]]:
    response = await api.client.get("/readyz")
    body = response.json()
    assert body["ready"] is (response.status_code == 200)
    return response.status_code, body["missing"]


async def build_index(settle: Settle) -> None:
    async with unit_of_work() as uow:
        uow.emit(SearchOutdated())
    await settle()


async def test_it_is_ready_when_migrated_with_redis_there_and_the_index_built(api: Api, settle: Settle) -> None:
    status, missing = await ready(api)
    assert status == 503
    assert [problem.partition(":")[0] for problem in missing] == ["search"]
    await build_index(settle)
    assert await ready(api) == (200, [])


async def test_it_is_not_ready_before_the_last_migration(api: Api, settle: Settle) -> None:
    await build_index(settle)
    async with database.write() as writing:
        await writing.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert await ready(api) == (503, ["database: not migrated"])
    async with database.write() as writing:
        await writing.execute(text("DROP TABLE alembic_version"))
    assert await ready(api) == (503, ["database: UndefinedTableError"])


async def test_it_is_not_ready_without_redis_but_alive_and_it_answers(api: Api, settle: Settle) -> None:
    await build_index(settle)
    await bus.close()
    await bus.open(CLOSED_PORT)
    assert await ready(api) == (503, ["redis: ConnectionError"])
    assert (await api.client.get("/healthz")).text == "ok\n"
    assert (await api("{ districts { code } }"))["districts"][0] == {"code": "310101"}


async def test_it_is_not_ready_without_an_index_and_is_again_when_one_is_built(api: Api, settle: Settle) -> None:
    await build_index(settle)
    shutil.rmtree(settings.search_home)
    status, missing = await ready(api)
    assert status == 503
    assert [problem.partition(":")[0] for problem in missing] == ["search"]
    await build_index(settle)
    assert await ready(api) == (200, [])


async def test_it_counts_what_it_does(api: Api) -> None:
    """Requests, operations, errors, statements and waiting jobs, for Prometheus."""
    before = (await api.client.get("/metrics")).text
    await api("query Districts { districts { code } }")
    await api.raw("{ nothing }")
    async with unit_of_work() as uow:
        uow.emit(ReviewQueueChanged())
    response = await api.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    values = samples(response.text)
    earlier = samples(before)
    operation = 'esc_operation_seconds_count{kind="query",operation="Districts"}'
    assert values[operation] == earlier.get(operation, 0) + 1
    refused = 'esc_errors_total{code="GRAPHQL_VALIDATION_FAILED"}'
    assert values[refused] == earlier.get(refused, 0) + 1
    assert values["esc_sql_statements_total"] > earlier["esc_sql_statements_total"]
    assert values['esc_queue_depth{state="queued"}'] == 1


def samples(page: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_answers_tell_browsers_not_to_guess_and_name_no_server(api: Api) -> None:
    response = await api.client.post("/graphql", json={"query": "{ now }"}, headers={"x-request-id": "abc-123"})
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-request-id"] == "abc-123"
    assert "server" not in response.headers
    page = await api.client.get("/graphql", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "frame-ancestors" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "same-origin"


MISSING = (
    ("GET", "/nothing", 404),
    ("GET", "/graphql/nothing", 404),
    ("GET", "/graphql/assets/../../app.py", 404),
    ("GET", "/graphql/assets/%2e%2e/%2e%2e/app.py", 404),
    ("GET", "/files/none.pdf", 404),
    ("GET", "/files/%2e%2e/%2e%2e/pyproject.toml", 404),
    ("GET", "/.env", 404),
    ("POST", "/healthz", 405),
    ("POST", "/metrics", 405),
    ("DELETE", "/graphql", 405),
)


async def test_what_is_not_there_is_said_to_be_so(api: Api) -> None:
    for method, path, status in MISSING:
        response = await api.client.request(method, path)
        assert response.status_code == status, path
        assert "Traceback" not in response.text


async def test_the_home_page_leads_to_the_explorer(api: Api) -> None:
    response = await api.client.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/graphql")


def moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


async def test_business_time_is_the_worlds_until_it_is_moved(api: Api) -> None:
    assert abs(moment((await api("{ now }"))["now"]) - clock.real()) < timedelta(seconds=5)
    wanted = "2027-03-01T10:00:00+08:00"
    answer = (await api(CLOCK, now=wanted))["clockSet"]
    assert answer["userErrors"] == []
    for told in (answer["now"], (await api("{ now }"))["now"]):
        assert timedelta() <= moment(told) - moment(wanted) < timedelta(seconds=5)
    assert abs(clock.real() - moment((await api("{ now }"))["now"])) > timedelta(days=30)


async def test_every_process_follows_the_moved_clock(api: Api) -> None:
    """The offset stands in the database; a process that has it not yet takes it over."""
    await api(CLOCK, now="2027-03-01T10:00:00+08:00")
    moved = clock.offset()
    clock.set_offset(timedelta())
    await platform.follow_clock()
    assert abs(clock.offset() - moved) < timedelta(milliseconds=1)


async def test_moving_the_clock_is_noted_when_staff_do_it(api: Api) -> None:
    await api(CLOCK, now="2027-03-01T10:00:00+08:00")
    await api(CLOCK, viewer="admin", now="2027-03-02T10:00:00+08:00")
    assert [(entry["targets"], entry["details"]) for entry in await log("clockSet")] == [
        (["clock"], {"now": "2027-03-02T02:00:00+00:00"}),
    ]


async def test_the_clock_moves_in_development_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "env", "production")
    answer = (await api(CLOCK, viewer="admin", now="2027-03-01T10:00:00+08:00"))["clockSet"]
    assert answer == {
        "now": None,
        "userErrors": [{"code": "DEVELOPMENT_ONLY", "field": ["now"], "message": "仅在开发环境可用"}],
    }
    assert clock.offset() == timedelta()


WRONG_MOMENTS = ("2027-03-01T10:00:00", "2027-03-01", "tomorrow", "0001-01-01T00:00:00Z", "", 5, None)


async def test_a_time_without_an_offset_is_no_moment(api: Api) -> None:
    """It would be another moment on every server."""
    for wrong in WRONG_MOMENTS:
        answer = await api.raw(CLOCK, now=wrong)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"], wrong
    assert clock.offset() == timedelta()


async def test_an_amount_is_a_decimal_number(api: Api) -> None:
    query = "query($min: Decimal) { products(filter: {priceMin: $min}) { totalCount } }"
    for wrong in ("NaN", "Infinity", "1e400", "1e-40", "12,50", "", True):
        answer = await api.raw(query, min=wrong)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"], wrong
    for right in ("12.50", 12, 12.5, "0"):
        assert await api(query, min=right) == {"products": {"totalCount": 0}}

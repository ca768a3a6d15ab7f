"""What is compared does the same work: equal answers from all, votes by the contract's names, figures judged right."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import orjson
import pytest
from graphql import parse, validate

from bench import arena, ballots, contenders, limit, serving, sockets, strawberry_plain, tables, voting, workloads, wrk
from bench.arena import Server, Window, free_port, opened
from bench.compare import Comparison, canonical, middle, rotated
from bench.contenders import CACHED, LIMIT, MERCURIUS, OURS
from bench.fanout import Fanout
from bench.growth import Grown
from bench.load import Outcome, Request, request
from bench.serving import pooled
from engine import Engine
from kit.db import database as pools
from kit.ids import global_id
from services.demo import load_city, load_demo_accounts
from tests.conftest import Api, token
from tests.test_bench import GOOD, answering

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="measures on Linux only")

JSON = {"content-type": "application/json"}


async def ask(client: httpx.AsyncClient, body: bytes) -> bytes:
    return canonical((await client.post("/graphql", content=body, headers=JSON)).content)


@asynccontextmanager
async def rivals() -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client for each rival in Python."""
    async with AsyncExitStack() as stack:
        clients = []
        for rival in (limit.app, strawberry_plain.app):
            await stack.enter_async_context(pooled(rival))
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app=rival), base_url="http://rival.test")
            clients.append(await stack.enter_async_context(client))
        yield clients


async def test_ours_and_the_rivals_in_python_answer_the_same(
    api: Api, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pools.write() as writing:
        await load_city(writing)
    monkeypatch.setitem(os.environ, "DATABASE_URL", empty_database)
    reader = await asyncpg.connect(empty_database)
    asked = await workloads.reads(reader)
    await reader.close()
    async with rivals() as others:
        for name, requests in asked.items():
            assert len(requests) >= 20, name
            for each in requests[:5]:
                ours = await ask(api.client, each.body)
                assert orjson.loads(ours)["data"]
                for other in others:
                    assert await ask(other, each.body) == ours, (name, each.body)


@pytest.mark.web
async def test_mercurius_answers_what_the_limit_answers_and_counts_a_ballot_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contenders.check()
    monkeypatch.setitem(os.environ, "DATABASE_URL", database)
    async with pools.write() as writing:
        await load_demo_accounts(writing, "no password")
        await load_city(writing)
    reader = await asyncpg.connect(database)
    asked = await workloads.reads(reader)
    ((round_id, candidates),) = (await voting.open_rounds(reader, 1)).items()
    ballot = request(ballots.CAST, token=await token("buyer"), round=round_id, choices=candidates[:2])
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *MERCURIUS.command, cwd=MERCURIUS.folder, env={**os.environ, "DATABASE_URL": database, "PORT": str(port)}
    )
    try:
        assert await opened(process, port)
        mercurius = Server(MERCURIUS, port, process.pid)
        async with rivals() as (bare, _strawberry):
            for name, requests in asked.items():
                for each in requests[:5]:
                    assert canonical(await arena.ask(mercurius, each)) == await ask(bare, each.body), (name, each.body)
        first, second = [orjson.loads(await arena.ask(mercurius, ballot))["data"]["ballotCast"] for _ in range(2)]
        assert (first["userErrors"], second["userErrors"]) == ([], [{"code": "ALREADY_EXISTS"}])
        assert await reader.fetchval("SELECT count(*) FROM bench_ballot") == 1
    finally:
        process.terminate()
        await process.wait()
        await reader.close()


@pytest.fixture
async def voting_api(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """The platform as `bench.ours` serves it: with the stand-in, and with the engine's arguments from outside."""
    import app  # noqa: PLC0415 - builds the schema
    import schema  # noqa: PLC0415
    from bench import ours  # noqa: PLC0415

    monkeypatch.setattr(app, "Engine", Engine)  # both put back afterwards
    monkeypatch.setattr(schema, "_DOMAINS", schema._DOMAINS)
    monkeypatch.setattr(schema, "build", lambda: schema._build.__wrapped__(hardened=False))
    monkeypatch.setattr(serving, "serve", lambda _app, **_options: None)
    monkeypatch.setitem(os.environ, "BENCH_ENGINE", '{"cache": null, "plans": false}')
    ours.main()
    application = app.Application()
    async with app.lifespan(application.starlette):
        async with pools.write() as writing:
            await load_demo_accounts(writing, "no password")
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://esc.test") as client:
            yield Api(client)


async def test_a_ballot_of_the_stand_in_counts_once_a_day_and_shows_when_it_is_folded(
    voting_api: Api, empty_database: str
) -> None:
    connection = await asyncpg.connect(empty_database)
    ((round_id, candidates),) = (await voting.open_rounds(connection, 1)).items()
    chosen = {"round": round_id, "choices": candidates[3:5]}
    (first,) = (await voting_api(ballots.CAST, viewer="buyer", **chosen)).values()
    assert first["userErrors"] == []
    assert len(first["ballot"]["receipt"]) == 64
    again = await voting_api(ballots.CAST, viewer="buyer", **chosen)
    assert again == {"ballotCast": {"ballot": None, "userErrors": [{"code": "ALREADY_EXISTS"}]}}
    stranger = await voting_api(ballots.CAST, viewer="judge", round=round_id, choices=["contest_project_" + "0" * 32])
    assert stranger == {"ballotCast": {"ballot": None, "userErrors": [{"code": "NOT_FOUND"}]}}
    for choices in ([], candidates[:1] * 2, candidates[:4]):
        refused = await voting_api(ballots.CAST, viewer="judge", round=round_id, choices=choices)
        assert refused == {"ballotCast": {"ballot": None, "userErrors": [{"code": "INVALID_VALUE"}]}}
    nowhere = await voting_api(ballots.CAST, viewer="judge", round="ballot_round_" + "0" * 32, choices=candidates[:1])
    assert nowhere == stranger
    await connection.execute("UPDATE bench_round SET closes_at = opens_at")
    assert await voting_api(ballots.CAST, viewer="judge", **chosen) == stranger
    await connection.execute("UPDATE bench_round SET closes_at = now() + interval '1 day'")
    assert await connection.fetchval("SELECT count(*) FROM bench_claim") == 1
    await voting.fold()
    await voting.fold()
    votes = await connection.fetch("SELECT candidate_id, votes FROM bench_tally WHERE votes > 0")
    assert {(global_id("contest_project", row["candidate_id"]), row["votes"]) for row in votes} == {
        (candidate, 1) for candidate in candidates[3:5]
    }
    (bumped,) = (await voting_api(sockets.BUMP, viewer="buyer", round=round_id)).values()
    assert bumped == {"tally": {"ballotCount": 2}, "userErrors": []}
    await connection.close()


async def test_what_follows_a_tally_is_in_the_contract(voting_api: Api) -> None:
    import schema  # noqa: PLC0415

    assert validate(schema.build()._schema, parse(sockets.FOLLOW)) == []


def test_moments_in_two_spellings_are_one() -> None:
    one, other = (
        orjson.dumps({"data": {"policy": {"publishedAt": text, "id": 1}}})
        for text in ("2026-01-01T00:00:00.120000+00:00", "2026-01-01T00:00:00.12+00:00")
    )
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(one.replace(b".12", b".13"))


def test_frames_come_whole_out_of_what_was_read_in_pieces() -> None:
    short, long = b"\x81\x02{}", b"\x81\x7e\x01\x00" + bytes(256)
    assert sockets.unpacked(short + long + short[:3]) == ([(1, b"{}"), (1, bytes(256))], short[:3])
    assert sockets.unpacked(b"\x89\x00") == ([(9, b"")], b"")
    assert sockets.unpacked(long[:3]) == ([], long[:3])


def test_a_client_masks_its_frames() -> None:
    assert sockets.frame(b"{}") == b"\x81\x82\0\0\0\0{}"
    assert sockets.frame(bytes(300))[:8] == b"\x81\xfe\x01\x2c\0\0\0\0"


@pytest.mark.parametrize(
    ("payload", "count"), [(b'{"ballotCount":17,"x":1}', 17), (b'{"ballotCount":17', None), (b"{}", None)]
)
def test_the_count_of_a_state_is_read_only_when_it_is_whole(payload: bytes, count: int | None) -> None:
    assert sockets.count_in(payload) == count


def window(per_second: int, *, server_us: float = 100.0, p99_ms: float = 9.0, p50_ms: float = 1.0) -> Window:
    return Window(Outcome(per_second, 0, 1.0, p50_ms, p99_ms, 4_000), server_us, 50.0, 0.01)


def comparison(**turns: Sequence[int]) -> Comparison:
    """Requests a second on W1, by contender and round."""
    return Comparison({(name, "W1"): [window(each) for each in windows] for name, windows in turns.items()})


def test_a_ratio_is_the_median_of_the_rounds_since_the_machine_itself_gets_faster_and_slower() -> None:
    told = comparison(ours=[100, 400, 900], limit=[100, 200, 300])
    assert told.ratio("ours", "limit", "W1") == 2.0
    assert told.ratio("ours", "mercurius", "W1") is None
    assert middle(told.windows["ours", "W1"]).outcome.per_second == 400


def test_what_misses_its_goal_is_bold() -> None:
    told = comparison(**{OURS.name: [150], MERCURIUS.name: [100], LIMIT.name: [200], CACHED.name: [700]})
    rows = {row[0]: row[1:] for row in tables.verdict(told)}
    assert rows["W1 one policy of 2,000 characters"] == ("1.50 (≥ 1)", "**0.75 (≥ 1)**", "100 µs (≤ 190)")
    assert rows["Cache hit, on W1"] == ("7.00 (≥ 3)", "3.50 (≥ 3)", "**100 µs (≤ 70)**")
    assert rows["W4 a ballot"] == ("–", "–", "–")


def test_followers_are_judged_where_they_are_most() -> None:
    told = [
        Fanout(CACHED.name, 200, window(2_000, server_us=99), 0, 0),
        Fanout(CACHED.name, 5_000, window(50_000, server_us=10, p99_ms=200), 0, 0),
        Fanout(MERCURIUS.name, 5_000, window(9_000, server_us=50), 7, 0),
    ]
    assert tables.fanned_out(told) == (
        "W5 5,000 sockets × 10 events a second",
        "5.00 (≥ 3) less CPU a message",
        "10 µs a message (≤ 15)",
        "**200 ms p99 (≤ 150)**",
    )


def test_what_takes_too_long_when_there_is_more_is_bold() -> None:
    told = [Grown("W1", factor, window(100, p50_ms=2.0 * times), times) for factor, times in ((1, 1.0), (100, 1.5))]
    lines = tables.grown(told).splitlines()[2:]
    assert [line.split(" | ")[1:4] for line in lines] == [["× 1", "2.00", "1.00"], ["× 100", "3.00", "**1.50**"]]


def test_who_comes_first_changes_from_turn_to_turn() -> None:
    assert [rotated("abc", turn) for turn in range(3)] == [["a", "b", "c"], ["a", "c", "b"], ["c", "a", "b"]]


def test_a_request_carries_its_token_and_its_name() -> None:
    wire = request("{ now }", name="W9", token="abc", after=None).wire
    assert b"\r\nauthorization: Bearer abc\r\n" in wire
    assert wire.endswith(b'{"query":"{ now }","operationName":"W9","variables":{"after":null}}')
    assert b"authorization" not in Request(b"{}").wire


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
async def test_wrk_tells_what_came_of_its_load(tmp_path: Path) -> None:
    file = wrk.write([request("{ a }"), request("{ b }", token="abc")], tmp_path / "requests")
    async with answering(GOOD) as port:
        outcome = await wrk.run(port, file, connections=2, seconds=1)
    assert outcome.failed == 0
    assert outcome.requests > 1
    assert len(GOOD) < outcome.answer_bytes < 200

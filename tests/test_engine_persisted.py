"""Apollo's automatic persisted queries, by GET and POST, and the Redis behind them."""

import hashlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from engine import RedisPersistedStore
from engine.persisted import TTL_SECONDS
from kit.local.host import free_port
from kit.local.redis import program
from tests.engine_harness import Served, make_engine

QUERY = '{ echo(text: "政策") }'
ANSWER = {"data": {"echo": "政策"}}
GRAPHQL_JSON = "application/graphql-response+json"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def extensions(text: str = QUERY, **changes: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha(text), **changes}}


async def post(served: Served, body: dict[str, Any], accept: str = "application/json") -> httpx.Response:
    async with served.client(accept=accept) as client:
        return await client.post("/graphql", json=body)


async def get(served: Served, accept: str = "*/*", **params: Any) -> httpx.Response:
    async with served.client(accept=accept) as client:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        return await client.get("/graphql", params=texts)


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), (GRAPHQL_JSON, 400)])
async def test_an_unknown_hash_is_told_as_clients_expect_and_never_cached(accept: str, status: int) -> None:
    for response in (
        await post(make_engine(), {"extensions": extensions()}, accept),
        await get(make_engine(), accept, extensions=extensions()),
    ):
        assert response.status_code == status
        assert response.headers["cache-control"] == "private, no-store"
        assert response.json()["errors"] == [
            {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
        ]


async def test_a_document_is_registered_once_and_then_run_by_its_hash() -> None:
    served = make_engine()
    assert (await post(served, {"query": QUERY, "extensions": extensions()})).json() == ANSWER
    assert (await post(served, {"extensions": extensions()})).json() == ANSWER
    assert (await get(served, extensions=extensions())).json() == ANSWER


async def test_a_document_can_be_registered_by_get() -> None:
    served = make_engine()
    assert (await get(served, "application/json", query=QUERY, extensions=extensions())).json() == ANSWER
    assert (await get(served, extensions=extensions())).json() == ANSWER


async def test_a_hash_takes_variables_and_an_operation_name() -> None:
    served = make_engine()
    text = "query A($t: String!) { echo(text: $t) } query B { context }"
    await post(served, {"query": text, "operationName": "B", "extensions": extensions(text)})
    response = await get(served, extensions=extensions(text), operationName="A", variables={"t": "x"})
    assert response.json() == {"data": {"echo": "x"}}


async def test_a_hash_in_capitals_is_the_same_hash() -> None:
    served = make_engine()
    await post(served, {"query": QUERY, "extensions": extensions()})
    assert (await post(served, {"extensions": extensions(sha256Hash=sha(QUERY).upper())})).json() == ANSWER


async def test_another_process_finds_it_in_the_store() -> None:
    first = make_engine()
    await post(first, {"query": QUERY, "extensions": extensions()})
    assert (await post(make_engine(persisted=first.store), {"extensions": extensions()})).json() == ANSWER


async def test_a_known_document_is_stored_once() -> None:
    served = make_engine()
    await post(served, {"query": QUERY, "extensions": extensions()})
    served.store.texts.clear()
    await post(served, {"query": QUERY, "extensions": extensions()})
    assert served.store.texts == {}


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL_JSON])
async def test_a_wrong_hash_beside_a_query_is_refused_and_the_query_does_not_run(accept: str) -> None:
    served = make_engine()
    response = await post(served, {"query": QUERY, "extensions": extensions("{ context }")}, accept)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert served.infos == []
    assert served.store.texts == {}


@pytest.mark.parametrize(
    "persisted",
    [
        {"version": 2, "sha256Hash": sha(QUERY)},
        {"version": "1", "sha256Hash": sha(QUERY)},
        {"version": True, "sha256Hash": sha(QUERY)},
        {"version": 1.0, "sha256Hash": sha(QUERY)},
        {"sha256Hash": sha(QUERY)},
        {"version": 1},
        {"version": 1, "sha256Hash": 5},
        {"version": 1, "sha256Hash": "short"},
        {"version": 1, "sha256Hash": "g" * 64},
        {"version": 1, "sha256Hash": sha(QUERY) + "\n"},
        [],
        "text",
        1,
        False,
    ],
)
@pytest.mark.parametrize("query", [None, QUERY])
async def test_other_versions_and_malformed_hashes_are_refused(persisted: Any, query: str | None) -> None:
    served = make_engine()
    response = await post(served, {"query": query, "extensions": {"persistedQuery": persisted}})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert served.infos == []


@pytest.mark.parametrize("text", ["{", "{ missing }", "query A { echo } query A { echo }"])
async def test_an_invalid_document_is_not_kept(text: str) -> None:
    served = make_engine()
    await post(served, {"query": text, "extensions": extensions(text)})
    assert served.store.texts == {}
    response = await post(served, {"extensions": extensions(text)})
    assert response.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_store_that_returns_another_text_is_not_believed() -> None:
    served = make_engine()
    served.store.texts[sha(QUERY)] = "mutation { touch { id } }"
    response = await post(served, {"extensions": extensions()})
    assert response.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_mutation_by_its_hash_still_needs_post() -> None:
    served = make_engine()
    text = "mutation { touch { id } }"
    await post(served, {"query": text, "extensions": extensions(text)})
    assert (await get(served, extensions=extensions(text))).status_code == 405
    assert (await post(served, {"extensions": extensions(text)})).json() == {"data": {"touch": {"id": "1"}}}


async def test_a_hash_from_a_foreign_page_is_refused() -> None:
    served = make_engine()
    await post(served, {"query": QUERY, "extensions": extensions()})
    async with served.client(**{"sec-fetch-site": "cross-site"}) as client:
        response = await client.get("/graphql", params={"extensions": json.dumps(extensions())})
    assert response.status_code == 400


# Redis


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    server = program()
    if server is None:
        pytest.skip("no redis-server here")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    arguments = [str(server), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, cwd=folder) as process:
        yield port
        process.terminate()


@pytest.fixture
async def redis(redis_port: int) -> AsyncIterator[Redis]:
    patience = Retry(ConstantBackoff(0.05), 100)
    async with Redis(port=redis_port, retry=patience, retry_on_error=[RedisConnectionError]) as client:
        await client.flushall()
        yield client


async def test_redis_keeps_a_document_for_thirty_days_after_its_last_use(redis: Redis) -> None:
    store = RedisPersistedStore(redis, prefix="t:")
    await store.put("k", QUERY)
    assert await redis.ttl("t:k") == TTL_SECONDS == 2_592_000
    await redis.expire("t:k", 60)
    assert await store.get("k") == QUERY
    assert await redis.ttl("t:k") == TTL_SECONDS
    assert await store.get("other") is None


async def test_processes_share_documents_through_redis(redis: Redis) -> None:
    await post(make_engine(persisted=RedisPersistedStore(redis)), {"query": QUERY, "extensions": extensions()})
    response = await post(make_engine(persisted=RedisPersistedStore(redis)), {"extensions": extensions()})
    assert response.json() == ANSWER


async def test_a_redis_that_is_down_is_a_miss_and_never_an_error() -> None:
    async with Redis(port=free_port(), socket_connect_timeout=1) as nobody:
        served = make_engine(persisted=RedisPersistedStore(nobody))
        with capture_logs() as logs:
            missed = await post(served, {"extensions": extensions()})
            registered = await post(served, {"query": QUERY, "extensions": extensions()})
            found = await post(served, {"extensions": extensions()})
    assert missed.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert (registered.json(), found.json()) == (ANSWER, ANSWER)
    assert [entry["log_level"] for entry in logs] == ["warning", "warning"]

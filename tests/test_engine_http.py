"""GraphQL over HTTP as its specification has it: media types, status codes, parameters, GET."""

import json
from typing import Any

import pytest

from tests.engine_harness import GRAPHQL_JSON, JSON, SIMPLE, code, get, make_engine, post

# Media types


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON},{JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_JSON};q=0, */*;q=0.1", JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-16, {JSON}", JSON),
        ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json", JSON),
        ("multipart/mixed;deferSpec=20220824,application/json", JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
    ],
)
async def test_the_answer_has_the_media_type_that_the_client_prefers(accept: str, answered: str) -> None:
    response = await post(SIMPLE, accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{answered}; charset=utf-8"
    assert response.json() == {"data": {"echo": "你好"}}


async def test_without_an_accept_header_the_answer_is_plain_json() -> None:
    async with make_engine().client() as client:
        del client.headers["accept"]
        response = await client.post("/graphql", json=SIMPLE)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json; charset=utf-8")


async def test_an_accept_header_may_come_in_parts_and_of_any_other_the_first_counts() -> None:
    async with make_engine().client() as client:
        client.headers.clear()
        fields = [
            ("content-type", JSON),
            ("accept", "text/html;q=0.9"),
            ("x-request-id", "first"),
            ("accept", GRAPHQL_JSON),
            ("x-request-id", "second"),
            ("content-type", "text/plain"),
        ]
        response = await client.post("/graphql", content=json.dumps(SIMPLE), headers=fields)
    assert response.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
    assert response.headers["x-request-id"] == "first"


async def test_an_answer_has_these_headers_and_no_others() -> None:
    response = await post(SIMPLE, accept=JSON, x_request_id="r1")
    assert dict(response.headers) == {
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "vary": "Accept, Origin",
        "x-request-id": "r1",
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(response.content)),
    }


async def test_a_header_of_any_length_is_understood() -> None:
    """Meanings of short ones are remembered, of long ones not."""
    for _ in range(2):
        response = await post(SIMPLE, accept=", ".join(["text/plain"] * 100 + [GRAPHQL_JSON]))
        assert response.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
        response = await post(SIMPLE, content_type=f"{JSON}; x={'y' * 1000}; charset=latin1")
        assert response.status_code == 415


@pytest.mark.parametrize("accept", ["text/plain", "image/png, text/html", f"{JSON};q=0", "multipart/mixed", "nonsense"])
async def test_a_client_that_accepts_nothing_of_ours_gets_406(accept: str) -> None:
    response = await post(SIMPLE, accept=accept)
    assert response.status_code == 406
    assert code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON, "*/*"])
async def test_a_subscription_without_a_streaming_media_type_gets_406(accept: str) -> None:
    response = await post({"query": "subscription { count }"}, accept=accept)
    assert response.status_code == 406
    assert "text/event-stream" in response.json()["errors"][0]["message"]


# Status codes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ 8f31403dfe404bccbb0e835f2629c6a7 }"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ noSuchField }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query ($v: Int!) { number(value: $v) }", "variables": {"v": None}}, "BAD_USER_INPUT"),
        ({"query": "query ($v: Int!) { number(value: $v) }", "variables": {"v": "x"}}, "BAD_USER_INPUT"),
        ({"query": "query A { echo } query B { echo }"}, "BAD_USER_INPUT"),
        ({"query": "query A { echo }", "operationName": "B"}, "BAD_USER_INPUT"),
        ({"query": "{ product " + "{ parent " * 12 + "{ id } " + "}" * 12 + " }"}, "COST_EXCEEDED"),
    ],
)
async def test_a_request_error_is_400_without_data_except_in_legacy_json(body: dict[str, Any], expected: str) -> None:
    modern = await post(body, accept=GRAPHQL_JSON)
    legacy = await post(body, accept=JSON)
    assert (modern.status_code, legacy.status_code) == (400, 200)
    for response in (modern, legacy):
        assert code(response) == expected
        assert "data" not in response.json()


async def test_a_partial_result_is_200_with_data_and_errors() -> None:
    response = await post({"query": "{ echo busy }"}, accept=GRAPHQL_JSON)
    assert response.status_code == 200
    assert response.json()["data"] == {"echo": "", "busy": None}
    assert code(response) == "RATE_LIMITED"


async def test_a_mutation_by_get_gets_405_and_is_not_run() -> None:
    served = make_engine()
    async with served.client(accept=GRAPHQL_JSON) as client:
        response = await client.get("/graphql", params={"query": "mutation { touch { id } }"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert served.infos == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "TRACE", "QUERY"])
async def test_other_methods_get_405_and_hear_which_are_allowed(method: str) -> None:
    async with make_engine().client() as client:
        response = await client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST, OPTIONS")


# Parameters


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"obj": "ect"}},
        {"query": 0},
        {"query": False},
        {"query": ["array"]},
        {"query": None},
        {},
        {"qeury": "{ echo }"},
        {"query": "{ echo }", "operationName": 0},
        {"query": "{ echo }", "operationName": ["x"]},
        {"query": "{ echo }", "variables": "text"},
        {"query": "{ echo }", "variables": [1]},
        {"query": "{ echo }", "extensions": "text"},
        {"query": "{ echo }", "extensions": 0},
        "text",
        5,
        None,
        True,
        [],
        [{"query": "{ echo }"}],
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_parameters_of_the_wrong_type_get_400(body: Any, accept: str) -> None:
    response = await post(body, accept=accept)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


async def test_batches_are_refused_in_words() -> None:
    response = await post([{"query": "{ echo }"}] * 10)
    assert response.json()["errors"][0]["message"] == "Batches are not supported (不支持批量请求)"


@pytest.mark.parametrize("name", ["variables", "operationName", "extensions"])
async def test_null_means_that_a_parameter_is_absent(name: str) -> None:
    response = await post({"query": "{ echo }", name: None}, accept=GRAPHQL_JSON)
    assert (response.status_code, response.json()) == (200, {"data": {"echo": ""}})


# GET


async def test_a_query_by_get_with_json_variables() -> None:
    params = {"query": "query Q($t: String!) { echo(text: $t) }", "variables": '{"t": "政策"}', "operationName": "Q"}
    response = await get(params, accept=GRAPHQL_JSON)
    assert (response.status_code, response.json()) == (200, {"data": {"echo": "政策"}})


@pytest.mark.parametrize(
    "params",
    [
        "query={echo}&variables=[1]",
        "query={echo}&variables=nonsense",
        "query={echo}&variables=%22text%22",
        "query={echo}&extensions=5",
        "query=%ff%fe",
        "query={echo}&query={context}",
        "variables={}",
        "",
        "query={echo(text:%22%ED%A0%80%22)}",
        "query={echo}" + "".join(f"&p{number}=1" for number in range(50)),
    ],
)
async def test_wrong_parameters_by_get_get_400(params: str) -> None:
    response = await get(params, accept=JSON)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


async def test_an_empty_parameter_by_get_is_absent() -> None:
    response = await get("query={echo}&variables=&extensions=&operationName=", accept=JSON)
    assert response.json() == {"data": {"echo": ""}}


# Reports


async def test_each_finished_operation_is_reported_once() -> None:
    served = make_engine()
    async with served.client() as client:
        await client.post(
            "/graphql", json={"query": "query Named { echo busy }"}, headers={"authorization": "Bearer user"}
        )
        await client.post("/graphql", json={"query": "{"}, headers={"x-request-id": "r1"})
    good, bad = served.finished
    assert (good.name, good.kind, good.codes, good.transport) == ("Named", "query", ("RATE_LIMITED",), "http")
    assert good.viewer_id is not None
    assert good.seconds > 0
    assert (bad.name, bad.kind, bad.codes, bad.request_id) == (None, None, ("GRAPHQL_PARSE_FAILED",), "r1")

"""GraphQL over HTTP as its specification has it, and what a careless or hostile client may send instead."""

import json
import socket
from typing import Any

import httpx
import pytest

from engine import Limits
from tests.engine_harness import make_engine, serving

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
SIMPLE = {"query": '{ echo(text: "你好") }'}


async def post(body: Any, engine_options: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    async with make_engine(**(engine_options or {})).client() as client:
        sent = {"content-type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post("/graphql", content=content, headers=sent)


async def get(
    params: dict[str, str] | str = "", engine_options: dict[str, Any] | None = None, **headers: str
) -> httpx.Response:
    async with make_engine(**(engine_options or {})).client() as client:
        client.headers.clear()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = "/graphql" if isinstance(params, dict) else f"/graphql?{params}"
        return await client.get(
            url, params=params if isinstance(params, dict) else None, headers={"host": "esc.test", **sent}
        )


def code(response: httpx.Response) -> str:
    """The one error's code."""
    (error,) = response.json()["errors"]
    return str(error["extensions"]["code"])


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
        {"query": {"obj": "ect"}}, {"query": 0}, {"query": False}, {"query": ["array"]}, {"query": None}, {},
        {"qeury": "{ echo }"}, {"query": "{ echo }", "operationName": 0}, {"query": "{ echo }", "operationName": ["x"]},
        {"query": "{ echo }", "variables": "text"}, {"query": "{ echo }", "variables": [1]},
        {"query": "{ echo }", "extensions": "text"}, {"query": "{ echo }", "extensions": 0},
        "text", 5, None, True, [], [{"query": "{ echo }"}],
    ],
)  # fmt: skip
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


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{\"query\": \"{ echo }\"", b"{\"query\": NaN}", b"{\"query\": \"{ echo }\", \"variables\": {\"v\": Infinity}}",
        b"{'query': 1}", json.dumps(SIMPLE).encode("utf-16"), b"\xef\xbb\xbf" + json.dumps(SIMPLE).encode(),
        b"{\"query\": \"{ echo(text: \\\"\xff\xfe\\\") }\"}", b"\xff\xfe\x00", b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"{\"query\": \"{ echo }\", \"variables\": {\"v\": " + b"9" * 100_000 + b"}}",
        b"{\"query\": \"{ echo }\", \"variables\": {\"v\": 1e999}}",
        b"[" * 100_000, b"{\"query\": \"{ echo }\", \"variables\": {\"v\": " + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"{\"query\": \"{ echo(text: \\\"\\ud800\\\") }\"}", b"{\"query\": \"{ echo }\", \"operationName\": \"\\udfff\"}",
        b"{\"query\": \"{ echo }\", \"variables\": {\"v\": \"\\ud800\"}}",
        b"{\"query\": \"{ echo }\", \"variables\": {\"v\": \"\\u0000\"}}", b"{\"query\": \"{ echo }\", \"variables\": {\"\\u0000\": 1}}",
        b"{\"query\": \"{ echo(text: \\\"\\u0000\\\") }\"}", b"{\"query\": \"{ echo(text: \\\"\\\\u0000\\\") }\"}",
    ],
)  # fmt: skip
async def test_a_body_that_is_not_strict_json_gets_400_and_never_500(body: bytes) -> None:
    response = await post(body)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


async def test_variables_nested_a_thousand_deep_get_an_error_and_never_500() -> None:
    nested = b"[" * 1000 + b"]" * 1000
    body = (
        b'{"query": "query ($f: Filter) { products(filter: $f) { totalCount } }", "variables": {"f": {"sizes": '
        + nested
        + b"}}}"
    )
    response = await post(body)
    assert response.status_code == 200
    assert code(response) == "BAD_USER_INPUT"


async def test_a_long_value_is_not_echoed_whole() -> None:
    response = await post({"query": "{ number(value: [" + "1 " * 1500 + "]) }"})
    assert len(response.json()["errors"][0]["message"]) <= 400


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "application/graphql", "",
     "application/json; charset=utf-16", "application/json; charset=latin1", "application/json; charset=nonsense", GRAPHQL_JSON],
)  # fmt: skip
async def test_a_body_in_another_content_type_or_charset_gets_415(content_type: str) -> None:
    response = await post(SIMPLE, content_type=content_type)
    assert response.status_code == 415


async def test_a_preflight_header_does_not_open_other_content_types() -> None:
    response = await post(
        b"query=%7Becho%7D", content_type="application/x-www-form-urlencoded", apollo_require_preflight="1"
    )
    assert response.status_code == 415


@pytest.mark.parametrize(
    "content_type", ["application/json", "APPLICATION/JSON; Charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_json_in_utf8_is_welcome_however_it_is_spelt(content_type: str) -> None:
    assert (await post(SIMPLE, content_type=content_type)).json() == {"data": {"echo": "你好"}}


async def test_a_compressed_body_gets_415() -> None:
    response = await post(b"\x1f\x8b\x08\x00", content_encoding="gzip")
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")


# Bodies that do not end


async def test_a_body_of_more_than_one_mebibyte_gets_413() -> None:
    response = await post({"query": "{ echo }", "variables": {"x": "a" * (1 << 20)}})
    assert (response.status_code, response.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("announced", [True, False])
async def test_ten_megabytes_get_413_over_the_wire_with_and_without_a_length(*, announced: bool) -> None:
    async def chunks() -> Any:
        for _ in range(160):
            yield b"a" * 65_536

    content = b"a" * 10_485_760 if announced else chunks()
    with serving(make_engine().app) as address:
        async with httpx.AsyncClient() as client:
            response = await client.post(f"http://{address}/graphql", content=content, headers={"content-type": JSON})
    assert response.status_code == 413


async def test_a_body_without_end_is_cut_off() -> None:
    with serving(make_engine().app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(
                b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                for _ in range(10_000):
                    raw.sendall(b"10000\r\n" + b"a" * 65_536 + b"\r\n")


async def test_a_long_body_that_waits_for_100_continue_is_refused_before_it_is_sent() -> None:
    with serving(make_engine().app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(
                b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
            )
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_stays_half_sent_gets_408() -> None:
    with serving(make_engine(limits=Limits(body_seconds=0.3)).app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(
                b'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"que'
            )
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"BAD_USER_INPUT" in answer


async def test_a_client_that_leaves_before_its_body_ends_leaves_the_server_well() -> None:
    with serving(make_engine().app) as address:
        host, port = address.split(":")
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=10) as raw:
                raw.sendall(
                    b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
                )
        async with httpx.AsyncClient() as client:
            response = await client.post(f"http://{address}/graphql", json=SIMPLE)
    assert response.json() == {"data": {"echo": "你好"}}


# GET


async def test_a_query_by_get_with_json_variables() -> None:
    params = {"query": "query Q($t: String!) { echo(text: $t) }", "variables": '{"t": "政策"}', "operationName": "Q"}
    response = await get(params, accept=GRAPHQL_JSON)
    assert (response.status_code, response.json()) == (200, {"data": {"echo": "政策"}})


@pytest.mark.parametrize(
    "params",
    [
        "query={echo}&variables=[1]", "query={echo}&variables=nonsense", "query={echo}&variables=%22text%22",
        "query={echo}&extensions=5", "query=%ff%fe", "query={echo}&query={context}", "variables={}", "",
        "query={echo(text:%22%ED%A0%80%22)}", "query={echo}" + "".join(f"&p{number}=1" for number in range(50)),
    ],
)  # fmt: skip
async def test_wrong_parameters_by_get_get_400(params: str) -> None:
    response = await get(params, accept=JSON)
    assert response.status_code == 400
    assert code(response) == "BAD_USER_INPUT"


async def test_an_empty_parameter_by_get_is_absent() -> None:
    response = await get("query={echo}&variables=&extensions=&operationName=", accept=JSON)
    assert response.json() == {"data": {"echo": ""}}


# Forged requests (CSRF) and CORS


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "*/*"},
        {"accept": "image/webp,*/*;q=0.8", "sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"accept": "*/*", "sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"},
        {"accept": "*/*", "sec_fetch_mode": "navigate"},
        {"accept": JSON, "sec_fetch_site": "cross-site"},
        {"accept": JSON, "origin": "https://evil.example"},
        {"accept": JSON, "origin": "null"},
        {"accept": "*/*", "content_type": "text/plain"},
    ],
)
async def test_a_get_that_a_foreign_page_could_cause_gets_400(headers: dict[str, str]) -> None:
    response = await get({"query": "{ echo }"}, **headers)
    assert response.status_code == 400
    assert "apollo-require-preflight" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "*/*", "apollo_require_preflight": "true"},
        {"accept": "*/*", "x_apollo_operation_name": "Q"},
        {"accept": "*/*", "graphql_require_preflight": "1"},
        {"accept": "*/*", "content_type": "application/json"},
        {"accept": "*/*", "sec_fetch_mode": "cors"},
        {"accept": "*/*", "sec_fetch_site": "same-origin"},
        {"accept": "*/*", "origin": "https://esc.test", "sec_fetch_mode": "cors"},
        {"accept": "*/*", "origin": "https://portal.example", "sec_fetch_mode": "cors", "sec_fetch_site": "cross-site"},
        {"accept": JSON},
    ],
)
async def test_a_get_that_no_foreign_page_can_cause_is_served(headers: dict[str, Any]) -> None:
    response = await get({"query": "{ echo }"}, {"allowed_origins": ["https://portal.example/"]}, **headers)
    assert (response.status_code, response.json()) == (200, {"data": {"echo": ""}})


async def test_cors_is_closed_to_foreign_origins() -> None:
    response = await post(SIMPLE, origin="https://evil.example")
    assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_cors_is_open_without_credentials_to_an_origin_on_the_list() -> None:
    response = await post(SIMPLE, {"allowed_origins": ["https://portal.example"]}, origin="https://portal.example")
    assert response.headers["access-control-allow-origin"] == "https://portal.example"
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Accept, Origin"


@pytest.mark.parametrize(("origin", "granted"), [("https://portal.example", True), ("https://evil.example", False)])
async def test_a_preflight_is_answered_but_grants_only_origins_on_the_list(origin: str, *, granted: bool) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    async with make_engine(allowed_origins=["https://portal.example"]).client() as client:
        response = await client.options("/graphql", headers=asked)
    assert response.status_code == 204
    assert response.headers["allow"] == "GET, POST, OPTIONS"
    assert ("access-control-allow-headers" in response.headers) is granted
    assert response.content == b""


# Headers of every answer, identity, the page


@pytest.mark.parametrize("body", [SIMPLE, {"query": "{"}, [], b"{"])
async def test_every_answer_forbids_sniffing_and_storing(body: Any) -> None:
    response = await post(body)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert len(response.headers["x-request-id"]) == 32


@pytest.mark.parametrize(("sent", "kept"), [("abc-123.x", True), ("a b", False), ("x" * 65, False), ('a"b', False)])
async def test_a_request_id_is_echoed_if_it_is_fit_for_logs(sent: str, *, kept: bool) -> None:
    response = await post(SIMPLE, x_request_id=sent)
    assert (response.headers["x-request-id"] == sent) is kept


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Bearer ", "Bearer", "Basic dXNlcjpwYXNz", "user"])
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_a_bad_token_gets_401_whatever_the_media_type(authorization: str, accept: str) -> None:
    response = await post(SIMPLE, authorization=authorization, accept=accept)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert code(response) == "UNAUTHENTICATED"


async def test_a_good_token_names_the_viewer() -> None:
    response = await post({"query": "{ mine }"}, authorization="bearer user")
    assert response.json() == {"data": {"mine": "yours"}}


async def test_a_failing_authenticator_gets_500_with_an_id_and_no_text() -> None:
    async def authenticate(_: str | None) -> Any:
        raise RuntimeError("database password")

    response = await post(SIMPLE, {"authenticate": authenticate})
    assert response.status_code == 500
    assert code(response) == "INTERNAL"
    assert "password" not in response.text


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def test_a_browser_finds_the_page_in_development() -> None:
    response = await get("", {"ide": lambda: b"<html>GraphiQL</html>"}, accept=BROWSER, sec_fetch_site="cross-site")
    assert (response.status_code, response.text) == (200, "<html>GraphiQL</html>")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"


async def test_a_browser_is_told_to_wait_while_the_page_is_being_built() -> None:
    response = await get("", {"ide": lambda: None}, accept=BROWSER)
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert "正在构建" in response.text


@pytest.mark.parametrize(("token", "status"), [(None, 404), ("user", 404), ("admin", 200)])
async def test_hardened_the_page_is_for_administrators_only(token: str | None, status: int) -> None:
    sent: dict[str, Any] = {"authorization": f"Bearer {token}"} if token else {}
    response = await get("", {"ide": lambda: b"page", "hardened": True}, accept=BROWSER, **sent)
    assert response.status_code == status
    assert response.headers["content-type"] == (
        "text/html; charset=utf-8" if status == 200 else "application/json; charset=utf-8"
    )


async def test_without_a_page_a_browser_gets_404_in_json() -> None:
    response = await get("", accept=BROWSER)
    assert (response.status_code, code(response)) == (404, "BAD_USER_INPUT")


async def test_a_browser_that_brings_a_query_gets_its_answer() -> None:
    response = await get({"query": "{ echo }"}, {"ide": lambda: b"page"}, accept=BROWSER, sec_fetch_site="same-origin")
    assert response.json() == {"data": {"echo": ""}}


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

"""What browsers bring: forged requests, other origins, the page at `/graphql`; and what every answer carries."""

from typing import Any

import pytest

from tests.engine_harness import GRAPHQL_JSON, JSON, SIMPLE, code, get, make_engine, post

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
        {"accept": JSON, "origin": "http://[::1"},
        {"accept": "*/*", "content_type": "text/plain"},
    ],
)
async def test_a_get_that_a_foreign_page_could_cause_gets_400(headers: dict[str, Any]) -> None:
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
    policy = response.headers["content-security-policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", "script-src 'self'"]
    assert policy[-1] == "frame-ancestors 'none'"


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

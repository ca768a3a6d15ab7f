"""Bodies that a careless or hostile client may send: no JSON, another charset, too long, never whole."""

import json
import socket
from typing import Any

import httpx
import pytest

from engine import Limits
from tests.engine_harness import GRAPHQL_JSON, JSON, SIMPLE, code, make_engine, post, serving

HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"query": "{ echo }"',
        b'{"query": NaN}',
        b'{"query": "{ echo }", "variables": {"v": Infinity}}',
        b"{'query': 1}",
        json.dumps(SIMPLE).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(SIMPLE).encode(),
        b'{"query": "{ echo(text: \\"\xff\xfe\\") }"}',
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b'{"query": "{ echo }", "variables": {"v": ' + b"9" * 100_000 + b"}}",
        b'{"query": "{ echo }", "variables": {"v": 1e999}}',
        b"[" * 100_000,
        b'{"query": "{ echo }", "variables": {"v": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"query": "{ echo(text: \\"\\ud800\\") }"}',
        b'{"query": "{ echo }", "operationName": "\\udfff"}',
        b'{"query": "{ echo }", "variables": {"v": "\\ud800"}}',
        b'{"query": "{ echo }", "variables": {"v": "\\u0000"}}',
        b'{"query": "{ echo }", "variables": {"\\u0000": 1}}',
        b'{"query": "{ echo(text: \\"\\u0000\\") }"}',
        b'{"query": "{ echo(text: \\"\\\\u0000\\") }"}',
        b'{"query": "{ echo(text: \\"\\\\u{000}\\") }"}',
        b'{"query": "{ echo(text: \\"\\u005c\\u00750000\\") }"}',
        b'{"query": "{ echo }", "variables": {"v": [[{"w": ["\\u0000"]}]]}}',
        b'{"query": "{ echo }", "variables": {"v": [[{"\\u0000": 1}]]}}',
    ],
)
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


BY_IDS = "query ($ids: [ID!]!) { byIds(ids: $ids) { id } }"


@pytest.mark.parametrize("variables", [{"ids": ["1"] * 1001}, {"other": {"deep": [{"ids": ["1"] * 1001}]}}])
async def test_a_list_of_more_than_a_thousand_items_is_refused_by_its_name(variables: dict[str, Any]) -> None:
    response = await post({"query": BY_IDS, "variables": variables}, accept=GRAPHQL_JSON)
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "message": "ids: at most 1000 items in a list (ids：列表最多 1000 项)",
            "extensions": {"code": "COST_EXCEEDED", "limit": "items", "max": 1000, "value": 1001},
        }
    ]


async def test_a_thousand_items_and_escaped_texts_are_welcome() -> None:
    response = await post({"query": BY_IDS, "variables": {"ids": ["企"] * 1000}})
    assert len(response.json()["data"]["byIds"]) == 1000
    response = await post(b'{"query": "{ echo(text: \\"\\u4f01 \\\\u4f01 \\\\\\\\u0041\\") }"}')
    assert response.json() == {"data": {"echo": "企 企 \\u0041"}}


async def test_a_long_value_is_not_echoed_whole() -> None:
    response = await post({"query": "{ number(value: [" + "1 " * 1500 + "]) }"})
    assert len(response.json()["errors"][0]["message"]) <= 400


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/graphql",
        "",
        "application/json; charset=utf-16",
        "application/json; charset=latin1",
        "application/json; charset=nonsense",
        GRAPHQL_JSON,
    ],
)
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


def flood(raw: socket.socket) -> None:
    """Sends 655 megabytes in chunks, if it is let."""
    for _ in range(10_000):
        raw.sendall(b"10000\r\n" + b"a" * 65_536 + b"\r\n")


async def test_a_body_without_end_is_cut_off() -> None:
    with serving(make_engine().app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                flood(raw)


async def test_a_long_body_that_waits_for_100_continue_is_refused_before_it_is_sent() -> None:
    with serving(make_engine().app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(HEAD + b"Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n")
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_stays_half_sent_gets_408() -> None:
    with serving(make_engine(limits=Limits(body_seconds=0.3)).app) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(HEAD + b'Content-Length: 500\r\n\r\n{"que')
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"BAD_USER_INPUT" in answer


async def test_a_client_that_leaves_before_its_body_ends_leaves_the_server_well() -> None:
    with serving(make_engine().app) as address:
        host, port = address.split(":")
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=10) as raw:
                raw.sendall(HEAD + b"Content-Length: 500\r\n\r\n{")
        async with httpx.AsyncClient() as client:
            response = await client.post(f"http://{address}/graphql", json=SIMPLE)
    assert response.json() == {"data": {"echo": "你好"}}

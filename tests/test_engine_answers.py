"""Whole answers under uvicorn's own connection and under ours: the same on the wire, in one piece."""

import json
import re
import socket
import time
from collections.abc import Iterator

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engine.answers import AnswerProtocol
from kit import metrics
from tests.engine_harness import make_engine, serving

QUERY = {"query": '{ echo(text: "政策") }'}
LONG = {"query": "query ($t: String!) { echo(text: $t) }", "variables": {"t": "企" * 100_000}}
VARYING = re.compile(rb"(date|x-request-id): [^\r]*\r\n")


@pytest.fixture(params=[HttpToolsProtocol, AnswerProtocol], ids=["uvicorn", "ours"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(metrics.counted(make_engine().app), http=request.param) as address:
        yield address


def connection(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def request(body: object, *fields: str, method: str = "POST") -> bytes:
    content = json.dumps(body).encode()
    head = "\r\n".join((f"{method} /graphql HTTP/1.1", "host: x", "content-type: application/json", *fields))
    return f"{head}\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content


def exchange(address: str, sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    with connection(address) as raw:
        raw.sendall(sent)
        return b"".join(iter(lambda: raw.recv(65_536), b""))


def test_an_answer_has_every_header_once(address: str) -> None:
    answer = exchange(address, request(QUERY, "connection: close", "x-request-id: r1"))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    named = dict(field.split(": ", 1) for field in fields)
    assert status == "HTTP/1.1 200 OK"
    assert body == '{"data":{"echo":"政策"}}'.encode()
    assert len(named) == len(fields)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", named.pop("date"))
    assert named == {
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "vary": "Accept, Origin",
        "x-request-id": "r1",
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(body)),
        "connection": "close",
        "server": "uvicorn",
    }


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request({"query": "{"}, "accept: application/graphql-response+json"), 400),
        (request(QUERY, "authorization: Bearer nonsense"), 401),
        (request(QUERY, "accept: image/png"), 406),
        (request(QUERY, method="PUT"), 405),
        (request({"query": "{ echo }", "variables": {"x": "a" * (1 << 20)}}), 413),
        (request(QUERY, "origin: https://evil.example"), 200),
    ],
)
def test_refusals_are_answered_on_a_connection_that_goes_on_unless_they_close_it(
    address: str, sent: bytes, status: int
) -> None:
    answers = exchange(address, sent + request(QUERY, "connection: close"))
    statuses = [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
    assert statuses == ([status] if status == 413 else [status, 200])


def test_requests_sent_together_are_answered_in_their_order(address: str) -> None:
    sent = [request({"query": f'{{ echo(text: "{number}") }}'}) for number in range(20)]
    answers = exchange(address, b"".join(sent) + request({"query": '{ echo(text: "20") }'}, "connection: close"))
    assert re.findall(rb'"echo":"(\d+)"', answers) == [str(number).encode() for number in range(21)]


def test_a_client_that_reads_late_gets_all_of_a_long_answer(address: str) -> None:
    sent = request(LONG) * 3 + request(LONG, "connection: close")
    with connection(address) as raw:
        raw.sendall(sent)
        time.sleep(0.3)
        answers = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert answers.count(b'"}}') == 4
    assert answers.count("企".encode()) == 400_000


def test_a_head_request_gets_no_body(address: str) -> None:
    answer = exchange(address, b"HEAD /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")


def test_each_answer_is_counted_once(address: str) -> None:
    def counted() -> float:
        return metrics.REGISTRY.get_sample_value("esc_http_requests_total", {"method": "POST", "status": "200"}) or 0

    before = counted()
    exchange(address, request(QUERY) * 3 + request(QUERY, "connection: close"))
    assert counted() == before + 4


def test_both_write_the_same_bytes() -> None:
    answers = []
    for protocol in (HttpToolsProtocol, AnswerProtocol):
        with serving(make_engine().app, http=protocol) as address:
            answers.append(VARYING.sub(b"", exchange(address, request(QUERY) + request(QUERY, "connection: close"))))
    assert answers[0] == answers[1]
    assert answers[0].count(b"HTTP/1.1 200 OK") == 2

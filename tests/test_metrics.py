"""What Prometheus reads."""

import json
import logging

import pytest

from kit import log, metrics
from kit.settings import settings
from tests.conftest import Api
from tests.engine_harness import until
from tests.live import client, served


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def test_answers_are_counted_by_status_and_sockets_while_they_are_open() -> None:
    async def app(scope: metrics.Message, _receive: metrics.Receive, send: metrics.Send) -> None:
        if scope["type"] == "websocket":
            assert value("esc_open_sockets") == 1
        else:
            await send({"type": "http.response.start", "status": 404})

    async def send(_message: metrics.Message) -> None:
        pass

    async def receive() -> metrics.Message:
        return {}

    before = value("esc_http_requests_total", method="GET", status="404")
    for scope in ({"type": "http", "method": "GET"}, {"type": "websocket"}, {"type": "lifespan"}):
        await metrics.counted(app)(scope, receive, send)
    assert value("esc_http_requests_total", method="GET", status="404") == before + 1
    assert value("esc_open_sockets") == 0
    await metrics.counted(app)({"type": "http", "method": "G" * 999}, receive, send)
    assert value("esc_http_requests_total", method="(other)", status="404") == 1


def test_operation_names_are_bounded_whatever_clients_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_names", set())
    nameless = value("esc_operation_seconds_count", operation="(anonymous)", kind="(unread)")
    others = value("esc_operation_seconds_count", operation="(other)", kind="query")
    metrics.observe_operation("Broken", "query", 0.1, ["ACCESS_DENIED"])
    for number in range(300):
        metrics.observe_operation(f"Q{number}", "query", 0.1, [])
    metrics.observe_operation(None, None, 0.1, [])
    assert value("esc_operation_seconds_count", operation="Q199", kind="query") == 1
    assert value("esc_operation_seconds_count", operation="Q200", kind="query") == 0
    assert value("esc_operation_seconds_count", operation="(other)", kind="query") == others + 101
    assert value("esc_operation_seconds_count", operation="(anonymous)", kind="(unread)") == nameless + 1
    assert value("esc_errors_total", code="ACCESS_DENIED") >= 1


async def test_two_who_share_a_run_are_two_operations_and_the_run_has_a_line_of_its_own(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "log_format", "json")
    log.configure(settings)

    def counted() -> float:
        return value("esc_operation_seconds_count", operation="SharedClock", kind="subscription")

    async with served(api.client._transport.app) as where:  # type: ignore[attr-defined]
        async with client(where) as first, client(where) as second:
            for each in (first, second):
                await each.subscribe("subscription SharedClock { serverTime }")
                await each.next()
        await until(lambda: counted() == 2)
    for handler in logging.getLogger().handlers:
        handler.flush()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"SharedClock"' in line]
    members = [line.pop("members", None) for line in lines]
    assert sorted(members, key=str) == [1, 2, None, None]
    assert {(line["viewer_id"], line["transport"], *line["codes"]) for line in lines} == {(None, "websocket")}
    assert len({line["request_id"] for line in lines}) == 4


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_the_page_has_the_named_metrics(accept: str) -> None:
    page, content_type = metrics.render(accept)
    names = (
        "http_requests",
        "errors",
        "operation_seconds",
        "sql_statements",
        "open_sockets",
        "queue_depth",
        "search_degraded",
    )
    assert [name for name in names if f"esc_{name}".encode() not in page] == []
    assert content_type.startswith(accept.split(";", maxsplit=1)[0] or "text/plain")

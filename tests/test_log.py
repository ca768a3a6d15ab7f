"""What may be read in the logs, and what may not (R-SEC-02)."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from kit import clock, log
from kit.lines import MOST_WAITING, LinesHandler
from kit.settings import ROOT, Settings

Configure = Callable[[str], None]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configures logging for the length of one test; must be called within it, where its output is caught."""
    root = logging.getLogger()
    before = root.handlers, root.level

    def begin(form: str) -> None:
        values: dict[str, Any] = {"ESC_LOG": form}
        log.configure(Settings(**values))

    yield begin
    root.handlers, root.level = before
    logging.getLogger("uvicorn.access").propagate = True
    structlog.reset_defaults()


def lines(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("联系人13812345678已登记", "联系人***已登记"),
        ("call +86 138-1234-5678 now", "call *** now"),
        ("身份证310101199003071234。", "身份证***。"),
        ("id 31010119900307123X", "id ***"),
        ("id 310101900307123", "id ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("sent eyJhbGciOi.eyJzdWIi.c2ln", "sent ***"),
        ("postgresql://esc:pa55@db/esc", "postgresql://***@db/esc"),
        ("Key (mobile)=(13812345678) already exists.", "Key (mobile)=(***) already exists."),
        ("沪府规〔2024〕12号", "沪府规〔2024〕12号"),
        ("91310115MA1H7XYZ12", "91310115MA1H7XYZ12"),
        ("policy_0192f13812345678abcd", "policy_0192f13812345678abcd"),
    ],
)
def test_texts_lose_personal_data_and_secrets_and_nothing_else(text: str, shown: str) -> None:
    assert log.masked(text) == shown


def test_telling_keys_are_masked_at_every_depth_and_numbers_stay_numbers() -> None:
    values = {
        "mobile": 13812345678,
        "input": [{"Password": "x", "idNumber": "y", "name": "张三"}],
        "ms": 12,
        "ok": True,
    }
    assert log.masked(values) == {
        "mobile": "***",
        "input": [{"Password": "***", "idNumber": "***", "name": "张三"}],
        "ms": 12,
        "ok": True,
    }
    assert log.masked(13812345678) == "***"


def test_a_line_carries_the_request_and_the_operation_and_no_secret(configure: Configure, capsys: Capture) -> None:
    configure("json")
    with structlog.contextvars.bound_contextvars(request_id="r1", operation="SignIn"):
        structlog.get_logger("auth").info("signed in", access_token="t", username="buyer")
    [line] = lines(capsys)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "event": "signed in",
        "level": "info",
        "logger": "auth",
        "request_id": "r1",
        "operation": "SignIn",
        "access_token": "***",
        "username": "buyer",
    }


def test_other_libraries_and_uvicorn_log_the_same_way_and_tracebacks_are_masked(
    configure: Configure, capsys: Capture
) -> None:
    configure("json")
    logging.getLogger("uvicorn.error").info("started on %s", "http://127.0.0.1:8000")
    logging.getLogger("uvicorn.access").info("GET /graphql?variables=...")
    try:
        int("手机13812345678")
    except ValueError:
        logging.getLogger("other").exception("failed")
    started, failed = lines(capsys)
    assert (started["event"], started["logger"]) == ("started on http://127.0.0.1:8000", "uvicorn.error")
    assert (failed["event"], failed["level"]) == ("failed", "error")
    assert failed["exception"].endswith("ValueError: invalid literal for int() with base 10: '手机***'")


def test_development_reads_lines_and_production_writes_json(configure: Configure, capsys: Capture) -> None:
    configure("console")
    structlog.get_logger("a").info("hello", size=1)
    assert "hello" in (line := capsys.readouterr().out)
    assert not line.startswith("{")


# Operations

OWN_ID = "0192f0000000700080000000000000ab"
FINISHED: dict[str, Any] = {
    "name": "W1",
    "kind": "query",
    "seconds": 0.000123,
    "codes": (),
    "viewer_id": UUID(int=5),
    "request_id": OWN_ID,
    "transport": "http",
}


def written(capsys: Capture) -> str:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"name": None, "kind": None, "viewer_id": None, "codes": ("GRAPHQL_PARSE_FAILED",)},
        {"name": "Call_13812345678_now", "transport": "websocket"},
        {"name": "Long" * 40 + "_13812345678"},
        {"request_id": "13812345678"},
        {"request_id": "a.13812345678.b-eyJhbGciOi.eyJzdWIi.c2ln"},
        {"request_id": "13812345678123456789012345678901"},
        {"seconds": 12.5, "codes": ("ACCESS_DENIED", "INTERNAL")},
        {"viewer_id": None, "members": 3, "kind": "subscription"},
    ],
)
def test_the_line_of_an_operation_is_the_one_that_the_slow_way_prints(
    form: str, changed: dict[str, Any], configure: Configure, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.real()
    monkeypatch.setattr(clock, "real", lambda: now)
    configure(form)
    structlog.get_logger("app").info("operation", **FINISHED | changed)
    slowly = written(capsys)
    log.operation(**FINISHED | changed)
    assert written(capsys) == slowly
    assert ("13812345678" in slowly) == (changed.get("request_id") == "13812345678123456789012345678901")


def test_lines_keep_their_order_whichever_way_they_come(configure: Configure, capsys: Capture) -> None:
    configure("json")
    for number in range(3):
        log.operation(**FINISHED | {"name": f"Q{number}"})
        structlog.get_logger("a").info("said", number=number)
    found = [line.get("name") or line["number"] for line in map(json.loads, written(capsys).splitlines())]
    assert found == ["Q0", 0, "Q1", 1, "Q2", 2]


def test_a_line_names_the_request_that_it_was_written_for(configure: Configure, capsys: Capture) -> None:
    configure("json")
    bound = log.request_id.set(OWN_ID)
    structlog.get_logger("a").info("inside")
    structlog.get_logger("a").info("inside", request_id="another")
    log.request_id.reset(bound)
    structlog.get_logger("a").info("outside")
    assert [line.get("request_id") for line in lines(capsys)] == [OWN_ID, "another", None]


def test_a_process_that_ends_has_written_all_its_lines() -> None:
    script = f"""
from kit import log
from kit.settings import settings
log.configure(settings)
for number in range(3):
    log.operation(**{ {**FINISHED, "viewer_id": None}!r}, )
"""
    environment = os.environ | {"ESC_LOG": "json"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert [json.loads(line)["name"] for line in ended.stdout.splitlines()] == ["W1", "W1", "W1"]


def test_a_reader_that_stands_still_stops_nobody_and_hears_how_many_lines_it_missed() -> None:
    """A pipe holds 64 kB, and what was taken out to be written fills it; the rest waits, up to a limit."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader) as source:
        handler = LinesHandler(stream, lambda _logger, level, event: f"{level} {event}")
        total = 3 * MOST_WAITING
        for number in range(total):
            handler.later({"event": number})
        written: list[str] = []
        reading = threading.Thread(target=lambda: written.extend(source))
        reading.start()
        handler.flush()
        handler.later({"event": "last"})
        handler.close()
        handler.flush()
        stream.close()
        reading.join()
    counts = [int(line.split("'count': ")[1].split(",")[0]) for line in written if "lines dropped" in line]
    events = [line for line in written if "lines dropped" not in line]
    numbers = [int(line.split(": ")[1].rstrip("}\n")) for line in events[:-1]]
    assert events[-1] == "info {'event': 'last'}\n"
    assert sum(counts) > 0
    assert len(numbers) + sum(counts) == total
    assert numbers == sorted(set(numbers))

"""What may be read in the logs, and what may not (R-SEC-02)."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from kit import log
from kit.settings import Settings

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

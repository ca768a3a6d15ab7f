"""What a client asks for: the four parameters of GraphQL over HTTP, from JSON or a query string, decoded strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from engine.errors import bad_request

MAX_QUERY_FIELDS = 20
_NUL_ESCAPE = re.compile(r"\\u(?:0000|\{0+\})")


@dataclass(frozen=True, slots=True)
class Params:
    query: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)


def decode_json(body: bytes | str) -> Any:
    """JSON as RFC 8259 has it, in UTF-8: no NaN, no lone surrogates, no number beyond a double, 1024 levels at most."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The body is not JSON in UTF-8 (请求体不是 UTF-8 编码的 JSON)") from None


def from_json(body: bytes) -> Params:
    return from_object(decode_json(body))


def from_object(asked: object) -> Params:
    """Raises RequestError 400 for anything but an object with parameters of the right types. Null means absent."""
    if isinstance(asked, list):
        raise bad_request("Batches are not supported (不支持批量请求)")
    if not isinstance(asked, dict):
        raise bad_request("Send a JSON object (请发送 JSON 对象)")
    params = Params(
        query=_typed(asked, "query", str),
        operation_name=_typed(asked, "operationName", str),
        variables=_typed(asked, "variables", dict) or {},
        extensions=_typed(asked, "extensions", dict) or {},
    )
    if _holds_nul(params.variables) or (params.query and ("\0" in params.query or _NUL_ESCAPE.search(params.query))):
        raise bad_request("U+0000 is not allowed in a text (文本不得含 U+0000)")  # PostgreSQL cannot store it
    return params


def from_query_string(query_string: bytes) -> Params:
    """The parameters of a GET request; `variables` and `extensions` are JSON texts there."""
    try:
        text = query_string.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:  # UnicodeError is one
        raise bad_request("The query string is not URL-encoded UTF-8 (查询串不是 UTF-8 的 URL 编码)") from None
    asked: dict[str, Any] = dict(pairs)
    if len(asked) != len(pairs):
        raise bad_request("A parameter is given twice (参数重复)")
    for name in ("variables", "extensions"):
        if name in asked:
            asked[name] = decode_json(asked[name]) if asked[name] else None
    return from_object(asked)


def _typed(asked: dict[str, Any], name: str, kind: type) -> Any:
    value = asked.get(name)
    if value is not None and not isinstance(value, kind):
        wanted = "a text" if kind is str else "an object"
        raise bad_request(f"{name} must be {wanted} (参数 {name} 类型错误)")
    return value


def _holds_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if "\0" in each:
                return True
        elif isinstance(each, dict):
            waiting.extend(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return False

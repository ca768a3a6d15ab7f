"""What a client asks for: the four parameters of GraphQL over HTTP, from JSON or a query string, decoded strictly."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from engine.errors import RequestError, bad_request, operation_error
from kit.errors import ApiError, ErrorCode

MAX_QUERY_FIELDS = 20
MAX_ITEMS = 1_000
_NUL_ESCAPE = re.compile(r"\\u(?:0000|\{0+\})")


class Params(NamedTuple):
    query: str | None
    operation_name: str | None
    variables: Mapping[str, Any]
    extensions: Mapping[str, Any]


def decode_json(body: bytes | str) -> Any:
    """JSON as RFC 8259 has it, in UTF-8: no NaN, no lone surrogates, no number beyond a double, 1024 levels at most."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The body is not JSON in UTF-8 (请求体不是 UTF-8 编码的 JSON)") from None


def from_json(body: bytes) -> Params:
    asked = decode_json(body)
    return from_object(asked, harmless=len(body) <= 2 * MAX_ITEMS and b"\\u" not in body)


def from_object(asked: object, *, harmless: bool = False) -> Params:
    """Raises RequestError for anything but an object with parameters of the right types. Null means absent.

    `harmless`: the text that it was decoded from is too short for a long list, and escapes no character.
    """
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
    if not harmless:
        _check_query(params.query or "")
        _check_variables(params.variables)
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


def _check_query(query: str) -> None:
    if "\0" in query or _NUL_ESCAPE.search(query):
        raise _nul()


def _check_variables(variables: Mapping[str, Any]) -> None:
    """Refuses what PostgreSQL cannot store, and lists that would cost more than an operation's cost can tell."""
    waiting: list[tuple[str, Any]] = [("variables", variables)]
    while waiting:
        name, holder = waiting.pop()
        if isinstance(holder, list) and len(holder) > MAX_ITEMS:
            raise _too_long(name, len(holder))
        for key, value in holder.items() if isinstance(holder, Mapping) else ((name, each) for each in holder):
            if "\0" in key or (isinstance(value, str) and "\0" in value):
                raise _nul()
            if isinstance(value, dict | list):
                waiting.append((key, value))


def _too_long(name: str, items: int) -> RequestError:
    message = f"{name}: at most {MAX_ITEMS} items in a list ({name}：列表最多 {MAX_ITEMS} 项)"
    return operation_error(ApiError(ErrorCode.COST_EXCEEDED, message, limit="items", max=MAX_ITEMS, value=items))


def _nul() -> RequestError:
    return bad_request("U+0000 is not allowed in a text (文本不得含 U+0000)")

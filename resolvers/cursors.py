"""Cursors: the name of an order and a place in it as JSON in base64, so that nobody takes them for more than marks."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kit.errors import ApiError, ErrorCode


def write(order: str, place: Sequence[Any], form: Callable[[Any], str] | None = None) -> str:
    """`form` gives a text for values that JSON has no form for."""
    return base64.urlsafe_b64encode(orjson.dumps([order, *place], default=form)).decode().rstrip("=")


def read(order: str, cursor: str) -> list[Any]:
    """The place that a cursor of this order marks, as JSON has it; any other text is the caller's mistake."""
    place: list[Any]
    try:
        name, *place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise unknown() from error
    if name != order:
        raise _refusal("The cursor is one of another order (游标与该排序不符)")
    return place


def unknown() -> ApiError:
    """What a cursor of no list gets, or one whose place this list cannot have."""
    return _refusal("The cursor is not one of this list (游标与该列表不符)")


def _refusal(message: str) -> ApiError:
    return ApiError(ErrorCode.BAD_USER_INPUT, message, argument="after")

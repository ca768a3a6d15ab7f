"""What pydantic finds wrong, in words that a person at a form understands, in Chinese and English."""

from collections.abc import Mapping
from typing import Any

_WORDS: dict[str, tuple[str, str]] = {
    "missing": ("此项必填", "is required"),
    "string_too_short": ("至少需 {min_length} 个字符", "needs at least {min_length} characters"),
    "string_too_long": ("最多 {max_length} 个字符", "takes at most {max_length} characters"),
    "too_short": ("至少需 {min_length} 项", "needs at least {min_length} items"),
    "too_long": ("最多 {max_length} 项", "takes at most {max_length} items"),
    "greater_than_equal": ("不能小于 {ge}", "must be at least {ge}"),
    "less_than_equal": ("不能大于 {le}", "must be at most {le}"),
    "less_than": ("须小于 {lt}", "must be less than {lt}"),
    "greater_than": ("须大于 {gt}", "must be greater than {gt}"),
    "decimal_max_places": ("最多 {decimal_places} 位小数", "takes at most {decimal_places} decimal places"),
    "string_pattern_mismatch": ("格式不正确", "does not have the right form"),
    "enum": ("只能是 {expected}", "must be {expected}"),
    "date_from_datetime_parsing": ("不是日期", "is not a date"),
    "date_parsing": ("不是日期", "is not a date"),
    "datetime_parsing": ("不是时间", "is not a moment"),
    "decimal_parsing": ("不是数字", "is not a number"),
    "float_parsing": ("不是数字", "is not a number"),
    "int_parsing": ("不是整数", "is not a whole number"),
    "uuid_parsing": ("不是有效的标识", "is not an id"),
    "extra_forbidden": ("没有此项", "is not known"),
}


def explain(problem: Mapping[str, Any]) -> tuple[str, str]:
    """One entry of `ValidationError.errors()` in Chinese and English. Messages of our own validators hold both."""
    words = _WORDS.get(problem["type"])
    if words is None:
        message = str(problem["msg"]).removeprefix("Value error, ")
        return message, message
    context = problem.get("ctx", {})
    return words[0].format_map(context), words[1].format_map(context)

"""The policy data dictionary (政策数据字典): its fields and codes, read off the model that checks them (R-BDC-15)."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

from sqlmodel import SQLModel

from kit.names import camel
from models.base import Labelled
from models.parts import Part
from models.policy import DataType, PolicyValues

CODE_LISTS = {"department_code": "departments", "districts": "districts", "industries": "industries"}
"""Fields whose codes are rows of reference data: the query that lists them."""

_TYPES = {
    str: DataType.TEXT,
    int: DataType.INTEGER,
    float: DataType.NUMBER,
    Decimal: DataType.DECIMAL,
    date: DataType.DATE,
    UUID: DataType.ID,
}
_LABELLED = re.compile(r"(.*) \((.*)\)")


@cache
def fields() -> list[dict[str, Any]]:
    """Every field that a policy is written with, in order; one inside another by its path (`conditions.value`)."""
    return list(_fields(PolicyValues))


def _fields(model: type[SQLModel], under: str = "") -> Iterator[dict[str, Any]]:
    for name, column in model.model_fields.items():
        kind, several = _kind(column.annotation)
        code_list = None if under else CODE_LISTS.get(name)
        meaning = _LABELLED.fullmatch(column.description or "")
        yield {
            "name": under + camel(name),
            "label": meaning[2] if meaning else name,
            "meaning": meaning[1] if meaning else "",
            "type": DataType.CODE if code_list else _type(kind),
            "several": several,
            "required": column.is_required(),
            "max_length": next((each.max_length for each in column.metadata if hasattr(each, "max_length")), None),
            "codes": _codes(kind),
            "code_list": code_list,
        }
        if _is(kind, Part):
            yield from _fields(kind, f"{under}{camel(name)}.")


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there are several."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    return annotation, False


def _type(kind: Any) -> DataType:
    if _is(kind, Labelled):
        return DataType.CODE
    return DataType.GROUP if _is(kind, Part) else _TYPES[kind]


def _codes(kind: Any) -> list[dict[str, str]]:
    if not _is(kind, Labelled):
        return []
    return [{"code": member.value, "label": member.zh, "meaning": member.en} for member in kind]


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)

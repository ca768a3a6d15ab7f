"""The texts of the demo city: files of `content/`, one JSON object a line with the fields of a `…Values` class.

Texts must not age, so a line gives its days relative to today (`"apply_end_in": 15`), and a text may hold blanks such
as `{year}` or `{apply_end}` that are filled from those days. Names stand in place of ids (`store`, `interprets`).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson

from kit import clock
from models.base import Values
from models.content import ArticleValues
from models.policy import PolicyValues
from models.product import ProductValues
from models.store import StoreValues

NAMESPACE = UUID("6f0d6c1e-3d0b-5a57-9b1e-2f6a4e1c8d40")
FOLDER = Path(__file__).parent / "content"
VALUES: dict[str, type[Values]] = {
    "policy": PolicyValues,
    "store": StoreValues,
    "product": ProductValues,
    "article": ArticleValues,
}
TITLES = {"policy": "title", "store": "name", "product": "name", "article": "title"}
_FILES = {
    "policy": "policies",
    "store": "stores",
    "product": "products",
    "article": "articles",
    "proposal": "proposals",
}
_REFERENCES = {
    "store": ("store_id", "store"),
    "linked_store": ("linked_store_id", "store"),
    "interprets": ("interprets_id", "policy"),
}
_BLANK = re.compile(r"\{(\w+)\}")
Line = dict[str, Any]


def key(kind: str, name: str) -> UUID:
    """The id of a demo row: the same on every machine and at every loading."""
    return uuid5(NAMESPACE, f"{kind}:{name}")


@cache
def lines(kind: str) -> tuple[Line, ...]:
    """The lines of a kind's file as they are written, to be copied before they are changed."""
    content = (FOLDER / f"{_FILES[kind]}.jsonl").read_bytes()
    return tuple(orjson.loads(line) for line in content.splitlines())


def name_of(kind: str, line: Mapping[str, Any]) -> str:
    """The title as it is written, blanks included: what ids are derived from and what other lines refer to."""
    name: str = line[TITLES[kind]]
    return name


def parse(kind: str, line: Mapping[str, Any]) -> Any:
    """The checked values of a line, with its days counted from today. Raises pydantic's ValidationError."""
    fields = dict(_resolved(line))
    blanks = _blanks(fields)
    return VALUES[kind].model_validate({name: _filled(value, blanks) for name, value in fields.items()})


def _resolved(line: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    today = clock.today()
    for name, value in line.items():
        if name in _REFERENCES:
            field, kind = _REFERENCES[name]
            yield field, key(kind, value)
        elif name.endswith("_in"):
            yield _day_field(name), today + timedelta(days=value)
        else:
            yield name, value


def _day_field(name: str) -> str:
    stem = name.removesuffix("_in")
    return f"{stem}_on" if stem in {"written", "issued"} else stem


def _blanks(fields: Mapping[str, Any]) -> dict[str, str]:
    days = {name: value for name, value in fields.items() if isinstance(value, date)}
    year = days.get("issued_on", clock.today()).year
    texts = {name: f"{day.year}年{day.month}月{day.day}日" for name, day in days.items()}
    return {"year": str(year), "last_year": str(year - 1), **texts}


def _filled(value: Any, blanks: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _BLANK.sub(lambda blank: blanks[blank[1]], value)
    if isinstance(value, list):
        return [_filled(part, blanks) for part in value]
    return value

"""From a row to what is searched: who may find it, when it changed, what all kinds have in common."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

from kit.clock import SHANGHAI
from kit.ids import global_id
from kit.text import plain_text
from search.base import PUBLIC, Document, SearchType

EVERYTHING = "everything"
Row = Mapping[str, Any]


def document(
    kind: str,
    row: Row,
    *,
    title: str,
    body: Iterable[str | None],
    keywords: Iterable[str | None],
    facets: Mapping[str, Iterable[str | None]],
    numbers: Mapping[str, int | None],
    public: bool,
) -> Document:
    """One document. Its owner's people and those who see everything find it even while the public does not."""
    common = {"published_at": seconds(row["published_at"]), "view_count": row["view_count"]}
    return Document(
        id=global_id(kind, row["id"]),
        type=SearchType(kind.upper()),
        title=title,
        body="\n".join(plain_text(text) for text in body if text),
        keywords=" ".join(word for word in keywords if word),
        facets={name: tuple(value for value in values if value) for name, values in facets.items()},
        scopes=(*((PUBLIC,) if public else ()), row["owner"], EVERYTHING),
        numbers={name: value for name, value in {**common, **numbers}.items() if value is not None},
        version=int(row["updated_at"].timestamp() * 1_000_000),
    )


def seconds(moment: datetime | date | None, *, end_of_day: bool = False) -> int | None:
    """Unix seconds of a moment, or of a Shanghai day's first or last second."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(23, 59, 59) if end_of_day else time(), SHANGHAI)
    return int(moment.timestamp())

"""What a kind of managed content is. Each domain's service registers its own; the workflow knows no more of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Table

from auth.viewer import Viewer
from kit.db import Row
from kit.errors import Refused
from kit.validation import explain
from models.base import Values, table_of
from models.publishing import Managed
from models.refusals import Refusal
from services.uow import UnitOfWork


@dataclass(frozen=True)
class Kind:
    """A kind of managed content.

    `owner` gives the scope that an item of these values belongs to and refuses an author who may not write them: asked
    at every save, since a draft may come to name another place; a published item keeps its owner. `check` holds the
    domain's own rules, asked at submission. `fixed` fields cannot change once the item is published.
    """

    name: str
    model: type[Managed]
    values: type[Values]
    title: str
    owner: Callable[[UnitOfWork, Viewer, Any, UUID], Awaitable[str]]
    check: Callable[[UnitOfWork, Any, UUID], Awaitable[None]] | None = None
    fixed: frozenset[str] = frozenset()

    @property
    def table(self) -> Table:
        return table_of(self.model)

    def parse(self, raw: Mapping[str, Any]) -> Any:
        """The checked values; raises `Refused` with one error per field."""
        try:
            return self.values.model_validate(raw)
        except ValidationError as error:
            raise invalid(error) from None


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    KINDS[kind.name] = kind
    return kind


def invalid(error: ValidationError, under: tuple[str | int, ...] = ("values",)) -> Refused:
    """Pydantic's findings as refusals, each with the path of its field."""
    found = []
    for problem in error.errors(include_url=False):
        code = Refusal.REQUIRED if problem["type"] == "missing" else Refusal.INVALID_VALUE
        zh, en = explain(problem)
        found.append(Refused(code, [*under, *problem["loc"]], zh=zh, en=en))
    return Refused.several(found)


def published_values(kind: Kind, live: Row | None) -> dict[str, Any] | None:
    """What the public sees, in the form in which revisions keep values; None before the first publication."""
    if live is None:
        return None
    names = kind.values.model_fields
    return kind.values.model_validate({name: live[name] for name in names}).model_dump(mode="json")

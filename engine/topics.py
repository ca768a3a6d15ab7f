"""What a subscription says of its stream, and how a stream of messages goes on where a client left off.

| metadata | meaning |
| --- | --- |
| `shared` | stream and events depend on the viewer's standing only: one run serves all who stand alike |
| `keep` | LATEST: events are states, the first comes at once; EVERY: they are messages, and all count |
| `cursor` | with EVERY: the text for an event that the argument `after` takes to go on behind it |
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
)

from engine.cost import metadata
from engine.pipeline import Operation

_FOLLOWED = "esc-followed"


class Keep(Enum):
    """What a client that reads too slowly gets of the events that it did not read in time."""

    LATEST = "LATEST"
    EVERY = "EVERY"


@dataclass(frozen=True, slots=True)
class Topic:
    """What holds for the events of one subscription."""

    shared: bool
    keep: Keep


def topic_of(operation: Operation) -> Topic:
    selected = operation.selected
    root = selected.schema.subscription_type
    definitions = selected.document.definitions
    fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
    field = root.fields.get(_first_field(selected.node.selection_set, fragments)) if root is not None else None
    said = metadata(field) if field is not None else {}
    return Topic(said.get("shared", False), said.get("keep", Keep.LATEST))


def _first_field(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> str:
    """The one root field of a subscription that is valid; empty where it has none."""
    for each in selections.selections:
        if isinstance(each, FieldNode):
            return each.name.value
        if isinstance(each, FragmentSpreadNode):
            inner: SelectionSetNode = fragments[each.name.value].selection_set
        elif isinstance(each, InlineFragmentNode):
            inner = each.selection_set
        if found := _first_field(inner, fragments):
            return found
    return ""


@dataclass(slots=True)
class Position:
    """Where in its stream a run of messages is: `after` where the client's own words name no place, later `cursor`."""

    after: str | None = None
    cursor: str | None = None


position: ContextVar[Position | None] = ContextVar("position", default=None)


def follow_positions(schema: GraphQLSchema) -> None:
    """Lets streams of messages begin at the `position` of the task that runs them, and move it. Idempotent.

    Raises ValueError where such a stream lacks `cursor` or the argument `after`.
    """
    for name, field in (schema.subscription_type.fields if schema.subscription_type else {}).items():
        said = metadata(field)
        if said.get("keep") is not Keep.EVERY or _FOLLOWED in field.extensions:
            continue
        if said.get("cursor") is None or "after" not in field.args:
            raise ValueError(f"{name} keeps every event, so it needs a cursor and the argument `after`")
        field.subscribe = _followed(field, said["cursor"])
        field.extensions = {**field.extensions, _FOLLOWED: True}


def _followed(field: GraphQLField, cursor: Callable[[Any], str]) -> Callable[..., Any]:
    subscribe = field.subscribe
    assert subscribe is not None  # noqa: S101 - every subscription field has one

    def begin(source: Any, info: Any, **arguments: Any) -> Any:
        place = position.get()
        if place is not None and place.after is not None and arguments.get("after") is None:
            arguments["after"] = place.after
        stream = subscribe(source, info, **arguments)
        return stream if place is None else _Followed(stream, place, cursor)

    return begin


class _Followed(AsyncIterator[Any]):
    """A stream whose position is noted. No generator: one that yields another's events leaks it when closed."""

    def __init__(self, stream: AsyncGenerator[Any, None], place: Position, cursor: Callable[[Any], str]) -> None:
        self._stream = stream
        self._place = place
        self._cursor = cursor

    async def __anext__(self) -> Any:
        event = await anext(self._stream)
        self._place.cursor = self._cursor(event)
        return event

    async def aclose(self) -> None:
        await self._stream.aclose()

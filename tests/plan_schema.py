"""A schema of traps: every kind of field that a plan knows, over rows that a test fills as it likes."""

from asyncio import sleep
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar

import strawberry
from strawberry.scalars import JSON

from auth.viewer import Viewer
from engine.pipeline import RequestInfo
from engine.sources import AS_TEXT
from schema.scalars import config
from tests.engine_harness import resolver, source

Row = dict[str, Any]


@dataclass
class World:
    """The rows of one test by key, what was asked of sources (name, keys, arguments, columns) and what was done.

    `turns`: how many turns of the loop a source takes, where that is not one.
    """

    rows: dict[Any, Any] = field(default_factory=dict)
    asked: list[tuple[str, list[Any], dict[str, Any], frozenset[str] | None]] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)
    value: Any = None


world = World()


def reset() -> None:
    world.__init__()  # type: ignore[misc]  # the one that the resolvers know, as new


class Table:
    """A source over the world's rows. It gives the columns of a row that are asked for, and no others."""

    at_hand = False

    def __init__(self, name: str, find: Callable[[Any, Mapping[str, Any]], Any], *, many: bool = False) -> None:
        self.name = name
        self.many = many
        self._find = find

    async def load(
        self, _viewer: Viewer, keys: Sequence[Any], arguments: Mapping[str, Any], columns: frozenset[str] | None
    ) -> Mapping[Any, Any]:
        world.asked.append((self.name, list(keys), dict(arguments), columns))
        for _ in range(world.turns.get(self.name, 1)):
            await sleep(0)
        world.acts.append(f"{self.name} answers")
        found = {}
        for key in keys:
            value = self._find(key, arguments)
            if isinstance(value, ValueError):
                raise value
            if value is not None:
                found[key] = _narrow(value, columns)
        return found


def _narrow(value: Any, columns: frozenset[str] | None) -> Any:
    if isinstance(value, Page):
        return replace(value, nodes=_narrow(value.nodes, columns))
    if isinstance(value, list):
        return [_narrow(each, columns) for each in value]
    if columns is None or type(value) is not dict:
        return value
    return {name: value[name] for name in value if not columns.isdisjoint((name, AS_TEXT + name))}


THINGS = Table("things", lambda key, _: world.rows.get(key))
PARTS = Table("parts", lambda key, _: [row for row in world.rows.values() if row["whole"] == key], many=True)
VALUES = Table("values", lambda _key, _: world.value)


@dataclass
class Page:
    """`of` tells for which key and arguments it is."""

    nodes: list[Any]
    of: str

    @property
    def page_info(self) -> Row:
        return {"end_cursor": f"behind {len(self.nodes)}", "has_next_page": False}

    @property
    def edges(self) -> list[Row]:
        return [{"node": row, "at": number} for number, row in enumerate(self.nodes)]


PAGES = Table("pages", lambda key, given: Page(list(world.rows.values())[: given.get("first")], f"{key} {given}"))


def related(table: Table, by: str, **facts: Any) -> Any:
    """A relation. The reference asks the same source, key by key."""

    async def resolve(row: strawberry.Parent[Any], info: strawberry.Info) -> Any:
        key = row[by]
        if isinstance(key, list):
            found = [await _one(table, info, each, {}) for each in key]
            return [each for each in found if each is not None]
        if key is None:
            return [] if table.many else None
        return await _one(table, info, key, {})

    return strawberry.field(resolver=resolve, metadata={"source": table, "by": by, **facts})


async def _later(value: Any) -> Any:
    await sleep(0)
    return value


async def _one(table: Table, info: strawberry.Info, key: Any, arguments: Mapping[str, Any]) -> Any:
    if key is None:
        raise TypeError("no key")
    return (await table.load(info.context.viewer, [key], arguments, None)).get(key)


class Colour(Enum):
    """Names differ from values, and one's value is another's name."""

    RED = "crimson"
    GREEN = "RED"
    BLUE = "BLUE"


colour = strawberry.enum(Colour)
LEAVES: dict[str, Any] = {
    "text": str,
    "number": int,
    "real": float,
    "flag": bool,
    "key": strawberry.ID,
    "moment": datetime,
    "day": date,
    "amount": Decimal,
    "any": JSON,
    "colour": Colour,
    "texts": list[str],
    "numbers": list[int],
    "holes": list[int | None],
    "colours": list[Colour],
    "grid": list[list[int]],
}
WAYS = ("", "must_", "said_", "awaited_", "called_")
"""How a leaf comes to be: a column, one that may not be null, and what three sorts of resolver return."""


def _leaf_fields() -> dict[str, Any]:
    fields: dict[str, Any] = {"__annotations__": {}}
    for name, kind in LEAVES.items():
        fields["__annotations__"] |= {name: kind | None, f"must_{name}": kind}
        for way in WAYS[2:]:
            fields[way + name] = strawberry.field(resolver=_resolver(way, name), graphql_type=kind | None)
    return fields


def _resolver(way: str, name: str) -> Any:
    def said(row: strawberry.Parent[Any]) -> Any:
        return row[name]

    async def awaited(row: strawberry.Parent[Any]) -> Any:
        return row[name]

    async def called(row: strawberry.Parent[Any], _info: strawberry.Info) -> Any:
        return row[name]

    return {"said_": said, "awaited_": awaited, "called_": called}[way]


def by_name(name: str) -> Any:
    """Whether a row may be of a type: it names that type, or none, as with the platform's rows."""

    def is_type_of(row: Any, _info: Any) -> bool:
        return not isinstance(row, dict) or row.get("__typename") in (None, name)

    is_type_of.by_name_only = True  # type: ignore[attr-defined]
    return staticmethod(is_type_of)


@strawberry.interface
class Named:
    name: str | None


Leaf = strawberry.type(type("Leaf", (), _leaf_fields()))


@strawberry.type
class Inner:
    name: str | None
    must: str


@strawberry.type
class Stone(Named):
    is_type_of = by_name("Stone")
    name: str | None
    weight: int


@strawberry.type
class Thing(Named):
    """What hangs below it are relations of every kind; `secret` and the like are for those whom a rule admits."""

    is_type_of = by_name("Thing")
    id: int
    name: str | None
    next: "Thing | None" = related(THINGS, "next_id")
    must_next: "Thing" = related(THINGS, "next_id")
    others: "list[Thing]" = related(THINGS, "other_ids")
    parts: "list[Thing]" = related(PARTS, "id")
    inner: Inner | None
    must_inner: Inner
    inners: list[Inner]
    loose_inners: list[Inner | None] | None
    rows: list[list[Inner]] | None
    named: Named | None
    spot: Annotated["Thing | Stone", strawberry.union("Spot")] | None
    spots: list[Annotated["Thing | Stone", strawberry.union("Spot")]]
    secret: str | None = strawberry.field(metadata={"access": "signed_in"})
    must_secret: str = strawberry.field(metadata={"access": "signed_in"})
    secret_next: "Thing | None" = related(THINGS, "next_id", access="signed_in")
    mine: str | None = strawberry.field(metadata={"access": "content.manage"})
    my_next: "Thing | None" = related(THINGS, "next_id", access="content.manage")

    @resolver(needs=("name", "id"))
    def label(row: strawberry.Parent[Any]) -> str | None:  # noqa: N805
        return f"{row['id']} {row['name']}"

    @resolver(needs=("name",), column="name")
    def title(row: strawberry.Parent[Any]) -> str | None:  # noqa: N805
        name: str | None = row["name"]
        return name

    @resolver(source=PAGES, by="id")
    async def pages(
        row: strawberry.Parent[Any],  # noqa: N805
        info: strawberry.Info,
        first: int | None = 2,
        colour: Colour | None = strawberry.UNSET,
    ) -> "Pages":
        given = {"first": first} | ({} if colour is strawberry.UNSET else {"colour": colour})
        return await _one(PAGES, info, row["id"], given)  # type: ignore[no-any-return]

    @resolver()
    async def slow(row: strawberry.Parent[Any], info: strawberry.Info, turns: int = 3) -> int:  # noqa: N805
        for _ in range(turns):
            await sleep(0)
        world.acts.append(f"slow {row['id']}")
        return turns


@strawberry.type
class PageEdge:
    node: Thing
    at: int


@strawberry.type
class PageInfo:
    end_cursor: str
    has_next_page: bool


@strawberry.type
class Pages:
    nodes: list[Thing]
    edges: list[PageEdge]
    page_info: PageInfo
    of: str


@strawberry.input
class Given:
    text: str | None = strawberry.UNSET
    number: int = 5
    colours: list[Colour] | None = None
    inner: "Given | None" = strawberry.UNSET


@strawberry.type
class Query:
    @resolver(access="public", source=THINGS, key=lambda given: given["id"])
    async def thing(self, info: strawberry.Info, id: int = 1) -> Thing | None:  # noqa: A002
        return await _one(THINGS, info, id, {})  # type: ignore[no-any-return]

    @resolver(access="public")
    def things(self) -> list[Thing]:
        return list(world.rows.values())

    @resolver(access="public", source=VALUES)
    async def leaf(self, info: strawberry.Info) -> Leaf | None:  # type: ignore[valid-type]
        return await _one(VALUES, info, 0, {})  # type: ignore[no-any-return]

    @resolver(access="public")
    async def made(self) -> Thing | None:
        return world.value  # type: ignore[no-any-return]

    @resolver(access="public")
    async def many(self) -> list[Thing]:
        return world.value  # type: ignore[no-any-return]

    @resolver(access="public")
    async def loose(self) -> list[Thing | None] | None:
        return world.value  # type: ignore[no-any-return]

    @resolver(access="public")
    def promised(self) -> list[Thing]:
        return [_later(row) for row in world.rows.values()]  # type: ignore[misc]

    @resolver(access="signed_in", source=THINGS, key=lambda given: given["id"])
    async def hidden(self, info: strawberry.Info, id: int = 1) -> Thing | None:  # noqa: A002
        return await _one(THINGS, info, id, {})  # type: ignore[no-any-return]

    @resolver(access="signed_in")
    def for_some(self) -> str | None:
        return "some"

    @resolver(access="public")
    def word(self) -> str | None:
        return world.value  # type: ignore[no-any-return]

    @resolver(access="public")
    def echo(
        self,
        number: int = 7,
        text: str | None = None,
        xs: list[int] = [1, 2],  # noqa: B006 - as it would be written
        given: Given | None = strawberry.UNSET,
        colour: Colour = Colour.GREEN,
        maybe: int | None = strawberry.UNSET,
        real: float | None = None,
        key: strawberry.ID | None = None,
    ) -> str:
        said = repr((number, text, xs, given, colour, maybe, real, key))
        xs.append(0)
        return said


@strawberry.type
class Mutation:
    @resolver(access="public")
    async def put(self, id: int, name: str | None = None) -> Thing | None:  # noqa: A002
        world.acts.append(f"put {id}")
        world.rows[id] = {**world.rows.get(id, thing(id)), "name": name}
        return world.rows[id]  # type: ignore[no-any-return]

    @resolver(access="public")
    async def fail(self) -> int | None:
        world.acts.append("fail")
        raise ValueError("a secret of the server's")

    @resolver(access="public")
    async def must_fail(self) -> int:
        world.acts.append("must fail")
        raise ValueError("a secret of the server's")


@strawberry.type
class Subscription:
    streams: ClassVar[int] = 0

    @source(access="public")
    async def changes(self, ids: list[int]) -> AsyncGenerator[Thing | None, None]:
        for each in ids:
            yield world.rows.get(each)


def thing(number: int, **cells: Any) -> Row:
    """A row of which nothing is unusual but `cells`."""
    usual = {
        "id": number,
        "name": f"Thing {number}",
        "next_id": number + 1,
        "other_ids": [number + 1, number + 2],
        "whole": number - 1,
        "inner": {"name": "in", "must": "x"},
        "must_inner": {"name": None, "must": "y"},
        "inners": [{"name": "a", "must": "1"}, {"name": None, "must": "2"}],
        "loose_inners": None,
        "rows": [[{"name": "a", "must": "1"}], []],
        "named": {"__typename": "Stone", "name": "stone", "weight": 2},
        "spot": {"__typename": "Stone", "name": "stone", "weight": 3},
        "spots": [],
        "secret": f"secret {number}",
        "must_secret": f"secret {number}",
        "mine": f"mine {number}",
        "owner": None,
    }
    return usual | cells


@dataclass
class Context:
    viewer: Viewer
    info: RequestInfo


SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Thing, Stone],
    config=config(hardened=False),
)

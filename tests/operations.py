"""Queries drawn from a schema: every field, fragments on overlapping types, merged fields, directives, variables.

They are valid but for a few values, and small: what differs between two executors seldom needs more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_interface_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
)
from graphql.type import get_nullable_type

from tests.arguments import LARGEST, WINDOW, Arguments, Dice, Facts

DEPTH = 8
FIELDS = 24
ALIASES = 25
DIRECTIVES = 30
WIDTH = 12
LIST_SIZE = 10
UNASKED = frozenset({"_service"})
ANYTHING = frozenset({"node", "nodes", "_entities"})


@dataclass
class Size:
    """What the limits of the engine count, fragments expanded; `height` is in levels of fields."""

    fields: int = 0
    aliases: int = 0
    directives: int = 0
    height: int = 0

    def add(self, other: "Size") -> None:
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives


@dataclass
class Placed:
    """A response key: its type, which field of which parent it is, and the keys below it."""

    shape: str
    owners: dict[str, str]
    inner: "Keys" = field(default_factory=dict)


Keys = dict[str, Placed]


@dataclass(frozen=True)
class Fragment:
    name: str
    type: GraphQLNamedType
    text: str
    keys: Keys
    size: Size


class Contract:
    """What the author of an operation asks a schema; worked out once."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._overlapping: dict[str, list[GraphQLNamedType]] = {}

    @cached_property
    def query(self) -> GraphQLObjectType:
        root = self.schema.query_type
        if root is None:
            raise ValueError("a schema without queries")
        return root

    @cached_property
    def ways(self) -> Mapping[str, Sequence[tuple[str, ...]]]:
        """Shortest ways from root fields to each type that is reachable, as names of fields and of types in between."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for name, each in self.query.fields.items():
            if name not in ANYTHING | UNASKED:
                for type_, way in self._below(get_named_type(each.type)).items():
                    found.setdefault(type_, []).append((name, *way))
        return {
            type_: sorted(ways, key=lambda way: ("openRevision" in way, len(way)))[:6]  # most things have none open
            for type_, ways in found.items()
            if type_ in self.reachable
        }

    @cached_property
    def goals(self) -> Sequence[str]:
        """Types to go to, the more often the more fields they have."""
        return [type_ for type_ in self.ways for _ in range(1 + len(self.reachable[type_]) // 6)]

    def _below(self, start: GraphQLNamedType) -> Mapping[str, tuple[str, ...]]:
        ways: dict[str, tuple[str, ...]] = {start.name: ()}
        waiting = [start]
        for type_ in waiting:
            steps: dict[str, GraphQLNamedType] = {}
            if is_abstract_type(type_):
                steps = {each.name: each for each in self.schema.get_possible_types(type_)}
            elif is_object_type(type_):
                steps = {name: get_named_type(each.type) for name, each in type_.fields.items()}
            for name, inner in steps.items():
                if inner.name not in ways:
                    ways[inner.name] = (*ways[type_.name], name)
                    waiting.append(inner)
        return ways

    @cached_property
    def reachable(self) -> Mapping[str, frozenset[str]]:
        """The fields of each object type that a query can come to."""
        found: dict[str, frozenset[str]] = {}
        waiting: list[GraphQLNamedType] = [self.query]
        while waiting:
            type_ = waiting.pop()
            if is_abstract_type(type_):
                waiting += self.schema.get_possible_types(type_)
            elif is_object_type(type_) and type_.name not in found:
                fields = {name: each for name, each in type_.fields.items() if name not in UNASKED}
                found[type_.name] = frozenset(fields)
                waiting += [get_named_type(each.type) for each in fields.values()]
        return found

    def overlapping(self, parent: GraphQLNamedType) -> list[GraphQLNamedType]:
        """Composite types on which a fragment may stand within the parent, the parent itself first."""
        if parent.name not in self._overlapping:
            own = self._possible(parent)
            others = [each for each in self.schema.type_map.values() if is_composite_type(each) and each is not parent]
            self._overlapping[parent.name] = [parent, *(each for each in others if own & self._possible(each))]
        return self._overlapping[parent.name]

    def _possible(self, type_: GraphQLNamedType) -> set[str]:
        return (
            {each.name for each in self.schema.get_possible_types(type_)} if is_abstract_type(type_) else {type_.name}
        )

    def is_object(self, name: str) -> bool:
        return is_object_type(self.schema.type_map[name])


class Author:
    """Writes one query."""

    def __init__(self, contract: Contract, facts: Facts, dice: Dice) -> None:
        self._contract = contract
        self._dice = dice
        self._size = Size()
        self._fragments: list[Fragment] = []
        self._unfinished = 0
        self.arguments = Arguments(dice, facts, wrong=dice.chance(3))

    def write(self) -> str:
        """The document; the variables of its runs are drawn from `arguments` afterwards."""
        goal = self._dice.pick(self._contract.goals)
        body = self._selections(self._contract.query, ({},), 0, 1, self._dice.pick(self._contract.ways[goal]))
        declared = ", ".join(each.declaration for each in self.arguments.variables)
        texts = [f"query Drawn{f'({declared})' if declared else ''} {body}", *(each.text for each in self._fragments)]
        return "\n".join(texts)

    def _selections(
        self, parent: GraphQLNamedType, places: Sequence[Keys], depth: int, width: int, way: Sequence[str] | None = None
    ) -> str:
        """`places`: where the keys go: into this selection set, and into each fragment that is being written.

        `way`: what to select in any case, here and below; at its end much is selected.
        """
        self._size.height = max(self._size.height, depth + 1)
        most = 14 if way == () else 1 if self._size.fields > FIELDS else 2 if way or not depth else 5
        parts = [self._onward(parent, places, depth, width, way)] if way else []
        parts += [self._part(parent, places, depth, width) for _ in range(self._dice.below(most) + (not way))]
        return "{ " + " ".join(parts) + " }"

    def _onward(
        self, parent: GraphQLNamedType, places: Sequence[Keys], depth: int, width: int, way: Sequence[str]
    ) -> str:
        step, *rest = way
        if is_abstract_type(parent):  # each type of the abstract one, since the rows decide which it is
            types = self._contract.schema.get_possible_types(parent)
            ways = [tuple(rest) if each.name == step else None for each in types]
            selections = [
                self._selections(each, places, depth, width, on) for each, on in zip(types, ways, strict=True)
            ]
            return " ".join(f"... on {each.name} {text}" for each, text in zip(types, selections, strict=True))
        return self._field(parent, places, depth, width, step, tuple(rest))

    def _part(self, parent: GraphQLNamedType, places: Sequence[Keys], depth: int, width: int) -> str:
        kind = self._dice.below(100)
        if self._size.fields > FIELDS or kind < (
            55 if is_interface_type(parent) else 76 if is_object_type(parent) else 10
        ):
            return self._field(parent, places, depth, width)
        if kind < 90:
            return self._inline(parent, places, depth, width)
        return self._spread(parent, places, depth, width)

    def _inline(self, parent: GraphQLNamedType, places: Sequence[Keys], depth: int, width: int) -> str:
        types = self._contract.overlapping(parent)
        inner = types[self._dice.below(len(types))]
        condition = "" if inner is parent and self._dice.chance(30) else f" on {inner.name}"
        return f"...{condition}{self._directives()} {self._selections(inner, places, depth, width)}"

    def _spread(self, parent: GraphQLNamedType, places: Sequence[Keys], depth: int, width: int) -> str:
        types = self._contract.overlapping(parent)
        known = [each for each in self._fragments if each.type in types and self._fits(each, places, depth, width)]
        if known and self._dice.chance(60):
            fragment = self._dice.pick(known)
            self._size.add(fragment.size)
            for keys in places:
                _merge(keys, fragment.keys)
        elif len(self._fragments) + self._unfinished < 5:
            fragment = self._fragment(self._dice.pick(types), places, depth, width)
        else:
            return self._field(parent, places, depth, width)
        return f"...{fragment.name}{self._directives()}"

    def _fragment(self, type_: GraphQLNamedType, places: Sequence[Keys], depth: int, width: int) -> Fragment:
        name = f"F{len(self._fragments) + self._unfinished}"
        self._unfinished += 1
        outer, self._size = self._size, Size(self._size.fields, self._size.aliases, self._size.directives)
        own: Keys = {}
        text = f"fragment {name} on {type_.name} {self._selections(type_, (own, *places), depth, width)}"
        inner, self._size = self._size, outer
        size = Size(
            inner.fields - outer.fields,
            inner.aliases - outer.aliases,
            inner.directives - outer.directives,
            inner.height - depth,
        )
        self._size.add(size)
        self._size.height = max(outer.height, inner.height)
        self._unfinished -= 1
        fragment = Fragment(name, type_, text, own, size)
        self._fragments.append(fragment)
        return fragment

    def _fits(self, fragment: Fragment, places: Sequence[Keys], depth: int, width: int) -> bool:
        size, more = self._size, fragment.size
        return (
            width <= LARGEST
            and depth + more.height <= DEPTH + 2
            and size.fields + more.fields <= 2 * FIELDS
            and size.aliases + more.aliases <= ALIASES
            and size.directives + more.directives <= DIRECTIVES
            and not any(_clash(self._contract, keys, fragment.keys) for keys in places)
        )

    def _field(
        self,
        parent: GraphQLNamedType,
        places: Sequence[Keys],
        depth: int,
        width: int,
        name: str | None = None,
        way: Sequence[str] | None = None,
    ) -> str:
        """The named field, or one that is chosen now."""
        self._size.fields += 1
        name = name or self._chosen(parent, deep=depth < DEPTH and self._size.fields <= FIELDS, wide=width <= WIDTH)
        if name == "__typename":
            return self._named(parent, name, "", "String!", places, leaf=True)[0] + self._directives()
        declared = cast("GraphQLObjectType", parent).fields[name]
        inner = get_named_type(declared.type)
        paged = "first" in declared.args
        few = way is not None and self._dice.chance(70)
        arguments = self.arguments.of(name, declared, paged=paged and width > 1, few=few) if declared.args else ""
        leaf = is_leaf_type(inner)
        text, below = self._named(parent, name, arguments, str(declared.type), places, leaf=leaf)
        text += self._directives()
        if leaf:
            return text
        return f"{text} {self._selections(inner, below, depth + 1, width * _rows(declared, width), way)}"

    def _chosen(self, parent: GraphQLNamedType, *, deep: bool, wide: bool) -> str:
        leaves, objects = self._names(parent, deep=deep, wide=wide)
        kind = self._dice.below(100)
        if kind >= 93 or not (leaves or objects):
            return "__typename"
        return self._dice.pick(objects if objects and (kind >= 60 or not leaves) else leaves)

    def _names(self, parent: GraphQLNamedType, *, deep: bool, wide: bool) -> tuple[list[str], list[str]]:
        """Leaves to choose from, and objects: with `deep` there are such, with `wide` also lists of them."""
        fields: Mapping[str, GraphQLField] = getattr(parent, "fields", {})
        leaves, objects = [], []
        for name, each in fields.items():
            if name in UNASKED or (each.args and self._size.aliases >= ALIASES):
                continue
            if is_leaf_type(get_named_type(each.type)):
                leaves.append(name)
            elif deep and (wide or _rows(each, 1) == 1):
                objects.append(name)
        return leaves, objects

    def _named(
        self, parent: GraphQLNamedType, name: str, arguments: str, shape: str, places: Sequence[Keys], *, leaf: bool
    ) -> tuple[str, list[Keys]]:
        """The field with an alias where its key is taken or by chance, and where the keys below it go."""
        identity = name + arguments
        key = name
        if self._size.aliases < ALIASES and self._dice.chance(10):
            shared = leaf and is_object_type(parent)
            key = f"same{_spelled(shape)}" if shared else f"a{self._size.fields}"
        wanted = Placed(shape, {parent.name: identity})
        if any(key in keys and _differs(self._contract, keys[key], wanted) for keys in places):
            key = f"a{self._size.fields}"
        self._size.aliases += key != name
        for keys in places:
            keys.setdefault(key, Placed(shape, {})).owners[parent.name] = identity
        return (identity if key == name else f"{key}: {identity}"), [keys[key].inner for keys in places]

    def _directives(self) -> str:
        if self._size.directives >= DIRECTIVES or not self._dice.chance(12):
            return ""
        names = self._dice.pick((("include",), ("skip",), ("include", "skip")))
        self._size.directives += len(names)
        return "".join(f" @{name}(if: {self.arguments.condition()})" for name in names)


def _spelled(shape: str) -> str:
    return shape.translate({ord("["): "L", ord("]"): None, ord("!"): "N"})


def _rows(declared: GraphQLField, width: int) -> int:
    """How many objects of a field's a plan may meet for each parent: a guess that keeps operations cheap."""
    if "first" in declared.args:
        return LARGEST if width > 1 else LIST_SIZE
    return LIST_SIZE if is_list_type(get_nullable_type(declared.type)) and not set(WINDOW) & set(declared.args) else 1


def _differs(contract: Contract, placed: Placed, other: Placed) -> bool:
    """Whether two fields under one key would be refused: only fields of different object types may differ."""
    if placed.shape != other.shape:
        return True
    return any(
        identity != another and not (owner != alien and contract.is_object(owner) and contract.is_object(alien))
        for owner, identity in placed.owners.items()
        for alien, another in other.owners.items()
    )


def _clash(contract: Contract, keys: Keys, others: Keys) -> bool:
    return any(
        key in keys and (_differs(contract, keys[key], other) or _clash(contract, keys[key].inner, other.inner))
        for key, other in others.items()
    )


def _merge(keys: Keys, others: Keys) -> None:
    for key, other in others.items():
        placed = keys.setdefault(key, Placed(other.shape, {}))
        placed.owners.update(other.owners)
        _merge(placed.inner, other.inner)

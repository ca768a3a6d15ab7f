"""How large an operation is, read from its text alone: depth, fields, aliases, directives, fragments expanded."""

from collections.abc import Iterable
from typing import NamedTuple

from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from engine.limits import Limits, exceeded

INTROSPECTION = frozenset({"__schema", "__type"})
SERVICE = "_service"


class Measure(NamedTuple):
    """`root_fields` are those of the outermost level; `introspection` is the depth below `__schema` and `__type`.

    `reveals`: the operation asks for the schema itself, by introspection or as federation's SDL.
    """

    fields: int = 0
    root_fields: int = 0
    aliases: int = 0
    directives: int = 0
    depth: int = 0
    introspection: int = 0
    reveals: bool = False

    def beside(self, other: "Measure") -> "Measure":
        return Measure(
            self.fields + other.fields,
            self.root_fields + other.root_fields,
            self.aliases + other.aliases,
            self.directives + other.directives,
            max(self.depth, other.depth),
            max(self.introspection, other.introspection),
            self.reveals or other.reveals,
        )


EMPTY = Measure()


class Ruler:
    """Measures the operations of one document. Each fragment is walked once, so exponential ones cost nothing.

    A fragment that spreads itself measures as empty there: validation refuses it afterwards.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, Measure] = {}

    def measure(self, operation: OperationDefinitionNode) -> Measure:
        declared = sum(len(variable.directives or ()) for variable in operation.variable_definitions or ())
        own = Measure(directives=declared + len(operation.directives or ()))
        return own.beside(self._level(operation.selection_set))

    def _level(self, selections: SelectionSetNode | None) -> Measure:
        return _sum(self._selection(node) for node in selections.selections) if selections else EMPTY

    def _selection(self, node: SelectionNode) -> Measure:
        own = Measure(directives=len(node.directives or ()))
        if isinstance(node, FieldNode):
            return own.beside(self._field(node))
        if isinstance(node, FragmentSpreadNode):
            return own.beside(self._fragment(node.name.value))
        return own.beside(self._level(node.selection_set))  # type: ignore[attr-defined]  # only inline fragments are left

    def _field(self, node: FieldNode) -> Measure:
        inner = self._level(node.selection_set)
        name = node.name.value
        hidden = name in INTROSPECTION
        return Measure(
            fields=inner.fields + 1,
            root_fields=1,
            aliases=inner.aliases + (node.alias is not None),
            directives=inner.directives,
            depth=1 if hidden else inner.depth + 1,
            introspection=inner.depth + 1 if hidden else 0,
            reveals=hidden or name == SERVICE,
        )

    def _fragment(self, name: str) -> Measure:
        if name not in self._known:
            self._known[name] = EMPTY
            if fragment := self._fragments.get(name):
                own = Measure(directives=len(fragment.directives or ()))
                self._known[name] = own.beside(self._level(fragment.selection_set))
        return self._known[name]


def _sum(measures: Iterable[Measure]) -> Measure:
    total = EMPTY
    for measure in measures:
        total = total.beside(measure)
    return total


def check(measure: Measure, limits: Limits) -> None:
    """Raises COST_EXCEEDED for the first limit that is passed."""
    if measure.introspection > limits.introspection_depth:
        raise exceeded("depth", limits.introspection_depth, measure.introspection)
    for limit in ("depth", "root_fields", "aliases", "directives", "fields"):
        value, maximum = getattr(measure, limit), getattr(limits, limit)
        if value > maximum:
            raise exceeded(limit, maximum, value)

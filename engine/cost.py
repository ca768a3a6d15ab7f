"""What an operation costs, as its fields declare it.

A field costs its `metadata["cost"]`; without one an object costs 1 and a leaf a quarter. A list multiplies what is
selected below it: by `first` or `last` where the field has such an argument (on a connection they count for the lists
directly below), else by `metadata["size"]`, which is a number or the name of an argument, else by `Limits.list_size`.
An item costs at least 1, however little is selected of it: rows of leaves take time too.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any, cast

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_leaf_type
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)
from graphql.type import GraphQLCompositeType, is_list_type, is_non_null_type

from engine.measure import INTROSPECTION

PAGE_ARGUMENTS = ("first", "last")
REPRESENTATIONS = "representations"
LEAF = 0.25
KEPT = 64


def metadata(field: GraphQLField) -> Mapping[str, Any]:
    """What the schema's author noted at the Strawberry field behind a GraphQL field."""
    definition = field.extensions.get("strawberry-definition")
    return definition.metadata if definition is not None else {}


class Costs:
    """What the operations of one document cost, worked out once for the same sizes of pages and lists."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, list_size: int) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._list_size = list_size
        self._known: dict[Any, int] = {}

    def of(self, operation: OperationDefinitionNode, root: GraphQLObjectType, variables: Mapping[str, Any]) -> int:
        sized = ((name, _size(value)) for name, value in variables.items() if not isinstance(value, str))
        sizes = (id(operation), *sized)
        known = self._known.get(sizes)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            costing = Costing(self._schema, self._fragments, variables, self._list_size)
            known = self._known[sizes] = ceil(costing.of(operation.selection_set, root))
        return known


def _size(value: Any) -> int:
    """All of a variable's value that a cost can depend on: a number, or the length of a list."""
    if isinstance(value, int):
        return value
    return len(value) if isinstance(value, list) else -1


class Costing:
    """Costs of one operation with the variables of one request (coerced: defaults are in)."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
        list_size: int,
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._list_size = list_size

    def of(self, selections: SelectionSetNode, parent: GraphQLCompositeType, page: int | None = None) -> float:
        """`page`: how many items the lists directly below hold, where the parent is a connection."""
        return sum(self._selection(node, parent, page) for node in selections.selections)

    def _selection(self, node: SelectionNode, parent: GraphQLCompositeType, page: int | None) -> float:
        if isinstance(node, FieldNode):
            return self._field(node, parent, page)
        if isinstance(node, FragmentSpreadNode):
            fragment = self._fragments[node.name.value]
            return self.of(fragment.selection_set, self._named(fragment.type_condition.name.value), page)
        node = cast("InlineFragmentNode", node)
        inner = self._named(node.type_condition.name.value) if node.type_condition else parent
        return self.of(node.selection_set, inner, page)

    def _named(self, name: str) -> GraphQLCompositeType:
        return cast("GraphQLCompositeType", self._schema.type_map[name])

    def _field(self, node: FieldNode, parent: GraphQLCompositeType, page: int | None) -> float:
        field = self._schema.get_field(parent, node.name.value)
        if field is None or node.name.value in INTROSPECTION:
            return 0
        inner = cast("GraphQLCompositeType", get_named_type(field.type))
        own: float = metadata(field).get("cost", LEAF if is_leaf_type(inner) else 1)
        if node.selection_set is None:
            return own
        paged = any(name in field.args for name in PAGE_ARGUMENTS)
        if not _is_list(field):
            return own + self.of(node.selection_set, inner, self._size(field, node) if paged else None)
        size = self._size(field, node) if paged or page is None else page
        return own + size * max(1, self.of(node.selection_set, inner))

    def _size(self, field: GraphQLField, node: FieldNode) -> int:
        declared = metadata(field).get("size", self._list_size)
        names = (*PAGE_ARGUMENTS, REPRESENTATIONS, *((declared,) if isinstance(declared, str) else ()))
        for name in names:
            if name in field.args and (size := self._length(field, node, name)) is not None:
                return max(size, 0)
        return declared if isinstance(declared, int) else self._list_size

    def _length(self, field: GraphQLField, node: FieldNode, name: str) -> int | None:
        """The value of a number argument, or how many items a list argument has."""
        given = next((argument.value for argument in node.arguments or () if argument.name.value == name), None)
        value = field.args[name].default_value if given is None else self._value(given, field.args[name].default_value)
        if isinstance(value, list | tuple):
            return len(value)
        return value if isinstance(value, int) else None

    def _value(self, node: ValueNode, default: Any) -> Any:
        if isinstance(node, VariableNode):
            return self._variables.get(node.name.value, default)
        if isinstance(node, IntValueNode):
            return int(node.value)
        return node.values if isinstance(node, ListValueNode) else None


def _is_list(field: GraphQLField) -> bool:
    type_ = field.type
    return is_list_type(type_.of_type if is_non_null_type(type_) else type_)

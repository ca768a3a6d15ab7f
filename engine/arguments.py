"""The arguments of one field, as much of them as possible worked out before any run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLSchema, Undefined, get_argument_values
from graphql.execution.values import VariableValues
from graphql.language import ArgumentNode, FieldNode, Node, VariableNode, Visitor, visit
from graphql.type import get_nullable_type, is_leaf_type, is_non_null_type
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.field import StrawberryField

from engine.leaves import Bail

Variables = Mapping[str, Any]
"""Coerced; a variable that was not given and has no default is absent."""


class Arguments:
    """`raw` gives them as graphql-core hands them to `resolve`, `python` as Strawberry hands them to a resolver.

    What is constant is shared by all runs, so nobody may change it; lists and inputs are made anew for each.
    """

    def __init__(self, field: GraphQLField, node: FieldNode, schema: GraphQLSchema) -> None:
        self._field = field
        self._node = node
        self._schema = schema
        self._open = bool(field.args)
        self._parts: list[_Argument] | None = None
        self._constant: dict[str, Any] | None = None if self._open else {}

    @property
    def vary(self) -> bool:
        """Whether a variable is among them, whose value may be one that the field refuses."""
        return any(_has_variable(argument) for argument in self._node.arguments or ())

    def raw(self, variables: Variables) -> dict[str, Any]:
        if not self._open:
            return {}
        return get_argument_values(self._field, self._node, VariableValues({}, dict(variables)))

    def python(self, variables: Variables) -> dict[str, Any]:
        if self._constant is not None:
            return self._constant
        if self._parts is None:
            self._parts = list(self._split())
        given: dict[str, Any] = {}
        for part in self._parts:
            part.put(variables, given)
        if all(part.constant for part in self._parts):
            self._constant = given
        return given

    def _split(self) -> Iterable["_Argument"]:
        definition: StrawberryField | None = self._field.extensions.get("strawberry-definition")
        if definition is None:
            raise Bail
        converter = self._schema._strawberry_schema.schema_converter  # type: ignore[attr-defined]  # noqa: SLF001 - Strawberry has no public name for it
        named = {converter.config.name_converter.from_argument(each): each for each in definition.arguments}
        nodes = {argument.name.value: argument for argument in self._node.arguments or ()}
        for name, argument in self._field.args.items():
            declared: StrawberryArgument = named[name]
            is_leaf = is_leaf_type(get_nullable_type(argument.type))
            take, constant = _taker(self._node, nodes.get(name), name, argument)
            yield _Argument(
                name=str(declared.python_name),
                take=take,
                constant=constant and is_leaf,
                nullable=not is_non_null_type(argument.type),
                convert=None if is_leaf else _converter(declared, converter),
            )


@dataclass(frozen=True, slots=True)
class _Argument:
    """One argument. `take` gives its coerced value, Undefined where it is left out."""

    name: str
    take: Callable[[Variables], Any]
    constant: bool
    nullable: bool
    convert: Callable[[Any], Any] | None

    def put(self, variables: Variables, given: dict[str, Any]) -> None:
        value = self.take(variables)
        if value is None or value is Undefined:
            if not self.nullable:
                raise Bail
            if value is None:
                given[self.name] = None
        else:
            given[self.name] = value if self.convert is None else self.convert(value)


def _taker(
    field: FieldNode, node: ArgumentNode | None, name: str, argument: GraphQLArgument
) -> tuple[Callable[[Variables], Any], bool]:
    """How its value is taken, and whether that is the same in every run."""
    alone = GraphQLField(argument.type, {name: argument})  # type: ignore[arg-type]  # only its arguments are read
    only = FieldNode(name=field.name, arguments=(node,) if node else ())

    def take(variables: Variables) -> Any:
        return get_argument_values(alone, only, VariableValues({}, dict(variables))).get(name, Undefined)

    if node is not None and isinstance(node.value, VariableNode):
        variable, default = node.value.name.value, _default(alone, field, name)
        return lambda variables: variables.get(variable, default), False
    if node is not None and _has_variable(node):
        return take, False
    value = _default(alone, field, name) if node is None else take({})
    return lambda _: value, True


def _default(alone: GraphQLField, field: FieldNode, name: str) -> Any:
    argument = alone.args[name]
    if argument.default is None and argument.default_value is Undefined:
        return Undefined
    return get_argument_values(alone, FieldNode(name=field.name, arguments=())).get(name, Undefined)


def _converter(declared: StrawberryArgument, converter: Any) -> Callable[[Any], Any]:
    registry, config = converter.scalar_registry, converter.config
    return lambda value: convert_argument(value, declared.type, registry, config)


def _has_variable(node: Node) -> bool:
    search = _Search()
    visit(node, search)
    return search.found


class _Search(Visitor):
    """Looks for a variable anywhere in a node."""

    found = False

    def enter_variable(self, *_: Any) -> None:
        self.found = True

"""The values of an operation's variables, where they are plain: most need no more than a look at their type."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLInputType, GraphQLSchema
from graphql.language import OperationDefinitionNode
from graphql.type import get_nullable_type, is_list_type, is_non_null_type
from graphql.utilities import type_from_ast

Test = Callable[[Any], bool]

_TESTS: dict[str, Test] = {
    "String": lambda value: type(value) is str,
    "ID": lambda value: type(value) is str,
    "Boolean": lambda value: type(value) is bool,
    "Int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "Float": lambda value: type(value) is float and value - value == 0,
}


class Variables:
    """What graphql-core's coercion leaves as it came, recognised without it."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._tests: dict[str, Test | None] = {}
        self._required: list[str] = []
        self._defaults: list[str] = []
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            type_ = type_from_ast(schema, definition.type)
            self._tests[name] = None if type_ is None else _test(type_)  # type: ignore[arg-type]  # validated: an input type
            if definition.default_value is not None:
                self._defaults.append(name)
            elif is_non_null_type(type_):
                self._required.append(name)

    def coerce(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The coerced values, or None: graphql-core must look at them, to coerce them or to say what is wrong."""
        coerced = {}
        for name, test in self._tests.items():
            if name in given:
                value = given[name]
                if test is None or not test(value):
                    return None
                coerced[name] = value
            elif name in self._required or name in self._defaults:
                return None
        return coerced


def _test(type_: GraphQLInputType) -> Test | None:
    inner = get_nullable_type(type_)
    if is_list_type(inner):
        item = _test(inner.of_type)
        plain = None if item is None else _list_test(item)
    else:
        plain = _TESTS.get(getattr(inner, "name", ""))
    if plain is None or is_non_null_type(type_):
        return plain
    return lambda value: value is None or plain(value)


def _list_test(item: Test) -> Test:
    return lambda value: type(value) is list and all(map(item, value))

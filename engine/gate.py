"""The field gate: a field with `metadata["access"]` is resolved only for viewers whom that rule admits.

It sits inside the resolvers of the schema, so no transport and no executor can go round it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, is_non_null_type, is_object_type

from auth.access import RULES, Decision, decide
from auth.viewer import Viewer
from engine.cost import metadata
from engine.errors import refusal

Resolver = Callable[..., Any]

FEDERATION_FIELDS = frozenset({"_service", "_entities"})
_GATED = "esc-gated"


def gate(schema: GraphQLSchema) -> None:
    """Wraps every resolver that a rule guards; a second call changes nothing.

    Raises ValueError where a root field names no rule, or any field a rule that the table does not hold.
    """
    nameless = [f"{root}.{name}" for root, name, field in _root_fields(schema) if rule_of(root, name, field) is None]
    if nameless:
        raise ValueError(f"root fields without an access rule: {', '.join(nameless)}")
    for type_ in schema.type_map.values():
        if is_object_type(type_) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                _guard(schema, type_, name, field)


def _root_fields(schema: GraphQLSchema) -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        if root is not None:
            for name, field in root.fields.items():
                if name not in FEDERATION_FIELDS:
                    yield root, name, field


def rule_of(type_: GraphQLObjectType, name: str, field: GraphQLField) -> str | None:
    """The field's own rule, or that of an interface that declares the field: a type cannot shed it by redefining."""
    declared = (each.fields[name] for each in type_.interfaces if name in each.fields)
    rules = (metadata(each).get("access") for each in (field, *declared))
    return next((rule for rule in rules if rule is not None), None)


def _guard(schema: GraphQLSchema, type_: GraphQLObjectType, name: str, field: GraphQLField) -> None:
    rule = rule_of(type_, name, field)
    if rule is None or _GATED in field.extensions:
        return
    if rule not in RULES:
        raise ValueError(f"{type_}.{name} names an unknown access rule: {rule}")
    raises = is_non_null_type(field.type) or type_ in (schema.mutation_type, schema.subscription_type)
    if field.resolve is not None:
        field.resolve = _guarded(rule, field.resolve, raises=raises)
    if field.subscribe is not None:
        field.subscribe = _guarded(rule, field.subscribe, raises=True)
    field.extensions = {**field.extensions, _GATED: True}


def _guarded(rule: str, resolve: Resolver, *, raises: bool) -> Resolver:
    def resolver(source: Any, info: Any, **arguments: Any) -> Any:
        viewer: Viewer = info.context.viewer
        if _admits(rule, viewer, source):
            return resolve(source, info, **arguments)
        if raises:
            raise refusal(viewer)
        return None

    return resolver


def _admits(rule: str, viewer: Viewer, row: Any) -> bool:
    decision = decide(rule, viewer)
    if decision is not Decision.OWN:
        return decision is Decision.ALLOW
    own = RULES[rule].own
    return row is not None and own is not None and cell(row, own) == viewer.id


def cell(row: Any, column: str) -> Any:
    """Rows are asyncpg Records and dicts; events and values are objects. A column that a row lacks raises."""
    return row[column] if hasattr(row, "__getitem__") else getattr(row, column)

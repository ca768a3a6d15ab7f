"""Enumerations of the contract, and what describes a thing in it."""

import inspect
from enum import Enum
from typing import Any

import strawberry
from strawberry.types.base import StrawberryObjectDefinition

from models.base import Labelled
from models.refusals import Refusal


def summary_of(thing: Any) -> str | None:
    """The first paragraph of a docstring: what the schema says of the thing."""
    text = inspect.getdoc(thing)
    return " ".join(text.split("\n\n")[0].split()) if text else None


def enums(*types: type[Labelled]) -> None:
    """Makes GraphQL enums of labelled ones; each value is described by its labels."""
    for labelled in types:
        name = "UserErrorCode" if labelled is Refusal else labelled.__name__
        strawberry.enum(labelled, name=name, description=summary_of(labelled))
        definition = labelled.__strawberry_definition__  # type: ignore[attr-defined]
        for value, member in zip(definition.values, labelled, strict=True):
            value.description = f"{member.en} ({member.zh})"


def describe_enum(plain_enum: type[Enum], **descriptions: str) -> None:
    """Makes a GraphQL enum of one that kit defines, with a description for each member."""
    strawberry.enum(plain_enum, description=summary_of(plain_enum))
    for value in plain_enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = descriptions[value.name]


ROOTS = {
    "Query": "What can be read (查询); reading changes nothing.",
    "Mutation": "What can be done (操作): one input, and a payload with the result and the reasons of a refusal.",
    "Subscription": "What can be watched (订阅).",
}


def describe_types(schema: strawberry.Schema) -> None:
    """Describes each type by its docstring, which Strawberry leaves to be said a second time."""
    for name, graphql_type in schema._schema.type_map.items():  # noqa: SLF001 - Strawberry has no public name for it
        definition = graphql_type.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryObjectDefinition) or name.startswith("_"):
            continue
        if graphql_type.description is None:
            graphql_type.description = ROOTS.get(name) or summary_of(definition.origin)

"""Enumerations of the contract, and what describes a thing in it."""

import inspect
from enum import Enum
from typing import Any

import strawberry

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

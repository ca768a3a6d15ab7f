"""How values look on the wire, and how the schema reads a row."""

from collections.abc import Mapping
from typing import Any

from asyncpg import Record
from strawberry.schema.config import StrawberryConfig


def read(row: Any, name: str) -> Any:
    """A field's value: by key from a database row or a JSON object, by attribute from anything else."""
    return row[name] if isinstance(row, Record | Mapping) else getattr(row, name)


def config(*, hardened: bool) -> StrawberryConfig:
    """Strawberry's settings; suggestions ("Did you mean …") are kept from callers where the wire is hardened."""
    return StrawberryConfig(default_resolver=read, disable_field_suggestions=hardened)

"""What all tables share: names of constraints, keys, times, and enumerations that carry their labels."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import ConfigDict, model_validator
from sqlalchemy import ARRAY, DateTime, Enum, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from kit import clock
from kit.ids import parse_global_id, uuid7

SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}

UTC_TIME: Any = DateTime(timezone=True)
TEXTS: Any = ARRAY(Text)
JSON: Any = JSONB


class Labelled(StrEnum):
    """An enumeration whose members carry their Chinese and English labels: `MUNICIPAL = "MUNICIPAL", "市", "Municipal"`."""

    zh: str
    en: str

    def __new__(cls, value: str, zh: str, en: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.zh = zh
        member.en = en
        return member


def choice(enum: type[StrEnum], name: str) -> Any:
    """A text column that holds one of the enumeration's values, checked by the database under `ck_<table>_<name>`."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )


def table_of(model: type[SQLModel]) -> Table:
    """The model's table for Core statements; SQLModel does not declare to type checkers where it is."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


class Row(SQLModel):
    """A table's row with a time-ordered key."""

    id: UUID = Field(default_factory=uuid7, primary_key=True, description="Readable global id (全局标识)")
    created_at: datetime = Field(
        default_factory=clock.real, sa_type=UTC_TIME, description="When it was created (创建时间)"
    )
    updated_at: datetime = Field(
        default_factory=clock.real,
        sa_type=UTC_TIME,
        sa_column_kwargs={"onupdate": clock.real},
        description="When it was last changed (更新时间)",
    )


class Values(SQLModel):
    """What an author may enter of a thing; the same class checks a proposal and gives the table its columns."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)  # type: ignore[assignment]

    @model_validator(mode="before")
    @classmethod
    def _as_clients_write(cls, raw: Any) -> Any:
        """Lets a reference be given as the global id that clients hold (`store_0192…`), and null mean the default."""
        if not isinstance(raw, dict):
            return raw
        raw = {name: value for name, value in raw.items() if value is not None or cls._takes_null(name)}
        texts = {name: raw[name] for name in cls._references() if isinstance(raw.get(name), str)}
        keys = {name: parse_global_id(text) for name, text in texts.items()}
        return {**raw, **{name: parsed[1] for name, parsed in keys.items() if parsed}}

    @classmethod
    def _references(cls) -> list[str]:
        return [name for name, field in cls.model_fields.items() if field.annotation in (UUID, UUID | None)]

    @classmethod
    def _takes_null(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is None or field.default is None

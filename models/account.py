"""Accounts, their sessions and the record of what staff did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from kit import clock
from models.base import JSON, TEXTS, UTC_TIME, Row


class Account(Row, table=True):
    """One person's or body's identity over all clients (账号)."""

    __table_args__ = (CheckConstraint("level BETWEEN 0 AND 6", name="level_in_range"),)

    username: str = Field(unique=True, description="Name to sign in with (用户名)")
    display_name: str = Field(description="Name that others see (显示名称)")
    password_hash: str | None = Field(default=None, description="argon2id")
    level: int = Field(default=1, description="Level 0 to 6 (用户分级)")
    roles: list[str] = Field(default_factory=list, sa_type=TEXTS, description="Posts held (岗位)")
    district_code: str | None = Field(
        default=None, foreign_key="district.code", description="District of work (所属区)"
    )
    department_code: str | None = Field(
        default=None, foreign_key="department.code", description="Department of work (所属部门)"
    )
    enabled: bool = Field(default=True, description="Whether it may sign in (启用)")


class StoreMember(SQLModel, table=True):
    """An account that works for a store (店铺管理人员)."""

    __tablename__ = "store_member"

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    store_id: UUID = Field(primary_key=True, index=True)


class Session(Row, table=True):
    """A sign-in on one device. Its refresh token is kept as a SHA-256 digest and replaced at each use.

    A digest that was already replaced means theft or a lost answer: the whole session ends.
    """

    account_id: UUID = Field(foreign_key="account.id", index=True)
    refresh_digest: bytes
    expires_at: datetime = Field(sa_type=UTC_TIME)
    ended_at: datetime | None = Field(default=None, sa_type=UTC_TIME)


class AuditEntry(Row, table=True):
    """One act of staff (操作日志): who, when, what, on which things, from where; never changed (MLPS 8.1.4.3)."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_actor", "actor_id", "id"),
        Index("ix_audit_entry_action", "action", "id"),
        Index("ix_audit_entry_targets", "targets", postgresql_using="gin"),
    )

    actor_id: UUID = Field(foreign_key="account.id")
    action: str = Field(description="The mutation, such as policySave (操作)")
    targets: list[str] = Field(default_factory=list, sa_type=TEXTS, description="Global ids of what was touched (对象)")
    details: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON, description="What was noted, such as the reason (详情)"
    )
    request_id: str = Field(default="", description="The request, as it stands in the logs (请求标识)")
    client_ip: str = Field(default="", description="The address it came from (来源地址)")


class PlatformClock(SQLModel, table=True):
    """The one row that shares the business clock's offset between processes; moved in development only."""

    __tablename__ = "platform_clock"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: int = Field(default=1, primary_key=True)
    offset_seconds: float = 0.0
    updated_at: datetime = Field(default_factory=clock.real, sa_type=UTC_TIME)

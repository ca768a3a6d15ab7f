"""The record of what staff did (操作日志): who, what, on which things, when, from where (R-SEC-02, R-SEC-03)."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

import models
from resolvers import audit as resolvers
from resolvers.loaders import Loaders
from schema.account import Account
from schema.base import ID, Connection, Node, connection, entity, related


@entity(models.AuditEntry, Loaders.audit_entry)
class AuditEntry(Node):
    """One act of staff, written with it in one transaction and never changed (操作日志)."""

    created_at: datetime
    actor: Account | None = related(Loaders.account, by="actor_id", about="Who did it (操作人)")
    action: str
    targets: list[str]
    details: JSON
    request_id: str
    client_ip: str


@strawberry.input
class AuditFilter:
    """Which acts to keep (操作日志筛选)."""

    actions: list[str] | None = strawberry.field(default=None, description="Mutations, such as policySave (操作)")
    actor: ID | None = strawberry.field(default=None, description="Who did it (操作人)")
    targets: list[ID] | None = strawberry.field(default=None, description="Things that were touched (对象)")
    since: datetime | None = strawberry.field(default=None, description="Not before (起始时间)")
    until: datetime | None = strawberry.field(default=None, description="Not after (截止时间)")


@strawberry.type
class Query:
    audit_entries: Connection[AuditEntry] = connection(resolvers.audit_entries, filter=AuditFilter, access="audit.read")

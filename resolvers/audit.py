"""Reads of the record of what staff did (操作日志)."""

from collections.abc import Mapping
from typing import Any

from auth.viewer import Viewer
from auth.visibility import visible
from kit.ids import parse_global_id
from models.account import AuditEntry
from models.base import table_of
from resolvers.filters import Filters, one_of, overlaps, where
from resolvers.listings import Listing
from resolvers.paging import Order

A = table_of(AuditEntry).c
NEWEST = Order("newest", (A.id,), descending=True)

FILTERS: Filters = {
    "actions": one_of(A.action),
    "actor": lambda text: A.actor_id == (parse_global_id(text) or ("", None))[1],
    "targets": overlaps(A.targets),
    "since": lambda moment: A.created_at >= moment,
    "until": lambda moment: A.created_at <= moment,
}


def audit_entries(viewer: Viewer, filter: Mapping[str, Any] | None = None) -> Listing:
    """What staff did, the latest first (操作日志)."""
    return Listing(visible(AuditEntry, viewer).where(*where(FILTERS, filter)), NEWEST)

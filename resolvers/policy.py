"""Reads of policies (政策): the library, today's declarations, one policy (R-BASE-04, R-BASE-05)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, and_, bindparam, extract, func, literal_column, or_
from strawberry import Parent

from auth.viewer import Viewer
from auth.visibility import visible
from kit import clock
from kit.text import normalise_document_no
from models.base import Labelled, table_of
from models.policy import Policy, PolicyKind
from resolvers.context import Info
from resolvers.filters import Filters, at_least, one_of, overlaps, text_in, where
from resolvers.job import import_file
from resolvers.listings import Listing
from resolvers.paging import Order
from resolvers.publishing import save
from services.policy import POLICY, dictionary

P = table_of(Policy).c
END_OF_TIME = date(9999, 12, 31)


class PolicyOrder(Labelled):
    """How policies are sorted (政策排序)."""

    NEWEST = "NEWEST", "最新发布", "Published last first"
    ISSUED = "ISSUED", "发文日期", "Issued last first"
    DEADLINE = "DEADLINE", "申报截止", "Earliest deadline first"
    VIEWED = "VIEWED", "浏览量", "Most viewed first"


class ApplicationStatus(Labelled):
    """Whether applications are taken, by the Shanghai day (申报状态)."""

    UPCOMING = "UPCOMING", "即将开始", "Not yet open"
    OPEN = "OPEN", "申报中", "Open"
    CLOSED = "CLOSED", "已截止", "Closed"


_issued = func.coalesce(P.issued_on, literal_column("'-infinity'::date"), type_=Date)
_deadline = func.coalesce(P.apply_end, literal_column("'infinity'::date"), type_=Date)

ORDERS = {
    PolicyOrder.NEWEST: Order("newest", (P.published_at, P.id), descending=True),
    PolicyOrder.ISSUED: Order("issued", (_issued, P.id), descending=True),
    PolicyOrder.DEADLINE: Order("deadline", (_deadline, P.id)),
    PolicyOrder.VIEWED: Order("viewed", (P.view_count, P.id), descending=True),
}


def _status_is(statuses: Sequence[ApplicationStatus]) -> ColumnElement[bool]:
    today = bindparam("today", callable_=clock.today, type_=Date, unique=True)
    conditions = {
        ApplicationStatus.UPCOMING: P.apply_start > today,
        ApplicationStatus.OPEN: and_(P.apply_start <= today, _deadline >= today),
        ApplicationStatus.CLOSED: P.apply_end < today,
    }
    return or_(*(conditions[status] for status in statuses))


FILTERS: Filters = {
    "keyword": text_in(P.title, P.document_no, P.issuer),
    "levels": one_of(P.level),
    "kinds": one_of(P.kind),
    "validities": one_of(P.validity),
    "departments": one_of(P.department_code),
    "districts": overlaps(P.districts, empty_means_all=True),
    "industries": overlaps(P.industries, empty_means_all=True),
    "enterprise_sizes": overlaps(P.enterprise_sizes, empty_means_all=True),
    "enterprise_tags": overlaps(P.enterprise_tags),
    "support_kinds": overlaps(P.support_kinds),
    "states": one_of(P.state),
    "application_statuses": _status_is,
    "issued_year": lambda year: extract("year", P.issued_on) == year,
    "document_no": lambda text: P.document_no == normalise_document_no(text),
    "amount_at_least": at_least(P.amount_max),
}


def policies(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: PolicyOrder = PolicyOrder.NEWEST
) -> Listing:
    """The policy library (政策知识库)."""
    return Listing(visible(Policy, viewer).where(*where(FILTERS, filter)), ORDERS[order_by])


def today_declarations(viewer: Viewer, filter: Mapping[str, Any] | None = None) -> Listing:
    """Calls for applications that are open today in Shanghai, the earliest deadline first (今日申报)."""
    statement = visible(Policy, viewer).where(
        P.kind == PolicyKind.DECLARATION, _status_is([ApplicationStatus.OPEN]), *where(FILTERS, filter)
    )
    return Listing(statement, ORDERS[PolicyOrder.DEADLINE])


def interpretations(viewer: Viewer) -> Listing:
    """Interpretations (政策解读) of the policy, the newest first."""
    return Listing(visible(Policy, viewer), ORDERS[PolicyOrder.NEWEST], P.interprets_id)


def policy_dictionary() -> list[dict[str, Any]]:
    """The policy data dictionary (政策数据字典): every field a policy is written with, and its codes."""
    return dictionary.fields()


def days_left(row: Parent[Any]) -> int | None:
    """Days until applications close, 0 on the last day; null without a deadline or when closed (剩余天数)."""
    end = row["apply_end"]
    left = (end - clock.today()).days if end else -1
    return left if left >= 0 else None


def application_status(row: Parent[Any]) -> ApplicationStatus | None:
    """Whether applications are taken today; null for a policy without an application window (申报状态)."""
    start, end, today = row["apply_start"], row["apply_end"], clock.today()
    if start is None and end is None:
        return None
    if start is not None and start > today:
        return ApplicationStatus.UPCOMING
    return ApplicationStatus.OPEN if (end or END_OF_TIME) >= today else ApplicationStatus.CLOSED


async def policy_save(info: Info, values: Mapping[str, Any], **draft: Any) -> Any:
    """Writes the open draft of a policy, or begins a new one (政策存储). The public sees it after review."""
    return await save(info, POLICY, values, **draft)


async def policy_import(info: Info, file_id: str) -> Any:
    """Imports an uploaded file of policies as drafts; follow it by `jobProgress` (导入政策)."""
    return await import_file(info, "policy_import", file_id)

"""Reads of policies (政策): the library, today's declarations, one policy (R-BASE-04, R-BASE-05)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, and_, extract, func, literal_column, or_
from strawberry import ID, Parent
from strawberry import argument as about

from auth.viewer import Viewer
from auth.visibility import visible
from kit import clock
from kit.ids import key_of
from kit.text import normalise_document_no
from models.base import Labelled, table_of
from models.policy import Policy, PolicyKind
from resolvers.context import Info
from resolvers.filters import Filters, at_least, one_of, overlaps, text_in, where
from resolvers.job import import_file
from resolvers.paging import Order, Page, Window, page, pages
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
    today = clock.today()
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


async def policy(info: Info, id: Annotated[ID, about(description="Its global id (政策标识)")]) -> Any:
    """One policy (政策), null where there is none or it is not published."""
    key = key_of(id, "policy")
    return await info.context.load.policy.load(key) if key else None


async def policies(
    info: Info, window: Window, filter: Mapping[str, Any] | None = None, order_by: PolicyOrder = PolicyOrder.NEWEST
) -> Page:
    """The policy library (政策知识库)."""
    statement = visible(Policy, info.context.viewer).where(*where(FILTERS, filter))
    return await page(statement, ORDERS[order_by], window)


async def today_declarations(info: Info, window: Window, filter: Mapping[str, Any] | None = None) -> Page:
    """Calls for applications that are open today in Shanghai, the earliest deadline first (今日申报)."""
    statement = visible(Policy, info.context.viewer).where(
        P.kind == PolicyKind.DECLARATION, _status_is([ApplicationStatus.OPEN]), *where(FILTERS, filter)
    )
    return await page(statement, ORDERS[PolicyOrder.DEADLINE], window)


async def interpretations(viewer: Viewer, keys: Sequence[UUID], window: Window) -> Mapping[UUID, Page]:
    """Interpretations (政策解读) of the policy, the newest first."""
    return await pages(visible(Policy, viewer), P.interprets_id, keys, ORDERS[PolicyOrder.NEWEST], window)


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

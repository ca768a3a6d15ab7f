"""Proposals and what became of them: the one workflow of all managed content (R-ADM-03 to 06, 16)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.base import JSON, UTC_TIME, Labelled, Row, choice


class RevisionState(Labelled):
    """Where a revision stands (版本状态)."""

    DRAFT = "DRAFT", "草稿", "Draft"
    PENDING_REVIEW = "PENDING_REVIEW", "待审核", "Waiting for review"
    REJECTED = "REJECTED", "审核退回", "Sent back with a reason"
    SCHEDULED = "SCHEDULED", "待定时发布", "Approved, waits for its time"
    PUBLISHED = "PUBLISHED", "已发布", "Approved and copied to the item"
    SUPERSEDED = "SUPERSEDED", "已被替代", "Published once, replaced by a later revision"
    WITHDRAWN = "WITHDRAWN", "已撤回", "Given up by its author"


_OPEN = "state IN ('DRAFT', 'PENDING_REVIEW', 'REJECTED', 'SCHEDULED')"
OPEN_STATES = (RevisionState.DRAFT, RevisionState.PENDING_REVIEW, RevisionState.REJECTED, RevisionState.SCHEDULED)


class PublicationState(Labelled):
    """Whether the public sees an item (发布状态)."""

    PUBLISHED = "PUBLISHED", "已发布", "Published"
    OFFLINE = "OFFLINE", "已下线", "Taken offline"


class Managed(Row):
    """Columns of each table whose rows are published through revisions. The table holds approved values only.

    `owner` is the scope that may work on the item: `platform`, `department:<code>`, `district:<code>` or `store:<hex>`.
    """

    owner: str = Field(index=True, description="Scope that may work on it (归属)")
    state: PublicationState = Field(
        default=PublicationState.PUBLISHED,
        sa_type=choice(PublicationState, "state"),
        description="Whether the public sees it (状态)",
    )
    published_at: datetime = Field(sa_type=UTC_TIME, description="When its values were first published (发布时间)")
    revised_at: datetime = Field(sa_type=UTC_TIME, description="When its published values last changed (最近更新时间)")
    revision_no: int = Field(default=1, description="Number of the revision that the public sees (版本号)")
    view_count: int = Field(default=0, description="Times opened, counted once a visit (浏览量)")
    offline_by: UUID | None = Field(default=None, description="Who took it offline (下线人)")
    offline_reason: str | None = Field(default=None, description="Why it was taken offline (下线原因)")


class Revision(Row, table=True):
    """One proposal for an item: what its author wants the public to see (版本).

    At most one revision of an item is open, which `uq_revision_open` guards against races.
    """

    __table_args__ = (
        UniqueConstraint("item_id", "no"),
        Index(
            "uq_revision_open",
            "item_id",
            unique=True,
            postgresql_where=text(_OPEN),
        ),
        Index(
            "ix_revision_queue",
            "submitted_at",
            "id",
            postgresql_where=text("state = 'PENDING_REVIEW'"),
        ),
        Index("ix_revision_due", "publish_at", postgresql_where=text("state = 'SCHEDULED'")),
        Index("ix_revision_open_title", "kind", "title", postgresql_where=text(_OPEN)),
        Index("ix_revision_open_source", text("(values ->> 'source_id')"), postgresql_where=text(_OPEN)),
        Index("ix_revision_open_number", text("(values ->> 'document_no')"), postgresql_where=text(_OPEN)),
        Index("ix_revision_author", "author_id", "id"),
        Index("ix_revision_owner", "owner", "id"),
        CheckConstraint("state <> 'REJECTED' OR remark IS NOT NULL", name="rejection_has_reason"),
    )

    kind: str = Field(description="Kind of the item, such as policy (内容类型)")
    item_id: UUID = Field(description="The item (内容)")
    no: int = Field(description="Number within the item, from 1 (版本号)")
    state: RevisionState = Field(
        default=RevisionState.DRAFT, sa_type=choice(RevisionState, "state"), description="Where it stands (状态)"
    )
    title: str = Field(description="What lists show (标题)")
    owner: str = Field(description="Scope that may work on it (归属)")
    values: dict[str, Any] = Field(sa_type=JSON, description="The proposed values (拟发布内容)")
    before: dict[str, Any] | None = Field(
        default=None, sa_type=JSON, description="What was published when it was submitted, kept for the record (修改前)"
    )
    words: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=JSON, description="Sensitive words found at submission (敏感词)"
    )
    author_id: UUID = Field(foreign_key="account.id", description="Who wrote it (作者)")
    author_name: str = Field(default="", description="Name of who wrote it (作者姓名)")
    submitted_at: datetime | None = Field(
        default=None, sa_type=UTC_TIME, description="When it was submitted (提交时间)"
    )
    publish_at: datetime | None = Field(
        default=None,
        sa_type=UTC_TIME,
        description="Business time at which it is to appear; null: on approval (定时发布时间)",
    )
    reviewer_id: UUID | None = Field(default=None, foreign_key="account.id", description="Who decided (审核人)")
    reviewer_name: str | None = Field(default=None, description="Name of who decided (审核人姓名)")
    decided_at: datetime | None = Field(default=None, sa_type=UTC_TIME, description="When it was decided (审核时间)")
    remark: str | None = Field(default=None, description="The reviewer's reason (审核意见)")


class Visit(SQLModel, table=True):
    """One opening of an item in one visit; counted into the item's `view_count` by a ticker, then marked as folded."""

    __table_args__ = (Index("ix_visit_unfolded", "kind", "item_id", postgresql_where=text("NOT folded")),)

    item_id: UUID = Field(primary_key=True)
    visit_id: UUID = Field(primary_key=True)
    kind: str
    folded: bool = False

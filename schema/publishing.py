"""Managed content and its revisions: proposals, the reviewers' work list, what changed (R-ADM-04 to 06, 16)."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

import models
from kit.diff import ChangeKind, TextOp
from kit.words import Severity
from models.publishing import PublicationState, RevisionState
from resolvers import publishing as resolvers
from resolvers.loaders import Loaders
from resolvers.publishing import Decision, RevisionOrder
from schema.account import Account
from schema.acts import mutation, subscription
from schema.base import ID, Connection, Node, connection, entity, field, lookup, related
from schema.enums import describe_enum, enums
from subscriptions import publishing as subscriptions

if TYPE_CHECKING:
    from schema.proposals import Proposal

enums(RevisionState, PublicationState, RevisionOrder, Decision)
describe_enum(Severity, WARN="Must be confirmed (需确认)", BLOCK="May not be published (禁止发布)")
describe_enum(ChangeKind, ADDED="Was blank before (新增)", REMOVED="Is blank now (删除)", CHANGED="Differs (修改)")
describe_enum(TextOp, EQUAL="Stayed (未变)", INSERT="Came (新增)", DELETE="Went (删除)")


@strawberry.interface
class ManagedContent(Node):
    """Anything that is written, reviewed, published and taken offline (受管内容)."""

    state: PublicationState = strawberry.field(description="Whether the public sees it (状态)")
    published_at: datetime = strawberry.field(description="When it was first published (发布时间)")
    revised_at: datetime = strawberry.field(description="When its published values last changed (最近更新时间)")
    revision_no: int = strawberry.field(description="Number of the revision that the public sees (版本号)")
    view_count: int = strawberry.field(description="Times opened, counted once a visit (浏览量)")
    offline_reason: str | None = field(about="Why it was taken offline (下线原因)", access="content.manage")
    open_revision: "Revision | None" = related(
        Loaders.open_revision,
        by="id",
        about="The revision that is being written or reviewed, null when there is none (未完成的版本).",
        access="content.manage",
        cost=2,
    )


@strawberry.type
class Span:
    """A piece of a text that stayed, came or went (文本片段)."""

    op: TextOp = strawberry.field(description="What became of it (类型)")
    text: str = strawberry.field(description="The piece (文本)")


@strawberry.type
class FieldDiff:
    """A field that the author changed, with its value before and after (修改前/修改后)."""

    field: str = strawberry.field(description="Path of the field in the API's spelling (字段)")
    kind: ChangeKind = strawberry.field(description="How it changed (类型)")
    before: JSON | None = strawberry.field(description="Value before (修改前)")
    after: JSON | None = strawberry.field(description="Value after (修改后)")
    text: list[Span] = strawberry.field(
        description="For texts, markup left aside: what stayed, came and went, in order (文本对比)"
    )
    items_added: list[JSON] = strawberry.field(description="For lists: items that came (新增项)")
    items_removed: list[JSON] = strawberry.field(description="For lists: items that went (删除项)")


@strawberry.type
class SensitiveMatch:
    """A sensitive word within a text (敏感字)."""

    start: int = strawberry.field(description="First code point, from 0 (起)")
    end: int = strawberry.field(description="Behind the last code point (止)")
    text: str = strawberry.field(description="As it stands in the text (原文)")
    word: str = strawberry.field(description="The word of the library (敏感字)")
    category: str = strawberry.field(description="Its category (类别)")
    severity: Severity = strawberry.field(description="What it does (级别)")
    suggestion: str = strawberry.field(description="What to write instead (替换建议)")


@strawberry.type
class RevisionMatch(SensitiveMatch):
    """A sensitive word that was found when a revision was submitted (提交时发现的敏感字)."""

    field: str = strawberry.field(description="The field it stands in (字段)")


@entity(models.Revision, Loaders.revision)
class Revision(Node):
    """One proposal for an item: what its author wants the public to see (版本)."""

    kind: str
    item_id: ID = field(resolvers.item_id, needs=("kind", "item_id"))
    item: ManagedContent | None = field(resolvers.item, cost=2, shared=True)
    no: int
    state: RevisionState
    title: str
    values: JSON
    proposal: Annotated["Proposal", strawberry.lazy("schema.proposals")] = field(
        resolvers.proposal, cost=2, needs=("kind", "values")
    )
    changes: list[FieldDiff] = field(resolvers.changes, cost=5, needs=("kind", "before", "values"))
    is_new: bool = field(resolvers.is_new, needs=("before",))
    words: list[RevisionMatch]
    author: Account | None = related(Loaders.account, by="author_id", about="Who wrote it (作者)")
    author_name: str
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime | None
    publish_at: datetime | None
    reviewer_name: str | None
    decided_at: datetime | None
    remark: str | None


@strawberry.input
class RevisionFilter:
    """Which revisions to keep (版本筛选). Several values of one filter widen it, several filters narrow it."""

    kinds: list[str] | None = strawberry.field(default=None, description="Kinds of item, such as policy (内容类型)")
    states: list[RevisionState] | None = strawberry.field(default=None, description="Where they stand (状态)")
    keyword: str | None = strawberry.field(default=None, description="Text in the title (关键词)")
    districts: list[str] | None = strawberry.field(
        default=None, description="Codes of districts that own the item (所属区)"
    )
    submitted_before: datetime | None = strawberry.field(default=None, description="Waiting since before (提交早于)")
    item: ID | None = strawberry.field(default=None, description="Revisions of one item (内容)")


@strawberry.input
class SaveInput:
    """Which draft to write (存储草稿)."""

    id: ID | None = strawberry.field(default=strawberry.UNSET, description="The item; left out: a new one (内容)")
    draft_key: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="For a new item: a text kept for one form, so that a second save is no second item (草稿标识)",
    )
    unless_changed_since: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Refuses when the draft was changed after this moment (乐观锁)"
    )


@strawberry.input
class RevisionSubmitInput:
    """Which draft to hand to the reviewers (提交审核)."""

    id: ID = strawberry.field(description="The revision (版本)")
    confirm_words: bool = strawberry.field(default=False, description="Confirms words of severity WARN (确认敏感字)")
    publish_at: datetime | None = strawberry.field(
        default=None, description="Business time at which it is to appear; null: on approval (定时发布时间)"
    )


@strawberry.input
class RevisionReviewInput:
    """What a reviewer decides, and why (审核)."""

    id: ID = strawberry.field(description="The revision (版本)")
    decision: Decision = strawberry.field(description="The decision (审核结果)")
    remark: str | None = strawberry.field(default=None, description="Reason; needed to send back (审核意见)")


@strawberry.input
class RevisionWithdrawInput:
    """Which revision to give up (撤回)."""

    id: ID = strawberry.field(description="The revision (版本)")


@strawberry.input
class ItemTakeOfflineInput:
    """What to hide from the public, and why (下线)."""

    id: ID = strawberry.field(description="The item (内容)")
    reason: str = strawberry.field(description="The reason, kept in the audit log (下线原因)")


@strawberry.input
class ItemRepublishInput:
    """What to show again (重新发布)."""

    id: ID = strawberry.field(description="The item (内容)")


@strawberry.input
class ItemOpenedInput:
    """What was opened, in which visit (浏览)."""

    id: ID = strawberry.field(description="The item (内容)")
    visit_id: str = strawberry.field(description="Any text that the client keeps for one visit (访问标识)")


@strawberry.type
class Query:
    revision: Revision | None = lookup(
        Loaders.revision,
        "revision",
        about="One revision (版本) of an item, for its author, its managers and its reviewers.",
        label="版本标识",
        access="signed_in",
    )
    revisions: Connection[Revision] = connection(
        resolvers.revisions,
        filter=RevisionFilter,
        order_by=RevisionOrder,
        default=RevisionOrder.NEWEST,
        access="signed_in",
    )
    review_queue: Connection[Revision] = connection(
        resolvers.review_queue, filter=RevisionFilter, access="content.review"
    )
    review_queue_size: int = field(resolvers.review_queue_size, access="content.review", cost=2)
    sensitive_words: list[SensitiveMatch] = field(resolvers.sensitive_words, access="content.write", cost=5)


@strawberry.type
class Mutation:
    revision_submit = mutation(
        resolvers.revision_submit, RevisionSubmitInput, access="content.write", revision=Revision
    )
    revision_review = mutation(
        resolvers.revision_review, RevisionReviewInput, access="content.review", revision=Revision
    )
    revision_withdraw = mutation(
        resolvers.revision_withdraw, RevisionWithdrawInput, access="content.write", revision=Revision
    )
    item_take_offline = mutation(
        resolvers.item_take_offline, ItemTakeOfflineInput, access="content.manage", item=ManagedContent
    )
    item_republish = mutation(
        resolvers.item_republish, ItemRepublishInput, access="content.manage", item=ManagedContent
    )
    item_opened = mutation(resolvers.item_opened, ItemOpenedInput, access="public", counted=bool)


@strawberry.type
class ReviewQueue:
    """The reviewers' work list at one moment (待办概况)."""

    size: int = field(resolvers.queue_size, cost=2)
    oldest_submitted_at: datetime | None = field(resolvers.queue_oldest, cost=2)


@strawberry.type
class Subscription:
    review_queue_changed: ReviewQueue = subscription(subscriptions.review_queue_changed, access="content.review")

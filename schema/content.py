"""Articles (文章) in the columns of stores, and the platform's own news (R-STO-03 to 32, R-BASE-02)."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

import models
from models.content import ArticleTopic
from models.publishing import PublicationState
from models.store import StoreColumn
from resolvers import content as resolvers
from resolvers.content import ArticleOrder
from resolvers.loaders import Loaders
from schema.acts import mutation
from schema.base import ID, Connection, connection, entity, field, lookup, related
from schema.enums import enums
from schema.publishing import ManagedContent, Revision, SaveInput
from schema.values import part_type, values_input, values_type

if TYPE_CHECKING:
    from schema.store import Store

enums(StoreColumn, ArticleTopic, ArticleOrder)


@entity(models.Article, Loaders.article)
class Article(ManagedContent):
    """An article (文章) in a column of a store, or the platform's own news."""

    store: Annotated["Store", strawberry.lazy("schema.store")] | None = related(
        Loaders.store, by="store_id", about="The store it belongs to; null: the platform's own news (所属店铺)"
    )
    column: StoreColumn = field(partner=True)
    topic: ArticleTopic | None = field(partner=True)
    title: str = field(partner=True)
    summary: str = field(partner=True)
    cover_image: str | None
    body: str = field(partner=True)
    attachments: list[part_type(models.Attachment)]  # type: ignore[valid-type]
    origin: str = field(partner=True)
    byline: str
    requirements: str = field(partner=True)
    one_netcom_url: str | None = field(partner=True)
    linked_store: Annotated["Store", strawberry.lazy("schema.store")] | None = related(
        Loaders.store, by="linked_store_id", about="A store of the platform it speaks of (关联店铺)"
    )
    icon: str | None
    url: str | None = field(partner=True)
    sort_order: int


@values_type(models.ArticleValues)
class ArticleProposal:
    """What an article is proposed to say (文章拟发布内容)."""


@values_input(models.ArticleValues)
class ArticleInput:
    """What an article says, as its author enters it; what is left out takes its default (文章内容)."""


@strawberry.input
class ArticleFilter:
    """Which articles to keep (文章筛选). Several values of one filter widen it, several filters narrow it."""

    keyword: str | None = strawberry.field(default=None, description="Text in title or summary (关键词)")
    columns: list[StoreColumn] | None = strawberry.field(default=None, description="Columns (栏目)")
    topics: list[ArticleTopic] | None = strawberry.field(default=None, description="Sub-kinds (子类)")
    stores: list[ID] | None = strawberry.field(default=None, description="Stores they belong to (所属店铺)")
    platform_news: bool | None = strawberry.field(
        default=None, description="True: only the platform's own news; false: only articles of stores (平台新闻)"
    )
    states: list[PublicationState] | None = strawberry.field(
        default=None, description="Whether the public sees them; the public has PUBLISHED only (状态)"
    )
    published_after: datetime | None = strawberry.field(default=None, description="Published then or later (发布起)")
    published_before: datetime | None = strawberry.field(default=None, description="Published earlier (发布止)")


@strawberry.input
class ArticleSaveInput(SaveInput):
    """Which article to write, and what it is to say (文章存储)."""

    values: ArticleInput = strawberry.field(description="The whole content (内容)")


@strawberry.type
class Query:
    article: Article | None = lookup(
        Loaders.article,
        "article",
        about="One article (文章), null where there is none or it is not published.",
        label="文章标识",
        access="public",
        partner=True,
    )
    articles: Connection[Article] = connection(
        resolvers.articles,
        filter=ArticleFilter,
        order_by=ArticleOrder,
        default=ArticleOrder.NEWEST,
        access="public",
        partner=True,
    )


@strawberry.type
class Mutation:
    article_save = mutation(resolvers.article_save, ArticleSaveInput, access="article.write", revision=Revision)

"""Articles (文章): what stores and the platform publish in their columns (R-STO-03 to 32, R-BASE-02)."""

from typing import Self
from uuid import UUID

from pydantic import field_validator, model_validator
from sqlalchemy import Index, Text
from sqlmodel import Field

from kit.text import sanitise_html
from models.base import JSON, Labelled, Values, choice
from models.parts import FILE_ADDRESS, LINK_ADDRESS, WEB_ADDRESS, Attachment
from models.publishing import Managed
from models.store import WITHOUT_ARTICLES, StoreColumn


class ArticleTopic(Labelled):
    """The sub-kind of an article in a column that has several (栏目子类)."""

    INVESTMENT_PLAN = "INVESTMENT_PLAN", "投资计划", "Investment plan"
    INVESTMENT_PROJECT = "INVESTMENT_PROJECT", "投资项目", "Investment project"
    BRAND_CULTIVATION = "BRAND_CULTIVATION", "品牌培育", "Brand cultivation"
    INVESTMENT_GUIDE = "INVESTMENT_GUIDE", "投资指南", "Investment guide"
    INVESTMENT_NEWS = "INVESTMENT_NEWS", "投资动态", "Investment news"
    INDUSTRY_CLUSTER = "INDUSTRY_CLUSTER", "产业集群", "Industrial cluster"
    PARK_TAX_POLICY = "PARK_TAX_POLICY", "园区税收政策", "Tax policy of a park"


TOPICS: dict[StoreColumn, tuple[ArticleTopic, ...]] = {
    StoreColumn.INVESTMENT_INFO: (
        ArticleTopic.INVESTMENT_PLAN,
        ArticleTopic.INVESTMENT_PROJECT,
        ArticleTopic.BRAND_CULTIVATION,
        ArticleTopic.INVESTMENT_GUIDE,
        ArticleTopic.INVESTMENT_NEWS,
    ),
    StoreColumn.INVESTMENT_ATTRACTION: (ArticleTopic.INDUSTRY_CLUSTER, ArticleTopic.PARK_TAX_POLICY),
}


class ArticleValues(Values):
    """What an article says."""

    store_id: UUID | None = Field(
        default=None,
        foreign_key="store.id",
        description="The store it belongs to; null: the platform's own news (所属店铺)",
    )
    column: StoreColumn = Field(
        default=StoreColumn.NEWS, sa_type=choice(StoreColumn, "column"), description="Column (栏目)"
    )
    topic: ArticleTopic | None = Field(
        default=None, sa_type=choice(ArticleTopic, "topic"), description="Sub-kind within the column (子类)"
    )
    title: str = Field(min_length=2, max_length=200, description="Title (标题)")
    summary: str = Field(default="", max_length=1000, description="Summary (摘要)")
    cover_image: str | None = Field(
        default=None, schema_extra=FILE_ADDRESS, max_length=1000, description="Address of the cover (封面)"
    )
    body: str = Field(default="", sa_type=Text, description="Text with pictures (正文)")
    attachments: list[Attachment] = Field(default_factory=list, sa_type=JSON, description="Files (附件)")
    origin: str = Field(default="", max_length=200, description="Where it was taken from (来源)")
    byline: str = Field(default="", max_length=100, description="Author as printed (作者)")
    requirements: str = Field(
        default="", sa_type=Text, description="What a government service asks for (涉企服务事项办理要求)"
    )
    one_netcom_url: str | None = Field(
        default=None, schema_extra=WEB_ADDRESS, max_length=1000, description="The item on 一网通办 (一网通办链接)"
    )
    linked_store_id: UUID | None = Field(
        default=None, foreign_key="store.id", description="A store of the platform it speaks of (关联店铺)"
    )
    icon: str | None = Field(
        default=None, schema_extra=FILE_ADDRESS, max_length=1000, description="Icon of an entrance (图标)"
    )
    url: str | None = Field(
        default=None, schema_extra=LINK_ADDRESS, max_length=1000, description="Where an entrance leads (链接)"
    )
    sort_order: int = Field(default=0, ge=0, le=9999, description="Place within the column, ascending (排序)")

    @field_validator("body", "requirements")
    @classmethod
    def _sanitise(cls, value: str) -> str:
        return sanitise_html(value)

    @model_validator(mode="after")
    def _fits_its_column(self) -> Self:
        if self.column in WITHOUT_ARTICLES:
            raise ValueError("此栏目不发布文章 (no articles are written in this column)")
        topics = TOPICS.get(self.column, ())
        if (self.topic is None) != (not topics) or (self.topic is not None and self.topic not in topics):
            raise ValueError("子类与栏目不符 (the sub-kind does not fit the column)")
        if self.column is StoreColumn.GOV_SERVICE_ENTRY:
            if not self.url:
                raise ValueError("入口须填写链接 (an entrance needs a link)")
        elif not self.body.strip():
            raise ValueError("正文不能为空 (the text is missing)")
        return self


class Article(ArticleValues, Managed, table=True):
    """An article (文章) in a column of a store, or the platform's own news."""

    __table_args__ = (
        Index("ix_article_newest", "published_at", "id"),
        Index("ix_article_store", "store_id", "published_at", "id"),
        Index("ix_article_store_order", "store_id", "sort_order", "id"),
        Index("ix_article_order", "sort_order", "id"),
        Index("ix_article_viewed", "view_count", "id"),
        Index("ix_article_title_trgm", "title", postgresql_using="gin", postgresql_ops={"title": "gin_trgm_ops"}),
    )

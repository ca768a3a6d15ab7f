"""Reads of articles (文章): by column, topic and store, one article (R-STO-04 to 32, R-BASE-02)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from strawberry import ID
from strawberry import argument as about

from auth.viewer import Viewer
from auth.visibility import visible
from kit.ids import key_of
from models.base import Labelled, table_of
from models.content import Article
from resolvers.context import Info
from resolvers.filters import Filters, one_of, text_in, where
from resolvers.paging import Order, Page, Window, page, pages
from resolvers.product import in_stores
from resolvers.publishing import save
from services.content import ARTICLE

A = table_of(Article).c


class ArticleOrder(Labelled):
    """How articles are sorted (文章排序)."""

    NEWEST = "NEWEST", "最新发布", "Published last first"
    SORT_ORDER = "SORT_ORDER", "栏目排序", "By their place within the column"
    VIEWED = "VIEWED", "浏览量", "Most viewed first"


ORDERS = {
    ArticleOrder.NEWEST: Order("newest", (A.published_at, A.id), descending=True),
    ArticleOrder.SORT_ORDER: Order("sort_order", (A.sort_order, A.id)),
    ArticleOrder.VIEWED: Order("viewed", (A.view_count, A.id), descending=True),
}

FILTERS: Filters = {
    "keyword": text_in(A.title, A.summary),
    "columns": one_of(A.column),
    "topics": one_of(A.topic),
    "stores": lambda ids: in_stores(A.store_id, ids),
    "platform_news": lambda wanted: A.store_id.is_(None) if wanted else A.store_id.is_not(None),
    "states": one_of(A.state),
    "published_after": lambda moment: A.published_at >= moment,
    "published_before": lambda moment: A.published_at < moment,
}


async def article(info: Info, id: Annotated[ID, about(description="Its global id (文章标识)")]) -> Any:
    """One article (文章), null where there is none or it is not published."""
    key = key_of(id, "article")
    return await info.context.load.article.load(key) if key else None


async def articles(
    info: Info,
    window: Window,
    filter: Mapping[str, Any] | None = None,
    order_by: ArticleOrder = ArticleOrder.NEWEST,
) -> Page:
    """Articles (文章) of all stores and the platform's own news."""
    statement = visible(Article, info.context.viewer).where(*where(FILTERS, filter))
    return await page(statement, ORDERS[order_by], window)


async def articles_of_store(
    viewer: Viewer,
    keys: Sequence[UUID],
    window: Window,
    filter: Mapping[str, Any] | None = None,
    order_by: ArticleOrder = ArticleOrder.NEWEST,
) -> Mapping[UUID, Page]:
    """Articles in the store's columns (栏目文章)."""
    statement = visible(Article, viewer).where(*where(FILTERS, filter))
    return await pages(statement, A.store_id, keys, ORDERS[order_by], window)


async def article_save(info: Info, values: Mapping[str, Any], **draft: Any) -> Any:
    """Writes the open draft of an article, or begins a new one (文章存储). The public sees it after review."""
    return await save(info, ARTICLE, values, **draft)

"""Reads of articles (文章): by column, topic and store, one article (R-STO-04 to 32, R-BASE-02)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auth.viewer import Viewer
from auth.visibility import visible
from models.base import Labelled, table_of
from models.content import Article
from resolvers.context import Info
from resolvers.filters import Filters, one_of, text_in, where
from resolvers.listings import Listing
from resolvers.paging import Order
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


def articles(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: ArticleOrder = ArticleOrder.NEWEST
) -> Listing:
    """Articles (文章) of all stores and the platform's own news."""
    return Listing(visible(Article, viewer).where(*where(FILTERS, filter)), ORDERS[order_by])


def articles_of_store(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: ArticleOrder = ArticleOrder.NEWEST
) -> Listing:
    """Articles in the store's columns (栏目文章)."""
    return replace(articles(viewer, filter, order_by), key=A.store_id)


async def article_save(info: Info, values: Mapping[str, Any], **draft: Any) -> Any:
    """Writes the open draft of an article, or begins a new one (文章存储). The public sees it after review."""
    return await save(info, ARTICLE, values, **draft)

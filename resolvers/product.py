"""Reads of service products (服务产品): search by filters, one product, those of a store (R-PRO-02, R-BASE-21)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, Uuid, any_, func, literal, literal_column, or_, select

from auth.viewer import Viewer
from auth.visibility import visible
from kit.ids import key_of
from models.area import ServiceCategory
from models.base import Labelled, table_of
from models.product import DEARER_THAN_ALL, Product
from models.store import Store
from resolvers.context import Info
from resolvers.filters import Filters, at_least, at_most, one_of, overlaps, text_in, where
from resolvers.listings import Listing
from resolvers.paging import Order
from resolvers.publishing import save
from services.product import PRODUCT

P = table_of(Product).c
S = table_of(Store).c
C = table_of(ServiceCategory).c


class ProductOrder(Labelled):
    """How products are sorted (产品排序). Those priced by agreement come last, whichever way prices are sorted."""

    NEWEST = "NEWEST", "最新发布", "Published last first"
    ORDERS = "ORDERS", "订单数", "Most ordered first"
    RATING = "RATING", "评分", "Best rated first"
    PRICE_ASC = "PRICE_ASC", "价格从低到高", "Cheapest first"
    PRICE_DESC = "PRICE_DESC", "价格从高到低", "Dearest first"


def _or(column: ColumnElement[Any], value: str) -> ColumnElement[Any]:
    """The column, with a value in the place of null; the text is that of the table's index."""
    return func.coalesce(column, literal_column(value), type_=Numeric)


ORDERS = {
    ProductOrder.NEWEST: Order("newest", (P.published_at, P.id), descending=True),
    ProductOrder.ORDERS: Order("orders", (P.order_count, P.id), descending=True),
    ProductOrder.RATING: Order("rating", (_or(P.rating, "0"), P.id), descending=True),
    ProductOrder.PRICE_ASC: Order("price_asc", (_or(P.price, str(DEARER_THAN_ALL)), P.id)),
    ProductOrder.PRICE_DESC: Order("price_desc", (_or(P.price, "-1"), P.id), descending=True),
}


def in_categories(codes: Sequence[str]) -> ColumnElement[bool]:
    """The product's category is one of these or lies below one of them."""
    chosen = select(C.code).where(or_(one_of(C.code)(codes), one_of(C.parent_code)(codes)))
    condition: ColumnElement[bool] = P.category_code.in_(chosen)
    return condition


def in_stores(column: ColumnElement[Any], ids: Sequence[str]) -> ColumnElement[bool]:
    """The column refers to one of the stores; a text that is no store's id matches nothing."""
    keys = [key for text in ids if (key := key_of(text, "store"))]
    return column == any_(literal(keys, ARRAY(Uuid)))


FILTERS: Filters = {
    "keyword": text_in(P.name, P.provider),
    "categories": in_categories,
    "districts": overlaps(P.service_areas, empty_means_all=True),
    "price_kinds": one_of(P.price_kind),
    "price_min": at_least(P.price),
    "price_max": at_most(P.price),
    "natures": one_of(P.nature),
    "targets": overlaps(P.targets, empty_means_all=True),
    "min_rating": at_least(P.rating),
    "stores": lambda ids: in_stores(P.store_id, ids),
    "store_kinds": lambda kinds: P.store_id.in_(select(S.id).where(one_of(S.kind)(kinds))),
    "states": one_of(P.state),
    "published_after": lambda moment: P.published_at >= moment,
    "published_before": lambda moment: P.published_at < moment,
}


def products(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: ProductOrder = ProductOrder.NEWEST
) -> Listing:
    """Service products (服务产品) of all stores."""
    return Listing(visible(Product, viewer).where(*where(FILTERS, filter)), ORDERS[order_by])


def products_of_store(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: ProductOrder = ProductOrder.NEWEST
) -> Listing:
    """Service products that the store offers (服务产品)."""
    return replace(products(viewer, filter, order_by), key=P.store_id)


async def product_save(info: Info, values: Mapping[str, Any], **draft: Any) -> Any:
    """Writes the open draft of a product, or begins a new one (产品存储). The public sees it after review."""
    return await save(info, PRODUCT, values, **draft)

"""Reads of stores (店铺): the directory, one store, what its columns hold (R-STO-01, R-STO-02, R-PRO-02)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from sqlalchemy import ColumnElement, Numeric, any_, func, literal_column, or_
from strawberry import Parent
from strawberry import argument as about

from auth.viewer import Viewer
from auth.visibility import visible
from models.base import Labelled
from models.content import TOPICS
from models.policy import Policy
from models.product import Product
from models.store import COLUMNS, WITHOUT_ARTICLES, Store, StoreColumn, StoreKind
from resolvers import policy as policy_reads
from resolvers import product as product_reads
from resolvers.context import Info
from resolvers.filters import Filters, one_of, text_in, where
from resolvers.listings import Listing
from resolvers.paging import Order
from resolvers.policy import PolicyOrder
from resolvers.product import P, ProductOrder
from resolvers.publishing import save
from services.store import STORE, STORES

S = STORES.c


class StoreOrder(Labelled):
    """How stores are sorted (店铺排序)."""

    NEWEST = "NEWEST", "最新发布", "Published last first"
    FOLLOWERS = "FOLLOWERS", "关注数", "Most followed first"
    RATING = "RATING", "评分", "Best rated first"


ORDERS = {
    StoreOrder.NEWEST: Order("newest", (S.published_at, S.id), descending=True),
    StoreOrder.FOLLOWERS: Order("followers", (S.follower_count, S.id), descending=True),
    StoreOrder.RATING: Order(
        "rating", (func.coalesce(S.rating, literal_column("0"), type_=Numeric), S.id), descending=True
    ),
}


def _filters(viewer: Viewer) -> Filters:
    return {
        "keyword": text_in(S.name, S.slogan),
        "kinds": one_of(S.kind),
        "states": one_of(S.state),
        "districts": one_of(S.district_code),
        "departments": lambda codes: or_(one_of(S.department_code)(codes), one_of(S.parent_department_code)(codes)),
        "categories": lambda codes: _offers(viewer, codes),
    }


def _offers(viewer: Viewer, codes: Sequence[str]) -> ColumnElement[bool]:
    """The store has a product of these categories that the viewer sees."""
    return S.id.in_(visible(Product, viewer, P.store_id).where(product_reads.in_categories(codes)))


def stores(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: StoreOrder = StoreOrder.NEWEST
) -> Listing:
    """Stores (店铺); with `kinds` the directory of the flagship stores of departments and districts."""
    return Listing(visible(Store, viewer).where(*where(_filters(viewer), filter)), ORDERS[order_by])


def store_columns(
    kind: Annotated[StoreKind, about(description="The kind of store (店铺类型)")],
) -> list[dict[str, Any]]:
    """The columns (栏目) that a kind of store has, in their usual order."""
    return [
        {"column": column, "topics": list(TOPICS.get(column, ())), "has_articles": column not in WITHOUT_ARTICLES}
        for column in COLUMNS[kind]
    ]


def columns(row: Parent[Any]) -> list[dict[str, Any]]:
    """Its columns in the order that it chose, those it did not name behind them (栏目)."""
    chosen = {StoreColumn[setting["column"]]: setting["enabled"] for setting in row["columns"]}
    offered = COLUMNS[StoreKind[row["kind"]]]
    ordered = [column for column in chosen if column in offered] + [each for each in offered if each not in chosen]
    return [{"column": column, "enabled": chosen.get(column, True)} for column in ordered]


def policies(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: PolicyOrder = PolicyOrder.NEWEST
) -> Listing:
    """Policies of a flagship store: those that its department issued or that name its district (政策服务).

    A filter on the one policy library, never a second copy (R-STO-11, R-STO-31).
    """
    flagship = STORES.alias("flagship").c
    table = policy_reads.P
    issued = (flagship.kind == StoreKind.DEPARTMENT) & (flagship.department_code == table.department_code)
    named = (flagship.kind == StoreKind.DISTRICT) & (flagship.district_code == any_(table.districts))
    statement = (
        visible(Policy, viewer, *table, flagship.id.label("flagship_id"))
        .join(flagship.id.table, or_(issued, named))
        .where(*where(policy_reads.FILTERS, filter))
    )
    return Listing(statement, policy_reads.ORDERS[order_by], flagship.id.label("flagship_id"))


def subordinate_products(
    viewer: Viewer, filter: Mapping[str, Any] | None = None, order_by: ProductOrder = ProductOrder.NEWEST
) -> Listing:
    """Products of the institutions below a department, shown in its flagship store (下属部门运营信息).

    Empty for other kinds of store (R-STO-13, R-STO-14).
    """
    flagship, unit = STORES.alias("flagship").c, STORES.alias("unit").c
    above = (flagship.kind == StoreKind.DEPARTMENT) & (flagship.department_code == unit.parent_department_code)
    statement = (
        visible(Product, viewer, *P, flagship.id.label("flagship_id"))
        .join(unit.id.table, (unit.id == P.store_id) & (unit.kind == StoreKind.INSTITUTION))
        .join(flagship.id.table, above)
        .where(*where(product_reads.FILTERS, filter))
    )
    return Listing(statement, product_reads.ORDERS[order_by], flagship.id.label("flagship_id"))


async def store_save(info: Info, values: Mapping[str, Any], **draft: Any) -> Any:
    """Writes the open draft of a store, or begins a new one (店铺装修). The public sees it after review."""
    return await save(info, STORE, values, **draft)

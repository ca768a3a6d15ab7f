"""Stores (店铺): the directory, what each holds, how one is written (R-STO-01, R-STO-02, R-BASE-27, R-BASE-28)."""

import strawberry

import models
from models.content import ArticleTopic
from models.publishing import PublicationState
from models.store import ColumnSetting, StoreColumn, StoreKind
from resolvers import content as content_resolvers
from resolvers import product as product_resolvers
from resolvers import store as resolvers
from resolvers.content import ArticleOrder
from resolvers.loaders import Loaders
from resolvers.policy import PolicyOrder
from resolvers.product import ProductOrder
from resolvers.store import StoreOrder
from schema.acts import mutation
from schema.area import Department, District
from schema.base import Connection, connection, entity, field, lookup, related
from schema.content import Article, ArticleFilter
from schema.enums import enums
from schema.policy import Policy, PolicyFilter
from schema.product import Product, ProductFilter
from schema.publishing import ManagedContent, Revision, SaveInput
from schema.values import part_type, values_input, values_type

enums(StoreOrder)


@entity(models.Store, Loaders.store)
class Store(ManagedContent):
    """A store (店铺): the page of a department, a district or a service institution."""

    kind: StoreKind = field(partner=True)
    name: str = field(partner=True)
    district: District | None = related(Loaders.district, by="district_code", about="District (所属区)")
    department: Department | None = related(
        Loaders.department, by="department_code", about="Department that runs it (所属部门)"
    )
    parent_department: Department | None = related(
        Loaders.department, by="parent_department_code", about="Department above an institution (上级部门)"
    )
    slogan: str = field(partner=True)
    emblem: str | None
    banner: str | None
    introduction: str = field(partner=True)
    images: list[str]
    contact: str = field(partner=True)
    phone: str = field(partner=True)
    address: str = field(partner=True)
    website: str | None = field(partner=True)
    columns: list[part_type(ColumnSetting)] = field(resolvers.columns, needs=("columns", "kind"))  # type: ignore[valid-type]
    rating: float | None = field(partner=True)
    follower_count: int = field(partner=True)
    products: Connection[Product] = connection(
        product_resolvers.products_of_store,
        by="id",
        filter=ProductFilter,
        order_by=ProductOrder,
        default=ProductOrder.NEWEST,
    )
    articles: Connection[Article] = connection(
        content_resolvers.articles_of_store,
        by="id",
        filter=ArticleFilter,
        order_by=ArticleOrder,
        default=ArticleOrder.NEWEST,
    )
    policies: Connection[Policy] = connection(
        resolvers.policies, by="id", filter=PolicyFilter, order_by=PolicyOrder, default=PolicyOrder.NEWEST
    )
    subordinate_products: Connection[Product] = connection(
        resolvers.subordinate_products,
        by="id",
        filter=ProductFilter,
        order_by=ProductOrder,
        default=ProductOrder.NEWEST,
    )


@strawberry.type
class OfferedColumn:
    """A column (栏目) that a kind of store has."""

    column: StoreColumn = strawberry.field(description="The column (栏目)")
    topics: list[ArticleTopic] = strawberry.field(
        description="Sub-kinds that its articles must name; empty: none (子类)"
    )
    has_articles: bool = strawberry.field(description="Whether articles are written in it (可发布文章)")


@values_type(models.StoreValues)
class StoreProposal:
    """What a store is proposed to show of itself (店铺拟发布内容)."""


@values_input(models.StoreValues)
class StoreInput:
    """What a store shows of itself, as its author enters it; what is left out takes its default (店铺内容)."""


@strawberry.input
class StoreFilter:
    """Which stores to keep (店铺筛选). Several values of one filter widen it, several filters narrow it."""

    keyword: str | None = strawberry.field(default=None, description="Text in name or slogan (关键词)")
    kinds: list[StoreKind] | None = strawberry.field(default=None, description="Kinds of store (店铺类型)")
    states: list[PublicationState] | None = strawberry.field(
        default=None, description="Whether the public sees them (状态)"
    )
    districts: list[str] | None = strawberry.field(default=None, description="Codes of districts (所属区)")
    departments: list[str] | None = strawberry.field(
        default=None, description="Codes of departments that run them or stand above them (所属部门)"
    )
    categories: list[str] | None = strawberry.field(
        default=None, description="Codes of categories in which they offer a product (服务分类)"
    )


@strawberry.input
class StoreSaveInput(SaveInput):
    """Which store to write, and what it is to show (店铺装修)."""

    values: StoreInput = strawberry.field(description="The whole content (内容)")


@strawberry.type
class Query:
    store: Store | None = lookup(
        Loaders.store,
        "store",
        about="One store (店铺), null where there is none or it is not published.",
        label="店铺标识",
        access="public",
        partner=True,
    )
    stores: Connection[Store] = connection(
        resolvers.stores,
        filter=StoreFilter,
        order_by=StoreOrder,
        default=StoreOrder.NEWEST,
        access="public",
        partner=True,
    )
    store_columns: list[OfferedColumn] = field(resolvers.store_columns, access="public", partner=True, shared=True)


@strawberry.type
class Mutation:
    store_save = mutation(resolvers.store_save, StoreSaveInput, access="store.write", revision=Revision)

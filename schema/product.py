"""Service products (服务产品): search, one product, how one is written (R-PRO-01, R-PRO-02, R-BASE-21)."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

import models
from models.policy import EnterpriseSize
from models.product import PriceKind, ProductNature
from models.publishing import PublicationState
from models.store import StoreKind
from resolvers import product as resolvers
from resolvers.loaders import Loaders
from resolvers.product import ProductOrder
from schema.acts import mutation
from schema.area import District, ServiceCategory
from schema.base import ID, Connection, connection, entity, field, lookup, related
from schema.enums import enums
from schema.publishing import ManagedContent, Revision, SaveInput
from schema.values import values_input, values_type

if TYPE_CHECKING:
    from schema.store import Store

enums(StoreKind, PriceKind, ProductNature, ProductOrder)


@entity(models.Product, Loaders.product)
class Product(ManagedContent):
    """A service product (服务产品) that enterprises can find and order."""

    name: str = field(partner=True)
    store: Annotated["Store", strawberry.lazy("schema.store")] | None = related(
        Loaders.store, by="store_id", about="The store that offers it (所属店铺)"
    )
    category: ServiceCategory | None = related(
        Loaders.service_category, by="category_code", about="Service category (服务分类)"
    )
    nature: ProductNature = field(partner=True)
    provider: str = field(partner=True)
    service_areas: list[District] = related(
        Loaders.district, by="service_areas", about="Districts served; empty: the whole city (服务地区)"
    )
    targets: list[EnterpriseSize]
    price_kind: PriceKind = field(partner=True)
    price: Decimal | None = field(partner=True)
    images: list[str]
    summary: str = field(partner=True)
    description: str
    process: str
    tags: list[str]
    status: PublicationState = field(column="state", about="Whether the public sees it, the same as `state` (状态)")
    rating: float | None = field(partner=True)
    order_count: int = field(partner=True)


@values_type(models.ProductValues)
class ProductProposal:
    """What a product is proposed to say (产品拟发布内容)."""


@values_input(models.ProductValues)
class ProductInput:
    """What a product says, as its author enters it; what is left out takes its default (产品内容)."""


@strawberry.input
class ProductFilter:
    """Which products to keep (产品筛选). Several values of one filter widen it, several filters narrow it."""

    keyword: str | None = strawberry.field(default=None, description="Text in name or provider (关键词)")
    categories: list[str] | None = strawberry.field(
        default=None, description="Codes of categories; one of the first level includes those below it (服务分类)"
    )
    districts: list[str] | None = strawberry.field(default=None, description="Codes of districts served (服务地区)")
    price_kinds: list[PriceKind] | None = strawberry.field(default=None, description="How they are paid for (收费方式)")
    price_min: Decimal | None = strawberry.field(default=None, description="Price at least, yuan (最低价格)")
    price_max: Decimal | None = strawberry.field(default=None, description="Price at most, yuan (最高价格)")
    natures: list[ProductNature] | None = strawberry.field(
        default=None, description="Public or professional (服务性质)"
    )
    targets: list[EnterpriseSize] | None = strawberry.field(default=None, description="Sizes of enterprise (服务对象)")
    min_rating: float | None = strawberry.field(default=None, description="Average score at least (最低评分)")
    stores: list[ID] | None = strawberry.field(default=None, description="Stores that offer them (所属店铺)")
    store_kinds: list[StoreKind] | None = strawberry.field(default=None, description="Kinds of store (店铺类型)")
    states: list[PublicationState] | None = strawberry.field(
        default=None, description="Whether the public sees them; the public has PUBLISHED only (状态)"
    )
    published_after: datetime | None = strawberry.field(default=None, description="Published then or later (发布起)")
    published_before: datetime | None = strawberry.field(default=None, description="Published earlier (发布止)")


@strawberry.input
class ProductSaveInput(SaveInput):
    """Which product to write, and what it is to say (产品存储)."""

    values: ProductInput = strawberry.field(description="The whole content (内容)")


@strawberry.type
class Query:
    product: Product | None = lookup(
        Loaders.product,
        "product",
        about="One service product (服务产品), null where there is none or it is not published.",
        label="产品标识",
        access="public",
        partner=True,
    )
    products: Connection[Product] = connection(
        resolvers.products,
        filter=ProductFilter,
        order_by=ProductOrder,
        default=ProductOrder.NEWEST,
        access="public",
        partner=True,
    )


@strawberry.type
class Mutation:
    product_save = mutation(resolvers.product_save, ProductSaveInput, access="product.write", revision=Revision)

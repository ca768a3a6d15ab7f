"""Service products (服务产品) that stores offer (R-PRO-01, R-PRO-02)."""

from decimal import Decimal
from typing import Self
from uuid import UUID

from pydantic import field_validator, model_validator
from sqlalchemy import Index, Numeric, Text, text
from sqlmodel import Field

from kit.text import sanitise_html
from models.base import TEXTS, Labelled, Values, choice
from models.policy import EnterpriseSize
from models.publishing import Managed

ZERO = Decimal("0.00")
DEARER_THAN_ALL = 10**10


class PriceKind(Labelled):
    """How a product is paid for (收费方式)."""

    FREE = "FREE", "免费", "Free"
    PRICED = "PRICED", "收费", "At a price"
    NEGOTIABLE = "NEGOTIABLE", "面议", "By agreement"


class ProductNature(Labelled):
    """Whether a public body or the market offers it (服务性质)."""

    PUBLIC = "PUBLIC", "公共服务", "Public service"
    SOCIAL = "SOCIAL", "专业服务", "Professional service"


class ProductValues(Values):
    """What a store says of a product."""

    store_id: UUID = Field(foreign_key="store.id", description="The store that offers it (所属店铺)")
    name: str = Field(min_length=2, max_length=100, description="Name (产品名称)")
    category_code: str = Field(foreign_key="service_category.code", description="Service category (服务分类)")
    nature: ProductNature = Field(
        default=ProductNature.SOCIAL,
        sa_type=choice(ProductNature, "nature"),
        description="Public or professional (服务性质)",
    )
    provider: str = Field(default="", max_length=200, description="Body that delivers it (提供单位)")
    service_areas: list[str] = Field(
        default_factory=list,
        sa_type=TEXTS,
        description="Codes of the districts served; empty: the whole city (服务地区)",
    )
    targets: list[EnterpriseSize] = Field(
        default_factory=list, sa_type=TEXTS, description="Sizes of enterprise it is meant for; empty: all (服务对象)"
    )
    price_kind: PriceKind = Field(
        default=PriceKind.NEGOTIABLE,
        sa_type=choice(PriceKind, "price_kind"),
        description="How it is paid for (收费方式)",
    )
    price: Decimal | None = Field(
        default=None,
        ge=0,
        lt=DEARER_THAN_ALL,
        decimal_places=2,
        sa_type=Numeric(12, 2),
        description="Price in yuan; 0 where it is free, null by agreement (价格)",
    )
    images: list[str] = Field(
        default_factory=list, max_length=20, sa_type=TEXTS, description="Addresses of pictures (图片)"
    )
    summary: str = Field(default="", max_length=500, description="Summary (摘要)")
    description: str = Field(min_length=1, sa_type=Text, description="Details (详情)")
    process: str = Field(default="", sa_type=Text, description="How the service runs (服务流程)")
    tags: list[str] = Field(default_factory=list, max_length=20, sa_type=TEXTS, description="Tags (标签)")

    @field_validator("description", "process")
    @classmethod
    def _sanitise(cls, value: str) -> str:
        return sanitise_html(value)

    @field_validator("price")
    @classmethod
    def _to_the_fen(cls, value: Decimal | None) -> Decimal | None:
        return None if value is None else value.quantize(ZERO)

    @model_validator(mode="after")
    def _price_fits_its_kind(self) -> Self:
        if self.price_kind is PriceKind.FREE and self.price is None:
            self.price = ZERO
        if (self.price_kind is PriceKind.NEGOTIABLE) != (self.price is None):
            raise ValueError(
                "收费产品须填写价格，面议产品不填 (a priced product states its price, one by agreement none)"
            )
        if self.price is not None and (self.price_kind is PriceKind.FREE) != (self.price == ZERO):
            raise ValueError("收费产品价格须大于零，免费产品为零 (a price is above zero, and zero for what is free)")
        return self


class Product(ProductValues, Managed, table=True):
    """A service product (服务产品) that enterprises can find and order."""

    __table_args__ = (
        Index("ix_product_newest", "published_at", "id"),
        Index("ix_product_store", "store_id", "published_at", "id"),
        Index("ix_product_category", "category_code", "published_at", "id"),
        Index("ix_product_orders", "order_count", "id"),
        Index("ix_product_rating", text("coalesce(rating, 0)"), "id"),
        Index("ix_product_price_asc", text("coalesce(price, 10000000000)"), "id"),
        Index("ix_product_price_desc", text("coalesce(price, -1)"), "id"),
        Index("ix_product_areas", "service_areas", postgresql_using="gin"),
        Index("ix_product_name_trgm", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    rating: float | None = Field(
        default=None,
        sa_type=Numeric(3, 2, asdecimal=False),
        description="Average score 1 to 5, null until rated (评分)",
    )
    order_count: int = Field(default=0, description="Orders completed (订单数)")

"""Stores (店铺): department and district flagship stores and those of service institutions (R-STO, R-BASE-27, 28)."""

from typing import Self

from pydantic import model_validator
from sqlalchemy import Index, Numeric, Text, text
from sqlmodel import Field

from models.base import JSON, TEXTS, Labelled, Values, choice
from models.parts import FILE_ADDRESS, WEB_ADDRESS, Part
from models.publishing import Managed


class StoreKind(Labelled):
    """Who runs a store (店铺类型)."""

    DEPARTMENT = "DEPARTMENT", "部门旗舰店", "Department flagship store"
    DISTRICT = "DISTRICT", "区旗舰店", "District flagship store"
    INSTITUTION = "INSTITUTION", "服务机构店铺", "Store of a service institution"


class StoreColumn(Labelled):
    """A column (栏目) of a store; `COLUMNS` says which kind of store has which (R-STO-01, R-STO-02)."""

    NEWS = "NEWS", "新闻动态", "News"
    GUIDANCE = "GUIDANCE", "宣传指导", "Guidance"
    SUCCESS_CASE = "SUCCESS_CASE", "成功案例", "Success stories"
    GOV_SERVICE_GUIDE = "GOV_SERVICE_GUIDE", "办事服务", "Government services"
    POLICY = "POLICY", "政策服务", "Policies"
    SUBORDINATE_OPERATION = "SUBORDINATE_OPERATION", "下属部门运营信息", "Subordinate units"
    DISTRICT_INTRO = "DISTRICT_INTRO", "辖区介绍", "About the district"
    INVESTMENT_INFO = "INVESTMENT_INFO", "投资信息", "Investment information"
    DEVELOPMENT_PLAN = "DEVELOPMENT_PLAN", "发展规划", "Development planning"
    INVESTMENT_ATTRACTION = "INVESTMENT_ATTRACTION", "招商信息", "Investment promotion"
    PUBLIC_SERVICE = "PUBLIC_SERVICE", "公共服务", "Public services"
    SOCIAL_SERVICE = "SOCIAL_SERVICE", "社会服务", "Social services"
    GOV_SERVICE_ENTRY = "GOV_SERVICE_ENTRY", "办事服务入口", "Entrances to government services"
    PROXY_REPORT = "PROXY_REPORT", "诉求代报", "Appeals on behalf"


COLUMNS: dict[StoreKind, tuple[StoreColumn, ...]] = {
    StoreKind.DEPARTMENT: (
        StoreColumn.NEWS,
        StoreColumn.GUIDANCE,
        StoreColumn.SUCCESS_CASE,
        StoreColumn.GOV_SERVICE_GUIDE,
        StoreColumn.POLICY,
        StoreColumn.SUBORDINATE_OPERATION,
    ),
    StoreKind.DISTRICT: (
        StoreColumn.DISTRICT_INTRO,
        StoreColumn.INVESTMENT_INFO,
        StoreColumn.DEVELOPMENT_PLAN,
        StoreColumn.NEWS,
        StoreColumn.INVESTMENT_ATTRACTION,
        StoreColumn.PUBLIC_SERVICE,
        StoreColumn.SOCIAL_SERVICE,
        StoreColumn.GOV_SERVICE_ENTRY,
        StoreColumn.POLICY,
        StoreColumn.PROXY_REPORT,
    ),
    StoreKind.INSTITUTION: (),
}
WITHOUT_ARTICLES = frozenset({StoreColumn.POLICY, StoreColumn.SUBORDINATE_OPERATION, StoreColumn.PROXY_REPORT})


class ColumnSetting(Part):
    """Whether a store shows a column; the order of the list is the order on the page (栏目设置)."""

    column: StoreColumn = Field(description="The column (栏目)")
    enabled: bool = Field(default=True, description="Whether it is shown (启用)")


class StoreValues(Values):
    """What a store shows of itself (店铺装修)."""

    kind: StoreKind = Field(sa_type=choice(StoreKind, "kind"), description="Who runs it (店铺类型)")
    name: str = Field(min_length=2, max_length=100, description="Name (店铺名称)")
    district_code: str | None = Field(
        default=None, foreign_key="district.code", index=True, description="District (所属区)"
    )
    department_code: str | None = Field(
        default=None, foreign_key="department.code", description="Department that runs it (所属部门)"
    )
    parent_department_code: str | None = Field(
        default=None,
        foreign_key="department.code",
        index=True,
        description="Department above an institution (上级部门)",
    )
    slogan: str = Field(default="", max_length=200, description="Slogan (口号)")
    emblem: str | None = Field(
        default=None, schema_extra=FILE_ADDRESS, max_length=1000, description="Address of the emblem or logo (标识)"
    )
    banner: str | None = Field(
        default=None, schema_extra=FILE_ADDRESS, max_length=1000, description="Address of the banner (横幅)"
    )
    introduction: str = Field(default="", sa_type=Text, description="Introduction (简介)")
    images: list[str] = Field(
        default_factory=list, max_length=20, sa_type=TEXTS, description="Addresses of pictures (图集)"
    )
    contact: str = Field(default="", max_length=100, description="Contact person or office (联系人)")
    phone: str = Field(default="", max_length=100, description="Public telephone (联系电话)")
    address: str = Field(default="", max_length=300, description="Address (地址)")
    website: str | None = Field(default=None, schema_extra=WEB_ADDRESS, max_length=1000, description="Website (网址)")
    columns: list[ColumnSetting] = Field(
        default_factory=list, sa_type=JSON, description="Columns in their order; empty: all that the kind has (栏目)"
    )

    @model_validator(mode="after")
    def _belongs_where_its_kind_says(self) -> Self:
        if self.kind is StoreKind.DISTRICT and not self.district_code:
            raise ValueError("区旗舰店须填写所属区 (a district flagship store names its district)")
        if self.kind is StoreKind.DEPARTMENT and not self.department_code:
            raise ValueError("部门旗舰店须填写所属部门 (a department flagship store names its department)")
        offered = COLUMNS[self.kind]
        named = [setting.column for setting in self.columns]
        if len(set(named)) != len(named) or not set(named) <= set(offered):
            raise ValueError(
                "栏目重复或该类店铺没有此栏目 (a column is named twice or not offered by this kind of store)"
            )
        return self


class Store(StoreValues, Managed, table=True):
    """A store (店铺): the page of a department, a district or a service institution."""

    __table_args__ = (
        Index("uq_store_district", "district_code", unique=True, postgresql_where=text("kind = 'DISTRICT'")),
        Index("uq_store_department", "department_code", unique=True, postgresql_where=text("kind = 'DEPARTMENT'")),
        Index("ix_store_newest", "published_at", "id"),
        Index("ix_store_followers", "follower_count", "id"),
        Index("ix_store_rating", text("coalesce(rating, 0)"), "id"),
        Index("ix_store_kind", "kind", "published_at", "id"),
        Index("ix_store_name_trgm", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    rating: float | None = Field(
        default=None,
        sa_type=Numeric(3, 2, asdecimal=False),
        description="Average score 1 to 5, null until rated (评分)",
    )
    follower_count: int = Field(default=0, description="Followers (关注数)")

"""Full-text search over everything that is published (R-BASE-05, R-PRO-02)."""

from typing import Annotated, Any

import strawberry
from strawberry import argument

from models.policy import EnterpriseSize, PolicyKind, PolicyLevel, PolicyValidity, SupportKind
from models.product import PriceKind, ProductNature
from models.store import StoreColumn, StoreKind
from resolvers import search as resolvers
from resolvers.context import Info
from resolvers.filters import plain
from resolvers.search import SearchOrder
from schema.base import PageInfo, field
from schema.content import Article
from schema.enums import describe_enum, enums
from schema.policy import Policy
from schema.product import Product
from schema.store import Store
from search.base import SearchType

enums(SearchOrder)
describe_enum(
    SearchType,
    POLICY="Policies (政策)",
    STORE="Stores (店铺)",
    PRODUCT="Service products (服务产品)",
    ARTICLE="Articles (文章)",
)

SearchNode = Annotated[
    Policy | Store | Product | Article, strawberry.union("SearchNode", description="Anything that is found (检索结果)")
]


@strawberry.type(name="SearchHighlight")
class SearchHighlight:
    """A passage that matched (高亮片段)."""

    field: str = strawberry.field(description="The field it stands in (字段)")
    text: str = strawberry.field(description="HTML-escaped raw text with the matches in <mark> (片段)")


@strawberry.type
class SearchEdge:
    """A hit (命中)."""

    node: SearchNode = strawberry.field(description="What was found (内容)")
    cursor: str = strawberry.field(description="Where to go on from (游标)")
    score: float = strawberry.field(description="How well it fits; comparable within one answer only (相关度)")
    highlights: list[SearchHighlight] = strawberry.field(description="Why it was found (高亮)")


@strawberry.type
class FacetValue:
    """One value of a facet (分面值)."""

    value: str = strawberry.field(description="The value, a code or an enum value (值)")
    count: int = strawberry.field(description="Hits that carry it (数量)")


@strawberry.type
class Facet:
    """How the hits divide by one property (分面)."""

    name: str = strawberry.field(description="The property, as in the filter (名称)")
    values: list[FacetValue] = strawberry.field(description="Its values, the most frequent first (取值)")


@strawberry.type
class SearchConnection:
    """Hits by pages (检索结果分页)."""

    edges: list[SearchEdge] = strawberry.field(description="The hits with their cursors (本页命中)")
    nodes: list[SearchNode] = field(resolvers.nodes, shared=True)
    page_info: PageInfo = strawberry.field(description="Where the page stands (分页信息)")
    total_count: int = strawberry.field(description="Hits in all pages (总数)")
    facets: list[Facet] = strawberry.field(description="How the hits divide (分面统计)")
    degraded: bool = strawberry.field(
        description="True while the index is away: titles and document numbers were searched instead (降级)"
    )


@strawberry.input
class SearchFilter:
    """Which hits to keep (检索筛选). Several values of one filter widen it, several filters narrow it."""

    level: list[PolicyLevel] | None = strawberry.field(default=None, description="Levels of policies (层级)")
    policy_kind: list[PolicyKind] | None = strawberry.field(default=None, description="Kinds of policy (政策类型)")
    validity: list[PolicyValidity] | None = strawberry.field(default=None, description="Validity of policies (时效性)")
    enterprise_size: list[EnterpriseSize] | None = strawberry.field(default=None, description="Sizes (适用规模)")
    enterprise_tag: list[str] | None = strawberry.field(default=None, description="Qualifications (适用标签)")
    support_kind: list[SupportKind] | None = strawberry.field(default=None, description="How policies help (支持方式)")
    industry: list[str] | None = strawberry.field(default=None, description="Codes of industries (适用行业)")
    district: list[str] | None = strawberry.field(default=None, description="Codes of districts (区)")
    department: list[str] | None = strawberry.field(default=None, description="Codes of departments (部门)")
    category: list[str] | None = strawberry.field(default=None, description="Codes of service categories (服务分类)")
    price_kind: list[PriceKind] | None = strawberry.field(
        default=None, description="How products are paid for (收费方式)"
    )
    nature: list[ProductNature] | None = strawberry.field(default=None, description="Public or professional (服务性质)")
    column: list[StoreColumn] | None = strawberry.field(default=None, description="Columns of articles (栏目)")
    store_kind: list[StoreKind] | None = strawberry.field(default=None, description="Kinds of store (店铺类型)")


async def _search(
    info: Info,
    query: Annotated[str, argument(description="What to look for; empty matches everything (检索词)")],
    types: Annotated[list[SearchType] | None, argument(description="Kinds to look in; null: all (类型)")] = None,
    filter: Annotated[SearchFilter | None, argument(description="What to keep (筛选)")] = None,  # noqa: A002
    order_by: Annotated[SearchOrder, argument(description="How to sort (排序)")] = SearchOrder.RELEVANCE,
    first: Annotated[int | None, argument(description="At most so many (每页条数, 最多 100)")] = None,
    after: Annotated[str | None, argument(description="Start behind this cursor (起始游标)")] = None,
) -> Any:
    chosen = {name: value for name, value in plain(filter).items() if value} if filter else None
    return await resolvers.search(info, query, types, chosen, order_by, first, after)


@strawberry.type
class Query:
    search: SearchConnection = field(
        _search, about=resolvers.search.__doc__, access="public", cost=20, partner=True, shared=True
    )

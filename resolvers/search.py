"""Full-text search over all kinds behind the viewer's row gate; in titles while the index is away (R-BASE-05)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import structlog
from sqlalchemy import and_, func, literal, select, true, union_all
from strawberry import Parent

from auth.viewer import Viewer
from auth.visibility import scope_of, search_scopes, visible
from kit import footprint, metrics
from kit.db import fetch
from kit.errors import ApiError, ErrorCode
from kit.ids import global_id, parse_global_id
from kit.names import camel
from kit.settings import Settings
from kit.text import normalise_document_no
from models.base import Labelled, table_of
from models.content import Article
from models.policy import Policy
from models.product import Product
from models.publishing import Managed
from models.store import Store
from resolvers import cursors
from resolvers.context import Info
from resolvers.node import tagged
from resolvers.paging import MAXIMUM, Window
from search import open_index
from search.base import (
    MAX_OFFSET,
    SEARCH,
    Health,
    Highlight,
    Hit,
    Query,
    Results,
    SearchIndex,
    SearchType,
    SearchUnavailable,
)
from search.documents import EVERYTHING

log = structlog.get_logger()

_DOCUMENT_NO = re.compile(r"[^〔〕\d]*〔\d{2,4}〕\d+号")


class SearchOrder(Labelled):
    """How hits are sorted (检索排序)."""

    RELEVANCE = "RELEVANCE", "相关度", "Best match first"
    NEWEST = "NEWEST", "最新发布", "Published last first"
    VIEWED = "VIEWED", "浏览量", "Most viewed first"
    ORDERS = "ORDERS", "成交量", "Most ordered first"
    PRICE = "PRICE", "价格", "Cheapest first"
    DEADLINE = "DEADLINE", "申报截止", "Earliest deadline first"


SORTS = {
    SearchOrder.RELEVANCE: None,
    SearchOrder.NEWEST: "-published_at",
    SearchOrder.VIEWED: "-view_count",
    SearchOrder.ORDERS: "-order_count",
    SearchOrder.PRICE: "price",
    SearchOrder.DEADLINE: "apply_end",
}
FACETS = ("level", "policy_kind", "district", "department", "category", "column", "store_kind", "price_kind")
TYPES: dict[SearchType, tuple[type[Managed], str]] = {
    SearchType.POLICY: (Policy, "title"),
    SearchType.STORE: (Store, "name"),
    SearchType.PRODUCT: (Product, "name"),
    SearchType.ARTICLE: (Article, "title"),
}


class _Index:
    """The process's reader of the index."""

    def __init__(self) -> None:
        self._index: SearchIndex | None = None

    def open(self, settings: Settings) -> None:
        self._index = open_index(settings, writer=False)

    async def search(self, query: Query) -> Results:
        if self._index is None:
            raise SearchUnavailable("the index is not open")
        return await self._index.search(query)

    async def health(self) -> Health:
        if self._index is None:
            return Health("", "", ok=False, needs_rebuild=True, detail="not open")
        return await self._index.health()

    async def close(self) -> None:
        if self._index is not None:
            await self._index.close()


search_index = _Index()


@dataclass
class Found:
    """A page of hits; its attributes are the fields of the GraphQL type."""

    edges: list[dict[str, Any]]
    total_count: int
    facets: list[dict[str, Any]]
    page_info: dict[str, Any]
    degraded: bool


async def search(
    info: Info,
    query: str,
    types: Sequence[SearchType] | None = None,
    filter: Mapping[str, Any] | None = None,
    order_by: SearchOrder = SearchOrder.RELEVANCE,
    first: int | None = None,
    after: str | None = None,
) -> Found:
    """Full-text search over policies, stores, products and articles (全文检索). Pages reach 1,000 hits deep."""
    window = Window.of(first, after, None, None)
    offset = _offset(after)
    question = Query(
        text=_asked(query),
        types=tuple(types or ()),
        filters={name: tuple(str(value) for value in values) for name, values in (filter or {}).items() if values},
        scopes=search_scopes(info.context.viewer) or (EVERYTHING,),
        sort=SORTS[order_by],
        limit=min(window.size, MAXIMUM),
        offset=offset,
        facets=FACETS if _names(info, "facets") else (),
        highlights=_names(info, "highlights"),
    )
    _note(question, info.context.viewer)
    try:
        results = await search_index.search(question)
        metrics.SEARCH_DEGRADED.set(0)
    except SearchUnavailable as error:
        metrics.SEARCH_DEGRADED.set(1)
        log.warning("search.degraded", error=str(error))
        _keep_for_nobody()
        results = await _from_titles(info, question)
    return await _page(info, results, offset)


def _names(info: Info, field: str) -> bool:
    """Whether the document names the field at all: only then can it be selected, and be worth its price."""
    return info.query is None or field in info.query


def _note(question: Query, viewer: Viewer) -> None:
    """The answer is made of the index, which holds for each kind what its row gate would let through."""
    if running := footprint.current.get():
        running.tables.add(SEARCH)
        for kind in question.types or SearchType:
            table = table_of(TYPES[kind][0]).name
            running.scopes[table] = scope_of(table, viewer)


def _keep_for_nobody() -> None:
    """Nothing tells when the index is back."""
    if running := footprint.current.get():
        running.private = True


def nodes(page: Parent[Found]) -> list[Any]:
    """The hits of the page (本页内容)."""
    return [edge["node"] for edge in page.edges]


async def _page(info: Info, results: Results, offset: int) -> Found:
    nodes = await _load(info, results.hits)
    edges = [
        {"node": node, "cursor": _cursor(offset + number + 1), "highlights": hit.highlights, "score": hit.score}
        for number, (hit, node) in enumerate(zip(results.hits, nodes, strict=True))
        if node is not None
    ]
    reached = offset + len(results.hits)
    hidden = len(results.hits) - len(edges)
    return Found(
        edges=edges,
        total_count=results.total - hidden,
        facets=[
            {"name": camel(name), "values": [{"value": value, "count": count} for value, count in values]}
            for name, values in results.facets.items()
        ],
        page_info={
            "has_next_page": reached < results.total and len(results.hits) > 0 and reached < MAX_OFFSET,
            "has_previous_page": offset > 0,
            "start_cursor": edges[0]["cursor"] if edges else None,
            "end_cursor": _cursor(reached) if results.hits else None,
        },
        degraded=results.degraded,
    )


async def _load(info: Info, hits: Sequence[Hit]) -> list[Any]:
    """The rows behind the hits, through the row gate: what was hidden since it was indexed is left out."""
    nodes = []
    for kind, (model, _) in TYPES.items():
        name = kind.value.lower()
        keys = [parsed[1] for hit in hits if hit.type is kind and (parsed := parse_global_id(hit.id))]
        rows = await getattr(info.context.load, name).load_many(keys) if keys else []
        nodes += [(global_id(name, row["id"]), tagged(row, model.__name__)) for row in rows if row]
    found = dict(nodes)
    return [found.get(hit.id) for hit in hits]


async def _from_titles(info: Info, question: Query) -> Results:
    """What PostgreSQL finds by titles and 文号 while the index is away: every word, no facets, the newest first."""
    words = question.text.split()
    parts = []
    for kind in question.types or tuple(SearchType):
        model, title = TYPES[kind]
        table = table_of(model).c
        matches = and_(true(), *(table[title].icontains(word, autoescape=True) for word in words))
        if kind is SearchType.POLICY:
            matches |= table.document_no == normalise_document_no(question.text)
        columns = (literal(kind.value).label("type"), table.id, table[title].label("title"), table.published_at)
        parts.append(visible(model, info.context.viewer, *columns).where(matches).limit(MAX_OFFSET))
    found = union_all(*parts).subquery()
    order = select(found, func.count().over().label("total")).order_by(found.c.published_at.desc(), found.c.id.desc())
    rows = await fetch(order.limit(question.limit).offset(question.offset))
    hits = tuple(
        Hit(
            global_id(row["type"].lower(), row["id"]),
            SearchType(row["type"]),
            0.0,
            (Highlight("title", escape(row["title"])),),
        )
        for row in rows
    )
    return Results(hits, rows[0]["total"] if rows else 0, degraded=True)


def _asked(query: str) -> str:
    """As much as a person types; a document number in the one spelling that the index has."""
    text = _encodable(query)[:200]
    number = normalise_document_no(text)
    return number if _DOCUMENT_NO.fullmatch(number) else text


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ApiError(
            ErrorCode.BAD_USER_INPUT, "The query is not Unicode text (检索词不是有效文本)", argument="query"
        ) from error
    return text


def _cursor(position: int) -> str:
    return cursors.write("search", [position])


def _offset(after: str | None) -> int:
    if after is None:
        return 0
    place = cursors.read("search", after)
    if len(place) != 1 or type(position := place[0]) is not int or position < 0:
        raise cursors.unknown()
    if position > MAX_OFFSET:
        message = f"Pages reach {MAX_OFFSET:,} hits deep (最多翻阅 {MAX_OFFSET} 条)"
        raise ApiError(ErrorCode.BAD_USER_INPUT, message, argument="after")
    return position

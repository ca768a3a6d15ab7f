"""Plain Strawberry as a careful user writes it: its caches for parsing and validation on, DataLoaders, asyncpg's rows.

Types are read straight from the rows by name. No access rules beyond "is it published".
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

from bench import serving
from bench.cursors import cursor_of, key_of, start_of

POLICY = """SELECT 'policy_' || replace(id::text, '-', '') AS id, title, issuer, document_no, level, body, source,
  view_count, published_at FROM policy WHERE id = $1 AND state = 'PUBLISHED'"""
PRODUCT = """id AS key, 'product_' || replace(id::text, '-', '') AS id, published_at, name, price, state AS status,
  order_count, category_code, store_id"""
PRODUCTS = f"""SELECT {PRODUCT} FROM product WHERE state = 'PUBLISHED' AND (published_at, id) < ($1, $2)
  ORDER BY published_at DESC, product.id DESC LIMIT $3"""  # noqa: S608 - constants
STORE = """id AS key, 'store_' || replace(id::text, '-', '') AS id, published_at, name, kind, rating::float8 AS rating,
  follower_count, district_code"""
STORES = f"""SELECT {STORE} FROM store WHERE state = 'PUBLISHED' AND (published_at, id) < ($1, $2)
  ORDER BY published_at DESC, store.id DESC LIMIT $3"""  # noqa: S608 - constants
STORES_BY_KEY = f"SELECT {STORE} FROM store WHERE id = ANY($1) AND state = 'PUBLISHED'"  # noqa: S608 - constants
CATEGORIES = "SELECT code AS key, name FROM service_category WHERE code = ANY($1)"
DISTRICTS = "SELECT code AS key, name FROM district WHERE code = ANY($1)"
PRODUCTS_OF_STORES = f"""SELECT each.* FROM unnest($1::uuid[]) AS parent(id), LATERAL (SELECT {PRODUCT} FROM product
  WHERE store_id = parent.id AND state = 'PUBLISHED' ORDER BY published_at DESC, product.id DESC LIMIT $2) AS each"""  # noqa: S608 - constants


class Context:
    """The loaders of one request."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.categories = self._by_key(CATEGORIES)
        self.districts = self._by_key(DISTRICTS)
        self.stores = self._by_key(STORES_BY_KEY)
        self._products: dict[int, DataLoader[Any, Any]] = {}

    def products_of_stores(self, first: int) -> DataLoader[Any, Any]:
        async def load(keys: list[Any]) -> list[Any]:
            groups: dict[Any, list[Any]] = {key: [] for key in keys}
            for row in await self.pool.fetch(PRODUCTS_OF_STORES, keys, first):
                groups[row["store_id"]].append(row)
            return [page_of(groups[key]) for key in keys]

        return self._products.setdefault(first, DataLoader(load))

    def _by_key(self, statement: str) -> DataLoader[Any, Any]:
        async def load(keys: list[Any]) -> list[Any]:
            found = {row["key"]: row for row in await self.pool.fetch(statement, keys)}
            return [found.get(key) for key in keys]

        return DataLoader(load)


Info = strawberry.Info[Context, Any]
Parent = strawberry.Parent[Any]


def page_of(rows: list[Any]) -> dict[str, Any]:
    end = cursor_of(rows[-1]["published_at"], rows[-1]["key"]) if rows else None
    return {"nodes": rows, "page_info": {"end_cursor": end}}


def related(loader: Callable[[Context], DataLoader[Any, Any]], by: str) -> Any:
    async def resolve(row: Parent, info: Info) -> Any:
        return None if row[by] is None else await loader(info.context).load(row[by])

    return resolve


@strawberry.type
class Category:
    name: str


@strawberry.type
class District:
    name: str


@strawberry.type
class PageInfo:
    end_cursor: str | None


@strawberry.type
class Policy:
    id: strawberry.ID
    title: str
    issuer: str
    document_no: str | None
    level: str
    body: str
    source: str
    view_count: int
    published_at: datetime


async def _products_of_store(row: Parent, info: Info, first: int = 20) -> Any:
    return await info.context.products_of_stores(first).load(row["key"])


@strawberry.type
class Store:
    id: strawberry.ID
    name: str
    kind: str
    rating: float | None
    follower_count: int
    district: District | None = strawberry.field(resolver=related(lambda load: load.districts, "district_code"))
    products: "ProductConnection" = strawberry.field(resolver=_products_of_store)


@strawberry.type
class Product:
    id: strawberry.ID
    name: str
    price: Decimal | None
    status: str
    order_count: int
    category: Category | None = strawberry.field(resolver=related(lambda load: load.categories, "category_code"))
    store: Store | None = strawberry.field(resolver=related(lambda load: load.stores, "store_id"))


@strawberry.type
class ProductConnection:
    nodes: list[Product]
    page_info: PageInfo


@strawberry.type
class StoreConnection:
    nodes: list[Store]
    page_info: PageInfo


async def _policy(info: Info, id: strawberry.ID) -> Any:  # noqa: A002 - the argument's name in the contract
    return await info.context.pool.fetchrow(POLICY, key_of(id))


async def _products(info: Info, first: int = 20, after: str | None = None) -> Any:
    return page_of(await info.context.pool.fetch(PRODUCTS, *start_of(after), first))


async def _stores(info: Info, first: int = 20, after: str | None = None) -> Any:
    return page_of(await info.context.pool.fetch(STORES, *start_of(after), first))


@strawberry.type
class Query:
    policy: Policy | None = strawberry.field(resolver=_policy)
    products: ProductConnection = strawberry.field(resolver=_products)
    stores: StoreConnection = strawberry.field(resolver=_stores)


def _read(row: Any, name: str) -> Any:
    return row[name]


class View(GraphQL[Context, Any]):
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        return Context(request.app.state.pool)


schema = strawberry.Schema(
    query=Query,
    config=StrawberryConfig(default_resolver=_read),
    extensions=[ParserCache, ValidationCache],
)
app = Starlette(routes=[Route("/graphql", View(schema))], lifespan=serving.pooled)

if __name__ == "__main__":
    serving.serve(app)

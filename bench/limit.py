"""The bare limit: one route of Starlette, one JSON statement written by hand for each workload, asyncpg's pool.

It knows no GraphQL: `operationName` picks the statement. What makes JSON with less from these tables is hard to find.
"""

from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench import serving
from bench.cursors import cursor_of, key_of, start_of

POLICY = """
SELECT row_to_json(each) FROM (
  SELECT 'policy_' || replace(id::text, '-', '') AS id, title, issuer, document_no AS "documentNo", level, body,
    source, view_count AS "viewCount", published_at AS "publishedAt"
  FROM policy WHERE id = $1 AND state = 'PUBLISHED') AS each
"""
_PAGE = "SELECT json_agg(node), (array_agg(published_at))[count(*)], (array_agg(id))[count(*)] FROM ({nodes}) AS page"
_CATEGORY = "(SELECT code, row_to_json(each) AS node FROM service_category, LATERAL (SELECT name) AS each)"
_DISTRICT = "(SELECT code, row_to_json(each) AS node FROM district, LATERAL (SELECT name) AS each)"
PRODUCTS = _PAGE.format(
    nodes=f"""
SELECT product.published_at, product.id, row_to_json(each) AS node
FROM product
LEFT JOIN {_CATEGORY} AS category ON category.code = product.category_code
LEFT JOIN (
  SELECT store.id, row_to_json(each) AS node
  FROM store LEFT JOIN {_DISTRICT} AS district ON district.code = store.district_code,
    LATERAL (SELECT 'store_' || replace(store.id::text, '-', '') AS id, store.name, district.node AS district) AS each
  WHERE store.state = 'PUBLISHED') AS store ON store.id = product.store_id,
LATERAL (
  SELECT 'product_' || replace(product.id::text, '-', '') AS id, product.name, product.price::text AS price,
    category.node AS category, store.node AS store) AS each
WHERE product.state = 'PUBLISHED' AND (product.published_at, product.id) < ($1, $2)
ORDER BY product.published_at DESC, product.id DESC LIMIT 50"""  # noqa: S608 - constants
)
STORES = _PAGE.format(
    nodes=f"""
SELECT store.published_at, store.id, row_to_json(each) AS node
FROM store
LEFT JOIN {_DISTRICT} AS district ON district.code = store.district_code,
LATERAL (
  SELECT 'store_' || replace(store.id::text, '-', '') AS id, store.name, store.kind, store.rating::float8 AS rating,
    store.follower_count AS "followerCount", district.node AS district, (
      SELECT row_to_json(connection) FROM (
        SELECT coalesce(json_agg(row_to_json(product)), '[]') AS nodes FROM (
          SELECT 'product_' || replace(product.id::text, '-', '') AS id, product.name, product.price::text AS price,
            product.state AS status, product.order_count AS "orderCount", category.node AS category
          FROM product LEFT JOIN {_CATEGORY} AS category ON category.code = product.category_code
          WHERE product.store_id = store.id AND product.state = 'PUBLISHED'
          ORDER BY product.published_at DESC, product.id DESC LIMIT 10) AS product) AS connection) AS products) AS each
WHERE store.state = 'PUBLISHED' AND (store.published_at, store.id) < ($1, $2)
ORDER BY store.published_at DESC, store.id DESC LIMIT 20"""  # noqa: S608 - constants
)
PAGES = {"W2": (b"products", PRODUCTS), "W3": (b"stores", STORES)}


async def answer(request: Request) -> Response:
    asked = orjson.loads(await request.body())
    name, variables = asked["operationName"], asked["variables"]
    pool = request.app.state.pool
    body = await (_policy(pool, variables) if name == "W1" else _page(pool, variables, *PAGES[name]))
    return Response(body, media_type="application/json")


async def _policy(pool: Any, variables: dict[str, Any]) -> bytes:
    found = await pool.fetchval(POLICY, key_of(variables["id"]))
    return b'{"data":{"policy":%b}}' % (found or b"null")


async def _page(pool: Any, variables: dict[str, Any], field: bytes, statement: str) -> bytes:
    nodes, moment, key = await pool.fetchrow(statement, *start_of(variables.get("after")))
    end = orjson.dumps(cursor_of(moment, key) if nodes else None)
    return b'{"data":{"%b":{"nodes":%b,"pageInfo":{"endCursor":%b}}}}' % (field, nodes or b"[]", end)


app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=serving.pooled)

if __name__ == "__main__":
    serving.serve(app)

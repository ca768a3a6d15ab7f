"""What is asked under load. Each request has other variables than the one before, drawn from the rows there are."""

import random
from collections.abc import Sequence
from typing import Any

import asyncpg

from bench.cursors import cursor_of
from bench.load import Request, request

POLICY = """query W1($id: ID!) { policy(id: $id) {
  id title issuer documentNo level body source viewCount publishedAt } }"""
PRODUCTS = """query W2($after: String) { products(first: 50, after: $after) {
  nodes { id name price category { name } store { id name district { name } } } pageInfo { endCursor } } }"""
STORES = """query W3($after: String) { stores(first: 20, after: $after) { nodes { id name kind rating followerCount
  district { name } products(first: 10) { nodes { id name price status orderCount category { name } } } }
  pageInfo { endCursor } } }"""
SEARCH = """query Search($q: String!) { search(query: $q, first: 10) { totalCount facets { name values { value count } }
  edges { node { __typename ... on Policy { id title } ... on Store { id name } ... on Product { id name }
  ... on Article { id title } } highlights { field text } } } }"""

TITLES = {
    "W1": "W1 one policy of 2,000 characters",
    "W2": "W2 50 products with store and district",
    "W3": "W3 20 stores × 10 products",
    "W4": "W4 a ballot",
}
IDS, CURSORS = 2_000, 200
CUT_LENGTHS = (4, 10)
# In an order that has nothing to do with their age; cursors so that a whole page follows each.
_SHUFFLED = "SELECT id, title FROM policy WHERE state = 'PUBLISHED' ORDER BY md5(id::text) LIMIT $1"
_STARTS = """
SELECT published_at, id FROM {table} WHERE state = 'PUBLISHED' AND published_at >
  (SELECT published_at FROM {table} WHERE state = 'PUBLISHED' ORDER BY published_at LIMIT 1 OFFSET {page})
ORDER BY md5(id::text) LIMIT $1"""

Requests = dict[str, list[Request]]


async def reads(connection: "asyncpg.Connection[Any]") -> Requests:
    """The requests of W1 to W3."""
    policies = await connection.fetch(_SHUFFLED, IDS)
    return {
        "W1": [request(POLICY, name="W1", id=f"policy_{row['id'].hex}") for row in policies],
        "W2": [request(PRODUCTS, name="W2", after=each) for each in await _cursors(connection, "product", 50)],
        "W3": [request(STORES, name="W3", after=each) for each in await _cursors(connection, "store", 20)],
    }


async def searches(connection: "asyncpg.Connection[Any]") -> list[Request]:
    """Searches for pieces of the titles of policies."""
    titles = [row["title"] for row in await connection.fetch(_SHUFFLED, IDS)]
    return [request(SEARCH, q=cut) for cut in _cuts(titles)]


async def _cursors(connection: "asyncpg.Connection[Any]", table: str, page: int) -> list[str]:
    rows = await connection.fetch(_STARTS.format(table=table, page=page), CURSORS)
    return [cursor_of(row["published_at"], row["id"]) for row in rows]


def _cuts(titles: Sequence[str]) -> list[str]:
    choice = random.Random(1)  # noqa: S311 - the same cuts every time
    starts = [
        (title, choice.randint(0, len(title) - CUT_LENGTHS[1])) for title in titles if len(title) > CUT_LENGTHS[1]
    ]
    return [title[start : start + choice.randint(*CUT_LENGTHS)] for title, start in starts]

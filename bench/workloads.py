"""What is asked under load: three reads of growing size, and search; each request has other variables."""

import random
from collections.abc import AsyncIterator
from typing import Any

import orjson

from bench.load import Connection, request

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
POLICIES = """query ($after: String) { policies(first: 100, after: $after) {
  nodes { id title } pageInfo { endCursor } } }"""

PAGES = 20
CUT_LENGTHS = (4, 10)

Requests = dict[str, list[bytes]]


async def prepare(port: int) -> Requests:
    """The requests of each workload, by what it is called in the report."""
    connection = await Connection.open(port)
    policies = [node async for page in _pages(connection, POLICIES, "policies") for node in page["nodes"]]
    products = [page["pageInfo"]["endCursor"] async for page in _pages(connection, PRODUCTS, "products")]
    stores = [page["pageInfo"]["endCursor"] async for page in _pages(connection, STORES, "stores")]
    connection.close()
    return {
        "W1 one policy of 2,000 characters": [request(POLICY, id=policy["id"]) for policy in policies],
        "W2 50 products, store, district": [request(PRODUCTS, after=cursor) for cursor in (None, *products[:-1])],
        "W3 20 stores × 10 products": [request(STORES, after=cursor) for cursor in (None, *stores[:-1])],
        "Search, 4 to 10 characters": [request(SEARCH, q=cut) for cut in _cuts([each["title"] for each in policies])],
    }


async def _pages(connection: Connection, query: str, root: str) -> AsyncIterator[dict[str, Any]]:
    after = None
    for _ in range(PAGES):
        _status, body = await connection.ask(request(query, after=after))
        page = orjson.loads(body)["data"][root]
        yield page
        after = page["pageInfo"]["endCursor"]
        if len(page["nodes"]) == 0 or after is None:
            return


def _cuts(titles: list[str]) -> list[str]:
    choice = random.Random(1)  # noqa: S311 - the same cuts every time
    starts = [
        (title, choice.randint(0, len(title) - CUT_LENGTHS[1])) for title in titles if len(title) > CUT_LENGTHS[1]
    ]
    return [title[start : start + choice.randint(*CUT_LENGTHS)] for title, start in starts]

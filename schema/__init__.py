"""The contract: one typed schema, composed of the domains' roots. `schema.graphql` is its printed form."""

from functools import cache
from pathlib import Path

import strawberry
from strawberry.tools import merge_types

from kit.settings import settings
from schema import account, area, audit, content, job, node, platform, policy, product, publishing, search, store, words
from schema.enums import describe_types
from schema.printing import print_contract
from schema.scalars import config

SDL_FILE = Path(__file__).parent / "schema.graphql"

_DOMAINS = (platform, node, account, audit, area, job, policy, store, product, content, publishing, search, words)


def _merged(name: str) -> type:
    roots = tuple(getattr(domain, name) for domain in _DOMAINS if hasattr(domain, name))
    return merge_types(name, roots)


def build() -> strawberry.federation.Schema:
    """The subgraph's schema. Federation stays at v2.9, the newest that both composition libraries read."""
    return _build(hardened=settings.hardened)


@cache
def _build(*, hardened: bool) -> strawberry.federation.Schema:
    built = strawberry.federation.Schema(
        query=_merged("Query"),
        mutation=_merged("Mutation"),
        subscription=_merged("Subscription"),
        federation_version="2.9",
        config=config(hardened=hardened),
    )
    describe_types(built)
    return built


def printed() -> str:
    """The contract as clients read it: plain GraphQL that `buildSchema` takes, without what only routers need."""
    return print_contract(build())

"""Relay's root fields: one thing, or several, by global id."""

from typing import Annotated, Any

import strawberry
from strawberry import argument

from resolvers import node as resolvers
from resolvers.context import Info
from schema.base import ENTITIES, ID, Node, field


async def _node(info: Info, id: Annotated[ID, argument(description="Its global id (全局标识)")]) -> Any:  # noqa: A002
    return await resolvers.node(info, id, ENTITIES)


async def _nodes(
    info: Info, ids: Annotated[list[ID], argument(description="Their global ids, at most 100 (全局标识)")]
) -> Any:
    return await resolvers.nodes(info, ids, ENTITIES)


@strawberry.type
class Query:
    node: Node | None = field(_node, about=resolvers.node.__doc__, access="public", cost=1, shared=True)
    nodes: list[Node | None] = field(
        _nodes, about=resolvers.nodes.__doc__, access="public", cost=1, size="ids", shared=True
    )

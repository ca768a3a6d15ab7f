"""Anything by its global id, as Relay's clients fetch again what they hold (Relay object identification)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from kit.errors import ApiError, ErrorCode
from kit.ids import parse_global_id
from resolvers.context import Info
from resolvers.loaders import Loader

MAXIMUM = 100
Entities = Mapping[str, tuple[str, Loader[Any]]]
"""By kind, as it stands in the global id: the name of the GraphQL type and the loader, which has the row gate."""


async def node(info: Info, id: str, entities: Entities) -> Any:
    """Anything with a global id (节点), null where there is none or the viewer does not see it."""
    kind, key = parse_global_id(id) or ("", None)
    if key is None or kind not in entities:
        return None
    typename, loader = entities[kind]
    return await load_tagged(info, loader.name, key, typename)


async def nodes(info: Info, ids: Sequence[str], entities: Entities) -> list[Any]:
    """Several at once (多个节点), in the order asked for, null in the place of each that is not to be seen."""
    if len(ids) > MAXIMUM:
        message = f"At most {MAXIMUM} ids at once (一次最多 {MAXIMUM} 个标识)"
        raise ApiError(ErrorCode.BAD_USER_INPUT, message, argument="ids")
    return await asyncio.gather(*(node(info, each, entities) for each in ids))


async def load_tagged(info: Info, loader: str, key: Any, typename: str) -> dict[str, Any] | None:
    """The loader's row of the key, tagged; None where there is none or the viewer does not see it."""
    row = await getattr(info.context.load, loader).load(key)
    return None if row is None else tagged(row, typename)


def tagged(row: Mapping[str, Any], typename: str) -> dict[str, Any]:
    """The row for a place where several types may stand: an interface, a union, `_entities`."""
    return {**row, "__typename": typename}

"""The contract kit: what a schema file is written with. One line a field; the rest is derived from the tables.

`entity` makes a table's type, `field`, `related` and `connection` its fields, and `lookup` a root field by global id;
`schema/acts.py` has mutations and subscriptions, `schema/values.py` inputs. Descriptions come from the models' columns
and the resolvers' docstrings.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from sqlmodel import SQLModel
from strawberry.federation.schema_directive import schema_directive
from strawberry.schema_directive import Location
from strawberry.types.field import StrawberryField

from kit.ids import global_id, key_of
from kit.names import snake
from resolvers.context import Info
from resolvers.listings import Listed, Listing
from resolvers.loaders import Loader
from resolvers.node import load_tagged
from resolvers.paging import DEFAULT, Page
from schema.enums import summary_of

T = TypeVar("T")
ID = strawberry.ID
ACCESS_SPEC = "https://esc.gov.example/access/v1.0"


@schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="access",
    compose=True,
    import_url=ACCESS_SPEC,
    description="The rule of docs/access.md that a caller must pass (访问规则). A nullable field is null for others.",
)
class Access:
    rule: str = strawberry.directive_field("rule")


def field(
    resolver: Any = None,
    *,
    about: str | None = None,
    access: str | None = None,
    cost: int | None = None,
    partner: bool = False,
    column: str | None = None,
    **facts: Any,
) -> Any:
    """A column of the row, or what `resolver` makes of it. `partner` marks what partner systems may read.

    `column` is the row's where it has another name than the field. `needs` and `shared` say of a resolver what it
    depends on, for plans (`engine/sources.py`).
    """
    if column is not None:
        resolver, facts = _cell(column), {**facts, "column": column, "needs": (column,)}
    metadata: dict[str, Any] = {"access": access, "cost": cost, **facts}
    return strawberry.federation.field(
        resolver=resolver,
        description=about or (summary_of(resolver) if resolver else None),
        directives=[Access(rule=access)] if access else [],
        tags=["partner"] if partner else [],
        metadata={key: value for key, value in metadata.items() if value is not None},
    )


def _cell(column: str) -> Callable[..., Any]:
    def read(row: strawberry.Parent[Any]) -> Any:
        return row[column]

    return read


def related(loader: Loader[Any], by: str, *, about: str | None = None, access: str | None = None, cost: int = 1) -> Any:
    """What the row's column `by` refers to, loaded for all rows at once; a list where the loader has many."""

    async def resolve(row: strawberry.Parent[Any], info: Info) -> Any:
        key = row[by]
        if key is None:
            return [] if loader.many else None
        load = getattr(info.context.load, loader.name)
        if isinstance(key, list):
            return [found for found in await load.load_many(key) if found is not None]
        return await load.load(key)

    return field(resolve, about=about, access=access, cost=cost, source=loader, by=by)


def lookup(loader: Loader[Any], kind: str, *, about: str, label: str, access: str, partner: bool = False) -> Any:
    """A root field that answers one thing by the argument `id`, which `label` names in Chinese.

    The text of another kind's id, or of none, finds nothing.
    """
    described_id = strawberry.argument(description=f"Its global id ({label})")

    async def resolve(info: Info, id: Annotated[ID, described_id]) -> Any:  # noqa: A002
        key = key_of(id, kind)
        return await getattr(info.context.load, loader.name).load(key) if key else None

    def key(arguments: Mapping[str, Any]) -> Any:
        return key_of(arguments["id"], kind)

    return field(resolve, about=about, access=access, partner=partner, source=loader, key=key)


def connection(
    listing: Callable[..., Listing],
    *,
    by: str | None = None,
    filter: Any = None,  # noqa: A002 - the argument's name in the contract
    order_by: Any = None,
    default: Any = None,
    access: str | None = None,
    about: str | None = None,
    partner: bool = False,
) -> Any:
    """A Relay connection.

    `listing(viewer, filter, order_by)` says which rows and in which order. `by` names the column of the parent's key
    where the connection hangs below other rows: it is then read once for all parents.
    """
    source = Listed(listing)

    async def root(info: Info, **arguments: Any) -> Any:
        return (await source.load(info.context.viewer, [None], arguments, None))[None]

    async def nested(row: strawberry.Parent[Any], info: Info, **arguments: Any) -> Any:
        batch = partial(source.load, arguments=arguments, columns=None)
        identity = (source, repr(sorted(arguments.items())))
        return await info.context.load.batched(identity, batch).load(row[by])

    resolve = root if by is None else nested
    _sign(resolve, filter, order_by, default)
    return field(
        resolve,
        about=about or summary_of(listing),
        access=access,
        cost=2,
        partner=partner,
        size=DEFAULT,
        source=source,
        by=by,
    )


def _sign(resolve: Any, filter_type: Any, order_type: Any, default: Any) -> None:
    """Gives the resolver the arguments of its connection, so that they stand in the schema."""
    arguments: dict[str, tuple[Any, Any]] = {
        "first": (Annotated[int | None, _about("At most so many, from the start (每页条数, 最多 100)")], None),
        "after": (Annotated[str | None, _about("Start behind this cursor (起始游标)")], None),
        "last": (Annotated[int | None, _about("At most so many, from the end (倒数条数, 最多 100)")], None),
        "before": (Annotated[str | None, _about("End before this cursor (结束游标)")], None),
    }
    if filter_type is not None:
        arguments["filter"] = (Annotated[filter_type | None, _about("What to keep (筛选)")], None)
    if order_type is not None:
        arguments["order_by"] = (Annotated[order_type, _about("How to sort (排序)")], default)
    own = [each for each in inspect.signature(resolve).parameters.values() if each.name != "arguments"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=value)
        for name, (kind, value) in arguments.items()
    ]
    resolve.__signature__ = inspect.Signature([*own, *added], return_annotation=Page)
    resolve.__annotations__ = {each.name: each.annotation for each in (*own, *added)} | {"return": Page}


def _about(text: str) -> Any:
    return strawberry.argument(description=text)


@strawberry.interface
class Node:
    """Anything with a global id (节点), by the Relay specification."""

    id: ID = strawberry.field(description="Readable global id (全局标识)")


ENTITIES: dict[str, tuple[str, Loader[Any]]] = {}


def entity(
    model: type[SQLModel], loader: Loader[Any], *, keys: tuple[str, ...] = ("id",)
) -> Callable[[type[T]], type[T]]:
    """The type of a table's rows: a Relay node and a federation entity, with the columns' descriptions."""

    def decorate(cls: type[T]) -> type[T]:
        kind = snake(cls.__name__)
        ENTITIES[kind] = (cls.__name__, loader)

        def own_id(row: strawberry.Parent[Any]) -> ID:
            return ID(global_id(kind, row["id"]))

        cls.id = field(own_id, about="Readable global id (全局标识)", needs=("id",), id_of=kind)  # type: ignore[attr-defined]
        cls.__annotations__ = {"id": ID, **inspect.get_annotations(cls)}
        cls.resolve_reference = classmethod(partial(_resolve_reference, kind))  # type: ignore[attr-defined]
        return described(model, keys=keys)(cls)

    return decorate


def reference(model: type[SQLModel], loader: Loader[Any]) -> Callable[[type[T]], type[T]]:
    """The type of reference data: a federation entity by the public code that other subgraphs know it by."""

    def decorate(cls: type[T]) -> type[T]:
        async def resolve_reference(_cls: type, info: Info, code: str) -> Any:
            return await load_tagged(info, loader.name, code, cls.__name__)

        cls.resolve_reference = classmethod(resolve_reference)  # type: ignore[attr-defined]
        return described(model, keys=("code",))(cls)

    return decorate


def described(model: type[Any], *, keys: tuple[str, ...] = ()) -> Callable[[type[T]], type[T]]:
    """An object type whose fields take their descriptions from the model's columns."""

    def decorate(cls: type[T]) -> type[T]:
        name = cls.__name__
        _describe(cls, model)

        def is_type_of(row: Any, _info: Any) -> bool:
            return _typename(row) in (None, name)

        is_type_of.by_name_only = True  # type: ignore[attr-defined]  # a plan looks at the name where types are open
        cls.is_type_of = staticmethod(is_type_of)  # type: ignore[attr-defined]
        return strawberry.federation.type(cls, keys=list(keys), description=summary_of(cls))

    return decorate


def _describe(cls: type[Any], model: type[Any]) -> None:
    columns = model.model_fields
    for name in inspect.get_annotations(cls):
        declared = cls.__dict__.get(name)
        if isinstance(declared, StrawberryField):
            if declared.description is None and name in columns:
                declared.description = columns[name].description
        elif name in columns:
            setattr(cls, name, strawberry.field(description=columns[name].description))


def _typename(row: Any) -> Any:
    try:
        return row["__typename"]
    except (KeyError, TypeError, AttributeError):
        return None


async def _resolve_reference(kind: str, _cls: type, info: Info, id: str, **_others: Any) -> Any:  # noqa: A002 - the key's name
    typename, loader = ENTITIES[kind]
    key = key_of(id, kind)
    return await load_tagged(info, loader.name, key, typename) if key else None


@strawberry.type
class PageInfo:
    """Where a page stands within its connection (分页信息)."""

    has_next_page: bool = strawberry.field(description="Whether more follow (是否有下一页)")
    has_previous_page: bool = strawberry.field(description="Whether some come before (是否有上一页)")
    start_cursor: str | None = strawberry.field(description="Cursor of the first row (首游标)")
    end_cursor: str | None = strawberry.field(description="Cursor of the last row (末游标)")


@strawberry.type
class Edge(Generic[T]):
    """A row and its cursor (边)."""

    node: T = strawberry.field(description="The row (节点)")
    cursor: str = strawberry.field(description="Where to go on from (游标)")


async def _total_count(page: strawberry.Parent[Page]) -> int:
    return await page.count()


@strawberry.type
class Connection(Generic[T]):
    """A list by pages (分页列表)."""

    nodes: list[T] = strawberry.field(description="The rows of the page (本页内容)")
    edges: list[Edge[T]] = strawberry.field(description="The rows with their cursors (本页内容与游标)")
    page_info: PageInfo = strawberry.field(description="Where the page stands (分页信息)")
    total_count: int = field(_total_count, about="Rows in all pages, counted when asked for (总数)", shared=True)

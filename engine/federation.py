"""What federation asks of the wire: clear errors from `_entities`, and ftv1 traces for routers."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, GraphQLUnionType
from graphql.execution import MiddlewareManager
from strawberry.extensions.tracing import ApolloFederationTracingExtension
from strawberry.extensions.tracing.apollo_federation import FTV1_HEADER, FTV1_HEADER_VALUE
from strawberry.federation.schema_directives import Key

from engine.limits import exceeded
from kit.errors import ApiError, ErrorCode

KeySets = Mapping[str, Sequence[Sequence[str]]]

_CHECKED = "esc-checked"


def check_entities(schema: GraphQLSchema, maximum: int) -> None:
    """Lets `_entities` resolve only entities with a whole key; each other representation gets its own error."""
    field = schema.query_type.fields.get("_entities") if schema.query_type else None
    if field is None or field.resolve is None or _CHECKED in field.extensions:
        return
    resolve, keys = field.resolve, _keys(schema)

    async def resolver(source: Any, info: GraphQLResolveInfo[Any], representations: list[Any]) -> list[Any]:
        if len(representations) > maximum:
            raise exceeded("representations", maximum, len(representations))
        faults = [_fault(each, keys) for each in representations]
        sound = [dict(each) for each, fault in zip(representations, faults, strict=True) if fault is None]
        found = resolve(source, info, representations=sound)
        rows = iter(await found if isawaitable(found) else found)
        return [next(rows) if fault is None else fault for fault in faults]

    field.resolve = resolver
    field.extensions = {**field.extensions, _CHECKED: True}


def _keys(schema: GraphQLSchema) -> KeySets:
    """The top-level fields of every resolvable `@key` of each entity."""
    union = schema.type_map["_Entity"]
    if not isinstance(union, GraphQLUnionType):
        return {}
    return {type_.name: [_top_level(str(key.fields)) for key in _resolvable(type_)] for type_ in union.types}


def _resolvable(type_: GraphQLObjectType) -> Iterator[Key]:
    for directive in type_.extensions["strawberry-definition"].directives or ():
        if isinstance(directive, Key) and directive.resolvable is not False:
            yield directive


def _top_level(field_set: str) -> list[str]:
    """Field names of a FieldSet outside its braces: `id organization { id }` has `id` and `organization`."""
    names, depth = [], 0
    for word in field_set.replace("{", " { ").replace("}", " } ").split():
        depth += (word == "{") - (word == "}")
        if depth == 0 and word != "}":
            names.append(word)
    return names


def _fault(representation: Any, keys: KeySets) -> ApiError | None:
    if not isinstance(representation, dict):
        return _bad("A representation must be an object (实体引用须为对象)")
    name = representation.get("__typename")
    if not isinstance(name, str):
        return _bad("A representation lacks __typename (实体引用缺少 __typename)")
    if name not in keys:
        return _bad(f"{name} is not an entity of this service ({name} 不是本服务的实体)")
    missing = [[field for field in key if representation.get(field) is None] for key in keys[name]]
    if all(missing):
        wanted = " or ".join(" ".join(key) for key in keys[name])
        return _bad(f"The representation of {name} lacks its key: {wanted} ({name} 的实体引用缺少键：{wanted})")
    return None


def _bad(message: str) -> ApiError:
    return ApiError(ErrorCode.BAD_USER_INPUT, message)


def wants_trace(headers: Mapping[str, str]) -> bool:
    return headers.get(FTV1_HEADER, "").lower() == FTV1_HEADER_VALUE


class _Tracing(ApolloFederationTracingExtension):
    """Texts of errors go into a trace only as masked as they go to a client: not at all."""

    def _make_error(self, e: Exception, info: GraphQLResolveInfo[Any]) -> Any:
        shown = str(e) if isinstance(e, ApiError) else "Internal error"
        return super()._make_error(RuntimeError(shown), info)


class Trace:
    """One operation's timings as Apollo's protobuf message, for `extensions.ftv1`. Needs the package `protobuf`."""

    def __init__(self) -> None:
        request = SimpleNamespace(headers={FTV1_HEADER: FTV1_HEADER_VALUE})
        self._tracing = _Tracing()
        self._tracing.execution_context = SimpleNamespace(context=SimpleNamespace(request=request))  # type: ignore[assignment]
        self._run: Generator[None, None, None] = self._tracing.on_operation()
        next(self._run)
        self.middleware = MiddlewareManager(self._tracing)

    def finish(self) -> dict[str, Any]:
        next(self._run, None)
        return self._tracing.get_results()

"""From a request's parameters to results, whatever the transport: choose, check, run through graphql-core."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal, TypeGuard, cast
from uuid import UUID

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType
from graphql.execution import (
    Executor,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)
from graphql.execution.async_iterables import aclosing
from strawberry.execution import optimized_is_awaitable

from auth.access import Decision, decide
from auth.viewer import Viewer
from engine.cost import Costing
from engine.documents import Documents, Selected
from engine.errors import (
    Described,
    RequestError,
    codes,
    describe,
    document_errors,
    field_error,
    internal,
    operation_error,
    refusal,
)
from engine.federation import Trace, wants_trace
from engine.limits import Limits, exceeded
from engine.params import Params
from engine.persisted import Persisted
from engine.wire import Answer, Result, encode
from kit.errors import ApiError, ErrorCode

INTROSPECT = "schema.introspect"
Transport = Literal["http", "sse", "multipart", "websocket"]


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What the wire says about a request. `headers` has names in lower case; on a socket they are the handshake's."""

    id: str
    transport: Transport
    headers: Mapping[str, str]
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """One operation that is over, for logs and metrics. `kind` is None where the document could not be read."""

    name: str | None
    kind: str | None
    seconds: float
    codes: tuple[str, ...]
    viewer_id: UUID | None
    request_id: str
    transport: Transport


@dataclass(slots=True)
class Operation:
    """An operation that passed every check and may run once."""

    executor: Executor[Any]
    viewer: Viewer
    info: RequestInfo
    started: float
    trace: Trace | None = None
    codes: set[str] = field(default_factory=set)

    @property
    def kind(self) -> OperationType:
        return self.executor.operation.operation


class Pipeline:
    """Opens and runs operations. Every field resolves through graphql-core's executor, which is the reference."""

    def __init__(
        self,
        schema: GraphQLSchema,
        executor_class: type[Executor[Any]],
        *,
        context: Callable[[Viewer, RequestInfo], Any],
        persisted: Persisted,
        limits: Limits,
        hardened: bool,
        on_operation: Callable[[Finished], None],
    ) -> None:
        self._schema = schema
        self._executor_class = executor_class
        self._context = context
        self._persisted = persisted
        self._limits = limits
        self._hardened = hardened
        self._on_operation = on_operation
        self._documents = Documents(schema, limits, suggestions=not hardened)

    async def open(self, params: Params, viewer: Viewer, info: RequestInfo) -> Operation:
        """Raises RequestError where the operation must not run."""
        started = time.perf_counter()
        selected = None
        try:
            text = await self._persisted.text(params.query, params.extensions)
            selected = self._documents.select(text, params.operation_name)
            operation = self._checked(selected, params, viewer, info, started)
            await self._persisted.keep(params.query, params.extensions)
        except RequestError as error:
            self._report(selected.node if selected else None, started, codes(error.errors), viewer, info)
            raise
        return operation

    def may_introspect(self, viewer: Viewer) -> bool:
        return not self._hardened or decide(INTROSPECT, viewer) is Decision.ALLOW

    def _checked(
        self, selected: Selected, params: Params, viewer: Viewer, info: RequestInfo, started: float
    ) -> Operation:
        if selected.measure.reveals and not self.may_introspect(viewer):
            raise operation_error(refusal(viewer))
        trace = Trace() if wants_trace(info.headers) and self.may_introspect(viewer) else None
        executor = self._executor(selected, params.variables, trace)
        self._check_cost(executor)
        return Operation(executor, viewer, info, started, trace)

    def _executor(self, selected: Selected, variables: Mapping[str, Any], trace: Trace | None) -> Executor[Any]:
        built = self._executor_class.build(
            self._schema,
            selected.document,
            raw_variable_values=dict(variables),
            operation_name=selected.name,
            max_coercion_errors=self._limits.errors - 1,
            middleware=trace.middleware if trace else None,
            is_awaitable=cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable),
            hide_suggestions=self._hardened,
            operation_extensions=None,
        )
        if isinstance(built, list):
            raise RequestError(document_errors(ErrorCode.BAD_USER_INPUT, built), 400, json_status=200)
        return built

    def _check_cost(self, executor: Executor[Any]) -> None:
        root = executor.schema.get_root_type(executor.operation.operation)
        if root is None:
            message = f"There is no {executor.operation.operation.value} in this schema (不支持该类操作)"
            raise operation_error(ApiError(ErrorCode.GRAPHQL_VALIDATION_FAILED, message))
        costing = Costing(
            executor.schema,
            executor.fragment_definitions,
            executor.variable_values.coerced,
            self._limits.list_size,
        )
        cost = ceil(costing.of(executor.operation.selection_set, root))
        if cost > self._limits.cost:
            raise operation_error(exceeded("cost", self._limits.cost, cost))

    async def run(self, operation: Operation) -> Answer:
        """The one result of a query or a mutation. Never raises: whatever happens is in its errors."""
        result = await self._result(operation, operation.executor, execute_root_selection_set)
        if operation.trace:
            result["extensions"] = operation.trace.finish()
        self.finish(operation)
        return Answer(encode(result))

    async def stream(self, operation: Operation) -> AsyncGenerator[Answer, None]:
        """The results of any operation. A result without `data` is the last: the stream could not start, or broke."""
        if operation.kind is not OperationType.SUBSCRIPTION:
            yield await self.run(operation)
            return
        try:
            source = await self._source(operation)
            if isinstance(source, dict):
                yield _fatal(source)
                return
            async with aclosing(source) as events:  # graphql-core's own, since a source need not be a generator
                try:
                    async for event in events:
                        executor = operation.executor.build_per_event_executor(event)
                        yield Answer(encode(await self._result(operation, executor, execute_subscription_event)))
                except BaseException as error:
                    if not _survivable(error):
                        raise
                    yield _fatal(self._failed(operation, error))
        finally:
            self.finish(operation)

    async def _source(self, operation: Operation) -> AsyncIterable[Any] | Result:
        try:
            operation.executor.context_value = self._context(operation.viewer, operation.info)
            opened = create_source_event_stream(operation.executor)
            source = await opened if isinstance(opened, Awaitable) else opened
        except BaseException as error:
            if not _survivable(error):
                raise
            return self._failed(operation, error)
        if isinstance(source, ExecutionResult):
            return {"errors": self._described(operation, source.errors or [])}
        return source

    async def _result(
        self, operation: Operation, executor: Executor[Any], execute: Callable[[Executor[Any]], Any]
    ) -> Result:
        try:
            executor.context_value = self._context(operation.viewer, operation.info)
            executed = execute(executor)
            result: ExecutionResult = await executed if isinstance(executed, Awaitable) else executed
        except BaseException as error:
            if not _survivable(error):
                raise
            return {"data": None, **self._failed(operation, error)}
        described = self._described(operation, result.errors or [])
        return {"errors": described, "data": result.data} if described else {"data": result.data}

    def _failed(self, operation: Operation, error: BaseException) -> Result:
        described = describe(error) if isinstance(error, ApiError) else internal(error)
        operation.codes.update(codes([described]))
        return {"errors": [described]}

    def _described(self, operation: Operation, errors: list[GraphQLError]) -> list[Described]:
        described = [field_error(error) for error in errors]
        operation.codes.update(codes(described))
        return described

    def finish(self, operation: Operation) -> None:
        """Tells that an operation is over, for those who let another's run answer it."""
        seen = tuple(sorted(operation.codes))
        self._report(operation.executor.operation, operation.started, seen, operation.viewer, operation.info)

    def _report(
        self,
        node: OperationDefinitionNode | None,
        started: float,
        seen: tuple[str, ...],
        viewer: Viewer,
        info: RequestInfo,
    ) -> None:
        name = node.name.value if node and node.name else None
        kind = node.operation.value if node else None
        seconds = time.perf_counter() - started
        self._on_operation(Finished(name, kind, seconds, seen, viewer.id, info.id, info.transport))


def _fatal(result: Result) -> Answer:
    return Answer(encode(result), result["errors"])


def _survivable(error: BaseException) -> bool:
    """Whether this is a failure of the operation, and not the end of the task that runs it.

    A future that a failing sibling cancelled raises CancelledError too, though nobody cancelled this task
    (aiodataloader shares such futures).
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception)

"""From a request's parameters to results, whatever the transport: choose, check, run by a plan or by the reference."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from graphql import GraphQLError, GraphQLSchema, OperationType
from graphql.execution import Executor
from graphql.execution.async_iterables import aclosing

from auth.access import Decision, decide
from auth.viewer import Viewer
from engine import reference
from engine.cache import ResponseCache
from engine.compile import Plan
from engine.documents import Documents, Selected
from engine.errors import Described, RequestError, codes, describe, field_error, internal, operation_error, refusal
from engine.execute import Run
from engine.federation import Trace, wants_trace
from engine.limits import Limits, exceeded
from engine.params import Params
from engine.persisted import Persisted
from engine.reference import Reference, survivable
from engine.variants import Variant
from engine.wire import Answer, Result, encode
from kit import footprint, metrics
from kit.errors import ApiError, ErrorCode
from kit.footprint import Footprint
from kit.language import prefers_english

INTROSPECT = "schema.introspect"
CANCELLED = "CANCELLED"
"""In logs and metrics: nobody waited for the operation any more."""
Transport = Literal["http", "sse", "multipart", "websocket"]


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What the wire says about a request. `headers` has names in lower case; on a socket they are the handshake's."""

    id: str
    transport: Transport
    headers: Mapping[str, str]
    client: str | None = None

    @property
    def english(self) -> bool:
        """Whether messages are wanted in English; Chinese otherwise (Accept-Language)."""
        return prefers_english(self.headers.get("accept-language", ""))


@dataclass(frozen=True, slots=True)
class Finished:
    """One operation that is over, for logs and metrics. `kind` is None where the document could not be read.

    `members`: None for what a client asked for. A run of a stream that several share is nobody's, so it has no viewer;
    there it is the number of operations that heard it, which are reported each for itself.
    """

    name: str | None
    kind: str | None
    seconds: float
    codes: tuple[str, ...]
    viewer_id: UUID | None
    request_id: str
    transport: Transport
    members: int | None = None


@dataclass(slots=True)
class Operation:
    """An operation that passed every check and may run once. `variables` are coerced. `members`: as `Finished` has."""

    selected: Selected
    given: Mapping[str, Any]
    variables: Mapping[str, Any]
    viewer: Viewer
    info: RequestInfo
    started: float
    executor: Executor[Any] | None = None
    trace: Trace | None = None
    text: bytes | None = None
    codes: set[str] = field(default_factory=set)
    members: int | None = None

    @property
    def kind(self) -> OperationType:
        return self.selected.node.operation


class Pipeline:
    """Opens and runs operations. With `plans=False` everything is answered by the reference."""

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
        plans: bool = True,
        cache: ResponseCache | None = None,
    ) -> None:
        self._schema = schema
        self._reference = Reference(schema, executor_class, hide_suggestions=hardened, max_errors=limits.errors)
        self._context = context
        self._persisted = persisted
        self._limits = limits
        self._hardened = hardened
        self._on_operation = on_operation
        self._plans = plans
        self._cache = cache
        self._documents = Documents(schema, limits, suggestions=not hardened)

    def recall(self, text: bytes, viewer: Viewer, info: RequestInfo) -> Answer | None:
        """The answer to a query that was asked in these very bytes before, where it still holds for this viewer."""
        if self._cache is None or wants_trace(info.headers):
            return None
        started = time.perf_counter()
        found = self._cache.find(text, info.english, viewer)
        if found is None:
            return None
        seconds = time.perf_counter() - started
        self._on_operation(Finished(found.name, found.kind, seconds, (), viewer.id, info.id, info.transport))
        return Answer(found.body)

    async def open(self, params: Params, viewer: Viewer, info: RequestInfo, text: bytes | None = None) -> Operation:
        """Raises RequestError where the operation must not run. `text`: the request as it came, to be recalled by."""
        started = time.perf_counter()
        selected = None
        try:
            query = await self._persisted.text(params.query, params.extensions)
            selected = self._documents.select(query, params.operation_name)
            operation = self._checked(selected, params.variables, viewer, info, started)
            registers = params.query is not None and "persistedQuery" in params.extensions
            operation.text = None if registers else text  # recalled, it would register nothing
            await self._persisted.keep(params.query, params.extensions)
        except RequestError as error:
            self._report(selected, started, codes(error.errors), viewer.id, info)
            raise
        return operation

    def may_introspect(self, viewer: Viewer) -> bool:
        return not self._hardened or decide(INTROSPECT, viewer) is Decision.ALLOW

    def _checked(
        self, selected: Selected, given: Mapping[str, Any], viewer: Viewer, info: RequestInfo, started: float
    ) -> Operation:
        if selected.measure.reveals and not self.may_introspect(viewer):
            raise operation_error(refusal(viewer))
        trace = Trace() if wants_trace(info.headers) and self.may_introspect(viewer) else None
        variables: Mapping[str, Any] | None = selected.variables.coerce(given)
        executor = None
        if variables is None or trace is not None:
            middleware = trace.middleware if trace else None
            executor = self._reference.executor(selected.document, selected.name, given, middleware)
            variables = executor.variable_values.coerced
        self._check_cost(selected, variables)
        return Operation(selected, given, variables, viewer, info, started, executor, trace)

    def _check_cost(self, selected: Selected, variables: Mapping[str, Any]) -> None:
        root = self._schema.get_root_type(selected.node.operation)
        if root is None:
            message = f"There is no {selected.node.operation.value} in this schema (不支持该类操作)"
            raise operation_error(ApiError(ErrorCode.GRAPHQL_VALIDATION_FAILED, message))
        cost = selected.costs.of(selected.node, root, variables)
        if cost > self._limits.cost:
            raise operation_error(exceeded("cost", self._limits.cost, cost))

    async def run(self, operation: Operation) -> Answer:
        """The one result of a query or a mutation. Raises nothing of its own: whatever happens is in its errors."""
        try:
            return await self._planned(operation) or Answer(encode(await self._referred(operation)))
        except asyncio.CancelledError:
            operation.codes.add(CANCELLED)
            raise
        finally:
            self.finish(operation)

    async def _planned(self, operation: Operation) -> Answer | None:
        """What the plan answers; None where there is none or it gives up, and nothing has been done yet."""
        variant = self._variant(operation)
        if variant is None or variant.plan is None:
            metrics.RUNS_REFERENCE.inc()
            return None
        variant.runs += 1
        kept: dict[str, Any] | None = {} if operation.kind is OperationType.MUTATION else None
        try:
            body = await self._remembered(operation, variant, variant.plan, kept)
        except BaseException as error:
            if not survivable(error):
                raise
            variant.failures += 1
            metrics.RUNS_FALLBACK.inc()
            return None if kept is None else Answer(encode(await self._referred(operation, kept)))
        metrics.RUNS_PLAN.inc()
        return Answer(body)

    async def _remembered(
        self, operation: Operation, variant: Variant, plan: Plan, kept: dict[str, Any] | None
    ) -> bytes:
        """What the plan answers, kept for all who would be told the same."""
        run, cache, text = self._new_run(operation, variant), self._cache, operation.text
        if cache is None or text is None or kept is not None:
            return encode({"data": await plan.run(run, kept)})
        if plan.private or plan.own:
            metrics.CACHE_PRIVATE.inc()
            return encode({"data": await plan.run(run)})
        start = cache.begin()
        made_of = Footprint()
        before = footprint.current.set(made_of)
        try:
            body = encode({"data": await plan.run(run)})
        finally:
            footprint.current.reset(before)
        selected, english = operation.selected, operation.info.english
        kind = selected.node.operation.value
        cache.keep(text, english, operation.viewer, plan.decisions, made_of, start, body, selected.name, kind)
        return body

    def _variant(self, operation: Operation) -> Variant | None:
        if not self._plans or operation.trace is not None:
            return None
        selected = operation.selected
        return selected.variants.choose(operation.variables, operation.viewer, lambda: self._built(operation))

    def _new_run(self, operation: Operation, variant: Variant) -> Run:
        def executor() -> Executor[Any]:
            return reference.again(
                variant.executor, operation.variables, self._context(operation.viewer, operation.info)
            )

        return Run(operation.viewer, operation.variables, executor)

    def _built(self, operation: Operation) -> Executor[Any]:
        if operation.executor is None:
            selected = operation.selected
            operation.executor = self._reference.executor(selected.document, selected.name, operation.given)
        return operation.executor

    def _executor(self, operation: Operation) -> Executor[Any]:
        """The operation's executor, with a new context."""
        executor = self._built(operation)
        executor.context_value = self._context(operation.viewer, operation.info)
        return executor

    async def _referred(self, operation: Operation, kept: Mapping[str, Any] | None = None) -> Result:
        """What the reference answers; root fields in `kept` are not called again."""
        try:
            executor = self._executor(operation)
            if kept is not None:
                executor = self._reference.executor(
                    operation.selected.document, operation.selected.name, operation.given, reference.replaying(kept)
                )
                executor.context_value = self._context(operation.viewer, operation.info)
            result = await reference.execute(executor)
        except BaseException as error:
            if not survivable(error):
                raise
            return {"data": None, **self._failed(operation, error)}
        answer = self._result(operation, result.data, result.errors)
        if operation.trace:
            answer["extensions"] = operation.trace.finish()
        return answer

    async def stream(self, operation: Operation) -> AsyncGenerator[Answer, None]:
        """The results of a subscription. A fatal answer is the last: the stream could not start, or broke."""
        try:
            source = await self._source(operation)
            if isinstance(source, dict):
                yield _fatal(source)
                return
            async with aclosing(source) as events:  # graphql-core's own, since a source need not be a generator
                try:
                    async for event in events:
                        yield await self._event(operation, event)
                except BaseException as error:
                    if not survivable(error):
                        raise
                    yield _fatal(self._failed(operation, error))
        finally:
            self.finish(operation)

    async def _source(self, operation: Operation) -> AsyncIterable[Any] | Result:
        try:
            source = await reference.source(self._executor(operation))
        except BaseException as error:
            if not survivable(error):
                raise
            return self._failed(operation, error)
        return {"errors": self._described(operation, source)} if isinstance(source, list) else source

    async def _event(self, operation: Operation, event: Any) -> Answer:
        """One event of a subscription, with a new context, so that nothing loaded before is shown again."""
        variant = self._variant(operation)
        if variant is not None and variant.plan is not None:
            variant.runs += 1
            try:
                body = encode({"data": await variant.plan.run_event(self._new_run(operation, variant), event)})
                metrics.RUNS_PLAN.inc()
                return Answer(body)
            except BaseException as error:
                if not survivable(error):
                    raise
                variant.failures += 1
                metrics.RUNS_FALLBACK.inc()
        else:
            metrics.RUNS_REFERENCE.inc()
        try:
            result = await reference.execute_event(self._executor(operation), event)
        except BaseException as error:
            if not survivable(error):
                raise
            return Answer(encode({"data": None, **self._failed(operation, error)}))
        return Answer(encode(self._result(operation, result.data, result.errors)))

    def _result(self, operation: Operation, data: Any, errors: list[GraphQLError] | None) -> Result:
        described = self._described(operation, errors or [])
        return {"errors": described, "data": data} if described else {"data": data}

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
        members = operation.members
        viewer_id = operation.viewer.id if members is None else None
        self._report(operation.selected, operation.started, seen, viewer_id, operation.info, members)

    def _report(
        self,
        selected: Selected | None,
        started: float,
        seen: tuple[str, ...],
        viewer_id: UUID | None,
        info: RequestInfo,
        members: int | None = None,
    ) -> None:
        name = selected.name if selected else None
        kind = selected.node.operation.value if selected else None
        seconds = time.perf_counter() - started
        self._on_operation(Finished(name, kind, seconds, seen, viewer_id, info.id, info.transport, members))


def _fatal(result: Result) -> Answer:
    return Answer(encode(result), result["errors"])

"""The reference: graphql-core's executor, which says what every operation means and what its errors are."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from copy import copy
from typing import Any, TypeGuard, cast

from graphql import ExecutionResult, GraphQLError, GraphQLResolveInfo, GraphQLResolveInfoHelpers, GraphQLSchema
from graphql.execution import (
    Executor,
    MiddlewareManager,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)
from graphql.execution.values import VariableValues
from graphql.language import DocumentNode
from strawberry.execution import optimized_is_awaitable

from engine.errors import RequestError, document_errors
from kit.errors import ErrorCode


class Reference:
    """Builds executors and runs them. Nothing is kept between operations."""

    def __init__(
        self, schema: GraphQLSchema, executor_class: type[Executor[Any]], *, hide_suggestions: bool, max_errors: int
    ) -> None:
        self.schema = schema
        self._executor_class = executor_class
        self._hide_suggestions = hide_suggestions
        self._max_errors = max_errors

    def executor(
        self,
        document: DocumentNode,
        name: str | None,
        variables: Mapping[str, Any],
        middleware: MiddlewareManager | None = None,
    ) -> Executor[Any]:
        """Raises RequestError for variables that do not fit their types."""
        built = self._executor_class.build(
            self.schema,
            document,
            raw_variable_values=dict(variables),
            operation_name=name,
            max_coercion_errors=self._max_errors - 1,
            middleware=middleware,
            is_awaitable=cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable),
            hide_suggestions=self._hide_suggestions,
            operation_extensions=None,
        )
        if isinstance(built, list):
            raise RequestError(document_errors(ErrorCode.BAD_USER_INPUT, built), 400, json_status=200)
        return built


def template(executor: Executor[Any]) -> Executor[Any]:
    """A copy to be kept for `again`. It has no helpers: they point to their executor, which would never be freed."""
    kept = copy(executor)
    del kept.async_helpers
    return kept


def again(kept: Executor[Any], variables: Mapping[str, Any], context: Any) -> Executor[Any]:
    """An executor of the same operation for other (coerced) variables, good for making infos: nothing is built anew."""
    other = copy(kept)
    other.variable_values = VariableValues({}, dict(variables))
    other.context_value = context
    other.async_helpers = GraphQLResolveInfoHelpers(gather=kept.gather_async_work, track=kept.track_async_work)
    return other


async def execute(executor: Executor[Any]) -> ExecutionResult:
    executed = execute_root_selection_set(executor)
    return await executed if isinstance(executed, Awaitable) else executed


async def execute_event(executor: Executor[Any], event: Any) -> ExecutionResult:
    executed = execute_subscription_event(executor.build_per_event_executor(event))
    return await executed if isinstance(executed, Awaitable) else executed


async def source(executor: Executor[Any]) -> AsyncIterable[Any] | list[GraphQLError]:
    """The events of a subscription, or why there are none."""
    opened = create_source_event_stream(executor)
    stream = await opened if isinstance(opened, Awaitable) else opened
    return stream.errors or [] if isinstance(stream, ExecutionResult) else stream


def replaying(kept: Mapping[str, Any]) -> MiddlewareManager:
    """Root fields that were called already give again what they gave: a mutation must not be done twice."""

    def replay(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        if info.path.prev is None and info.path.key in kept:
            value = kept[str(info.path.key)]
            if isinstance(value, Exception):
                raise value
            return value
        return resolve(source, info, **arguments)

    return MiddlewareManager(replay)


def survivable(error: BaseException) -> bool:
    """Whether this is a failure of the operation, and not the end of the task that runs it.

    A future that a failing sibling cancelled raises CancelledError too, though nobody cancelled this task
    (aiodataloader shares such futures).
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception)

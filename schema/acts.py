"""Mutations and subscriptions: one input, one payload, refusals as data."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any

import strawberry

from engine.topics import Keep
from kit.errors import Refused
from kit.names import camel, snake
from models.refusals import Refusal, texts_of
from resolvers.context import Info
from resolvers.filters import plain
from schema.base import Access
from schema.enums import enums, summary_of

enums(Refusal)


@strawberry.type
class UserError:
    """One reason for which a mutation was refused (业务错误)."""

    code: Refusal = strawberry.field(description="The reason as a code (代码)")
    message: str = strawberry.field(description="The reason in the caller's language (说明)")
    field: list[str] | None = strawberry.field(description="Path of the field within the input (字段路径)")


def user_errors(refused: Refused, *, english: bool) -> list[dict[str, Any]]:
    return [
        {
            "code": each.code,
            "message": texts_of(each)[english],
            "field": None if each.field is None else [camel(str(part)) for part in each.field],
        }
        for each in refused.all
    ]


def mutation(act: Callable[..., Awaitable[Any]], input: type | None = None, *, access: str, **result: Any) -> Any:  # noqa: A002
    """An act with one `input` and a payload of one nullable result beside `userErrors`.

    `result` names it and gives its type: `mutation(resolvers.policy_save, PolicySaveInput, …, revision=Revision)`.
    """
    ((name, kind),) = result.items()
    typename = "".join(part.capitalize() for part in act.__name__.split("_"))
    payload = _payload(typename, name, kind)

    async def resolve(info: Info, **arguments: Any) -> Any:
        given = arguments.get("input")
        try:
            value = await act(info, **(plain(given) if given is not None else {}))
        except Refused as refused:
            return {name: None, "user_errors": user_errors(refused, english=info.context.english)}
        return {name: value, "user_errors": []}

    parameters = [inspect.Parameter("info", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Info)]
    if input is not None:
        annotation = Annotated[input, strawberry.argument(description="What to do (输入)")]  # type: ignore[valid-type]
        parameters.append(inspect.Parameter("input", inspect.Parameter.KEYWORD_ONLY, annotation=annotation))
    resolve.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    resolve.__annotations__ = {each.name: each.annotation for each in parameters}
    return strawberry.mutation(
        resolver=resolve,
        description=summary_of(act),
        directives=[Access(rule=access)],
        metadata={"access": access, "cost": 10, "act": act},
        graphql_type=payload | None,
    )


def _payload(typename: str, name: str, kind: Any) -> Any:
    namespace: dict[str, Any] = {
        "__annotations__": {name: kind | None, "user_errors": list[UserError]},
        "__doc__": f"What {camel(snake(typename))} answers (结果).",
        name: strawberry.field(description="The result, null when refused (结果)"),
        "user_errors": strawberry.field(description="Why it was refused, empty when done (错误)"),
    }
    cls = type(f"{typename}Payload", (), namespace)
    return strawberry.type(cls, description=namespace["__doc__"])


def subscription(
    stream: Callable[..., AsyncGenerator[Any, None]],
    *,
    access: str,
    cost: int = 5,
    shared: bool = False,
    keep: Keep = Keep.LATEST,
    cursor: Callable[[Any], str] | None = None,
) -> Any:
    """A stream of events. The generator is bound directly: one that re-yields another leaks its listener.

    `shared`: one run serves all viewers of the same standing, so neither the stream nor anything below it may depend
    on who they are; the viewer that it sees is `Viewer.standing`. The other two are explained in `engine/topics.py`.
    With EVERY, cursors must be given out in the order of the commits (a number taken under a lock, for instance): a
    row that commits late with an early cursor would be passed by.
    """
    return strawberry.subscription(
        resolver=stream,
        description=summary_of(stream),
        directives=[Access(rule=access)],
        metadata={"access": access, "cost": cost, "shared": shared, "keep": keep, "cursor": cursor},
    )

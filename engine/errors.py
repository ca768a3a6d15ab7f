"""What a client is told when an operation fails, and what it is never told."""

from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from graphql import GraphQLError
from graphql.language import ValueNode
from strawberry.exceptions import StrawberryInputCoercionError

from auth.viewer import Viewer
from kit.errors import AccessDenied, ApiError, ErrorCode, Unauthenticated
from kit.ids import uuid7

Described = dict[str, Any]
Headers = Sequence[tuple[str, str]]

MAX_MESSAGE = 400  # characters; graphql-core quotes values whole, however long they are

log = structlog.get_logger(__name__)

_STATUS = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.ACCESS_DENIED: 403,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
}


class RequestError(Exception):
    """An operation that was not run.

    `status` is the HTTP status for `application/graphql-response+json`, `json_status` for `application/json`, where a
    well-formed request answers 200 even if its document is wrong (GraphQL over HTTP, "Response").
    """

    def __init__(
        self, errors: Sequence[Described], status: int, json_status: int | None = None, headers: Headers = ()
    ) -> None:
        super().__init__(errors[0]["message"])
        self.errors = list(errors)
        self.status = status
        self.json_status = status if json_status is None else json_status
        self.headers = headers


def describe(error: ApiError) -> Described:
    return {"message": str(error), "extensions": error.extensions}


def wire_error(error: ApiError, status: int | None = None, headers: Headers = ()) -> RequestError:
    """The request itself is at fault, whatever media type it accepts."""
    status = status or _STATUS.get(error.code, 400)
    if status == _STATUS[ErrorCode.UNAUTHENTICATED]:
        headers = (*headers, ("www-authenticate", "Bearer"))
    return RequestError([describe(error)], status, headers=headers)


def bad_request(message: str, status: int = 400, headers: Headers = ()) -> RequestError:
    return wire_error(ApiError(ErrorCode.BAD_USER_INPUT, message), status, headers)


def operation_error(error: ApiError, headers: Headers = ()) -> RequestError:
    """The request is well formed, but its operation is refused."""
    return RequestError([describe(error)], _STATUS.get(error.code, 400), json_status=200, headers=headers)


def document_errors(code: ErrorCode, errors: Iterable[GraphQLError]) -> list[Described]:
    """graphql-core's errors. Those with the same text become one with all places: repetition makes no long answer."""
    merged: dict[str, Described] = {}
    for error in errors:
        text = error.message if len(error.message) <= MAX_MESSAGE else error.message[: MAX_MESSAGE - 1] + "…"
        found = merged.setdefault(text, {"message": text, "extensions": {"code": code.value}})
        places = [place.formatted for place in error.locations or ()]
        if places:
            found["locations"] = [*found.get("locations", ()), *places]
    return list(merged.values())


def internal(error: BaseException, **where: Any) -> Described:
    """Hides an unforeseen exception behind an id and logs it under that id."""
    error_id = uuid7().hex
    log.error("operation failed", error_id=error_id, exc_info=error, **where)
    return {
        "message": "Internal error (内部错误)",
        "extensions": {"code": ErrorCode.INTERNAL.value, "id": error_id},
    }


def field_error(error: GraphQLError) -> Described:
    """An error of execution: our own errors with their text, wrong arguments with graphql-core's, else INTERNAL."""
    cause = _cause(error)
    if isinstance(cause, ApiError):
        described = describe(cause)
    elif _is_about_input(error, cause):
        described = {"message": error.message, "extensions": {"code": ErrorCode.BAD_USER_INPUT.value}}
    else:
        described = internal(cause, path=error.path)
    if error.locations:
        described["locations"] = [place.formatted for place in error.locations]
    if error.path is not None:
        described["path"] = error.path
    return described


def refusal(viewer: Viewer) -> ApiError:
    """What a viewer is told who may not: to sign in, if that could help."""
    return AccessDenied() if viewer.signed_in else Unauthenticated()


def codes(errors: Iterable[Described]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(error["extensions"]["code"] for error in errors))


def _cause(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_about_input(error: GraphQLError, cause: Exception) -> bool:
    """graphql-core points errors of arguments at their values, all others at fields."""
    if isinstance(cause, StrawberryInputCoercionError):
        return True
    return isinstance(cause, GraphQLError) and any(isinstance(node, ValueNode) for node in error.nodes or ())

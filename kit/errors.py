"""What can go wrong, as the caller is told.

EscError
├── Refused        a business rule says no: ends in a payload's `userErrors`
└── ApiError       the operation itself cannot be served: ends in the response's `errors`
    ├── Unauthenticated
    └── AccessDenied
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any


class ErrorCode(StrEnum):
    """Codes of top-level errors (`docs/contract.md`)."""

    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    ACCESS_DENIED = "ACCESS_DENIED"
    COST_EXCEEDED = "COST_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL = "INTERNAL"


class EscError(Exception):
    """Any error that the platform raises on purpose."""


class ApiError(EscError):
    """An operation that cannot be served, with one of the top-level codes. Its text is safe to show."""

    def __init__(self, code: ErrorCode, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.code = code
        self.extensions: dict[str, Any] = {"code": code.value, **extensions}


class Unauthenticated(ApiError):
    def __init__(self, message: str = "Sign in first (请先登录)", **extensions: Any) -> None:
        super().__init__(ErrorCode.UNAUTHENTICATED, message, **extensions)


class AccessDenied(ApiError):
    def __init__(self, message: str = "Not allowed (无权访问)", **extensions: Any) -> None:
        super().__init__(ErrorCode.ACCESS_DENIED, message, **extensions)


class Refused(EscError):
    """A business rule that says no. `field` is the path in the mutation's input; `params` fill the message's blanks.

    Codes and their Chinese and English texts are those of `models/refusals.py`. One exception may carry
    several, so that a form shows all of its errors at once.
    """

    def __init__(self, code: StrEnum, field: Sequence[str | int] | None = None, /, **params: Any) -> None:
        super().__init__(code.value)
        self.code = code
        self.field = list(field) if field is not None else None
        self.params = params
        self.all: list[Refused] = [self]

    @classmethod
    def several(cls, refusals: "Sequence[Refused]") -> "Refused":
        """The first of them, carrying all."""
        first = refusals[0]
        first.all = list(refusals)
        return first

"""Documents, parsed and validated once and kept by their text."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from graphql import GraphQLSchema, GraphQLSyntaxError, parse, specified_rules, validate
from graphql.language import DocumentNode, OperationDefinitionNode
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from engine.cost import Costs
from engine.errors import Described, RequestError, describe, document_errors
from engine.limits import Limits, exceeded
from engine.lru import Lru
from engine.measure import Measure, Ruler, check
from engine.variables import Variables
from engine.variants import Variants
from kit import metrics
from kit.errors import ApiError, ErrorCode

RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
ENTRIES = 2_000
CAPACITY_BYTES = 64 * 1024 * 1024
DOCUMENT_BYTES, CHARACTER_BYTES = 4_000, 80
"""What a document takes, and each character of its text, as measured; the plans come on top."""

_OVERRUN = re.compile(r"Document contains more than \d+ (tokens|comments)|Document is nested too deep")


@dataclass(frozen=True)
class Selected:
    """One operation of a document, and what was found out about it for all its requests."""

    schema: GraphQLSchema
    document: DocumentNode
    node: OperationDefinitionNode
    measure: Measure
    costs: Costs
    grew: Callable[[int], None]

    @cached_property
    def variables(self) -> Variables:
        return Variables(self.schema, self.node)

    @cached_property
    def variants(self) -> Variants:
        return Variants(self.document, self.grew)

    @property
    def name(self) -> str | None:
        return self.node.name.value if self.node.name else None


class Documents:
    """Knows what texts mean in one schema, bounded by bytes, with all that was compiled for them.

    Failures are remembered too, apart, so that garbage displaces no document.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, suggestions: bool) -> None:
        self._schema = schema
        self._limits = limits
        self._suggestions = suggestions
        self._documents: Lru[Mapping[str, Selected]] = Lru(ENTRIES, CAPACITY_BYTES)
        self._failures: Lru[list[Described]] = Lru(entries=1_000, weight=1_000_000)

    def select(self, text: str, operation_name: str | None) -> Selected:
        """The operation to run. Raises RequestError where the document or the choice is wrong."""
        return _choose(self._get(text), operation_name)

    def _get(self, text: str) -> Mapping[str, Selected]:
        if operations := self._documents.get(text):
            return operations
        key = hashlib.sha256(text.encode()).hexdigest()
        if errors := self._failures.get(key):
            raise _refused(errors)
        try:
            operations = self._read(text)
        except RequestError as error:
            self._failures.put(key, error.errors, weight=sum(len(each["message"]) for each in error.errors))
            raise
        self._documents.put(text, operations, DOCUMENT_BYTES + len(text) * CHARACTER_BYTES)
        metrics.DOCUMENTS.set(len(self._documents))
        return operations

    def _grew(self, text: str, weight: int) -> None:
        self._documents.grow(text, weight)
        metrics.DOCUMENTS.set(len(self._documents))

    def _read(self, text: str) -> Mapping[str, Selected]:
        try:
            document = self._parse(text)
            ruler = Ruler(document)
            operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
            costs = Costs(self._schema, document, self._limits.list_size)
            grew = partial(self._grew, text)
            selected = [Selected(self._schema, document, node, ruler.measure(node), costs, grew) for node in operations]
            for operation in selected:
                check(operation.measure, self._limits)
        except ApiError as error:
            raise _refused([describe(error)]) from None
        except RecursionError:
            raise _refused([describe(exceeded("depth", self._limits.depth))]) from None
        self._validate(document)
        return {operation.name or "": operation for operation in selected}

    def _parse(self, text: str) -> DocumentNode:
        limits = self._limits
        if len(text) > limits.source:
            raise exceeded("source", limits.source, len(text))
        try:
            document = parse(
                text,
                max_lexical_tokens=limits.tokens,
                max_comments=limits.comments,
                allow_empty_selection_sets=False,
            )
        except GraphQLSyntaxError as error:
            if overrun := _OVERRUN.search(error.message):
                limit = overrun[1] or "depth"
                raise exceeded(limit, getattr(limits, limit)) from None
            raise _refused(document_errors(ErrorCode.GRAPHQL_PARSE_FAILED, [error])) from None
        _unlink(document)
        return document

    def _validate(self, document: DocumentNode) -> None:
        # graphql-core adds one more error to say that it stopped
        errors = validate(
            self._schema, document, RULES, max_errors=self._limits.errors - 1, hide_suggestions=not self._suggestions
        )
        if errors:
            raise _refused(document_errors(ErrorCode.GRAPHQL_VALIDATION_FAILED, errors))


def _unlink(document: DocumentNode) -> None:
    """Parts the tokens, which point to the next and the one before.

    Linked they would outlive a document that is forgotten until the garbage collector comes to its oldest generation,
    and that may take ten thousand others.
    """
    token = document.loc.start_token if document.loc else None
    while token:
        following = token.next
        token.prev = token.next = None
        token = following


def _choose(operations: Mapping[str, Selected], name: str | None) -> Selected:
    if name:
        if chosen := operations.get(name):
            return chosen
        message = "The document has no operation of that name (文档中没有该名称的操作)"
    elif len(operations) == 1:
        return next(iter(operations.values()))
    else:
        message = "The document has several operations: send operationName (文档含多个操作，请指定 operationName)"
    raise _refused([describe(ApiError(ErrorCode.BAD_USER_INPUT, message))])


def _refused(errors: list[Described]) -> RequestError:
    return RequestError(errors, 400, json_status=200)

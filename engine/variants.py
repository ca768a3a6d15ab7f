"""The plans of one operation: one for each set of conditions and each way in which its rules decide."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql.execution import Executor
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    VariableNode,
    Visitor,
    visit,
)

from auth.access import Decision, decide
from auth.viewer import Viewer
from engine.compile import Plan, Unknown, compile_plan
from engine.reference import template
from kit import metrics

MOST = 16
"""A client can ask for 2^n variants of one document; beyond this many the reference answers."""

VARIANT_BYTES, FIELD_BYTES = 4_000, 1_000
"""What a variant takes, and each selection set and field of its plan, as measured."""

PATIENCE = 20
"""Failures, more than every second run, after which a variant is left to the reference: it would pay for both."""


@dataclass(slots=True)
class Variant:
    """A plan and how it fares; without one the compiler did not know the operation for these viewers.

    `executor` is the one that it was compiled with: those of its runs are copies (`reference.again`).
    """

    plan: Plan | None
    decisions: Mapping[str, Decision]
    executor: Executor[Any]
    runs: int = 0
    failures: int = 0

    def fits(self, viewer: Viewer) -> bool:
        return all(decide(rule, viewer) is decision for rule, decision in self.decisions.items())

    @property
    def usable(self) -> bool:
        return self.plan is not None and (self.failures < PATIENCE or self.failures * 2 <= self.runs)


class Variants:
    """What was compiled for one operation of one document. `grew` is told of the bytes that each variant takes."""

    def __init__(self, document: DocumentNode, grew: Callable[[int], None]) -> None:
        self._grew = grew
        self._conditions = _conditions(document)
        self._known: dict[tuple[Any, ...], list[Variant]] = {}
        self._count = 0

    def choose(
        self, variables: Mapping[str, Any], viewer: Viewer, make_executor: Callable[[], Executor[Any]]
    ) -> Variant | None:
        """None: the reference answers."""
        key = tuple(variables.get(name) for name in self._conditions)
        for variant in self._known.get(key, ()):
            if variant.fits(viewer):
                return variant if variant.usable else None
        if self._count >= MOST:
            return None
        self._count += 1
        variants = self._known.setdefault(key, [])
        metrics.PLANS_COMPILED.inc()
        executor = template(make_executor())
        try:
            plan = compile_plan(executor, viewer)
        except Unknown as unknown:
            variants.append(Variant(None, unknown.decisions, executor))
            self._grew(VARIANT_BYTES)
            return None
        variants.append(Variant(plan, plan.decisions, executor))
        self._grew(VARIANT_BYTES + plan.size * FIELD_BYTES)
        return variants[-1]


def _conditions(document: DocumentNode) -> tuple[str, ...]:
    """The variables in @skip and @include, anywhere in the document."""
    search = _Search()
    visit(document, search)
    return tuple(dict.fromkeys(search.names))


class _Search(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def _enter(self, node: FieldNode | InlineFragmentNode | FragmentSpreadNode, *_: Any) -> None:
        for directive in node.directives or ():
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    self.names.append(argument.value.name.value)

    enter_field = enter_inline_fragment = enter_fragment_spread = _enter

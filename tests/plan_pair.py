"""Plans and the reference over the schema of traps, asked the same."""

import json
from collections.abc import Mapping
from typing import Any

from auth.viewer import ANONYMOUS, Viewer
from engine.gate import gate
from engine.limits import Limits
from engine.persisted import Persisted
from engine.pipeline import Pipeline
from kit.metrics import RUNS_PLAN
from tests.comparison import ask, compare
from tests.engine_harness import MemoryStore
from tests.plan_schema import SCHEMA, Context, reset, thing, world

Answer = dict[str, Any]


def fill() -> None:
    """Five usual rows in a new world."""
    reset()
    world.rows = {number: thing(number) for number in range(1, 6)}


def put(**cells: Any) -> None:
    """Changes cells of the first row."""
    world.rows[1] = world.rows[1] | cells


class Pair:
    """The two pipelines of one test. `asked`: what the plan that `same` ran last asked of sources."""

    def __init__(self) -> None:
        gate(SCHEMA._schema)
        self.plans, self.reference = (self._pipeline(plans=plans) for plans in (True, False))
        self.asked: list[Any] = []

    def _pipeline(self, *, plans: bool) -> Pipeline:
        return Pipeline(
            SCHEMA._schema,
            SCHEMA.execution_context_class,
            context=Context,
            persisted=Persisted(MemoryStore()),
            limits=Limits(aliases=100, fields=2_000, cost=10**9),
            hardened=False,
            on_operation=lambda _: None,
            plans=plans,
        )

    async def same(
        self,
        text: str,
        variables: Mapping[str, Any] | None = None,
        viewer: Viewer = ANONYMOUS,
        *,
        planned: bool | None = True,
    ) -> Answer:
        """`planned`: whether the plan must have answered, or must have given up; None: it may do either."""
        before = RUNS_PLAN._value.get()
        world.asked.clear()
        plan = await ask(self.plans, text, variables or {}, viewer)
        self.asked = world.asked.copy()
        by_plan = RUNS_PLAN._value.get() > before
        difference = compare(plan, await ask(self.reference, text, variables or {}, viewer))
        assert difference is None, f"{text} {variables}\n{difference}"
        assert planned is None or by_plan is planned, plan.body
        answer: Answer = json.loads(plan.body)
        return answer

"""Plans against the reference: the same operation, viewer, variables and rows, answered twice and compared."""

import asyncio
import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLSchema
from graphql.execution import Executor
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

import schema
from auth.access import RULES, Rule
from auth.viewer import PROFESSIONAL, REGISTERED, STAFF, Role, Viewer
from engine.errors import RequestError
from engine.federation import check_entities
from engine.gate import gate
from engine.limits import Limits
from engine.params import Params
from engine.persisted import Persisted
from engine.pipeline import Pipeline, RequestInfo
from kit import clock
from kit.db import database as pools
from kit.metrics import RUNS_FALLBACK, RUNS_PLAN
from kit.settings import settings as platform
from resolvers.context import Context
from resolvers.search import search_index
from tests import plan_city
from tests.arguments import Dice, Facts
from tests.chaos import Sky, Weather, under
from tests.engine_harness import MemoryStore
from tests.operations import Author, Contract
from tests.patience import patient

REQUEST = RequestInfo("drawn", "http", {})
CALM = Weather()
OTHER_RULES: Sequence[Mapping[str, Rule]] = (
    {},
    {"content.manage": Rule(STAFF, frozenset({Role.PLATFORM_ADMIN}), own="offline_by")},
    {"content.manage": Rule(REGISTERED)},
    {"public": Rule(PROFESSIONAL)},
)
"""Rules that hold in some runs, one of them for owners only."""

Difference = str
OTHER_ERRORS = "no error in common"
"""Siblings that fail race, in the reference too; asked again, when all rows are known, they fail in the same order."""


@dataclass(frozen=True)
class Asked:
    """One run of a document. `rules` and `viewer` are numbers in their lists."""

    viewer: int
    variables: Mapping[str, Any]
    rules: int
    weather: Weather


@dataclass(frozen=True)
class Example:
    text: str
    first: Asked
    second: Asked


@dataclass
class Tally:
    """What a run of many examples came to."""

    examples: int = 0
    refused: int = 0
    planned: int = 0
    comparisons: int = 0
    fallbacks: int = 0
    races: int = 0
    reached: dict[str, set[str]] = field(default_factory=dict)

    def missing(self, contract: Contract) -> list[str]:
        """Fields that no answer came to."""
        return [
            f"{type_}.{name}"
            for type_, names in contract.reachable.items()
            for name in sorted(names - self.reached.get(type_, set()))
        ]


def watching(executor_class: type[Executor[Any]], reached: dict[str, set[str]]) -> type[Executor[Any]]:
    """The reference, noting which fields of which types it resolves."""

    class Watching(executor_class):  # type: ignore[misc, valid-type]
        def execute_field(self, parent_type: Any, source: Any, field_details_list: Any, *place: Any) -> Any:
            reached.setdefault(parent_type.name, set()).add(field_details_list[0].node.name.value)
            return super().execute_field(parent_type, source, field_details_list, *place)

    return Watching


class Twins:
    """The pipeline under test and the reference's, over one schema and under one sky."""

    def __init__(self, plans: Pipeline, reference: Pipeline, viewers: Sequence[Viewer], sky: Sky, tally: Tally) -> None:
        self._plans = plans
        self._reference = reference
        self._viewers = viewers
        self._sky = sky
        self._tally = tally

    async def differences(self, example: Example) -> list[Difference]:
        """Cold, warm, and with other variables, viewer, rules and rows."""
        planned = self._tally.planned
        cold = await self._run(example.text, example.first)
        warm = await self._run(example.text, example.first, cold.reference)
        other = await self._run(example.text, example.second)
        self._tally.examples += 1
        self._tally.planned = planned + (self._tally.planned > planned)
        return [each.difference for each in (cold, warm, other) if each.difference]

    async def _run(self, text: str, asked: Asked, reference: "Answered | None" = None) -> "Compared":
        tally = self._tally
        self._sky.weather = asked.weather
        with ruled(OTHER_RULES[asked.rules]):
            planned, failed = RUNS_PLAN._value.get(), RUNS_FALLBACK._value.get()
            plan = await self._ask(self._plans, text, asked)
            tally.planned += RUNS_PLAN._value.get() > planned
            tally.fallbacks += RUNS_FALLBACK._value.get() > failed
            reference = reference or await self._ask(self._reference, text, asked)
            difference = compare(plan, reference)
            if difference and difference.startswith(OTHER_ERRORS):
                tally.races += 1
                plan = await self._ask(self._plans, text, asked)
                difference = compare(plan, await self._ask(self._reference, text, asked))
        tally.comparisons += 1
        tally.refused += reference.refused
        return Compared(reference, difference)

    async def _ask(self, pipeline: Pipeline, text: str, asked: Asked) -> "Answered":
        return await ask(pipeline, text, asked.variables, self._viewers[asked.viewer])


@dataclass(frozen=True)
class Answered:
    body: bytes
    refused: bool = False


@dataclass(frozen=True)
class Compared:
    reference: Answered
    difference: Difference | None


async def ask(pipeline: Pipeline, text: str, variables: Mapping[str, Any], viewer: Viewer) -> Answered:
    try:
        operation = await pipeline.open(Params(text, None, variables, {}), viewer, REQUEST)
    except RequestError as error:
        return Answered(json.dumps(error.errors).encode(), refused=True)
    return Answered((await pipeline.run(operation)).body)


def compare(plan: Answered, reference: Answered) -> Difference | None:
    """Bytes where nothing failed, else data with its order of keys, and errors that the two have in common.

    Which of several failing siblings is told depends on which fails first, in the reference itself too.
    """
    if plan == reference:
        return None
    if plan.refused or reference.refused:
        return _told("one was refused", plan, reference)
    ours, theirs = json.loads(plan.body), json.loads(reference.body)
    if not ours.get("errors") or not theirs.get("errors"):
        return _told("not the same bytes", plan, reference)
    if json.dumps(ours["data"]) != json.dumps(theirs["data"]):
        return _told("not the same data", plan, reference)
    if not _told_errors(ours) & _told_errors(theirs):
        return _told(OTHER_ERRORS, plan, reference)
    return None


def _told_errors(answer: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    return {(error["message"], json.dumps(error.get("path"))) for error in answer["errors"]}


def _told(what: str, plan: Answered, reference: Answered) -> Difference:
    return f"{what}\nplan:      {plan.body.decode()}\nreference: {reference.body.decode()}"


@contextmanager
def ruled(rules: Mapping[str, Rule]) -> Iterator[None]:
    usual = {name: RULES[name] for name in rules}
    RULES.update(rules)
    try:
        yield
    finally:
        RULES.update(usual)


@contextmanager
def frozen_clock() -> Iterator[None]:
    """Both executions are asked at the same moment."""
    real = clock.real
    clock.real = lambda: plan_city.NOW
    try:
        yield
    finally:
        clock.real = real


@st.composite
def examples(draw: Any, contract: Contract, facts: Facts, viewers: int) -> Example:
    dice = Dice(draw.__self__.draw_integer)
    author = Author(contract, facts, dice)
    text = author.write()
    first, second = (
        Asked(
            viewer=dice.below(viewers) if dice.chance(60) else viewers - 1,
            variables=author.arguments.given(),
            rules=dice.below(len(OTHER_RULES)) if dice.chance(15) else 0,
            weather=Weather(1 + dice.below(100), dice.pick((30, 5)), 40) if dice.chance(45) else CALM,
        )
        for _ in range(2)
    )
    return Example(text, first, second)


async def cursors(pipeline: Pipeline, contract: Contract, viewer: Viewer) -> dict[str, list[str]]:
    """Cursors of the first rows of each connection, in each of its orders."""
    found: dict[str, list[str]] = {}
    for name, declared in contract.query.fields.items():
        if "after" not in declared.args:
            continue
        orders = declared.args["orderBy"].type.of_type.values if "orderBy" in declared.args else [None]
        for order in orders:
            arguments = (
                "first: 3" + (f", orderBy: {order}" if order else "") + (', query: ""' if name == "search" else "")
            )
            answer = await ask(pipeline, f"{{ {name}({arguments}) {{ edges {{ cursor }} }} }}", {}, viewer)
            edges = json.loads(answer.body)["data"][name]["edges"]
            found.setdefault(declared.type.of_type.name, []).extend(edge["cursor"] for edge in edges)
    return found


def pipeline(core: GraphQLSchema, executor_class: type[Executor[Any]], *, plans: bool) -> Pipeline:
    return Pipeline(
        core,
        executor_class,
        context=Context,
        persisted=Persisted(MemoryStore()),
        limits=Limits(),
        hardened=False,
        on_operation=lambda _: None,
        plans=plans,
    )


@contextmanager
def opened(runner: asyncio.Runner) -> Iterator[None]:
    """The read pool and the index of the platform, in the runner's loop."""
    runner.run(pools.open(platform))
    search_index.open(platform)
    try:
        yield
    finally:
        runner.run(search_index.close())
        runner.run(pools.close())


def examine(count: int, number: int, *, shrink: bool = False) -> Tally:
    """Compares so many examples, drawn from the seed `number`, on the city in the database that the settings name.

    Raises AssertionError for the first operation that is answered differently, with `shrink` for a small one, and
    HungError for one that is not answered.
    """
    with (
        patient() as begin,
        asyncio.Runner() as runner,
        capture_logs() as logs,
        frozen_clock(),
        opened(runner),
    ):
        core = schema.build()._schema
        gate(core)
        check_entities(core, Limits().representations)
        contract, tally, sky = Contract(core), Tally(), Sky()
        executor_class = schema.build().execution_context_class
        reference = pipeline(core, watching(executor_class, tally.reached), plans=False)
        plans = pipeline(core, executor_class, plans=True)
        plans._documents = reference._documents  # validated once for both
        viewers = runner.run(plan_city.viewers())
        facts = runner.run(plan_city.survey(runner.run(cursors(reference, contract, viewers[-1]))))
        twins = Twins(plans, reference, viewers, sky, tally)

        def one(example: Example) -> None:
            logs.clear()
            begin(f"{example}\n{example.text}")
            found = runner.run(twins.differences(example))
            assert not found, "\n".join([example.text, *found, *(repr(entry.get("exc_info")) for entry in logs)])

        runner.get_loop().set_exception_handler(lambda _loop, _context: None)  # a loader's batch that nobody awaits
        gc.collect()
        gc.freeze()
        with under(sky):
            _draw(examples(contract, facts, len(viewers)), one, count, number, shrink=shrink)
        begin("closing the index and the pools")
    return tally


def _draw(
    strategy: st.SearchStrategy[Example], one: Callable[[Example], None], count: int, number: int, *, shrink: bool
) -> None:
    options = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    seed(number)(options(given(strategy)(one)))()

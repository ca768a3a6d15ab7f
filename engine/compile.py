"""From an operation to a plan: what is selected, where it comes from, and who may see it, decided once.

What is selected is decided by the reference's own `collect_fields`, with the variables of the request at hand, so that
aliases, fragments, conditions and the order of keys are the reference's by construction. A plan therefore holds for the
same values of the variables in @skip and @include, and for viewers about whom its rules decide the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from graphql import (
    GraphQLAbstractType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationType,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet, collect_fields, collect_subfields
from graphql.type import (
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.types.field import StrawberryField

from auth.access import RULES, Decision, decide
from auth.viewer import Viewer
from engine.arguments import Arguments
from engine.completers import Abstract, Leaves, Lists, Objects
from engine.cost import metadata
from engine.execute import Completer, Getter, Node, Run, Step, fill
from engine.gate import rule_of
from engine.getters import Awaited, Called, Entry, Masked, Paged, Read, Related
from engine.leaves import function, goes_out_as_text
from engine.measure import INTROSPECTION
from engine.projection import BY_KEY, Expression, Projection
from engine.sources import AS_TEXT, CURSORS

KNOWN_DIRECTIVES = frozenset({"skip", "include"})
ENDS = frozenset({"start_cursor", "end_cursor"})


class Unknown(Exception):
    """The compiler does not know this; the reference executor answers, for all about whom the rules decide the same."""

    decisions: Mapping[str, Decision] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for an operation. `skeleton` has its root keys in order, with the constants in place.

    `decisions`: what each rule said of the viewer. `private`: a resolver is in it that does not say what it depends on.
    `size`: selection sets and their fields, for each type that an interface may turn out to be.
    """

    skeleton: dict[str, Any]
    steps: Sequence[Step]
    decisions: Mapping[str, Decision]
    private: bool
    size: int

    async def run(self, run: Run, kept: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data. Root fields of a mutation come one after another, each wholly, and `kept` gets what they gave."""
        data = dict(self.skeleton)
        if kept is None:
            await fill(self.steps, run, [None], [data])
            return data
        for step in self.steps:
            run.memo.clear()
            await step.fill(run, [None], [data], kept)
        return data

    async def run_event(self, run: Run, event: Any) -> dict[str, Any]:
        """The data for one event of a subscription."""
        data = dict(self.skeleton)
        await fill(self.steps, run, [event], [data])
        return data

    @property
    def own(self) -> bool:
        """Whether rows decide, by their owner, what is seen."""
        return Decision.OWN in self.decisions.values()


def compile_plan(executor: Executor[Any], viewer: Viewer) -> Plan:
    """Raises Unknown for what only the reference can answer."""
    compiler = _Compiler(executor, viewer)
    try:
        return compiler.plan()
    except Exception:  # noqa: BLE001 - an operation that the compiler stumbles over is the reference's
        unknown = Unknown()
        unknown.decisions = compiler.decisions
        raise unknown from None


class _Compiler:
    def __init__(self, executor: Executor[Any], viewer: Viewer) -> None:
        self._executor = executor
        self._schema: GraphQLSchema = executor.schema
        self._operation = executor.operation
        self._viewer = viewer
        self.decisions: dict[str, Decision] = {}
        self._private = False
        self._size = 0

    def plan(self) -> Plan:
        root = self._schema.get_root_type(self._operation.operation)
        if root is None or self._operation.directives:
            raise Unknown
        fields = collect_fields(
            self._schema, self._executor.fragments, self._executor.variable_values, root, self._operation
        ).grouped_field_set
        skeleton: dict[str, Any] = dict.fromkeys(fields)
        steps: list[Step] = []
        for key, details in fields.items():
            name = self._name(details)
            if name == "__typename":
                skeleton[key] = root.name
            elif step := self._root(_Field(root, name, key, self._definition(root, name), details)):
                steps.append(step)
        return Plan(skeleton, steps, self.decisions, self._private, self._size)

    def _name(self, details: FieldDetailsList) -> str:
        for each in details:
            directives = {directive.name.value for directive in each.node.directives or ()}
            if each.fragment_variable_values or each.defer_usage or directives - KNOWN_DIRECTIVES:
                raise Unknown
        name = details[0].node.name.value
        if name in INTROSPECTION:
            raise Unknown
        return name

    def _definition(self, parent: GraphQLObjectType, name: str) -> GraphQLField:
        definition = self._schema.get_field(parent, name)
        if definition is None:
            raise Unknown
        return definition

    def _root(self, field: "_Field") -> Step | None:
        """The step of a field of the outermost level; None where there is nothing to do."""
        decision = self._decide(field.parent, field.name, field.definition)
        if decision is Decision.OWN:
            raise Unknown
        if decision is Decision.DENY:
            return self._masked(field)
        completer = self._completer(field.definition.type, field.details)
        return Step(field.name, field.key, self._root_getter(field, completer), completer)

    def _masked(self, field: "_Field") -> Step | None:
        """Nothing to do, unless its arguments could still turn out to be wrong."""
        arguments = self._arguments(field.definition, field.details)
        return Step(field.name, field.key, Masked(arguments), Leaves(lambda value: value)) if arguments.vary else None

    def _root_getter(self, field: "_Field", completer: Completer) -> Getter:
        if self._operation.operation is OperationType.SUBSCRIPTION:
            return Read(lambda event: event)
        source, key = field.facts.get("source"), field.facts.get("key")
        if source is None:
            return self._called(field)
        return Entry(source, key, self._arguments(field.definition, field.details), field.columns(completer))

    def _decide(self, parent: GraphQLObjectType, name: str, definition: GraphQLField) -> Decision:
        """What the field's rule says of the viewer. A denial that is an error is left to the reference."""
        rule = rule_of(parent, name, definition)
        if rule is None:
            return Decision.ALLOW
        decision = self.decisions.setdefault(rule, decide(rule, self._viewer))
        raises = is_non_null_type(definition.type) or parent in (
            self._schema.mutation_type,
            self._schema.subscription_type,
        )
        if decision is not Decision.ALLOW and raises:
            raise Unknown
        return decision

    def _node(self, type_: GraphQLObjectType, fields: GroupedFieldSet) -> Node:
        self._size += 1 + len(fields)
        projection = Projection()
        steps: list[Step] = []
        for key, details in fields.items():
            name = self._name(details)
            if name == "__typename":
                projection.put(key, type_.name)
            else:
                field = _Field(type_, name, key, self._definition(type_, name), details)
                if step := self._field(projection, field):
                    steps.append(step)
        keyed, plain = projection.function(keyed=True), projection.function(keyed=False)
        return Node(keyed, plain, steps, projection.columns, type_.is_type_of)

    def _field(self, projection: Projection, field: "_Field") -> Step | None:
        """The step of a field that is no plain leaf."""
        decision = self._decide(field.parent, field.name, field.definition)
        if decision is Decision.DENY:
            projection.put(field.key, None)
            return self._masked(field)
        own = None
        if decision is Decision.OWN:
            if self._arguments(field.definition, field.details).vary:
                raise Unknown
            own = RULES[str(rule_of(field.parent, field.name, field.definition))].own
            projection.reads(*filter(None, (own,)))
        read = self._expression(projection, field)
        type_ = field.definition.type
        if read is not None and is_leaf_type(get_named_type(type_)):
            projection.put_leaf(field.key, type_, read, own)
            return None
        projection.put(field.key, None)
        completer = self._completer(type_, field.details)
        getter = self._getter(projection, field, completer) if read is None else Read(projection.reader(read))
        return Step(field.name, field.key, getter, completer, own)

    def _expression(self, projection: Projection, field: "_Field") -> Expression | None:
        """What the field is for a row, where nothing has to be waited for."""
        facts, declared = field.facts, field.declared
        if declared is None or declared.extensions or "source" in facts:
            return None
        if kind := facts.get("id_of"):
            projection.reads("id")
            return Expression(*(f"{kind + '_'!r} + r['id'].hex",) * 2)
        if declared.is_basic_field:
            as_text = AS_TEXT if goes_out_as_text(field.definition.type) else ""
            projection.reads(as_text + declared.python_name)
            by_reader = f"{projection.named(declared.default_resolver)}(r, {declared.python_name!r})"
            keyed = getattr(declared.default_resolver, "by_key", False)
            return Expression(f"{BY_KEY}{declared.python_name!r}]" if keyed else by_reader, by_reader)
        if column := facts.get("column"):
            projection.reads(column)
            return Expression(*(f"{BY_KEY}{column!r}]",) * 2)
        resolver = declared.base_resolver
        if resolver is None or resolver.is_async or not field.takes_row_only:
            return None
        self._needs(projection, field)
        return Expression(*(f"{projection.named(resolver.wrapped_func)}(r)",) * 2)

    def _needs(self, projection: Projection, field: "_Field") -> None:
        needs = field.facts.get("needs")
        if needs is None:
            projection.reads_all()
            self._private |= not field.facts.get("shared", False)
        else:
            projection.reads(*needs)

    def _getter(self, projection: Projection, field: "_Field", completer: Completer) -> Getter:
        if source := field.facts.get("source"):
            by: str = field.facts["by"]
            projection.reads(by)
            if not field.definition.args:
                return Related(source, by, field.columns(completer))
            return Paged(source, by, self._arguments(field.definition, field.details), field.columns(completer))
        resolver = field.declared.base_resolver if field.declared else None
        if resolver is not None and field.takes_row_only:
            self._needs(projection, field)
            return Awaited(resolver.wrapped_func)  # type: ignore[arg-type]  # a function once its type is made
        projection.reads_all()
        return self._called(field)

    def _called(self, field: "_Field") -> Called:
        self._private |= not field.facts.get("shared", False)
        nodes = [each.node for each in field.details]
        arguments = self._arguments(field.definition, field.details)
        return Called(field.definition, field.parent, field.key, nodes, arguments)

    def _arguments(self, definition: GraphQLField, details: FieldDetailsList) -> Arguments:
        return Arguments(definition, details[0].node, self._schema)

    def _completer(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Completer:
        if is_leaf_type(get_named_type(type_)):
            return Leaves(function(type_))
        required = is_non_null_type(type_)
        inner = get_nullable_type(type_)
        if is_list_type(inner):
            return Lists(self._completer(inner.of_type, details), required=required)
        if is_object_type(inner):
            return self._objects(inner, details, required=required)
        if is_abstract_type(inner):
            return self._abstract(inner, details, required=required)
        raise Unknown

    def _objects(self, type_: GraphQLObjectType, details: FieldDetailsList, *, required: bool) -> Objects:
        fields = collect_subfields(
            self._schema,
            self._executor.fragments,
            self._executor.variable_values,
            self._operation,
            type_,
            details,
        ).grouped_field_set
        return Objects(self._node(type_, fields), required=required)

    def _abstract(self, type_: GraphQLAbstractType, details: FieldDetailsList, *, required: bool) -> Abstract:
        """All possible types at once: compiled later, one could take on another viewer's decisions."""
        possible = self._schema.get_possible_types(type_)
        return Abstract(
            {each.name: self._objects(each, details, required=True) for each in possible}, required=required
        )


class _Field(NamedTuple):
    """One selected field: `key` is what it is called in the answer."""

    parent: GraphQLObjectType
    name: str
    key: str
    definition: GraphQLField
    details: FieldDetailsList

    @property
    def facts(self) -> Mapping[str, Any]:
        return metadata(self.definition)

    @property
    def declared(self) -> StrawberryField | None:
        return self.definition.extensions.get("strawberry-definition")

    def columns(self, completer: Completer) -> frozenset[str] | None:
        """What is read of the rows of its source: those that it gives, or those on the pages of a connection."""
        inner = get_named_type(self.definition.type)
        return _page_columns(completer) if "pageInfo" in getattr(inner, "fields", ()) else _columns(completer)

    @property
    def takes_row_only(self) -> bool:
        """Whether its resolver can be called with the row and nothing else, without the reference noticing."""
        declared = self.declared
        if declared is None or declared.base_resolver is None or declared.extensions or declared.arguments:
            return False
        resolver = declared.base_resolver
        others = (resolver.info_parameter, resolver.self_parameter, resolver.root_parameter)
        return resolver.parent_parameter is not None and not any(others)


def _node_of(completer: Completer) -> Node | None:
    """The one node below lists; None where there are several or none."""
    while isinstance(completer, Lists):
        completer = completer.item
    return completer.node if isinstance(completer, Objects) else None


def _columns(completer: Completer) -> frozenset[str] | None:
    """What is read of the rows that are completed; None: unknown."""
    node = _node_of(completer)
    return None if node is None else node.columns


def _page_columns(completer: Completer) -> frozenset[str] | None:
    """The same for the rows of a connection's pages: those in `nodes`, and those in the `node` of `edges`."""
    page = _node_of(completer)
    if page is None:
        return None
    found: set[str] = set()
    for step in page.steps:
        columns = _columns_by(step)
        if columns is None:
            return None
        found |= columns
    return frozenset(found)


def _columns_by(step: Step) -> frozenset[str] | None:
    """What a field of a connection reads of its pages' rows."""
    if step.name == "totalCount":
        return frozenset()
    columns = _columns(step.completer)
    if step.name == "nodes":
        return columns
    if step.name == "pageInfo":
        return frozenset() if columns is not None and columns.isdisjoint(ENDS) else frozenset({CURSORS})
    edge = _node_of(step.completer) if step.name == "edges" else None
    rows = [_columns(each.completer) for each in edge.steps if each.name == "node"] if edge else [None]
    return None if None in rows else frozenset({CURSORS}).union(*(each for each in rows if each is not None))

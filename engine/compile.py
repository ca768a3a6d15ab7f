"""From an operation to a plan: what is selected, where it comes from, and who may see it, decided once.

What is selected is decided by the reference's own `collect_fields`, with the variables of the request at hand, so that
aliases, fragments, conditions and the order of keys are the reference's by construction. A plan therefore holds for the
same values of the variables in @skip and @include, and for viewers about whom its rules decide the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

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
from engine.cost import metadata
from engine.execute import (
    Abstract,
    Awaited,
    Called,
    Completer,
    Entry,
    Getter,
    Leaves,
    Lists,
    Node,
    Objects,
    Paged,
    Read,
    Related,
    Run,
    Step,
    fill,
)
from engine.gate import cell, rule_of
from engine.leaves import NAMES, Bail, define, function, lines
from engine.measure import INTROSPECTION

KNOWN_DIRECTIVES = frozenset({"skip", "include"})


class Unknown(Exception):
    """The compiler does not know this; the reference executor answers, for all about whom the rules decide the same."""

    decisions: Mapping[str, Decision] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for an operation. `skeleton` has its root keys in order, with the constants in place.

    `decisions`: what each rule said of the viewer. `private`: a resolver is in it that does not say what it depends on.
    """

    skeleton: dict[str, Any]
    roots: Sequence[Step]
    decisions: Mapping[str, Decision]
    private: bool

    async def run(self, run: Run, kept: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data. Root fields of a mutation come one after another, each wholly, and `kept` gets what they gave."""
        data = dict(self.skeleton)
        if kept is None:
            await fill(self.roots, run, [None], [data])
            return data
        for root in self.roots:
            run.memo.clear()
            await root.fill(run, [None], [data], kept)
        return data

    async def run_event(self, run: Run, event: Any) -> dict[str, Any]:
        """The data for one event of a subscription."""
        data = dict(self.skeleton)
        await fill(self.roots, run, [event], [data])
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


@dataclass
class _Selection:
    """One selection set while it is compiled: source lines for each row, its items in order, its steps, its columns."""

    names: dict[str, Any] = field(default_factory=lambda: dict(NAMES))
    body: list[tuple[str, str]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    columns: set[str] | None = field(default_factory=set)

    def reads(self, *columns: str) -> None:
        if self.columns is not None:
            self.columns.update(columns)

    def reads_all(self) -> None:
        self.columns = None

    def named(self, value: Any) -> str:
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def project(self, *, keyed: bool) -> Any:
        """The generated function from rows to dicts."""
        source = ["def made(rows, viewer_id):", "    outs = []", "    add = outs.append", "    for r in rows:"]
        body = [by_key if keyed else by_reader for by_key, by_reader in self.body]
        if not any("= r[" in line for line in body):  # else what is no row has no such column
            source += ["        if r is None or isinstance(r, Exception): raise Bail"]
        source += ["        " + line for line in body]
        source += ["        add({" + ", ".join(self.items) + "})", "    return outs"]
        return define("\n".join(source), {**self.names, "Bail": Bail})


class _Compiler:
    def __init__(self, executor: Executor[Any], viewer: Viewer) -> None:
        self._executor = executor
        self._schema: GraphQLSchema = executor.schema
        self._operation = executor.operation
        self._viewer = viewer
        self.decisions: dict[str, Decision] = {}
        self._private = False

    def plan(self) -> Plan:
        root = self._schema.get_root_type(self._operation.operation)
        if root is None or self._operation.directives:
            raise Unknown
        fields = collect_fields(
            self._schema, self._executor.fragments, self._executor.variable_values, root, self._operation
        ).grouped_field_set
        skeleton: dict[str, Any] = {}
        roots: list[Step] = []
        for key, details in fields.items():
            skeleton[key] = None
            name = self._name(details)
            if name == "__typename":
                skeleton[key] = root.name
                continue
            definition = self._definition(root, name)
            step = self._root_step(root, name, key, definition, details)
            if step is not None:
                roots.append(step)
        return Plan(skeleton, roots, self.decisions, self._private)

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

    def _root_step(
        self, root: GraphQLObjectType, name: str, key: str, definition: GraphQLField, details: FieldDetailsList
    ) -> Step | None:
        """None for a field that the viewer may not see."""
        decision = self._decide(root, name, definition)
        if decision is Decision.OWN:
            raise Unknown
        if decision is Decision.DENY:
            return None
        completer = self._completer(definition.type, details)
        if self._operation.operation is OperationType.SUBSCRIPTION:
            return Step(name, key, Read(lambda event: event), completer)
        facts, arguments = metadata(definition), self._arguments(definition, details)
        if source := facts.get("source"):
            columns = _page_columns(completer) if facts.get("key") is None else _columns(completer)
            return Step(name, key, Entry(source, facts.get("key"), arguments, columns), completer)
        return Step(name, key, self._called(root, key, definition, details), completer)

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
        selection = _Selection()
        for key, details in fields.items():
            self._add(selection, type_, key, details)
        return Node(
            selection.project(keyed=True),
            selection.project(keyed=False),
            selection.steps,
            None if selection.columns is None else frozenset(selection.columns),
            type_.is_type_of,
        )

    def _add(self, selection: _Selection, parent: GraphQLObjectType, key: str, details: FieldDetailsList) -> None:
        name = self._name(details)
        if name == "__typename":
            selection.items.append(f"{key!r}: {parent.name!r}")
            return
        definition = self._definition(parent, name)
        decision = self._decide(parent, name, definition)
        if decision is Decision.DENY:
            selection.items.append(f"{key!r}: None")
            return
        own = RULES[rule].own if decision is Decision.OWN and (rule := rule_of(parent, name, definition)) else None
        if own is not None:
            selection.reads(own)
        read = self._inline(selection, definition)
        if read is not None and is_leaf_type(get_named_type(definition.type)):
            self._add_leaf(selection, key, definition, read, own)
            return
        selection.items.append(f"{key!r}: None")
        completer = self._completer(definition.type, details)
        getter = self._getter(selection, parent, key, definition, details, completer, read)
        selection.steps.append(Step(name, key, getter, completer, own))

    def _add_leaf(
        self, selection: _Selection, key: str, definition: GraphQLField, read: tuple[str, str], own: str | None
    ) -> None:
        variable = f"v{len(selection.items)}"
        body = [(f"{variable} = {by_key}", f"{variable} = {by_reader}") for by_key, by_reader in (read,)]
        body += [(line, line) for line in lines(definition.type, variable, selection.names)]
        if own is not None:
            owned = f"if {selection.named(cell)}(r, {own!r}) == viewer_id:"
            otherwise = f"else: {variable} = None"
            indented = [(f"    {by_key}", f"    {by_reader}") for by_key, by_reader in body]
            body = [(owned, owned), *indented, (otherwise, otherwise)]
        selection.body += body
        selection.items.append(f"{key!r}: {variable}")

    def _inline(self, selection: _Selection, definition: GraphQLField) -> tuple[str, str] | None:
        """Source of what the field is for a row `r`, by key and by the schema's reader; None where that must wait."""
        facts = metadata(definition)
        declared: StrawberryField | None = definition.extensions.get("strawberry-definition")
        if declared is None or declared.extensions or "source" in facts:
            return None
        if kind := facts.get("id_of"):
            selection.reads("id")
            return (f"{kind + '_'!r} + r['id'].hex",) * 2
        if declared.is_basic_field:
            name = declared.python_name
            selection.reads(name)
            reader = selection.named(declared.default_resolver)
            by_reader = f"{reader}(r, {name!r})"
            return (f"r[{name!r}]" if getattr(declared.default_resolver, "by_key", False) else by_reader, by_reader)
        resolver = declared.base_resolver
        if resolver is None or resolver.is_async or not _takes_row_only(declared):
            return None
        self._reads_of(selection, facts)
        return (f"{selection.named(resolver.wrapped_func)}(r)",) * 2

    def _reads_of(self, selection: _Selection, facts: Mapping[str, Any]) -> None:
        needs = facts.get("needs")
        if needs is None:
            selection.reads_all()
            self._private |= not facts.get("shared", False)
        else:
            selection.reads(*needs)

    def _getter(
        self,
        selection: _Selection,
        parent: GraphQLObjectType,
        key: str,
        definition: GraphQLField,
        details: FieldDetailsList,
        completer: Completer,
        read: tuple[str, str] | None,
    ) -> Getter:
        facts = metadata(definition)
        if read is not None:
            names = selection.names
            return Read(define(f"def made(r):\n    return {read[1]}", names))
        if "source" in facts:
            by: str = facts["by"]
            selection.reads(by)
            if not definition.args:
                return Related(facts["source"], by, _columns(completer))
            return Paged(facts["source"], by, self._arguments(definition, details), _page_columns(completer))
        declared: StrawberryField | None = definition.extensions.get("strawberry-definition")
        if declared is not None and declared.base_resolver and not declared.extensions and _takes_row_only(declared):
            self._reads_of(selection, facts)
            return Awaited(declared.base_resolver.wrapped_func)  # type: ignore[arg-type]  # a function once its type is made
        selection.reads_all()
        return self._called(parent, key, definition, details)

    def _called(
        self, parent: GraphQLObjectType, key: str, definition: GraphQLField, details: FieldDetailsList
    ) -> Called:
        self._private |= not metadata(definition).get("shared", False)
        nodes = [each.node for each in details]
        return Called(definition, parent, key, nodes, self._arguments(definition, details))

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


def _takes_row_only(declared: StrawberryField) -> bool:
    resolver = declared.base_resolver
    return (
        resolver is not None
        and resolver.parent_parameter is not None
        and resolver.info_parameter is None
        and resolver.self_parameter is None
        and resolver.root_parameter is None
        and not declared.arguments
    )


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
        if step.name == "nodes":
            columns = _columns(step.completer)
        elif step.name == "edges":
            edge = _node_of(step.completer)
            rows = [_columns(each.completer) for each in edge.steps if each.name == "node"] if edge else [None]
            columns = None if None in rows else frozenset[str]().union(*(each for each in rows if each is not None))
        elif step.name in ("pageInfo", "totalCount"):
            continue
        else:
            return None
        if columns is None:
            return None
        found |= columns
    return frozenset(found)

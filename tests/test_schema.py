"""The contract itself: printed as committed, described in both languages, named by one pattern, true to the tables."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import asyncpg
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
    is_specified_scalar_type,
    value_from_ast_untyped,
)
from graphql.pyutils import snake_to_camel
from sqlalchemy import JSON, Column, Table, TypeDecorator

import migrations
import models
import schema
from auth.access import RULES
from schema.base import ENTITIES
from services.publishing import KINDS
from services.uow import CONSTRAINTS
from tests.conftest import Api
from tests.test_policy import SAVE, publish, values

REFERENCE = {
    "District": models.District,
    "Street": models.Street,
    "Department": models.Department,
    "Industry": models.Industry,
    "ServiceCategory": models.ServiceCategory,
}
BRACKETED_CHINESE = re.compile(r"[(（][^()（）]*[\u4e00-\u9fff]")
ROOTS = ("Query", "Mutation", "Subscription")


@cache
def contract() -> GraphQLSchema:
    """The printed form as any client's library reads it."""
    return build_schema(schema.printed())


@cache
def running() -> GraphQLSchema:
    """The schema that resolves, with what Strawberry noted at each field."""
    return schema.build()._schema


def composite() -> Iterator[GraphQLObjectType | GraphQLInterfaceType]:
    for each in contract().type_map.values():
        if isinstance(each, GraphQLObjectType | GraphQLInterfaceType) and not each.name.startswith("__"):
            yield each


def camel(name: str) -> str:
    return snake_to_camel(name, upper=False)


def definition(field: GraphQLField) -> Any:
    return field.extensions["strawberry-definition"]


def rule_of(field: GraphQLField) -> str | None:
    """The rule that `@access` prints at the field."""
    directives = (field.ast_node.directives or ()) if field.ast_node else ()
    rules = [
        value_from_ast_untyped(argument.value)
        for each in directives
        if each.name.value == "access"
        for argument in each.arguments or ()
    ]
    return rules[0] if rules else None


def test_the_committed_contract_is_what_the_code_prints() -> None:
    """A change of the contract is reviewed as a change of `schema/schema.graphql`; `manage.py schema` writes it."""
    assert schema.SDL_FILE.read_text("utf-8") == schema.printed()


def test_it_holds_no_federation_machinery_which_only_routers_read() -> None:
    text = schema.printed()
    assert [
        word for word in ("_Any", "_Entity", "_Service", "@key", "@link", "@composeDirective") if word in text
    ] == []
    assert {each.name for each in contract().directives} >= {"access", "tag"}


@pytest.mark.parametrize("root", ROOTS)
def test_every_root_field_names_a_rule(root: str) -> None:
    fields = contract().type_map[root].fields  # type: ignore[attr-defined]
    assert {name: rule_of(field) for name, field in fields.items() if rule_of(field) not in RULES} == {}


def test_no_field_names_a_rule_that_the_table_does_not_hold() -> None:
    named = {rule for each in composite() for field in each.fields.values() if (rule := rule_of(field)) is not None}
    assert named - set(RULES) == set()


def described() -> Iterator[tuple[str, str | None]]:
    for each in contract().type_map.values():
        if each.name.startswith("__") or is_specified_scalar_type(each):
            continue
        yield each.name, each.description
        if isinstance(each, GraphQLEnumType):
            yield from ((f"{each.name}.{name}", value.description) for name, value in each.values.items())
        if isinstance(each, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for name, field in each.fields.items():
                yield f"{each.name}.{name}", field.description
                arguments = getattr(field, "args", {})
                yield from ((f"{each.name}.{name}({key})", value.description) for key, value in arguments.items())


def test_everything_is_described_in_english_with_the_chinese_term_in_brackets() -> None:
    wrong = [name for name, text in described() if not text or not BRACKETED_CHINESE.search(text) or text[0] > "\u2e80"]
    assert wrong == []


def test_a_mutation_takes_one_input_and_answers_a_result_beside_its_errors() -> None:
    mutations = contract().type_map["Mutation"].fields  # type: ignore[attr-defined]
    for name, field in mutations.items():
        pascal = name[0].upper() + name[1:]
        arguments = {key: str(value.type) for key, value in field.args.items()}
        assert arguments in ({"input": f"{pascal}Input!"}, {}), name
        assert str(field.type) == f"{pascal}Payload", name
        result, errors = field.type.fields.items()
        assert (errors[0], str(errors[1].type)) == ("userErrors", "[UserError!]!"), name
        assert not is_non_null_type(result[1].type), name
    assert [name for name, field in mutations.items() if not field.args] == ["signOut"]


VERBS_FIRST = re.compile(
    r"(get|list|find|create|update|delete|remove|add|set|save|submit|publish|import|cast|change)[A-Z]"
)


def test_a_mutation_is_called_by_its_noun_then_its_verb() -> None:
    names = contract().type_map["Mutation"].fields  # type: ignore[attr-defined]
    assert [name for name in names if VERBS_FIRST.match(name)] == []
    nounless = [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name)]
    assert nounless == []


def test_queries_are_nouns_and_say_nothing_of_how_they_are_fetched() -> None:
    names = contract().type_map["Query"].fields  # type: ignore[attr-defined]
    assert [name for name in names if VERBS_FIRST.match(name) or name.endswith("List")] == []


def connections() -> list[GraphQLObjectType]:
    return [each for each in composite() if each.name.endswith("Connection") and isinstance(each, GraphQLObjectType)]


@pytest.mark.parametrize("connection", connections(), ids=lambda each: each.name)
def test_a_connection_offers_nodes_and_edges_and_a_total(connection: GraphQLObjectType) -> None:
    fields = connection.fields
    node = get_named_type(fields["nodes"].type)
    assert str(fields["nodes"].type) == f"[{node}!]!"
    assert str(fields["pageInfo"].type) == "PageInfo!"
    assert str(fields["totalCount"].type) == "Int!"
    edge = get_named_type(fields["edges"].type)
    assert isinstance(edge, GraphQLObjectType)
    assert (str(edge.fields["node"].type), str(edge.fields["cursor"].type)) == (f"{node}!", "String!")


def test_every_field_that_answers_a_connection_takes_a_window() -> None:
    for each in composite():
        for name, field in each.fields.items():
            if get_named_type(field.type) in connections():
                wanted = {"first", "after"} if name == "search" else {"first", "after", "last", "before"}
                assert wanted <= set(field.args), f"{each.name}.{name}"


COLUMNS_FOR: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Int": (int,),
    "Float": (float, Decimal),
    "Boolean": (bool,),
    "DateTime": (datetime,),
    "Date": (date,),
    "Decimal": (Decimal,),
    "JSON": (dict, list),
}


def tables() -> Iterator[tuple[str, Table]]:
    """GraphQL types that are rows of a table: entities by their loader, reference data by their model."""
    for typename, loader in ENTITIES.values():
        yield typename, loader.table
    for typename, model in REFERENCE.items():
        yield typename, model.__table__  # type: ignore[attr-defined]


def python_type(column: Column[Any]) -> type:
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return dict if isinstance(kind, JSON) else kind.python_type


def misfit(field: GraphQLField, column: Column[Any] | None) -> str | None:
    """What is wrong between a field that reads its column and that column."""
    if column is None:
        return "no such column"
    if column.nullable and is_non_null_type(field.type):
        return "the column may be null, the field may not"
    nullable = get_nullable_type(field.type)
    if is_list_type(nullable):
        return None if python_type(column) in (list, dict) else "not a list"
    named = get_named_type(nullable)
    if isinstance(named, GraphQLEnumType):
        return None if python_type(column) is str or hasattr(column.type, "enum_class") else "not an enumeration"
    return None if python_type(column) in COLUMNS_FOR[named.name] else f"{python_type(column)} is no {named.name}"


@pytest.mark.parametrize(("typename", "table"), list(tables()), ids=lambda each: getattr(each, "name", each))
def test_each_field_without_a_resolver_is_a_column_that_fits(typename: str, table: Table) -> None:
    """A nullable column under a non-null field would fail for the one row that lacks it."""
    type_ = running().type_map[typename]
    assert isinstance(type_, GraphQLObjectType)
    wrong = {}
    for name, field in type_.fields.items():
        declared = definition(field)
        if declared.base_resolver is None:
            wrong[name] = misfit(field, table.c.get(declared.python_name))
        elif (by := declared.metadata.get("by")) is not None:
            wrong[name] = dangling(field, table.c.get(by))
    assert {name: problem for name, problem in wrong.items() if problem} == {}


def dangling(field: GraphQLField, column: Column[Any] | None) -> str | None:
    """What is wrong between a relation and the column that it goes by: to-one may always find nothing."""
    if column is None:
        return "no such column"
    paged_or_many = is_list_type(get_nullable_type(field.type)) or str(field.type).endswith("Connection!")
    return "a relation to one must be nullable" if is_non_null_type(field.type) and not paged_or_many else None


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_managed_content_has_a_proposal_and_an_input_with_its_values(kind: str) -> None:
    """`Revision.proposal` shows what is proposed, typed; `<kind>Save` takes the same."""
    name = KINDS[kind].model.__name__
    expected = {camel(field) for field in KINDS[kind].values.model_fields}
    for typename in (f"{name}Proposal", f"{name}Input"):
        assert set(contract().type_map[typename].fields) == expected, typename  # type: ignore[attr-defined]
    assert f"{name}Proposal" in {each.name for each in contract().type_map["Proposal"].types}  # type: ignore[attr-defined]
    assert ENTITIES[kind][0] == name


async def test_names_of_constraints_and_indexes_are_unique_and_those_that_mean_a_refusal_exist(
    empty_database: str,
) -> None:
    """A broken constraint is told apart by its name alone (`services/uow.py`)."""
    connection = await asyncpg.connect(empty_database)
    try:
        rows = await connection.fetch(
            "SELECT conname AS name, conindid AS index FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace AND contype <> 'n' "
            "UNION ALL SELECT c.relname, c.oid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE c.relnamespace = 'public'::regnamespace "
            "AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.conindid = c.oid AND p.contype IN ('p', 'u', 'x'))"
        )
    finally:
        await connection.close()
    names = [row["name"] for row in rows if not row["name"].startswith("pgqueuer")]
    assert sorted(names) == sorted(set(names))
    assert set(CONSTRAINTS) - set(names) == set()


async def test_the_migrations_make_exactly_the_tables_of_the_models(empty_database: str) -> None:
    assert await migrations.drift(empty_database) == []


NODE = "query Node($id: ID!) { node(id: $id) { __typename id ... on Policy { title } ... on Account { username } } }"


async def test_node_answers_anything_by_its_readable_global_id_behind_the_row_gate(api: Api) -> None:
    """Relay fetches again by `node(id)` what it holds."""
    policy = await publish(api)
    assert re.fullmatch("policy_[0-9a-f]{32}", policy)
    title = values()["title"]
    assert (await api(NODE, id=policy))["node"] == {"__typename": "Policy", "id": policy, "title": title}
    account = (await api("{ viewer { id } }", viewer="buyer"))["viewer"]["id"]
    own = {"__typename": "Account", "id": account, "username": "buyer"}
    assert (await api(NODE, viewer="buyer", id=account))["node"] == own
    assert (await api(NODE, viewer="admin", id=account))["node"] == own
    for viewer in (None, "seller", "reviewer"):
        assert (await api(NODE, viewer=viewer, id=account))["node"] is None
    for stranger in (
        "policy_" + "0" * 32,
        "policy_1",
        "nothing_" + "0" * 32,
        "",
        policy.upper(),
        f"store_{policy[7:]}",
    ):
        assert (await api(NODE, id=stranger))["node"] is None


async def test_nodes_answers_in_the_order_asked_with_null_for_what_is_not_seen(api: Api) -> None:
    policy = await publish(api)
    draft = (await api(SAVE, viewer="department", input={"values": values(title="另一份政策")}))["policySave"][
        "revision"
    ]
    query = "query Nodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    asked = [draft["id"], policy, draft["itemId"], "junk", policy]
    found = {"__typename": "Policy", "id": policy}
    proposal = {"__typename": "Revision", "id": draft["id"]}
    assert (await api(query, ids=asked))["nodes"] == [None, found, None, None, found]
    assert (await api(query, viewer="department", ids=asked))["nodes"] == [proposal, found, None, None, found]
    answer = await api.raw(query, ids=[policy] * 101)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]

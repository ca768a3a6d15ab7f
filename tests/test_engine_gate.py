"""The field gate: whom a rule keeps out, and what such a viewer sees instead."""

from typing import Any
from uuid import UUID

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from auth.access import RULES, Rule
from auth.viewer import ADMINISTRATOR
from engine.gate import gate
from tests.engine_harness import ADMIN, USER, make_engine, resolver

SIGN_IN = "Sign in first (请先登录)"
AS_USER: dict[str, Any] = {"authorization": "Bearer user"}


async def test_a_nullable_field_is_masked_and_its_neighbours_stay() -> None:
    assert await make_engine().ask("{ mine product { id secret } }") == {
        "data": {"mine": None, "product": {"id": "1", "secret": None}}
    }


async def test_a_viewer_whom_the_rule_admits_sees_the_field() -> None:
    assert await make_engine().ask("{ mine mineRequired product { secret stock } }", **AS_USER) == {
        "data": {"mine": "yours", "mineRequired": "yours", "product": {"secret": "hidden", "stock": 7}}
    }


async def test_a_non_null_field_raises_where_it_stands() -> None:
    answer = await make_engine().ask("{ product { id stock } }")
    assert answer["data"] == {"product": None}
    (error,) = answer["errors"]
    assert (error["message"], error["path"], error["extensions"]) == (
        SIGN_IN,
        ["product", "stock"],
        {"code": "UNAUTHENTICATED"},
    )


async def test_a_denied_mutation_raises_and_its_neighbours_run() -> None:
    answer = await make_engine().ask('mutation { rename(name: "x") { id } touch { id secret } }')
    assert answer["data"] == {"rename": None, "touch": {"id": "1", "secret": None}}
    assert [error["path"] for error in answer["errors"]] == [["rename"]]


async def test_a_field_that_an_interface_guards_is_guarded_on_its_types() -> None:
    served = make_engine()
    for query in ("{ named { name } }", "{ company { name } }", "{ named { ... on Company { name } } }"):
        answer = await served.ask(query)
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await served.ask("{ named { name } }", **AS_USER))["data"] == {"named": {"name": "Acme"}}


# A schema of its own: rules that depend on rows

RAN: list[str] = []


@strawberry.type
class Account:
    id: strawberry.ID
    email: str | None = strawberry.field(metadata={"access": "test.own"})

    @resolver(access="test.own")
    def visits(self: Any) -> int:
        RAN.append("visits")
        return 3


class Row:
    """A row as an object; asyncpg's are subscriptable, as dicts are."""

    def __init__(self, owner: UUID) -> None:
        self.id, self.owner_id, self.email = "1", owner, "a@b.cn"


def as_dict(owner: UUID) -> dict[str, Any]:
    return {"id": "1", "owner_id": owner, "email": "a@b.cn"}


@strawberry.type
class Query:
    @resolver(access="public")
    def own(self) -> Account | None:
        return as_dict(UUID(int=1))  # type: ignore[return-value]

    @resolver(access="public")
    def foreign(self) -> Account | None:
        return as_dict(UUID(int=99))  # type: ignore[return-value]

    @resolver(access="public")
    def own_object(self) -> Account | None:
        return Row(UUID(int=1))  # type: ignore[return-value]

    @resolver(access="test.own")
    def rootless(self) -> str:
        RAN.append("rootless")
        return "never"


def cell(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, dict) else getattr(row, name)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(RULES, "test.own", Rule(ADMINISTRATOR, own="owner_id"))
    RAN.clear()
    return make_engine(schema=strawberry.Schema(Query, config=StrawberryConfig(default_resolver=cell)))


async def test_the_owner_of_a_row_sees_it_whole(rows: Any) -> None:
    answer = await rows.ask("{ own { email visits } ownObject { email } }", **AS_USER)
    assert answer == {"data": {"own": {"email": "a@b.cn", "visits": 3}, "ownObject": {"email": "a@b.cn"}}}


async def test_another_viewer_gets_null_or_an_error_and_no_resolver_runs(rows: Any) -> None:
    assert await rows.ask("{ foreign { id email } }", **AS_USER) == {"data": {"foreign": {"id": "1", "email": None}}}
    answer = await rows.ask("{ foreign { visits } }", **AS_USER)
    assert answer["errors"][0]["message"] == "Not allowed (无权访问)"
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert answer["data"] == {"foreign": None}
    assert RAN == []


async def test_an_administrator_passes_and_a_visitor_owns_nothing(rows: Any) -> None:
    assert (await rows.ask("{ foreign { visits } }", authorization="Bearer admin"))["data"] == {
        "foreign": {"visits": 3}
    }
    assert (await rows.ask("{ own { email } }"))["data"] == {"own": {"email": None}}


async def test_a_root_field_has_no_row_to_own(rows: Any) -> None:
    answer = await rows.ask("{ rootless }", **AS_USER)
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert RAN == []


# At start


def test_a_schema_with_a_root_field_without_a_rule_does_not_start() -> None:
    @strawberry.type
    class Careless:
        @resolver()
        def open_door(self) -> str:
            return ""

        @resolver(access="public")
        def fine(self) -> str:
            return ""

    with pytest.raises(ValueError, match=r"root fields without an access rule: Careless\.openDoor$"):
        make_engine(schema=strawberry.Schema(Careless))


def test_a_misspelt_rule_does_not_start() -> None:
    @strawberry.type(name="Query")
    class Misspelt:
        @resolver(access="publik")
        def field(self) -> str:
            return ""

    with pytest.raises(ValueError, match=r"Query\.field names an unknown access rule: publik"):
        make_engine(schema=strawberry.Schema(Misspelt))


def test_a_second_gate_on_the_same_schema_changes_nothing() -> None:
    @strawberry.type(name="Query")
    class Once:
        @resolver(access="public")
        def field(self) -> str:
            return ""

    schema = strawberry.Schema(Once)._schema
    gate(schema)
    resolve = schema.query_type.fields["field"].resolve  # type: ignore[union-attr]
    gate(schema)
    assert schema.query_type.fields["field"].resolve is resolve  # type: ignore[union-attr]


def test_strawberry_extensions_which_this_executor_would_skip_do_not_start() -> None:
    @strawberry.type(name="Query")
    class Extended:
        @resolver(access="public")
        def field(self) -> str:
            return ""

    from strawberry.extensions import DisableValidation  # noqa: PLC0415

    with pytest.raises(ValueError, match="no Strawberry extensions"):
        make_engine(schema=strawberry.Schema(Extended, extensions=[DisableValidation]))


def test_the_viewers_of_these_tests_are_who_they_seem() -> None:
    assert (USER.signed_in, USER.is_admin, ADMIN.is_admin) == (True, False, True)

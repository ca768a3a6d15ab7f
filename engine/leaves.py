"""How values of scalars and enums go out.

Generated code tests for the usual Python type; everything else goes through the type's own `coerce_output_value`, as in
the reference. What passes a test goes out as orjson writes it, checked here against that function.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

import orjson
from graphql import GraphQLEnumType, GraphQLLeafType, GraphQLOutputType, Undefined
from graphql.type import get_nullable_type, is_enum_type, is_leaf_type, is_list_type, is_non_null_type

Value = Callable[[Any], Any]
TYPES = 1_000
"""Types of leaves that are remembered: more than a schema has."""


class Bail(Exception):
    """A plan cannot answer this exactly; the reference executor answers the whole operation."""


@dataclass(frozen=True, slots=True)
class Form:
    """Python source over `{v}`: true where a value may go out as it is, or, with `made`, as this expression.

    `as_text`: what goes out is the value's text, which the database may as well write.
    """

    test: str
    made: str | None = None
    names: dict[str, Any] = field(default_factory=dict)
    as_text: bool = False


_MOMENT = datetime(2026, 1, 2, 3, 4, 5, 67, UTC)
_FORMS: dict[str, tuple[Form, tuple[Any, ...]]] = {
    "String": (Form("type({v}) is str"), ("x", "")),
    "ID": (Form("type({v}) is str"), ("x", "1")),
    "Boolean": (Form("type({v}) is bool"), (True, False)),
    "Int": (Form("type({v}) is int and -2147483648 <= {v} <= 2147483647"), (0, 2**31 - 1, -(2**31))),
    "Float": (  # NaN and infinity are not 0 off themselves; a decimal that large could become infinite
        Form("type({v}) is float and {v} - {v} == 0 or type({v}) is Decimal and abs({v}) < 10**15", "float({v})"),
        (0.1, -1e300, Decimal("4.90")),
    ),
    "DateTime": (Form("type({v}) is datetime and {v}.tzinfo is UTC"), (_MOMENT, _MOMENT.replace(microsecond=0))),
    "Date": (Form("type({v}) is date"), (date(2026, 1, 2), date(1, 1, 1))),
    "Decimal": (Form("type({v}) in AMOUNTS", "str({v})", as_text=True), (Decimal("1.50"), Decimal("1E+2"), "1.50")),
    "JSON": (Form("type({v}) in PLAIN"), ({"a": [1, None]}, ["x"], "x")),
}
NAMES = {
    "datetime": datetime,
    "date": date,
    "UTC": UTC,
    "Decimal": Decimal,
    "PLAIN": frozenset({dict, list, str}),
    "AMOUNTS": frozenset({Decimal, str}),
}


@lru_cache(TYPES)
def form(type_: GraphQLLeafType) -> Form | None:
    """None for a type whose values all go through its own function."""
    if is_enum_type(type_):
        return Form("", "names.get({v})", {"names": _enum_names(type_)})
    known = _FORMS.get(type_.name)
    if known is None:
        return None
    chosen, samples = known
    same = all(_written(chosen, sample) == orjson.dumps(type_.coerce_output_value(sample)) for sample in samples)
    return chosen if same else None


def goes_out_as_text(type_: GraphQLOutputType) -> bool:
    """Whether the text of a value is what goes out, so that nobody needs the value itself."""
    inner = get_nullable_type(type_)
    chosen = form(inner) if is_leaf_type(inner) else None
    return chosen is not None and chosen.as_text


def _written(chosen: Form, sample: Any) -> bytes:
    return orjson.dumps(sample if chosen.made is None else eval(chosen.made.format(v="sample"), {"sample": sample}))  # noqa: S307 - our own source


def _enum_names(type_: GraphQLEnumType) -> dict[Any, str]:
    """Rows carry raw values, resolvers members; both have their name here if the type's own function gives it one."""
    names: dict[Any, str] = {}
    for value in type_.values.values():
        member = value.value
        raw = member.value if isinstance(member, Enum) else member
        wrapped = getattr(type_, "wrapped_cls", None)
        for each in (raw, wrapped(raw) if wrapped else member):
            try:
                names[each] = type_.coerce_output_value(each)
            except Exception:  # noqa: BLE001, S112 - then it has no name, and the slow path says so
                continue
    return names


@lru_cache(TYPES)
def slow(type_: GraphQLLeafType, *, nullable: bool) -> Value:
    """Whatever came, as the reference completes it; raises where that would be an error."""

    def value_of(value: Any) -> Any:
        if value is None or value is Undefined:
            if nullable:
                return None
            raise Bail
        if isinstance(value, Exception):
            raise Bail
        coerced = type_.coerce_output_value(value)
        if coerced is None or coerced is Undefined:
            raise Bail
        return coerced

    return value_of


def lines(type_: GraphQLOutputType, variable: str, names: dict[str, Any]) -> list[str]:
    """Source that turns the value in `variable` into what goes out, for a leaf or lists of leaves. Fills `names`."""
    nullable = not is_non_null_type(type_)
    inner = get_nullable_type(type_)
    other = f"other{len(names)}"
    if is_list_type(inner):
        names[other] = _list_of(inner.of_type, nullable=nullable)
        return [f"{variable} = {other}({variable})"]
    if not is_leaf_type(inner):
        raise TypeError(f"not made of leaves: {type_}")
    names[other] = slow(inner, nullable=nullable)
    chosen = form(inner)
    if chosen is None:
        return [f"{variable} = {other}({variable})"]
    if chosen.names:
        known = f"names{len(names)}"
        names[known] = chosen.names["names"]
        return [f"{variable} = {known}.get({variable}) or {other}({variable})"]
    test = chosen.test.format(v=variable)
    if chosen.made:
        return [f"{variable} = {chosen.made.format(v=variable)} if {test} else {other}({variable})"]
    return [f"if not ({test}): {variable} = {other}({variable})"]


def function(type_: GraphQLOutputType) -> Value:
    """The same as a function of one value."""
    names = dict(NAMES)
    body = lines(type_, "v", names)
    made: Value = define("def made(v):\n" + "".join(f"    {line}\n" for line in body) + "    return v\n", names)
    return made


def define(source: str, names: dict[str, Any]) -> Any:
    """The function `made` of a generated source, whose globals are `names`. What clients name is constant in there."""
    exec(compile(source, "<plan>", "exec"), names)  # noqa: S102 - our own source
    return names.pop("made")  # left there it would be a cycle


def _list_of(item: GraphQLOutputType, *, nullable: bool) -> Value:
    each = function(item)

    def values_of(value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            return [each(item) for item in value]
        if value is None and nullable:
            return None
        raise Bail

    return values_of

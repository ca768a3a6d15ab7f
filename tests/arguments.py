"""What drawn operations give to arguments and variables: mostly what is there, sometimes null, nothing or nonsense."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLNonNull,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

T = TypeVar("T")
Draw = Callable[[int, int], int]

WINDOW = ("first", "after", "last", "before")
WINDOWS = (("first",), ("first",), ("last",), ("first", "after"), ("last", "before"), ("after",), ())
SIZES = (2, 1, 3, 5, 0)
LARGEST = max(SIZES)
ODD_SIZES = (100, 101, -1, None, 2**31 - 1)
ODD_IDS = ("", "policy_1", "store_" + "0" * 32, "no_such_kind_" + "1" * 32, 7)
ODD_TEXTS = ("", "无", "%", "e30", "WyJuZXdlc3QiXQ", "😀", "_", "a" * 300)
KINDS = {"stores": "store", "actor": "account"}
PLAIN: Mapping[str, Sequence[Any]] = {
    "Boolean": (True, False),
    "Float": (4.5, 0, -1.5, 5),
    "Decimal": ("100", "199.00", 0, 5000.5),
    "DateTime": ("2026-01-01T00:00:00+08:00", "2026-10-01T09:30:00Z", "2020-02-29T23:59:59.5+00:00"),
    "Date": ("2026-11-01", "2020-02-29"),
    "JSON": ({"a": [1, None]}, "x", 1),
    "Int": (2026, 2025, 1, 0, -7),
}
WRONG: Sequence[Any] = ("NO_SUCH", 1.5, {}, [[1]], True, 2**31, "2026-13-45", "NaN", {"no": "such"}, None)


class Bare(str):
    """An enum's value or a variable in a document: a text without quotes."""

    __slots__ = ()


class Dice:
    """Draws by Hypothesis, so that an operation that fails shrinks: 0 is always the plainest choice."""

    def __init__(self, draw: Draw) -> None:
        """`draw` gives a whole number between two others, both included."""
        self._draw = draw

    def below(self, count: int) -> int:
        return self._draw(0, count - 1) if count > 1 else 0

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]


@dataclass(frozen=True)
class Facts:
    """What there is to ask for: global ids by kind, texts by argument, cursors by connection, keys of entities."""

    ids: Mapping[str, Sequence[str]]
    texts: Mapping[str, Sequence[str]]
    cursors: Mapping[str, Sequence[str]]
    representations: Sequence[Mapping[str, Any]]

    @property
    def everything(self) -> Sequence[str]:
        return [each for kind in self.ids.values() for each in kind]


@dataclass(frozen=True)
class Variable:
    """`hint` says what its values are about; `default` is a literal, or None where there is none."""

    name: str
    type: GraphQLInputType
    hint: str
    default: str | None

    @property
    def declaration(self) -> str:
        return f"${self.name}: {self.type}" + ("" if self.default is None else f" = {self.default}")


class Arguments:
    """The arguments of one operation's fields, and the variables that they use. `wrong`: some values do not fit."""

    def __init__(self, dice: Dice, facts: Facts, *, wrong: bool) -> None:
        self._dice = dice
        self._facts = facts
        self._wrong = wrong
        self.variables: list[Variable] = []

    def of(self, name: str, field: GraphQLField, *, paged: bool, few: bool) -> str:
        """The arguments in brackets, or nothing.

        `paged`: a connection is given a small size in any case, `few`: nothing else that is not required.
        """
        dice = self._dice
        window: Sequence[str] = ("first",) if paged else ()
        if "last" in field.args and not few:
            window = WINDOW if dice.chance(1) else dice.pick(WINDOWS[:5] if paged else WINDOWS)
        connection = get_named_type(field.type).name
        given = []
        for argument, declared in field.args.items():
            optional = not few and argument not in WINDOW and dice.chance(40)
            if not (is_required_argument(declared) or argument in window or optional):
                continue
            hint = {"id": name, "after": connection, "before": connection}.get(argument, argument)
            has_default = declared.default_value is not Undefined and declared.default_value is not None
            value = self._value(declared.type, hint, has_default=has_default)
            given.append(f"{argument}: {literal(value)}")
        return f"({', '.join(given)})" if given else ""

    def condition(self) -> str:
        """What stands after `if:` of a directive."""
        if self._dice.chance(60):
            return self.variable(GraphQLNonNull(GraphQLBoolean), "if")
        return self._dice.pick(("true", "false"))

    def variable(self, type_: GraphQLInputType, hint: str, *, has_default: bool = False) -> Bare:
        """One that fits this place: known already, or declared now."""
        allowed = _types(type_, has_default=has_default)
        known = [
            each for each in self.variables if each.hint == hint and (each.type, each.default is not None) in allowed
        ]
        if known and (self._dice.chance(50) or len(self.variables) > 11):
            return Bare(f"${self._dice.pick(known).name}")
        chosen, defaulted = self._dice.pick(allowed)
        default = literal(self._filled(get_nullable_type(chosen), hint, fixed=True)) if defaulted else None
        declared = Variable(f"v{len(self.variables)}", chosen, hint, default)
        self.variables.append(declared)
        return Bare(f"${declared.name}")

    def given(self) -> dict[str, Any]:
        """Values of the variables for one run, as JSON has them; some are absent."""
        values = {}
        for each in self.variables:
            required = is_non_null_type(each.type) and each.default is None
            if self._dice.chance(2 if required and self._wrong else 0 if required else 20):
                continue
            values[each.name] = self._value(each.type, each.hint, fixed=True)
        found: dict[str, Any] = json.loads(json.dumps(values))
        return found

    def _value(
        self,
        type_: GraphQLInputType,
        hint: str,
        *,
        has_default: bool = False,
        nested: bool = False,
        fixed: bool = False,
    ) -> Any:
        """`fixed`: no variables in it, `nested`: within another value."""
        if not fixed and self._dice.chance(8 if nested else 30):
            return self.variable(type_, hint, has_default=has_default)
        if not is_non_null_type(type_) and self._dice.chance(8):
            return None
        return self._filled(get_nullable_type(type_), hint, fixed=fixed)

    def _filled(self, type_: Any, hint: str, *, fixed: bool) -> Any:
        if is_list_type(type_):
            item = type_.of_type
            if self._dice.chance(10):
                return self._filled(get_nullable_type(item), hint, fixed=fixed)
            count = self._dice.pick((1, 2, 3, 0))
            return [self._value(item, hint, nested=True, fixed=fixed) for _ in range(count)]
        if is_input_object_type(type_):
            return self._object(type_, fixed=fixed)
        return self._leaf(type_, hint)

    def _object(self, type_: GraphQLInputObjectType, *, fixed: bool) -> dict[str, Any]:
        names = list(type_.fields)
        chosen = {self._dice.pick(names) for _ in range(self._dice.pick((1, 2, 3, 0)))}
        wanted = {name: each for name, each in type_.fields.items() if name in chosen or is_required_input_field(each)}
        return {name: self._field(name, each, fixed=fixed) for name, each in wanted.items()}

    def _field(self, name: str, field: GraphQLInputField, *, fixed: bool) -> Any:
        has_default = field.default_value is not Undefined and field.default_value is not None
        return self._value(field.type, name, has_default=has_default, nested=True, fixed=fixed)

    def _leaf(self, type_: Any, hint: str) -> Any:
        dice = self._dice
        if self._wrong and dice.chance(10):
            return dice.pick(WRONG)
        if is_enum_type(type_):
            return Bare(dice.pick(list(type_.values)))
        known = {"_Any": self._representation, "ID": self._id, "String": self._text}.get(type_.name)
        if known is not None:
            return known(hint)
        if hint in WINDOW:
            return dice.pick(ODD_SIZES) if dice.chance(2) else dice.pick(SIZES)
        return dice.pick(PLAIN[type_.name])

    def _representation(self, _hint: str) -> Any:
        return dict(self._dice.pick(self._facts.representations))

    def _id(self, hint: str) -> Any:
        dice = self._dice
        if dice.chance(4):
            return dice.pick(ODD_IDS)
        known = self._facts.ids.get(KINDS.get(hint, hint))
        return dice.pick(known if known and not dice.chance(10) else self._facts.everything)

    def _text(self, hint: str) -> str:
        dice = self._dice
        known = self._facts.cursors.get(hint) or self._facts.texts.get(hint)
        return dice.pick(known) if known and not dice.chance(4) else dice.pick(ODD_TEXTS)


def _types(type_: GraphQLInputType, *, has_default: bool) -> list[tuple[GraphQLInputType, bool]]:
    """Types of variables that may stand where `type_` is wanted, and whether they need a default of their own."""
    inner = cast("Any", get_nullable_type(type_))
    required, optional = (_required(inner), False), (inner, False)
    if is_non_null_type(type_):
        return [required, (inner, True), (_required(inner), True), *([optional] if has_default else [])]
    return [optional, required, (inner, True)]


_REQUIRED: dict[int, GraphQLNonNull[Any]] = {}


def _required(inner: Any) -> GraphQLInputType:
    """One type for one inner type, since wrappers compare by identity."""
    return _REQUIRED.setdefault(id(inner), GraphQLNonNull(inner))


def literal(value: Any) -> str:
    """A value as it stands in a document."""
    if isinstance(value, Bare):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return json.dumps(value, ensure_ascii=False)

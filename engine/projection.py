"""The generated code of a selection set: one function from rows to dicts, with the leaves in place.

A leaf is a pair of Python expressions over a row `r`: how it is read by key, as from a database row, and how the
schema's own default resolver reads it from anything else.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from graphql import GraphQLOutputType, Undefined

from engine.gate import cell
from engine.leaves import NAMES, Bail, define, lines

BY_KEY = "r["


class Expression(NamedTuple):
    by_key: str
    by_reader: str


class Projection:
    """Collects what a selection set puts into each dict, and which columns of a row that takes."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {**NAMES, "Bail": Bail, "Undefined": Undefined}
        self._body: list[Expression] = []
        self._items: list[str] = []
        self._columns: set[str] | None = set()

    @property
    def columns(self) -> frozenset[str] | None:
        """All that is read of a row; None: unknown."""
        return None if self._columns is None else frozenset(self._columns)

    def reads(self, *columns: str) -> None:
        if self._columns is not None:
            self._columns.update(columns)

    def reads_all(self) -> None:
        self._columns = None

    def named(self, value: Any) -> str:
        """A name for a Python value in the generated code."""
        name = f"n{len(self._names)}"
        self._names[name] = value
        return name

    def put(self, key: str, constant: str | None) -> None:
        """A constant, or the place of what a step fills in later."""
        self._items.append(f"{key!r}: {constant!r}")

    def put_leaf(self, key: str, type_: GraphQLOutputType, read: Expression, own: str | None) -> None:
        """A leaf, or lists of leaves. `own`: the column that must hold the viewer's id, else it is null."""
        variable = f"v{len(self._items)}"
        body = [Expression(f"{variable} = {read.by_key}", f"{variable} = {read.by_reader}")]
        body += [Expression(line, line) for line in lines(type_, variable, self._names)]
        if own is not None:
            owned, otherwise = f"if {self.named(cell)}(r, {own!r}) == viewer_id:", f"else: {variable} = None"
            body = [Expression(f"    {each.by_key}", f"    {each.by_reader}") for each in body]
            body = [Expression(owned, owned), *body, Expression(otherwise, otherwise)]
        self._body += body
        self._items.append(f"{key!r}: {variable}")

    def reader(self, read: Expression) -> Any:
        """The function of a row that gives the value of an expression."""
        return define(f"def made(r):\n    return {read.by_reader}", self._names)

    def function(self, *, keyed: bool) -> Callable[[], Any]:
        """Makes the generated function `(rows, viewer_id) -> dicts`, which takes longer than all else in compiling."""
        body = [each.by_key if keyed else each.by_reader for each in self._body]
        source = ["def made(rows, viewer_id):", "    outs = []", "    add = outs.append", "    for r in rows:"]
        if not any(f"= {BY_KEY}" in line for line in body):  # else what is no row has no such column
            source.append("        if r is None or r is Undefined or isinstance(r, Exception): raise Bail")
        source += ["        " + line for line in body]
        source += ["        add({" + ", ".join(self._items) + "})", "    return outs"]
        return partial(define, "\n".join(source), self._names)

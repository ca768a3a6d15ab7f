"""The mutants: each a mistake that somebody could make and not see."""

from tests.mutants.mutant import Mutant

_COMPILE = "engine/compile.py"
_PROJECTION = "engine/projection.py"
_LEAVES = "engine/leaves.py"
_EXECUTE = "engine/execute.py"
_GETTERS = "engine/getters.py"
_COMPLETERS = "engine/completers.py"
_ARGUMENTS = "engine/arguments.py"
_VARIABLES = "engine/variables.py"
_VARIANTS = "engine/variants.py"
_DOCUMENTS = "engine/documents.py"

MUTANTS = (
    # what is selected, and for whom
    Mutant(
        "an alias is ignored", _COMPILE, "Step(field.name, field.key, getter", "Step(field.name, field.name, getter"
    ),
    Mutant(
        "a hidden field is read",
        _COMPILE,
        "if decision is Decision.DENY:\n            projection.put",
        "if field.name == '':\n            projection.put",
    ),
    Mutant(
        "a hidden root field is read",
        _COMPILE,
        "if decision is Decision.DENY:\n            return self._masked(field)",
        "if field.name == '':\n            return self._masked(field)",
    ),
    Mutant(
        "a hidden field takes any arguments",
        _COMPILE,
        "if arguments.vary else None",
        "if arguments is None else None",
    ),
    Mutant(
        "a denied field that may not be null is null",
        _COMPILE,
        "if decision is not Decision.ALLOW and raises",
        "if decision is Decision.OWN and raises",
    ),
    Mutant(
        "the first viewer's decision is kept for the second",
        _COMPILE,
        "self.decisions.setdefault(rule, decide(rule, self._viewer))",
        "decide(rule, self._viewer)",
    ),
    Mutant(
        "every plan fits every viewer",
        _VARIANTS,
        "return all(decide(rule, viewer) is decision",
        "return True or all(decide(rule, viewer) is decision",
    ),
    Mutant("own rules are not tested for a relation", _EXECUTE, "if self.own is not None:", "if self.own == '':"),
    Mutant("own rules are not tested for a leaf", _PROJECTION, "if own is not None:", "if own == '':"),
    Mutant("the owner's column is not read", _COMPILE, "projection.reads(*filter(None, (own,)))", "pass"),
    Mutant(
        "conditions are ignored in the key",
        _VARIANTS,
        "key = tuple(variables.get(name) for name in self._conditions)",
        "key = ()",
    ),
    Mutant(
        "conditions of fragments are ignored in the key",
        _VARIANTS,
        "enter_field = enter_inline_fragment = enter_fragment_spread = _enter",
        "enter_field = _enter",
    ),
    Mutant(
        "a variant that always fails is tried for ever",
        _VARIANTS,
        "self.plan is not None and (self.failures < PATIENCE or self.failures * 2 <= self.runs)",
        "self.plan is not None",
    ),
    Mutant("variants have no bound", _VARIANTS, "if self._count >= MOST:", "if self._count < 0:"),
    Mutant(
        "unknown resolvers do not make a plan private",
        _COMPILE,
        'reads_all()\n            self._private |= not field.facts.get("shared", False)',
        "reads_all()",
    ),
    Mutant(
        "called resolvers do not make a plan private",
        _COMPILE,
        'self._private |= not field.facts.get("shared", False)\n        nodes',
        "nodes",
    ),
    # the shape and the order of what goes out
    Mutant(
        "the order of root keys is lost",
        _COMPILE,
        "data = dict(self.skeleton)\n        if kept",
        "data = {}\n        if kept",
    ),
    Mutant(
        "keys of relations come last",
        _COMPILE,
        "projection.put(field.key, None)\n        completer",
        "completer",
    ),
    Mutant(
        "all rows are of the first possible type",
        _COMPILE,
        "self._objects(each, details, required=True) for each in possible",
        "self._objects(possible[0], details, required=True) for each in possible",
    ),
    Mutant(
        "a declared type trusts every row",
        _EXECUTE,
        "not (kind is Record and self._by_name)",
        "not self._by_name",
    ),
    Mutant("one row of the right type answers for all", _EXECUTE, "if tested and not all(", "if tested and not any("),
    Mutant(
        "rows of several types change places",
        _COMPLETERS,
        "for number, out in zip(numbers, outs, strict=True):",
        "for number, out in zip(range(len(outs)), outs, strict=True):",
    ),
    # nulls and errors
    Mutant("null in a place that may not be null passes", _COMPLETERS, "if has_null and self._required:", "if False:"),
    Mutant(
        "a null list in such a place passes",
        _COMPLETERS,
        "items.extend(value)\n            elif value is not None or self._required:",
        "items.extend(value)\n            elif value is not None:",
    ),
    Mutant(
        "null of an abstract type in such a place passes",
        _COMPLETERS,
        "append(number)\n            elif value is not None or self._required:",
        "append(number)\n            elif value is not None:",
    ),
    Mutant(
        "everything iterable is a list",
        _COMPLETERS,
        "if type(value) is list or type(value) is tuple:",
        "if hasattr(value, '__iter__'):",
    ),
    Mutant(
        "a null leaf in such a place passes",
        _LEAVES,
        "return None\n            raise Bail\n        if isinstance",
        "return None\n            return None\n        if isinstance",
    ),
    Mutant(
        "a null list of leaves in such a place passes", _LEAVES, "if value is None and nullable:", "if value is None:"
    ),
    Mutant(
        "rows that are none are projected",
        _PROJECTION,
        'isinstance(r, Exception): raise Bail"',
        'isinstance(r, Exception): pass"',
    ),
    Mutant(
        "an exception is printed",
        _LEAVES,
        "if isinstance(value, Exception):\n            raise Bail",
        "if isinstance(value, Exception):\n            value = str(value)",
    ),
    Mutant(
        "errors are swallowed",
        _EXECUTE,
        "await asyncio.gather(*tasks, return_exceptions=True)\n        raise",
        "await asyncio.gather(*tasks, return_exceptions=True)",
    ),
    Mutant("siblings of a failure run on", _EXECUTE, "task.cancel()", "pass"),
    # values
    Mutant("NaN goes out", _LEAVES, "type({v}) is float and {v} - {v} == 0", "type({v}) is float"),
    Mutant("a decimal that is no number goes out", _LEAVES, "is Decimal and abs({v}) < 10**15", "is Decimal"),
    Mutant("2^31 goes out", _LEAVES, "<= {v} <= 2147483647", "<= {v} <= 2147483648"),
    Mutant("a truth is a number", _LEAVES, "type({v}) is int and", "isinstance({v}, int) and"),
    Mutant("a number is an id", _LEAVES, '"ID": (Form("type({v}) is str")', '"ID": (Form("type({v}) in (str, int)")'),
    Mutant(
        "enums go out as their values",
        _LEAVES,
        "names[each] = type_.coerce_output_value(each)",
        "names[each] = str(raw)",
    ),
    # relations
    Mutant(
        "rows are remembered without their columns",
        _EXECUTE,
        "known = self.memo.get((source, columns))",
        "known = next((each for (one, _), each in self.memo.items() if one is source), None)",
    ),
    Mutant("the columns of keys are not read", _COMPILE, "projection.reads(by)", "pass"),
    Mutant("the columns of pure resolvers are not read", _COMPILE, "projection.reads(*needs)", "pass"),
    Mutant("cursors are made of nothing", _COMPILE, "columns.isdisjoint(ENDS)", "columns != ENDS"),
    Mutant("a renamed column is not read", _COMPILE, "projection.reads(column)", "pass"),
    Mutant("the columns of edges replace those of nodes", _COMPILE, "found |= columns", "found = set(columns)"),
    Mutant(
        "a row that is gone is an empty object",
        _GETTERS,
        "return list(map(found.get, keys))",
        "return [found.get(key, {}) for key in keys]",
    ),
    Mutant(
        "keys that are no lists are taken apart",
        _GETTERS,
        "if any(type(key) is not list and key is not None for key in keys):",
        "if False:",
    ),
    Mutant("null among keys is left out", _GETTERS, "if None in wanted:", "if False:"),
    Mutant("pages without a key are null", _GETTERS, "if None in keys:\n            raise Bail", "pass"),
    Mutant(
        "pages of all arguments are the same",
        _GETTERS,
        "found = await self._source.load(run.viewer, wanted, self._arguments.python(run.variables), self._columns)",
        "found = await run.load(self._source, wanted, self._columns)",
    ),
    Mutant("what lists hold is not awaited", _GETTERS, "if self._is_list:", "if False:"),
    # arguments and variables
    Mutant(
        "the default of an argument is ignored",
        _ARGUMENTS,
        "variables.get(variable, default), False",
        "variables.get(variable, Undefined), False",
    ),
    Mutant(
        "a null where none may be is given", _ARGUMENTS, "if not self.nullable:\n                raise Bail", "pass"
    ),
    Mutant("absent is null", _ARGUMENTS, "if value is None:\n                given", "if True:\n                given"),
    Mutant(
        "null is absent", _ARGUMENTS, "if value is None:\n                given", "if False:\n                given"
    ),
    Mutant(
        "one run's arguments stay for the next",
        _ARGUMENTS,
        "if all(part.constant for part in self._parts):",
        "if all(part for part in self._parts):",
    ),
    Mutant(
        "the default of a variable is ignored",
        _VARIABLES,
        "elif name in self._required or name in self._defaults:",
        "elif name in self._required:",
    ),
    Mutant(
        "a variable that must be given may be absent",
        _VARIABLES,
        "elif name in self._required or name in self._defaults:",
        "elif name in self._defaults:",
    ),
    # mutations
    Mutant("what a mutation gave is not kept", _EXECUTE, "kept[key] = values[0]", "pass"),
    Mutant("that a mutation failed is not kept", _EXECUTE, "kept[key] = error", "pass"),
    Mutant("a mutation is done again for its errors", "engine/reference.py", "and info.path.key in kept", "and False"),
    Mutant("rows loaded before a write are shown after it", _COMPILE, "run.memo.clear()", "pass"),
    # what is kept
    Mutant("tokens outlive their document", _DOCUMENTS, "        _unlink(document)", "        pass"),
    Mutant("an executor outlives its plan", _VARIANTS, "template(make_executor())", "make_executor()"),
    Mutant("generated code outlives its plan", _LEAVES, 'names.pop("made")', 'names["made"]'),
    Mutant("a plan weighs nothing", _VARIANTS, "self._grew(VARIANT_BYTES + plan.size * FIELD_BYTES)", "pass"),
    Mutant("a plan weighs as much as its root", _COMPILE, "self._size += 1 + len(fields)", "self._size = 1"),
)

"""The committed contract: the schema without federation's machinery, `@access` and `@tag` kept and defined."""

import re

import strawberry
from graphql import build_schema

TAG = """\
\"\"\"
Marks what an audience may use (受众标记).
\"\"\"
directive @tag(
  \"\"\"The audience: `partner` for partner systems (受众)\"\"\"
  name: String!
) repeatable on FIELD_DEFINITION

"""
ACCESS = (
    "directive @access(rule: String!)",
    'directive @access(\n  """Name of the rule (规则名称)"""\n  rule: String!\n)',
)
_SCHEMA_BLOCK = re.compile(r"^schema [^{]*\{", re.MULTILINE)
_KEY = re.compile(r" @key\(fields: \"[^\"]*\"\)")
_MACHINERY = (
    re.compile(r"^  _entities\(representations: \[_Any!\]!\): \[_Entity\]!\n  _service: _Service!\n\n", re.MULTILINE),
    re.compile(r"^union _Entity = [^\n]*\n\n?", re.MULTILINE),
    re.compile(r"^type _Service \{\n.*?^\}(?:\n\n?|\Z)", re.MULTILINE | re.DOTALL),
    re.compile(r"^scalar _Any\n\n?", re.MULTILINE),
)


def print_contract(schema: strawberry.Schema) -> str:
    """Raises what graphql-core raises when the result is no schema."""
    text = _SCHEMA_BLOCK.sub("schema {", schema.as_str())
    text = _KEY.sub("", text)
    for pattern in _MACHINERY:
        text = pattern.sub("", text)
    text = TAG + text.replace(*ACCESS).strip() + "\n"
    build_schema(text)
    return text

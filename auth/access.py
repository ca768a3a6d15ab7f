"""THE table of rules: who may do what, to be read aloud.

They are not called policies, since a policy here is a government document.

Allowed = (level reached AND (no roles named OR one of them held)) OR own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from auth.viewer import (
    ADMINISTRATOR,
    PROFESSIONAL,
    REGISTERED,
    STAFF,
    VISITOR,
    Level,
    Role,
    Viewer,
)

ADMIN = Role.PLATFORM_ADMIN
REVIEWER = Role.REVIEWER
CENTRE = Role.CENTRE_STAFF
DEPARTMENT = Role.DEPARTMENT_MANAGER
DISTRICT = Role.DISTRICT_MANAGER
SELLER = Role.STORE_MANAGER


@dataclass(frozen=True, slots=True)
class Rule:
    """`own` names the row's column that holds its owner's account id: the owner is always allowed."""

    level: Level
    roles: frozenset[Role] = frozenset()
    own: str | None = None


def _rule(level: Level, roles: Iterable[Role] = (), own: str | None = None) -> Rule:
    return Rule(level, frozenset(roles), own)


# fmt: off
RULES: dict[str, Rule] = {
    # rule                        lowest level        one of these roles                                own
    "public":               _rule(VISITOR),
    "signed_in":            _rule(REGISTERED),
    "schema.introspect":    _rule(ADMINISTRATOR,     {ADMIN}),
    "file.upload":          _rule(REGISTERED),
    "clock.set":            _rule(VISITOR),
    "content.write":        _rule(PROFESSIONAL,      {ADMIN, CENTRE, DEPARTMENT, DISTRICT, SELLER}),
    "content.manage":       _rule(PROFESSIONAL,      {ADMIN, CENTRE, DEPARTMENT, DISTRICT, SELLER, REVIEWER}),
    "content.review":       _rule(STAFF,             {ADMIN, REVIEWER}),
    "policy.write":         _rule(STAFF,             {ADMIN, CENTRE, DEPARTMENT, DISTRICT}),
    "policy.import":        _rule(STAFF,             {ADMIN, CENTRE, DEPARTMENT, DISTRICT}),
    "store.write":          _rule(PROFESSIONAL,      {ADMIN, CENTRE, DEPARTMENT, DISTRICT, SELLER}),
    "product.write":        _rule(PROFESSIONAL,      {ADMIN, CENTRE, DEPARTMENT, DISTRICT, SELLER}),
    "article.write":        _rule(PROFESSIONAL,      {ADMIN, CENTRE, DEPARTMENT, DISTRICT, SELLER}),
    "words.read":           _rule(STAFF,             {ADMIN, CENTRE, REVIEWER}),
    "words.write":          _rule(STAFF,             {ADMIN, CENTRE}),
    "audit.read":           _rule(ADMINISTRATOR,     {ADMIN}),
}
# fmt: on


class Decision(Enum):
    """What a rule says about a viewer before any row is seen. OWN: only for rows that the viewer owns."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    OWN = "OWN"


def decide(name: str, viewer: Viewer) -> Decision:
    """Raises KeyError for a rule that the table does not hold: a misspelt rule must never pass."""
    rule = RULES[name]
    if viewer.level >= rule.level and (not rule.roles or not rule.roles.isdisjoint(viewer.roles)):
        return Decision.ALLOW
    return Decision.OWN if rule.own and viewer.signed_in else Decision.DENY


def allowed(name: str, viewer: Viewer, row: Any = None) -> bool:
    """Whether the viewer may, for this row where the rule depends on its owner."""
    decision = decide(name, viewer)
    if decision is Decision.OWN:
        own = RULES[name].own
        return row is not None and own is not None and row[own] == viewer.id
    return decision is Decision.ALLOW


def permissions(viewer: Viewer) -> list[str]:
    """The names of all rules that the viewer passes without owning anything: what a client shows or hides by."""
    return [name for name in RULES if decide(name, viewer) is Decision.ALLOW]

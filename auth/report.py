"""The table of rules as a page that people read: `docs/access.md`, printed anew by the command line."""

from collections.abc import Iterable

from auth.access import RULES
from auth.viewer import Level, Role

LEVELS: dict[Level, str] = {
    Level.L0: "Visitor (游客)",
    Level.L1: "Registered, not verified (注册未认证)",
    Level.L2: "Verified person (个人实名)",
    Level.L3: "Verified enterprise (企业认证)",
    Level.L4: "Seller, expert, volunteer or another professional (卖家/专家/志愿者)",
    Level.L5: "Government: department, district or centre (政府部门/区)",
    Level.L6: "Administration of the platform (平台管理)",
}
ROLES: dict[Role, str] = {
    Role.PLATFORM_ADMIN: "Platform administrator (平台管理人员)",
    Role.CENTRE_STAFF: "Staff of the service centre (中心员工)",
    Role.REVIEWER: "Reviewer of content (审核人员)",
    Role.DEPARTMENT_MANAGER: "Runs a department's flagship store (部门旗舰店管理员)",
    Role.DISTRICT_MANAGER: "Runs a district's flagship store (区旗舰店管理员)",
    Role.STORE_MANAGER: "Runs an institution's store (店铺管理人员)",
    Role.MONITORING_REPORTER: "Files monitoring data (运行监测信息上报用户)",
    Role.JUDGE: "Judge of the contest (评委)",
    Role.ZONE_MANAGER: "Runs a zone of the contest (赛区管理用户)",
    Role.CONTEST_PARTNER: "Partner of the contest (赛事合作方)",
    Role.EXPERT: "Expert (专家)",
    Role.VOLUNTEER: "Volunteer (志愿者)",
    Role.IPO_CLASS_1: "Pre-IPO database, class 1 (一类用户)",
    Role.IPO_CLASS_2: "Pre-IPO database, class 2 (二类用户)",
    Role.IPO_CLASS_3: "Pre-IPO database, class 3 (三类用户)",
}

_INTRODUCTION = """\
# Who may do what (访问规则)

Printed from `auth/access.py` by `python manage.py access`; do not edit it here.

A field of the schema names its rule: `@access(rule: "content.review")`. Allowed = (level reached **and** one of the
roles held, where some are named) **or** owner, where the rule names one. A level is a floor, not a right: a high level
inherits no role's rights. A nullable field is null for those whom its rule does not admit; mutations, subscriptions and
fields that are never null answer `ACCESS_DENIED`, or `UNAUTHENTICATED` to visitors. `viewer { permissions }` lists the
rules that the caller passes.

Beside the rules stand the row gates of `auth/visibility.py`: what a viewer may not see does not exist for him, is null
in answers, and neither counts nor filters reveal it. The public sees what is published; a department, a district or a
store also sees its own drafts and what it took offline; a reviewer sees what he reviews: that of his department or
district, or everything where he has none; administrators see everything; an account is seen by its owner.
"""


def page() -> str:
    """The whole page as Markdown."""
    rules = [
        (f"`{name}`", rule.level.name, _roles(rule.roles), f"`{rule.own}`" if rule.own else "")
        for name, rule in RULES.items()
    ]
    return "\n".join(
        [
            _INTRODUCTION,
            "## Rules (规则)\n",
            *_table(("Rule", "Lowest level", "One of these roles", "Or the owner"), rules),
            "\n## Levels (用户分级)\n",
            *_table(("Level", "Who"), [(level.name, text) for level, text in LEVELS.items()]),
            "\n## Roles (岗位)\n",
            *_table(("Role", "Who"), [(f"`{role}`", text) for role, text in ROLES.items()]),
            "",
        ]
    )


def _roles(roles: Iterable[Role]) -> str:
    return ", ".join(f"`{role}`" for role in sorted(roles)) or "any"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]

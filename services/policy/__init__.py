"""Rules of policies (政策): who owns one, what may be published (R-BASE-03, R-POL-01, R-STO-11)."""

from uuid import UUID

from sqlalchemy import select

from auth.viewer import Role, Viewer
from auth.visibility import PLATFORM
from kit.errors import Refused
from models.area import Department, District, Industry
from models.base import table_of
from models.policy import Policy, PolicyKind, PolicyLevel, PolicyValues
from models.refusals import Refusal
from services import publishing
from services.reference import require_code, require_codes
from services.uow import UnitOfWork

POLICIES = table_of(Policy)


async def _owner(_uow: UnitOfWork, author: Viewer, values: PolicyValues, _policy_id: UUID) -> str:
    """A department's policies belong to it, a district's to the district, all others to the platform.

    A manager writes for his own place only: whatever he enters as issuing department or district must be his.
    """
    if author.has(Role.PLATFORM_ADMIN, Role.CENTRE_STAFF):
        return _place(values)
    if author.has(Role.DEPARTMENT_MANAGER) and author.department:
        if values.department_code != author.department:
            raise Refused(Refusal.NOT_YOURS, ["values", "department_code"])
        return f"department:{author.department}"
    if author.has(Role.DISTRICT_MANAGER) and author.district:
        if values.districts != [author.district]:
            raise Refused(Refusal.NOT_YOURS, ["values", "districts"])
        return f"district:{author.district}"
    raise Refused(Refusal.NOT_YOURS, ["id"])


def _place(values: PolicyValues) -> str:
    if values.level is PolicyLevel.DISTRICT and len(values.districts) == 1:
        return f"district:{values.districts[0]}"
    return f"department:{values.department_code}" if values.department_code else PLATFORM


async def _check(uow: UnitOfWork, values: PolicyValues, policy_id: UUID) -> None:
    """Codes must exist, an interpretation explains a published policy, a call for applications says from when."""
    await require_code(uow, Department, values.department_code, "department_code")
    await require_codes(uow, District, values.districts, "districts")
    await require_codes(uow, Industry, values.industries, "industries")
    if values.interprets_id is not None:
        explained = select(POLICIES.c.id).where(POLICIES.c.id == values.interprets_id, POLICIES.c.id != policy_id)
        if await uow.value(explained) is None:
            raise Refused(Refusal.NOT_FOUND, ["values", "interprets_id"])
    if values.kind is PolicyKind.DECLARATION and values.apply_start is None:
        raise Refused(Refusal.REQUIRED, ["values", "apply_start"])


POLICY = publishing.register(publishing.Kind("policy", Policy, PolicyValues, title="title", owner=_owner, check=_check))

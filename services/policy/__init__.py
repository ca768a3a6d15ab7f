"""Rules of policies (政策): who owns one, what may be published (R-BASE-03, R-POL-01, R-STO-11)."""

from uuid import UUID

from sqlalchemy import func, select

from auth.viewer import Role, Viewer
from auth.visibility import PLATFORM
from kit.errors import Refused
from models.area import District, Industry
from models.policy import Policy, PolicyKind, PolicyLevel, PolicyValues
from models.refusals import Refusal
from services import publishing
from services.uow import UnitOfWork


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


async def _check(uow: UnitOfWork, values: PolicyValues, _policy_id: UUID) -> None:
    """Codes must exist, and a call for applications must say until when."""
    await require_codes(uow, District.__table__.c.code, values.districts, "districts")  # type: ignore[attr-defined]
    await require_codes(uow, Industry.__table__.c.code, values.industries, "industries")  # type: ignore[attr-defined]
    if values.kind is PolicyKind.DECLARATION and values.apply_start is None:
        raise Refused(Refusal.REQUIRED, ["values", "apply_start"])


async def require_codes(uow: UnitOfWork, column: object, codes: list[str], field: str) -> None:
    """Refuses the first code that the reference table does not hold."""
    known = set((await uow.execute(select(column).where(column == func.any(codes)))).scalars()) if codes else set()  # type: ignore[call-overload]
    for number, code in enumerate(codes):
        if code not in known:
            raise Refused(Refusal.UNKNOWN_CODE, ["values", field, number], code=code)


POLICY = publishing.register(publishing.Kind("policy", Policy, PolicyValues, title="title", owner=_owner, check=_check))

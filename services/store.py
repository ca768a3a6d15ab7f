"""Rules of stores (店铺): whose one is, and what belongs to it (R-STO-01, R-STO-02, R-BASE-28)."""

from uuid import UUID

from sqlalchemy import select

from auth.viewer import Viewer
from auth.visibility import may_write, visible
from kit.errors import Refused
from models.area import Department, District
from models.base import table_of
from models.refusals import Refusal
from models.store import Store, StoreKind, StoreValues
from services import publishing
from services.reference import require_code
from services.uow import UnitOfWork

STORES = table_of(Store)

PLACES = {StoreKind.DISTRICT: "district_code", StoreKind.DEPARTMENT: "department_code"}


async def _owner(uow: UnitOfWork, author: Viewer, values: StoreValues, store_id: UUID) -> str:
    """A flagship store belongs to its department or district, another to itself. Only administrators begin one."""
    if not author.is_admin and await uow.value(select(STORES.c.id).where(STORES.c.id == store_id)) is None:
        raise Refused(Refusal.NOT_YOURS, ["id"])
    if values.kind is StoreKind.DISTRICT:
        return f"district:{values.district_code}"
    if values.kind is StoreKind.DEPARTMENT:
        return f"department:{values.department_code}"
    return f"store:{store_id.hex}"


async def _check(uow: UnitOfWork, values: StoreValues, store_id: UUID) -> None:
    """Codes must exist; a flagship store stays where it is, and there is one for each department and district."""
    await require_code(uow, District, values.district_code, "district_code")
    await require_code(uow, Department, values.department_code, "department_code")
    await require_code(uow, Department, values.parent_department_code, "parent_department_code")
    if place := PLACES.get(values.kind):
        column, code = STORES.c[place], getattr(values, place)
        if await uow.value(select(column).where(STORES.c.id == store_id)) not in (None, code):
            raise Refused(Refusal.FIXED_FIELD, ["values", place])
        others = select(STORES.c.id).where(STORES.c.kind == values.kind, column == code, STORES.c.id != store_id)
        if await uow.value(others) is not None:
            raise Refused(Refusal.ALREADY_EXISTS, ["values", place])


async def owner_of(uow: UnitOfWork, author: Viewer, store_id: UUID) -> str:
    """The scope of a store, which its products and articles share; refuses who may not write for the store."""
    owner: str | None = await uow.value(visible(Store, author, STORES.c.owner).where(STORES.c.id == store_id))
    if owner is None:
        raise Refused(Refusal.NOT_FOUND, ["values", "store_id"])
    if not may_write(author, owner):
        raise Refused(Refusal.NOT_YOURS, ["values", "store_id"])
    return owner


STORE = publishing.register(
    publishing.Kind("store", Store, StoreValues, title="name", owner=_owner, check=_check, fixed=frozenset({"kind"}))
)

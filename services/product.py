"""Rules of service products (服务产品): a store offers them, under a known category (R-PRO-01, R-BASE-29)."""

from uuid import UUID

from auth.viewer import Viewer
from models.area import District, ServiceCategory
from models.product import Product, ProductValues
from services import publishing
from services.policy import require_codes
from services.store import owner_of, require_code
from services.uow import UnitOfWork


async def _owner(uow: UnitOfWork, author: Viewer, values: ProductValues, _product_id: UUID) -> str:
    return await owner_of(uow, author, values.store_id)


async def _check(uow: UnitOfWork, values: ProductValues, _product_id: UUID) -> None:
    """The category may be of either level; districts must be known."""
    await require_code(uow, ServiceCategory.__table__.c.code, values.category_code, "category_code")  # type: ignore[attr-defined]
    await require_codes(uow, District.__table__.c.code, values.service_areas, "service_areas")  # type: ignore[attr-defined]


PRODUCT = publishing.register(
    publishing.Kind(
        "product", Product, ProductValues, title="name", owner=_owner, check=_check, fixed=frozenset({"store_id"})
    )
)

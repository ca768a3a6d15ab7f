"""Rules of service products (服务产品): a store offers them, under a known category (R-PRO-01, R-BASE-29)."""

from uuid import UUID

from auth.viewer import Viewer
from models.area import District, ServiceCategory
from models.product import Product, ProductValues
from services import publishing
from services.reference import require_code, require_codes
from services.store import owner_of
from services.uow import UnitOfWork


async def _owner(uow: UnitOfWork, author: Viewer, values: ProductValues, _product_id: UUID) -> str:
    return await owner_of(uow, author, values.store_id)


async def _check(uow: UnitOfWork, values: ProductValues, _product_id: UUID) -> None:
    """The category may be of either level; districts must be known."""
    await require_code(uow, ServiceCategory, values.category_code, "category_code")
    await require_codes(uow, District, values.service_areas, "service_areas")


PRODUCT = publishing.register(
    publishing.Kind(
        "product", Product, ProductValues, title="name", owner=_owner, check=_check, fixed=frozenset({"store_id"})
    )
)

"""Rules of articles (文章): in which column of which store, and the platform's own news (R-STO-03 to 32, R-BASE-02)."""

from uuid import UUID

from sqlalchemy import select

from auth.viewer import Role, Viewer
from auth.visibility import PLATFORM
from kit.errors import Refused
from models.content import Article, ArticleValues
from models.refusals import Refusal
from models.store import COLUMNS, StoreColumn, StoreKind
from services import publishing
from services.store import STORES, owner_of
from services.uow import UnitOfWork


async def _owner(uow: UnitOfWork, author: Viewer, values: ArticleValues, _article_id: UUID) -> str:
    """A store's articles belong where the store does; the platform's news is written by its own staff."""
    if values.store_id is not None:
        return await owner_of(uow, author, values.store_id)
    if not author.has(Role.PLATFORM_ADMIN, Role.CENTRE_STAFF):
        raise Refused(Refusal.NOT_YOURS, ["values", "store_id"])
    return PLATFORM


async def _check(uow: UnitOfWork, values: ArticleValues, _article_id: UUID) -> None:
    """The store's kind must have the column, the platform has news only, and a store spoken of must exist."""
    offered: tuple[StoreColumn, ...] = (StoreColumn.NEWS,)
    if values.store_id is not None:
        kind = await uow.value(select(STORES.c.kind).where(STORES.c.id == values.store_id))
        offered = COLUMNS[StoreKind[kind]]
    if values.column not in offered:
        raise Refused(Refusal.COLUMN_NOT_OFFERED, ["values", "column"])
    linked = select(STORES.c.id).where(STORES.c.id == values.linked_store_id)
    if values.linked_store_id is not None and await uow.value(linked) is None:
        raise Refused(Refusal.NOT_FOUND, ["values", "linked_store_id"])


ARTICLE = publishing.register(
    publishing.Kind(
        "article", Article, ArticleValues, title="title", owner=_owner, check=_check, fixed=frozenset({"store_id"})
    )
)

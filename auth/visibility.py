"""Row gates: which rows exist for a viewer, as SQL. `visible(Model, viewer)` is the only start of a select.

What a viewer may not see does not exist: null or not found, never "forbidden"; counts and filters never reveal it.
`scope_of` names all that the gate depended on: viewers of one scope are shown the same rows, so an answer may be shared
among them. Each use of a gate is noted with its scope in the running footprint (`kit/footprint.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, String, any_, exists, literal, or_, select, true
from sqlalchemy.sql import false
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import SQLModel, col

from auth.access import allowed
from auth.viewer import Role, Viewer
from kit import footprint
from models.account import Account, AuditEntry, StoreMember
from models.area import Department, District, Industry, ServiceCategory, Street
from models.base import table_of
from models.content import Article
from models.job import Job, StoredFile
from models.policy import Policy
from models.product import Product
from models.publishing import Managed, PublicationState, Revision
from models.store import Store
from models.words import SensitiveException, SensitiveWord

PLATFORM = "platform"
PUBLIC = "PUBLIC"
PERSONAL = "viewer:"


def workplaces(viewer: Viewer) -> frozenset[str]:
    """The owner scopes whose content the viewer writes: `platform`, `department:…`, `district:…`, `store:…`."""
    places = set()
    if viewer.has(Role.PLATFORM_ADMIN, Role.CENTRE_STAFF):
        places.add(PLATFORM)
    if viewer.department and viewer.has(Role.DEPARTMENT_MANAGER):
        places.add(f"department:{viewer.department}")
    if viewer.district and viewer.has(Role.DISTRICT_MANAGER):
        places.add(f"district:{viewer.district}")
    if viewer.has(Role.STORE_MANAGER):
        places.update(f"store:{store_id.hex}" for store_id in viewer.store_ids)
    return frozenset(places)


def reviewed_places(viewer: Viewer) -> frozenset[str] | None:
    """The owner scopes that the viewer reviews; None: all of them.

    A reviewer who works in a department or a district reviews there only, one without a place reviews for the platform.
    """
    if viewer.is_admin:
        return None
    if not viewer.has(Role.REVIEWER):
        return frozenset()
    places = [f"department:{viewer.department}"] if viewer.department else []
    places += [f"district:{viewer.district}"] if viewer.district else []
    return frozenset(places) or None


def may_write(viewer: Viewer, owner: str) -> bool:
    return viewer.is_admin or owner in workplaces(viewer)


def may_review(viewer: Viewer, owner: str) -> bool:
    places = reviewed_places(viewer)
    return places is None or owner in places


def _places_seen(viewer: Viewer) -> frozenset[str] | None:
    """Scopes whose unpublished content the viewer sees; None: all."""
    reviewed = reviewed_places(viewer)
    return None if reviewed is None else reviewed | workplaces(viewer)


def _one_of(owner: SQLCoreOperations[str], places: frozenset[str]) -> ColumnElement[bool]:
    """By an array, since the text of `IN (…)` changes with the number of places and would be compiled each time."""
    return owner == any_(literal(sorted(places), ARRAY(String)))


def _managed(model: type[Managed]) -> "Predicate":
    def predicate(viewer: Viewer) -> ColumnElement[bool]:
        places = _places_seen(viewer)
        if places is None:
            return true()
        published = col(model.state) == PublicationState.PUBLISHED
        return or_(published, _one_of(col(model.owner), places)) if places else published

    return predicate


def _in_visible_store(model: type[Product] | type[Article]) -> "Predicate":
    """A product or article is as visible as its own state says, and gone for the public while its store is offline."""
    own = _managed(model)

    def predicate(viewer: Viewer) -> ColumnElement[bool]:
        if _places_seen(viewer) is None:
            return true()
        table = table_of(model)
        store = exists().where(table_of(Store).c.id == table.c.store_id, _managed(Store)(viewer)).correlate(table)
        outside = col(model.store_id).is_(None) if model is Article else false()
        return own(viewer) & or_(store, outside)

    return predicate


def _revision(viewer: Viewer) -> ColumnElement[bool]:
    if not viewer.signed_in:
        return false()
    places = _places_seen(viewer)
    if places is None:
        return true()
    return or_(col(Revision.author_id) == viewer.id, _one_of(col(Revision.owner), places))


def _word_keepers(viewer: Viewer) -> ColumnElement[bool]:
    return true() if allowed("words.read", viewer) else false()


def _word_keeping(viewer: Viewer) -> str:
    return "staff:words" if allowed("words.read", viewer) else PUBLIC


def _everyone(_viewer: Viewer) -> ColumnElement[bool]:
    return true()


def _own(model: type[Job] | type[StoredFile]) -> "Predicate":
    def predicate(viewer: Viewer) -> ColumnElement[bool]:
        return true() if viewer.is_admin else col(model.account_id) == viewer.id

    return predicate


def _own_account(viewer: Viewer) -> ColumnElement[bool]:
    return true() if viewer.is_admin else col(Account.id) == viewer.id


def _own_membership(viewer: Viewer) -> ColumnElement[bool]:
    return true() if viewer.is_admin else col(StoreMember.account_id) == viewer.id


def _staff_places(viewer: Viewer) -> str:
    if not viewer.roles:
        return PUBLIC
    places = _places_seen(viewer)
    if places is None:
        return "staff:all"
    return ",".join(sorted(places)) or PUBLIC


def _viewer_bound(viewer: Viewer) -> str:
    return f"{PERSONAL}{viewer.id}" if viewer.signed_in else PUBLIC


def _public(_viewer: Viewer) -> str:
    return PUBLIC


Predicate = Callable[[Viewer], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Gate:
    """The predicate of one table and the scope that it depends on."""

    predicate: Predicate
    scope: Callable[[Viewer], str]


GATES: dict[type[SQLModel], Gate] = {
    Policy: Gate(_managed(Policy), _staff_places),
    Store: Gate(_managed(Store), _staff_places),
    Product: Gate(_in_visible_store(Product), _staff_places),
    Article: Gate(_in_visible_store(Article), _staff_places),
    Revision: Gate(_revision, _viewer_bound),
    Account: Gate(_own_account, _viewer_bound),
    StoreMember: Gate(_own_membership, _viewer_bound),
    AuditEntry: Gate(lambda viewer: true() if viewer.is_admin else false(), _viewer_bound),
    Job: Gate(_own(Job), _viewer_bound),
    StoredFile: Gate(_own(StoredFile), _viewer_bound),
    SensitiveWord: Gate(_word_keepers, _word_keeping),
    SensitiveException: Gate(_word_keepers, _word_keeping),
    District: Gate(_everyone, _public),
    Street: Gate(_everyone, _public),
    Department: Gate(_everyone, _public),
    Industry: Gate(_everyone, _public),
    ServiceCategory: Gate(_everyone, _public),
}


_SCOPES = {table_of(model).name: gate.scope for model, gate in GATES.items()}


def visible(model: type[SQLModel], viewer: Viewer, *columns: Any) -> Select[Any]:
    """A select of the model's rows (or of the given columns) that exist for the viewer."""
    table, gate = table_of(model), GATES[model]
    if running := footprint.current.get():
        running.scopes[table.name] = gate.scope(viewer)
    statement = select(*columns) if columns else select(table)
    return statement.select_from(table).where(gate.predicate(viewer))


def scope_of(table: str, viewer: Viewer) -> str:
    """The scope of a table's gate; one that begins with `PERSONAL` is this viewer's alone."""
    return _SCOPES[table](viewer)


def search_scopes(viewer: Viewer) -> tuple[str, ...]:
    """The scopes that a search filters by; empty: no filter, all documents exist for the viewer."""
    places = _places_seen(viewer)
    return () if places is None else (PUBLIC, *sorted(places))

"""Who is asking. A `Viewer` is made once per operation from a token, without a database round trip."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from kit.errors import Unauthenticated

NOBODY = UUID(int=0)


class Level(IntEnum):
    """The level (用户分级) of an account; each rule names the lowest one that it admits (R-ACC-07)."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3
    L4 = 4
    L5 = 5
    L6 = 6


VISITOR = Level.L0
REGISTERED = Level.L1
VERIFIED_PERSON = Level.L2
VERIFIED_ENTERPRISE = Level.L3
PROFESSIONAL = Level.L4
STAFF = Level.L5
ADMINISTRATOR = Level.L6


class Role(StrEnum):
    """A post (岗位) that grants rights of its own. A level inherits none of them."""

    PLATFORM_ADMIN = "PLATFORM_ADMIN"
    CENTRE_STAFF = "CENTRE_STAFF"
    REVIEWER = "REVIEWER"
    DEPARTMENT_MANAGER = "DEPARTMENT_MANAGER"
    DISTRICT_MANAGER = "DISTRICT_MANAGER"
    STORE_MANAGER = "STORE_MANAGER"
    MONITORING_REPORTER = "MONITORING_REPORTER"
    JUDGE = "JUDGE"
    ZONE_MANAGER = "ZONE_MANAGER"
    CONTEST_PARTNER = "CONTEST_PARTNER"
    EXPERT = "EXPERT"
    VOLUNTEER = "VOLUNTEER"
    IPO_CLASS_1 = "IPO_CLASS_1"
    IPO_CLASS_2 = "IPO_CLASS_2"
    IPO_CLASS_3 = "IPO_CLASS_3"


@dataclass(frozen=True, slots=True)
class Viewer:
    """One account's standing for the length of one operation or socket.

    `expires_at` is when its token ends; a socket ends with it. `district` is a GB/T 2260 code, `department` a
    department's code; both say where a government account works.
    """

    id: UUID | None = None
    username: str | None = None
    display_name: str = ""
    level: Level = VISITOR
    roles: frozenset[Role] = frozenset()
    district: str | None = None
    department: str | None = None
    store_ids: frozenset[UUID] = frozenset()
    session_id: UUID | None = None
    expires_at: datetime | None = None

    @property
    def signed_in(self) -> bool:
        return self.id is not None

    @property
    def account_id(self) -> UUID:
        """The account's key, for what only an account can do; raises `Unauthenticated` for a visitor."""
        if self.id is None:
            raise Unauthenticated
        return self.id

    @property
    def standing(self) -> "Viewer":
        """All that rules and row gates go by, with nobody's identity: what it is shown, all who stand alike may see.

        An account's standing is signed in, but owns nothing.
        """
        who = NOBODY if self.signed_in else None
        return replace(self, id=who, username=None, display_name="", session_id=None, expires_at=None)

    def has(self, *roles: Role) -> bool:
        """Whether at least one of the roles is held."""
        return not self.roles.isdisjoint(roles)

    @property
    def is_admin(self) -> bool:
        return Role.PLATFORM_ADMIN in self.roles


ANONYMOUS = Viewer()

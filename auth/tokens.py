"""Access tokens: short-lived JWTs that carry the viewer, checked without a database round trip.

The one place that calls python-jose: its `decode` accepts any algorithm and an empty secret unless told otherwise.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from jose import JWTError, jwk, jwt
from jose.backends.base import Key

from auth.viewer import ANONYMOUS, Level, Role, Viewer
from kit import clock
from kit.errors import Unauthenticated
from kit.settings import MINIMUM_SECRET_LENGTH, Settings, settings

ALGORITHM = "HS256"
ISSUER = "esc"
LIFETIME = timedelta(minutes=15)
REMEMBERED = 4_096
REFUSAL = "The access token is invalid or has ended (访问令牌无效或已过期)"


def _secret(chosen: Settings) -> str:
    secret = chosen.secret_key.get_secret_value()
    if len(secret) < MINIMUM_SECRET_LENGTH:
        raise ValueError("the secret key is too short")
    return secret


def issue(viewer: Viewer, lifetime: timedelta = LIFETIME) -> tuple[str, datetime]:
    """A token and the moment at which it ends (UTC, whole seconds)."""
    now = clock.real().replace(microsecond=0)
    expires_at = now + lifetime
    claims = {
        "iss": ISSUER,
        "sub": viewer.id.hex if viewer.id else "",
        "sid": viewer.session_id.hex if viewer.session_id else "",
        "name": viewer.username,
        "display": viewer.display_name,
        "level": int(viewer.level),
        "roles": sorted(viewer.roles),
        "district": viewer.district,
        "department": viewer.department,
        "stores": sorted(store.hex for store in viewer.store_ids),
        "iat": now,
        "exp": expires_at,
    }
    return jwt.encode(claims, _secret(settings), algorithm=ALGORITHM), expires_at


def read(token: str) -> Viewer:
    """The viewer of a token; raises `Unauthenticated` for one that is not ours, was changed or has ended."""
    viewer = _verified(token, _secret(settings))
    if viewer.expires_at is None or viewer.expires_at <= clock.real():
        raise Unauthenticated(REFUSAL)
    return viewer


@lru_cache(REMEMBERED)
def _verified(token: str, secret: str) -> Viewer:
    """Whom a token names. Once found genuine it stays so: only time and revocations end it."""
    try:
        claims = jwt.decode(token, _key(secret), algorithms=[ALGORITHM], issuer=ISSUER)
        return _viewer(claims)
    except (JWTError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Unauthenticated(REFUSAL) from error


@lru_cache(1)
def _key(secret: str) -> Key:
    """Made once: of a text the library makes one for each token, once it has tried to read the text as JSON."""
    return jwk.construct(secret, ALGORITHM)


def _viewer(claims: dict[str, Any]) -> Viewer:
    return Viewer(
        id=UUID(claims["sub"]),
        username=claims["name"],
        display_name=claims["display"],
        level=Level(claims["level"]),
        roles=frozenset(Role(role) for role in claims["roles"]),
        district=claims["district"],
        department=claims["department"],
        store_ids=frozenset(UUID(store) for store in claims["stores"]),
        session_id=UUID(claims["sid"]) if claims["sid"] else None,
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


async def authenticate(token: str | None) -> Viewer:
    """Who presents the token; the anonymous viewer without one."""
    return read(token) if token else ANONYMOUS

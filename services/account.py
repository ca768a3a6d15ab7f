"""Signing in and out (R-BASE-26). Registration, levels and providers are rules of their own, later."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import anyio
from sqlalchemy import insert, select, update

from auth import tokens
from auth.passwords import verify_password
from auth.revocations import revocations
from auth.viewer import Level, Role, Viewer
from kit import clock, throttle
from kit.db import Row, fetch, fetch_one
from kit.errors import Refused
from kit.ids import global_id, uuid7
from models.account import Account, Session, StoreMember
from models.base import table_of
from models.refusals import Refusal
from services.uow import UnitOfWork

ACCOUNT = table_of(Account)
SESSION = table_of(Session)
MEMBER = table_of(StoreMember)

SESSION_LIFETIME = timedelta(days=14)
FAILURES_PER_ACCOUNT = 5
FAILURES_PER_ADDRESS = 50
ATTEMPTS_AT_ONCE = anyio.CapacityLimiter(2)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a client keeps: a short access token and the refresh token that replaces it, used once."""

    viewer: Viewer
    access_token: str
    refresh_token: str
    expires_at: datetime


async def check_password(username: str, password: str, client_ip: str) -> Row:
    """The account of a right password. Failures are counted for the account and the address, successes for neither.

    Few are checked at once, and each asks again when its turn comes: guesses sent together get no more answers.
    """
    account_key, address_key = f"account:{username.lower()[:100]}", f"address:{client_ip}"
    await _require_patience(account_key, address_key)
    async with ATTEMPTS_AT_ONCE:
        await _require_patience(account_key, address_key)
        account = await fetch_one(select(ACCOUNT).where(ACCOUNT.c.username == username))
        if not await verify_password(account["password_hash"] if account else None, password) or account is None:
            await throttle.count_failure(account_key)
            await throttle.count_failure(address_key)
            raise Refused(Refusal.WRONG_CREDENTIALS, ["password"])
    await throttle.forget(account_key)
    if not account["enabled"]:
        raise Refused(Refusal.ACCOUNT_DISABLED, ["username"])
    return account


async def _require_patience(account_key: str, address_key: str) -> None:
    for key, limit in ((account_key, FAILURES_PER_ACCOUNT), (address_key, FAILURES_PER_ADDRESS)):
        if minutes := await throttle.minutes_to_wait(key, limit):
            raise Refused(Refusal.TOO_MANY_ATTEMPTS, minutes=minutes)


async def open_session(uow: UnitOfWork, account: Row) -> SignedIn:
    """Signs an account in on one more device."""
    session_id, secret = uuid7(), secrets.token_urlsafe(32)
    row = Session(
        id=session_id,
        account_id=account["id"],
        refresh_digest=_digest(secret),
        expires_at=clock.real() + SESSION_LIFETIME,
    )
    await uow.execute(insert(SESSION).values(row.model_dump()))
    return await _signed_in(account, session_id, secret)


async def refresh_session(uow: UnitOfWork, refresh_token: str) -> SignedIn | None:
    """Replaces a refresh token. One that was replaced before ends its session: None, which the caller must commit."""
    session_id, secret = _split(refresh_token)
    session = await uow.one(select(SESSION).where(SESSION.c.id == session_id).with_for_update())
    if session is None or session["ended_at"] is not None or session["expires_at"] <= clock.real():
        raise Refused(Refusal.SESSION_ENDED, ["refresh_token"])
    if not secrets.compare_digest(session["refresh_digest"], _digest(secret)):
        await end_session(uow, session_id)
        return None
    account = await uow.one(select(ACCOUNT).where(ACCOUNT.c.id == session["account_id"]))
    if account is None or not account["enabled"]:
        raise Refused(Refusal.ACCOUNT_DISABLED, ["refresh_token"])
    replacement = secrets.token_urlsafe(32)
    await uow.execute(
        update(SESSION)
        .where(SESSION.c.id == session_id)
        .values(refresh_digest=_digest(replacement), updated_at=clock.real())
    )
    return await _signed_in(account, session_id, replacement)


async def end_session(uow: UnitOfWork, session_id: UUID) -> None:
    """Signs out: the refresh token ends at once, and so do access tokens and what they hold open."""
    await uow.execute(
        update(SESSION).where(SESSION.c.id == session_id, SESSION.c.ended_at.is_(None)).values(ended_at=clock.real())
    )
    uow.touch(global_id("session", session_id))
    uow.afterwards(lambda: revocations.end(session_id))


async def named_viewer(username: str) -> Viewer | None:
    """The standing of an account by its name, for acts of the command line."""
    account = await fetch_one(select(ACCOUNT).where(ACCOUNT.c.username == username))
    return await viewer_of(account) if account else None


async def viewer_of(account: Row, session_id: UUID | None = None) -> Viewer:
    """An account's standing as its access token carries it."""
    stores = await fetch(select(MEMBER.c.store_id).where(MEMBER.c.account_id == account["id"]))
    return Viewer(
        id=account["id"],
        username=account["username"],
        display_name=account["display_name"],
        level=Level(account["level"]),
        roles=frozenset(Role(role) for role in account["roles"]),
        district=account["district_code"],
        department=account["department_code"],
        store_ids=frozenset(row["store_id"] for row in stores),
        session_id=session_id,
    )


async def _signed_in(account: Row, session_id: UUID, secret: str) -> SignedIn:
    viewer = await viewer_of(account, session_id)
    access_token, expires_at = tokens.issue(viewer)
    return SignedIn(viewer, access_token, f"{session_id.hex}.{secret}", expires_at)


def _split(refresh_token: str) -> tuple[UUID, str]:
    session, _, secret = refresh_token.partition(".")
    try:
        return UUID(session), secret
    except ValueError:
        raise Refused(Refusal.SESSION_ENDED, ["refresh_token"]) from None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

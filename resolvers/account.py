"""Who is signed in, and how one signs in and out."""

from typing import Any

from strawberry import Parent

from auth import access
from auth.viewer import Level
from kit.errors import Refused
from kit.ids import global_id
from models.refusals import Refusal
from resolvers.context import Info, write
from services import account as accounts


async def viewer(info: Info) -> Any:
    """The account that asks (当前用户); for visitors one without id and name, of level L0."""
    return info.context.viewer


def viewer_id(row: Parent[Any]) -> str | None:
    """The account's global id; null for visitors (全局标识)."""
    return global_id("account", row.id) if row.signed_in else None


async def viewer_account(row: Parent[Any], info: Info) -> Any:
    """The viewer's account; null for visitors (账号)."""
    return await info.context.load.account.load(row.id) if row.signed_in else None


def permissions(row: Parent[Any]) -> list[str]:
    """Rules that the viewer passes: what a client shows and hides by (权限)."""
    return access.permissions(row)


def account_level(row: Parent[Any]) -> Level:
    """Level L0 to L6 (用户分级)."""
    return Level(row["level"])


async def sign_in(info: Info, username: str, password: str) -> Any:
    """Signs in with username and password (登录)."""
    account = await accounts.check_password(username.strip(), password, info.context.request.client or "")
    async with write(info) as uow:
        return await accounts.open_session(uow, account)


async def session_refresh(info: Info, refresh_token: str) -> Any:
    """Replaces a refresh token by a new one, with a new access token (续期)."""
    async with write(info) as uow:
        signed_in = await accounts.refresh_session(uow, refresh_token)
    if signed_in is None:
        raise Refused(Refusal.SESSION_ENDED, ["refresh_token"])
    return signed_in


async def sign_out(info: Info) -> bool:
    """Ends the viewer's session (退出)."""
    session_id = info.context.viewer.session_id
    if session_id is None:
        raise Refused(Refusal.SESSION_ENDED)
    async with write(info) as uow:
        await accounts.end_session(uow, session_id)
    return True

"""Accounts: who asks, and signing in and out (R-ACC-07, R-BASE-26)."""

from datetime import datetime

import strawberry

import models
from auth.report import LEVELS, ROLES
from auth.viewer import Level, Role
from resolvers import account as resolvers
from resolvers.loaders import Loaders
from schema.acts import mutation
from schema.area import Department, District
from schema.base import ID, Node, entity, field, related
from schema.enums import describe_enum

describe_enum(Level, **{level.name: text for level, text in LEVELS.items()})
describe_enum(Role, **{role.name: text for role, text in ROLES.items()})


@entity(models.Account, Loaders.account)
class Account(Node):
    """One person's or body's identity over all clients (账号)."""

    username: str
    display_name: str
    level: Level = field(resolvers.account_level, needs=("level",))
    roles: list[Role]
    district: District | None = related(Loaders.district, by="district_code", about="District of work (所属区)")
    department: Department | None = related(
        Loaders.department, by="department_code", about="Department of work (所属部门)"
    )
    enabled: bool
    created_at: datetime


@strawberry.type
class Viewer:
    """The account that asks, or a visitor (当前用户)."""

    id: ID | None = field(resolvers.viewer_id)
    username: str | None = strawberry.field(description="Name to sign in with (用户名)")
    level: Level = strawberry.field(description="Level L0 to L6 (用户分级)")
    roles: list[Role] = strawberry.field(description="Posts held (岗位)")
    permissions: list[str] = field(resolvers.permissions)
    account: Account | None = field(resolvers.viewer_account, cost=1)


@strawberry.type
class Session:
    """What a signed-in client keeps (登录会话)."""

    access_token: str = strawberry.field(description="Bearer token of 15 minutes (访问令牌)")
    refresh_token: str = strawberry.field(description="Replaces the access token, usable once (刷新令牌)")
    expires_at: datetime = strawberry.field(description="When the access token ends (到期时间)")
    viewer: Viewer = strawberry.field(description="Who has signed in (用户)")


@strawberry.input
class SignInInput:
    """A username and its password (登录信息)."""

    username: str = strawberry.field(description="Username (用户名)")
    password: str = strawberry.field(description="Password (密码)")


@strawberry.input
class SessionRefreshInput:
    """The refresh token to replace (续期信息)."""

    refresh_token: str = strawberry.field(description="Refresh token (刷新令牌)")


@strawberry.type
class Query:
    viewer: Viewer = field(resolvers.viewer, access="public")


@strawberry.type
class Mutation:
    sign_in = mutation(resolvers.sign_in, SignInInput, access="public", session=Session)
    session_refresh = mutation(resolvers.session_refresh, SessionRefreshInput, access="public", session=Session)
    sign_out = mutation(resolvers.sign_out, access="signed_in", done=bool)

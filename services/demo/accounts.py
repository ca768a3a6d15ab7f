"""Accounts to sign in with: one of each kind, and as many plain ones as a load test wants."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from auth import tokens
from auth.passwords import hash_password
from auth.viewer import (
    ADMINISTRATOR,
    PROFESSIONAL,
    REGISTERED,
    STAFF,
    VERIFIED_ENTERPRISE,
    VERIFIED_PERSON,
    Level,
    Role,
)
from kit import clock
from kit.db import fetch
from kit.writes import Transaction
from models.account import Account, StoreMember
from models.base import table_of
from services.account import viewer_of
from services.demo.rows import add_rows
from services.demo.texts import key

PASSWORD = "esc-demo-1"  # noqa: S105 - known to everybody; production refuses demo accounts
ACCOUNT = table_of(Account)
STORE_MEMBER = table_of(StoreMember)


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of `contract.md`; `store` is the name of the store that it manages."""

    username: str
    display_name: str
    level: Level
    roles: tuple[Role, ...] = ()
    district: str | None = None
    department: str | None = None
    store: str | None = None


DEMO_ACCOUNTS = (
    DemoAccount("admin", "平台管理员", ADMINISTRATOR, (Role.PLATFORM_ADMIN,)),
    DemoAccount("department", "市经济信息化委店铺管理员", STAFF, (Role.DEPARTMENT_MANAGER,), department="SHEITC"),
    DemoAccount("district", "浦东新区店铺管理员", STAFF, (Role.DISTRICT_MANAGER,), district="310115"),
    DemoAccount("reviewer", "内容审核员", STAFF, (Role.REVIEWER,)),
    DemoAccount("staff", "中心员工", STAFF, (Role.CENTRE_STAFF,)),
    DemoAccount("seller", "数织工业软件店长", PROFESSIONAL, (Role.STORE_MANAGER,), store="数织工业软件"),
    DemoAccount("buyer", "陈晓帆", VERIFIED_PERSON),
    DemoAccount("enterprise", "云启精密弹簧（示例企业）", VERIFIED_ENTERPRISE, district="310114"),
    DemoAccount("judge", "大赛评委", PROFESSIONAL, (Role.JUDGE,)),
    DemoAccount("zone", "杨浦赛区管理员", PROFESSIONAL, (Role.ZONE_MANAGER,), district="310110"),
    DemoAccount("partner", "大赛合作伙伴", PROFESSIONAL, (Role.CONTEST_PARTNER,)),
    DemoAccount("reporter", "监测数据代报员", VERIFIED_ENTERPRISE, (Role.MONITORING_REPORTER,), district="310112"),
    DemoAccount("expert", "数字化转型专家", PROFESSIONAL, (Role.EXPERT,)),
    DemoAccount("volunteer", "企业服务志愿者", PROFESSIONAL, (Role.VOLUNTEER,)),
    DemoAccount("ipo1", "拟上市库一类用户", PROFESSIONAL, (Role.IPO_CLASS_1,)),
    DemoAccount("ipo2", "拟上市库二类用户", PROFESSIONAL, (Role.IPO_CLASS_2,)),
    DemoAccount("ipo3", "拟上市库三类用户", PROFESSIONAL, (Role.IPO_CLASS_3,)),
)


async def load_demo_accounts(writing: Transaction, password_hash: str) -> None:
    """Adds those of `DEMO_ACCOUNTS` that are missing. Reference data must be loaded; the seller's store may follow."""
    await add_rows(writing, ACCOUNT, [_row(account, password_hash) for account in DEMO_ACCOUNTS])
    members = [
        {"account_id": key("account", account.username), "store_id": key("store", account.store)}
        for account in DEMO_ACCOUNTS
        if account.store
    ]
    await add_rows(writing, STORE_MEMBER, members)


async def load_accounts(writing: Transaction, count: int) -> None:
    """Adds `user000001` to that of the count. All share one hash: argon2 takes tens of milliseconds apiece."""
    password_hash = hash_password(PASSWORD)
    accounts = (DemoAccount(f"user{number:06d}", f"用户{number:06d}", REGISTERED) for number in range(1, count + 1))
    await add_rows(writing, ACCOUNT, [_row(account, password_hash) for account in accounts])


def _row(account: DemoAccount, password_hash: str) -> dict[str, Any]:
    now = clock.real()
    return {
        "id": key("account", account.username),
        "created_at": now,
        "updated_at": now,
        "username": account.username,
        "display_name": account.display_name,
        "password_hash": password_hash,
        "level": int(account.level),
        "roles": list(account.roles),
        "district_code": account.district,
        "department_code": account.department,
        "enabled": True,
    }


async def access_tokens(count: int) -> str:
    """A day's access token for each of the first `count` numbered accounts, one a line, for load tests."""
    numbered = select(ACCOUNT).where(ACCOUNT.c.username.like("user______")).order_by(ACCOUNT.c.username).limit(count)
    viewers = [await viewer_of(row) for row in await fetch(numbered)]
    return "".join(f"{tokens.issue(viewer, timedelta(days=1))[0]}\n" for viewer in viewers)

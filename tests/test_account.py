"""Signing in and out, tokens and who may sign in at all (R-BASE-26, R-ACC-07, R-SEC-02)."""

import asyncio
import base64
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from jose import jwt
from pydantic import SecretStr, ValidationError
from sqlalchemy import select, update

from auth import tokens
from auth.viewer import ANONYMOUS, Level, Role
from kit import clock, throttle
from kit.bus import bus
from kit.db import database, fetch
from kit.errors import Unauthenticated
from kit.settings import DEVELOPMENT_SECRET, MINIMUM_SECRET_LENGTH, Settings, settings
from services.account import ACCOUNT, SESSION
from tests.conftest import Answer, Api, account, token

SIGN_IN = """mutation SignIn($u: String!, $p: String!) { signIn(input: {username: $u, password: $p}) {
  session { accessToken refreshToken expiresAt viewer { username } } userErrors { code message field } } }"""
REFRESH = """mutation Refresh($input: SessionRefreshInput!) { sessionRefresh(input: $input) {
  session { accessToken refreshToken } userErrors { code field } } }"""
SIGN_OUT = "mutation { signOut { done userErrors { code field } } }"
ME = "{ viewer { id username level roles permissions account { displayName } } }"
PASSWORD = "esc-demo-1"
WRONG = "wrong"


async def sign_in(api: Api, username: str = "buyer", password: str = PASSWORD) -> Answer:
    payload: Answer = (await api(SIGN_IN, u=username, p=password))["signIn"]
    return payload


async def refusal(api: Api, username: str = "buyer", password: str = WRONG) -> str:
    (error,) = (await sign_in(api, username, password))["userErrors"]
    return str(error["code"])


async def session(api: Api, username: str = "buyer") -> Answer:
    payload = await sign_in(api, username)
    assert payload["userErrors"] == []
    found: Answer = payload["session"]
    return found


async def refresh(api: Api, refresh_token: str) -> tuple[Answer | None, list[str]]:
    payload = (await api(REFRESH, input={"refreshToken": refresh_token}))["sessionRefresh"]
    return payload["session"], [error["code"] for error in payload["userErrors"]]


async def as_bearer(api: Api, access_token: str, query: str = ME) -> tuple[int, Answer]:
    headers = {"authorization": f"Bearer {access_token}"}
    response = await api.client.post("/graphql", json={"query": query}, headers=headers)
    return response.status_code, response.json()


async def test_a_right_password_opens_a_session_of_fifteen_minutes(api: Api) -> None:
    signed_in = await session(api)
    assert signed_in["viewer"] == {"username": "buyer"}
    viewer = tokens.read(signed_in["accessToken"])
    assert viewer.expires_at is not None
    assert signed_in["expiresAt"] == viewer.expires_at.isoformat()
    assert timedelta(minutes=14) < viewer.expires_at - clock.real() <= timedelta(minutes=15)
    status, answer = await as_bearer(api, signed_in["accessToken"])
    me = answer["data"]["viewer"]
    assert (status, me["username"], me["level"], me["roles"]) == (200, "buyer", "L2", [])
    assert me["account"] == {"displayName": "陈晓帆"}
    assert me["permissions"] == ["public", "signed_in", "file.upload", "clock.set"]


async def test_a_visitor_is_a_viewer_without_a_name(api: Api) -> None:
    assert await api(ME) == {
        "viewer": {
            "id": None,
            "username": None,
            "level": "L0",
            "roles": [],
            "permissions": ["public", "clock.set"],
            "account": None,
        }
    }


async def test_permissions_are_the_rules_that_the_viewer_passes(api: Api) -> None:
    reviewer = (await api(ME, viewer="reviewer"))["viewer"]
    assert (reviewer["level"], reviewer["roles"]) == ("L5", ["REVIEWER"])
    assert reviewer["permissions"] == [
        *("public", "signed_in", "file.upload", "clock.set", "content.manage", "content.review", "words.read"),
    ]


async def test_a_wrong_password_and_a_wrong_name_are_told_the_same(api: Api) -> None:
    wrong = await sign_in(api, "buyer", "esc-demo-2")
    nobody = await sign_in(api, "nobody", "esc-demo-2")
    assert wrong == nobody
    assert wrong["session"] is None
    assert wrong["userErrors"] == [
        {"code": "WRONG_CREDENTIALS", "message": "用户名或密码错误", "field": ["password"]},
    ]
    english = await api.raw(SIGN_IN, headers={"accept-language": "en-GB,en;q=0.9,zh;q=0.5"}, u="buyer", p="x")
    assert english["data"]["signIn"]["userErrors"][0]["message"] == "Wrong username or password"


async def test_a_disabled_account_does_not_sign_in_and_does_not_go_on(api: Api) -> None:
    signed_in = await session(api)
    async with database.write() as writing:
        await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == "buyer").values(enabled=False))
    assert await refusal(api, password=PASSWORD) == "ACCOUNT_DISABLED"
    assert await refusal(api, password="wrong") == "WRONG_CREDENTIALS"
    assert await refresh(api, signed_in["refreshToken"]) == (None, ["ACCOUNT_DISABLED"])


async def test_the_sixth_attempt_after_five_failures_waits_even_with_the_right_password(api: Api) -> None:
    """Failures are counted, not successes; another account of the same address is not held up (R-SEC-02)."""
    assert [await refusal(api) for _ in range(5)] == ["WRONG_CREDENTIALS"] * 5
    assert await refusal(api, password=PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert await refusal(api, "BUYER", PASSWORD) == "TOO_MANY_ATTEMPTS"
    (error,) = (await sign_in(api))["userErrors"]
    assert error["message"] == "失败次数过多，请在 10 分钟后重试"
    assert (await sign_in(api, "seller"))["userErrors"] == []
    await bus.redis.delete("esc:failures:account:buyer")
    assert (await sign_in(api))["userErrors"] == []


async def test_guesses_at_once_are_held_up_as_those_one_after_another_are(api: Api) -> None:
    """Two passwords are checked at a time, so the sixth may begin before the fifth has failed, and no more."""
    told = Counter(await asyncio.gather(*(refusal(api) for _ in range(40))))
    assert told.keys() == {"WRONG_CREDENTIALS", "TOO_MANY_ATTEMPTS"}
    assert told["WRONG_CREDENTIALS"] in {5, 6}


async def test_a_success_forgets_the_failures_before_it(api: Api) -> None:
    assert [await refusal(api) for _ in range(4)] == ["WRONG_CREDENTIALS"] * 4
    assert (await sign_in(api))["userErrors"] == []
    assert [await refusal(api) for _ in range(4)] == ["WRONG_CREDENTIALS"] * 4
    assert (await sign_in(api))["userErrors"] == []


async def test_many_successes_are_never_held_up(api: Api) -> None:
    assert [(await sign_in(api))["userErrors"] for _ in range(8)] == [[]] * 8


async def test_an_address_that_guesses_names_is_held_up_for_all_of_them(api: Api) -> None:
    for _ in range(50):
        await throttle.count_failure("address:127.0.0.1")
    assert await refusal(api, "seller", PASSWORD) == "TOO_MANY_ATTEMPTS"


async def test_without_redis_each_process_counts_for_itself(api: Api) -> None:
    await bus.close()
    await bus.open("redis://127.0.0.1:1/0")
    throttle._local.clear()
    assert [await refusal(api) for _ in range(5)] == ["WRONG_CREDENTIALS"] * 5
    assert await refusal(api, password=PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert (await sign_in(api, "seller"))["userErrors"] == []
    throttle._local.clear()


async def test_a_refresh_token_is_replaced_at_each_use(api: Api) -> None:
    first = await session(api)
    second, errors = await refresh(api, first["refreshToken"])
    assert (errors, second is not None) == ([], True)
    assert second is not None
    assert second["refreshToken"] != first["refreshToken"]
    assert (await as_bearer(api, second["accessToken"]))[1]["data"]["viewer"]["username"] == "buyer"
    third, errors = await refresh(api, second["refreshToken"])
    assert (errors, third is not None) == ([], True)


async def test_a_refresh_token_used_twice_ends_the_whole_session(api: Api) -> None:
    """A replaced one that comes again means theft, or a lost answer: neither holder goes on."""
    first = await session(api)
    other_device = await session(api)
    second, _ = await refresh(api, first["refreshToken"])
    assert second is not None
    assert await refresh(api, first["refreshToken"]) == (None, ["SESSION_ENDED"])
    assert await refresh(api, second["refreshToken"]) == (None, ["SESSION_ENDED"])
    assert (await refresh(api, other_device["refreshToken"]))[1] == []


async def test_junk_is_no_refresh_token(api: Api) -> None:
    real = (await session(api))["refreshToken"]
    unknown = f"{'0' * 32}.{real.partition('.')[2]}"
    for junk in ("", ".", "x.y", unknown, real.partition(".")[2], "🙂.🙂"):
        assert await refresh(api, junk) == (None, ["SESSION_ENDED"]), junk


async def test_a_session_that_has_expired_is_not_refreshed(api: Api) -> None:
    signed_in = await session(api)
    async with database.write() as writing:
        await writing.execute(update(SESSION).values(expires_at=clock.real() - timedelta(seconds=1)))
    assert await refresh(api, signed_in["refreshToken"]) == (None, ["SESSION_ENDED"])


async def test_signing_out_ends_the_session(api: Api) -> None:
    signed_in = await session(api)
    _, answer = await as_bearer(api, signed_in["accessToken"], SIGN_OUT)
    assert answer["data"]["signOut"] == {"done": True, "userErrors": []}
    assert await refresh(api, signed_in["refreshToken"]) == (None, ["SESSION_ENDED"])
    assert [row["ended_at"] is not None for row in await fetch(select(SESSION))] == [True]
    without_session = await api(SIGN_OUT, viewer="buyer")
    assert [error["code"] for error in without_session["signOut"]["userErrors"]] == ["SESSION_ENDED"]


async def test_refresh_tokens_and_passwords_are_not_kept_as_they_are(api: Api) -> None:
    secret = (await session(api))["refreshToken"].partition(".")[2]
    (row,) = await fetch(select(SESSION))
    assert len(row["refresh_digest"]) == 32
    assert secret.encode() not in row["refresh_digest"]
    hashes = {row["password_hash"][:10] for row in await fetch(select(ACCOUNT))}
    assert hashes == {"$argon2id$"}


def unsigned(claims: dict[str, Any]) -> str:
    """A token that says it needs no signature."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


async def forgeries() -> dict[str, str]:
    """Tokens that are almost ours."""
    good = await token("buyer")
    claims = jwt.get_unverified_claims(good)
    secret = settings.secret_key.get_secret_value()
    head, _, signature = good.split(".")
    raised = base64.urlsafe_b64encode(json.dumps({**claims, "level": 6}).encode()).decode().rstrip("=")
    return {
        "expired": tokens.issue(await account("buyer"), timedelta(seconds=-1))[0],
        "another secret": jwt.encode(claims, "another-secret-another-secret-another", algorithm="HS256"),
        "an empty secret": jwt.encode(claims, "", algorithm="HS256"),
        "another algorithm": jwt.encode(claims, secret, algorithm="HS512"),
        "no algorithm": unsigned(claims),
        "another issuer": jwt.encode({**claims, "iss": "elsewhere"}, secret, algorithm="HS256"),
        "no account": jwt.encode({**claims, "sub": ""}, secret, algorithm="HS256"),
        "an unknown role": jwt.encode({**claims, "roles": ["ROOT"]}, secret, algorithm="HS256"),
        "an unknown level": jwt.encode({**claims, "level": 7}, secret, algorithm="HS256"),
        "a raised level": f"{head}.{raised}.{signature}",
        "a cut signature": good[:-2],
        "no claims": jwt.encode({"iss": "esc"}, secret, algorithm="HS256"),
        "junk": "junk",
        "a refresh token": "0" * 32 + ".secret",
    }


async def test_a_token_that_is_not_wholly_ours_is_no_token(api: Api) -> None:
    for name, forged in (await forgeries()).items():
        status, answer = await as_bearer(api, forged)
        assert (status, answer.get("data")) == (401, None), name
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"], name
        with pytest.raises(Unauthenticated):
            tokens.read(forged)


async def test_a_token_carries_the_viewer_without_a_round_trip(api: Api) -> None:
    issued, _ = tokens.issue(await account("department"))
    viewer = tokens.read(issued)
    assert (viewer.username, viewer.level, set(viewer.roles)) == ("department", Level.L5, {Role.DEPARTMENT_MANAGER})
    assert (viewer.department, viewer.district, viewer.signed_in, viewer.is_admin) == ("SHEITC", None, True, False)
    seller = tokens.read(await token("seller"))
    assert len(seller.store_ids) == 1
    assert await tokens.authenticate(None) == ANONYMOUS


async def test_a_token_seen_before_ends_with_its_time_and_with_the_secret(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, expires_at = tokens.issue(await account("buyer"), timedelta(seconds=2))
    assert (await as_bearer(api, issued))[0] == 200
    assert tokens.read(issued).expires_at == expires_at
    with monkeypatch.context() as other:
        other.setattr(settings, "secret_key", SecretStr("another-secret-another-secret-another"))
        with pytest.raises(Unauthenticated):
            tokens.read(issued)
    await asyncio.sleep((expires_at - clock.real()).total_seconds())
    assert (await as_bearer(api, issued))[0] == 401
    with pytest.raises(Unauthenticated):
        tokens.read(issued)


async def test_a_session_that_ended_uploads_nothing(api: Api) -> None:
    access_token = (await session(api))["accessToken"]
    headers = {"authorization": f"Bearer {access_token}"}
    statuses = [(await api.client.post("/files?name=a.txt", content=b"text", headers=headers)).status_code]
    assert (await as_bearer(api, access_token, SIGN_OUT))[1]["data"]["signOut"]["done"]
    statuses.append((await api.client.post("/files?name=a.txt", content=b"text", headers=headers)).status_code)
    assert statuses == [201, 401]


PRODUCTION = {
    "ESC_ENV": "production",
    "ESC_SECRET_KEY": "s" * MINIMUM_SECRET_LENGTH,
    "DATABASE_URL": "postgresql://esc@db/esc",
    "REDIS_URL": "redis://redis/0",
}


def made(**given: Any) -> Settings:
    """Settings of nothing but these: neither the environment nor a file is asked."""
    return Settings.model_validate(given)


def production(**changes: Any) -> Settings:
    return made(**{**PRODUCTION, **changes})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"ESC_SECRET_KEY": "s" * 31}, "at least 32 characters"),
        ({"ESC_SECRET_KEY": DEVELOPMENT_SECRET}, "must be set in production"),
        ({"ESC_ARGON2_MEMORY_KIB": 19455}, "below 19456 KiB and 2 passes"),
        ({"ESC_ARGON2_TIME_COST": 1}, "below 19456 KiB and 2 passes"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
    ],
)
def test_production_refuses_what_is_unsafe(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        production(**changes)


def test_production_starts_on_safe_settings_and_shows_no_more_than_it_must() -> None:
    safe = production()
    assert (safe.development, safe.hardened) == (False, True)
    assert (made().hardened, made(ESC_STRICT=True).hardened) == (False, True)


def test_a_short_secret_is_refused_in_development_too() -> None:
    with pytest.raises(ValidationError, match="at least 32 characters"):
        made(ESC_SECRET_KEY="short")


def test_no_token_is_issued_under_a_secret_that_became_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """python-jose would sign with an empty one."""
    monkeypatch.setattr(settings, "secret_key", SecretStr(""))
    with pytest.raises(ValueError, match="too short"):
        tokens.issue(ANONYMOUS)

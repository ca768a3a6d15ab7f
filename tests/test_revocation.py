"""A session that ends takes its access tokens, streams and sockets with it, in every process (R-BASE-26)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from auth import tokens
from auth.revocations import KEPT, REASON, Revocations, revocations
from auth.viewer import Level, Viewer
from kit import clock
from kit.db import database as pools
from kit.errors import Unauthenticated
from kit.feed import Feed, feed
from kit.ids import uuid7
from kit.settings import settings
from services.account import ACCOUNT, SESSION
from tests.conftest import Api
from tests.live import RAW, client, served
from tests.processes import until
from tests.storefront import statements

SIGN_IN = """mutation ($name: String!) { signIn(input: {username: $name, password: "esc-demo-1"}) {
  session { accessToken refreshToken } userErrors { code } } }"""
SIGN_OUT = "mutation { signOut { userErrors { code } } }"
REFRESH = "mutation ($token: String!) { sessionRefresh(input: {refreshToken: $token}) { userErrors { code } } }"
ME = "{ viewer { username } }"
CLOCK = "subscription { serverTime }"


@dataclass(frozen=True)
class SignedIn:
    access: str
    refresh: str


@pytest.fixture
async def where(api: Api) -> AsyncIterator[str]:
    async with served(api.client._transport.app, RAW) as address:  # type: ignore[attr-defined]
        yield address


async def sign_in(api: Api, name: str = "buyer") -> SignedIn:
    session = (await api(SIGN_IN, name=name))["signIn"]["session"]
    return SignedIn(session["accessToken"], session["refreshToken"])


async def ask(api: Api, token: str, query: str = ME) -> Any:
    return await api.raw(query, headers={"authorization": f"Bearer {token}"})


async def may_ask(api: Api, token: str) -> bool:
    answer = await ask(api, token)
    if "errors" in answer:
        assert [(each["extensions"]["code"], each["message"]) for each in answer["errors"]] == [
            ("UNAUTHENTICATED", REASON)
        ]
    return "errors" not in answer


async def enable(*, enabled: bool) -> None:
    async with pools.write() as writing:
        await writing.execute(update(ACCOUNT).where(ACCOUNT.c.username == "buyer").values(enabled=enabled))


async def end_elsewhere(session: SignedIn) -> None:
    """As another process does it: this one hears of it by the line alone."""
    own = SESSION.c.id == tokens.read(session.access).session_id
    async with pools.write() as writing:
        await writing.execute(update(SESSION).where(own).values(ended_at=clock.real()))


async def test_who_signs_out_is_out(api: Api) -> None:
    here, there = await sign_in(api), await sign_in(api)
    assert "errors" not in await ask(api, here.access, SIGN_OUT)
    await until_out(api, here)
    assert await may_ask(api, there.access)


async def until_out(api: Api, session: SignedIn, *, out: bool = True) -> None:
    async def is_so() -> bool:
        return await may_ask(api, session.access) is not out

    await until(is_so)


async def test_signing_out_closes_the_sessions_sockets_and_no_others(api: Api, where: str) -> None:
    here, there = await sign_in(api), await sign_in(api)
    async with client(where, here.access) as ends, client(where, there.access) as stays, client(where) as visits:
        for each in (ends, stays, visits):
            await each.subscribe(CLOCK)
            await each.next()
        await ask(api, here.access, SIGN_OUT)
        await asyncio.wait_for(ends.connection.wait_closed(), 5)
        assert (ends.connection.close_code, ends.connection.close_reason) == (4403, REASON)
        await stays.next()
        await visits.next()


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
async def test_signing_out_ends_the_sessions_streams_with_a_reason(api: Api, where: str, accept: str) -> None:
    session = await sign_in(api)
    headers = {"accept": accept, "authorization": f"Bearer {session.access}"}
    async with (
        httpx.AsyncClient(timeout=5) as http,
        http.stream("POST", f"http://{where}/graphql", json={"query": CLOCK}, headers=headers) as response,
    ):
        told = ""
        async for text in response.aiter_text():
            if not told:
                await ask(api, session.access, SIGN_OUT)
            told += text
    assert told.count(REASON) == told.count("UNAUTHENTICATED") == 1
    assert told.endswith(("event: complete\ndata:\n\n", "\r\n--graphql--\r\n"))


async def test_a_refresh_token_used_twice_closes_the_sessions_sockets(api: Api, where: str) -> None:
    session = await sign_in(api)
    async with client(where, session.access) as socket:
        await api(REFRESH, token=session.refresh)
        await api(REFRESH, token=session.refresh)
        await asyncio.wait_for(socket.connection.wait_closed(), 5)
        assert socket.connection.close_code == 4403


async def test_a_disabled_account_is_out_with_all_its_sessions_until_it_is_enabled_again(api: Api, where: str) -> None:
    sessions = [await sign_in(api) for _ in range(2)]
    async with client(where, sessions[0].access) as socket:
        await enable(enabled=False)
        await asyncio.wait_for(socket.connection.wait_closed(), 5)
    for each in sessions:
        await until_out(api, each)
    await enable(enabled=True)
    await until_out(api, sessions[0], out=False)


async def test_asking_costs_no_statement_while_the_line_is_up(api: Api) -> None:
    session = await sign_in(api)
    assert await may_ask(api, session.access)
    async with statements() as seen:
        assert await may_ask(api, session.access)
    assert [each for each in seen if "session" in each] == []


async def test_while_the_line_is_down_each_request_asks_the_database(api: Api) -> None:
    here, there = await sign_in(api), await sign_in(api)
    await feed.close()
    async with statements() as seen:
        assert await may_ask(api, here.access)
        assert await may_ask(api, here.access)
    assert len([each for each in seen if "session" in each]) == 2
    await end_elsewhere(here)
    assert not await may_ask(api, here.access)
    assert await may_ask(api, there.access)
    await enable(enabled=False)
    assert not await may_ask(api, there.access)


async def test_who_signs_out_here_is_out_here_even_while_the_line_is_down(api: Api, where: str) -> None:
    session = await sign_in(api)
    async with client(where, session.access) as socket:
        await feed.close()
        await ask(api, session.access, SIGN_OUT)
        await asyncio.wait_for(socket.connection.wait_closed(), 5)
        assert (socket.connection.close_code, socket.connection.close_reason) == (4403, REASON)


async def is_complete() -> bool:
    return revocations._complete


async def test_what_ended_while_the_line_was_down_is_closed_when_it_is_back(api: Api, where: str) -> None:
    session = await sign_in(api)
    await until(is_complete)
    async with client(where, session.access) as socket:
        await feed.close()
        await end_elsewhere(session)
        await socket.subscribe(CLOCK)
        message = await socket.message()
        assert (message["type"], message["payload"][0]["message"]) == ("error", REASON)
        await feed.open(settings.database_url)
        with pytest.raises(Unauthenticated):  # though nothing has been read yet
            await revocations.check(tokens.read(session.access))
        await asyncio.wait_for(socket.connection.wait_closed(), 5)
        assert (socket.connection.close_code, socket.connection.close_reason) == (4403, REASON)


async def test_what_was_restored_while_the_line_was_down_is_not_held_against_it(api: Api) -> None:
    session = await sign_in(api)
    await enable(enabled=False)
    await until_out(api, session)
    await feed.close()
    await enable(enabled=True)
    assert await may_ask(api, session.access)
    await feed.open(settings.database_url)
    await until(is_complete)
    assert await may_ask(api, session.access)


async def test_a_process_that_starts_learns_who_is_out(api: Api) -> None:
    session = await sign_in(api)
    await ask(api, session.access, SIGN_OUT)
    viewer, own = tokens.read(session.access), Feed()
    fresh = Revocations(own)

    async def is_known() -> bool:
        return viewer.session_id in fresh._ended

    await own.open(settings.database_url)
    try:
        with pytest.raises(Unauthenticated):
            await fresh.check(viewer)
        await until(is_known)
    finally:
        await own.close()


async def test_a_session_that_never_was_is_refused_while_the_line_is_down(database: str) -> None:
    viewer = Viewer(uuid7(), level=Level.L1, session_id=uuid7())
    with pytest.raises(Unauthenticated):
        await Revocations(Feed()).check(viewer)
    await Revocations(Feed()).check(Viewer(uuid7(), level=Level.L1))


async def test_who_watches_a_session_that_has_ended_hears_of_it_soon_and_no_more_after_he_stopped() -> None:
    fresh, heard = Revocations(Feed()), list[str]()
    viewer = Viewer(UUID(int=1), session_id=UUID(int=2))
    stop = fresh.watch(viewer, heard.append)
    fresh.end(UUID(int=2))
    assert heard == [REASON]
    stop()
    fresh.end(UUID(int=2))
    fresh.watch(viewer, heard.append)()
    assert (heard, fresh._watchers) == ([REASON], {})
    fresh.watch(viewer, heard.append)
    await asyncio.sleep(0)
    assert heard == [REASON, REASON]


def test_what_ended_is_remembered_for_longer_than_a_token_lives_and_then_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert KEPT > tokens.LIFETIME
    fresh, now = Revocations(Feed()), clock.real()
    for passed in (timedelta(), KEPT, KEPT + timedelta(seconds=1)):
        monkeypatch.setattr(clock, "real", lambda passed=passed: now + passed)
        fresh.end(uuid7())
    assert len(fresh._ended) == 2

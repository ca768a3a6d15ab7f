"""Requests whose clients leave, or never say all: queries end with them, mutations finish, bodies are waited for."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import ClassVar

import httpx
import pytest
import strawberry

from engine import Limits
from tests.engine_harness import Served, make_engine, resolver, serving, until

QUERY, MUTATION = "{ slow }", "mutation { write }"
HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Happened:
    """How far the slow resolvers of this process have come."""

    events: ClassVar[list[str]] = []


async def act(name: str, seconds: float) -> str:
    Happened.events.append(f"{name} began")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        Happened.events.append(f"{name} was cancelled")
        raise
    Happened.events.append(f"{name} ended")
    return "done"


@strawberry.type
class Query:
    @resolver(access="public")
    async def slow(self, seconds: float = 30) -> str:
        return await act("query", seconds)


@strawberry.type
class Mutation:
    @resolver(access="public")
    async def write(self) -> str | None:
        return await act("mutation", 0.4)


SCHEMA = strawberry.federation.Schema(query=Query, mutation=Mutation, federation_version="2.9")


@pytest.fixture
def served() -> Served:
    Happened.events.clear()
    return make_engine(schema=SCHEMA, limits=Limits(body_seconds=0.3))


@pytest.fixture
def address(served: Served) -> Iterator[str]:
    with serving(served.app) as address:
        yield address


def begin(address: str, query: str, accept: str = "application/json") -> socket.socket:
    """A connection on which an operation was sent and not answered yet."""
    host, port = address.split(":")
    body = json.dumps({"query": query}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
    raw = socket.create_connection((host, int(port)), timeout=10)
    raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return raw


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_query_ends_when_its_client_leaves_and_is_reported(address: str, served: Served, accept: str) -> None:
    with begin(address, QUERY, accept):
        await until(lambda: Happened.events == ["query began"])
    await until(lambda: Happened.events == ["query began", "query was cancelled"])
    await until(lambda: [each.codes for each in served.finished] == [("CANCELLED",)])


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_mutation_finishes_though_its_client_left(address: str, accept: str) -> None:
    with begin(address, MUTATION, accept):
        await until(lambda: Happened.events == ["mutation began"])
    await until(lambda: len(Happened.events) > 1)
    assert Happened.events == ["mutation began", "mutation ended"]


async def test_a_query_whose_client_waits_is_answered_however_long_it_takes(address: str) -> None:
    """On one connection, which serves the next request as well."""
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        for seconds in (0.3, 0, 0.15):
            answer = await client.post("/graphql", json={"query": f"{{ slow(seconds: {seconds}) }}"})
            assert answer.json() == {"data": {"slow": "done"}}
    assert "query was cancelled" not in Happened.events


async def test_fifty_clients_that_leave_stop_nobody_else(address: str) -> None:
    left = [begin(address, QUERY) for _ in range(50)]
    await until(lambda: Happened.events.count("query began") == 50)
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        waiting = asyncio.create_task(client.post("/graphql", json={"query": "{ slow(seconds: 0.5) }"}))
        await until(lambda: Happened.events.count("query began") == 51)
        for each in left:
            each.close()
        assert (await waiting).json() == {"data": {"slow": "done"}}
    await until(lambda: Happened.events.count("query was cancelled") == 50)


@pytest.mark.parametrize("sent", [b"", b'{"que'])
async def test_a_body_that_does_not_come_in_time_gets_408(address: str, sent: bytes) -> None:
    host, port = address.split(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
        )
        raw.sendall(sent)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert time.monotonic() - began >= 0.3


async def test_a_body_in_pieces_is_one_body(address: str) -> None:
    host, port = address.split(":")
    body = b'{"query": "{ slow(seconds: 0) }"}'
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        for piece in (body[:5], body[5:20], body[20:]):
            await asyncio.sleep(0.03)
            raw.sendall(piece)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.endswith(b'{"data":{"slow":"done"}}')

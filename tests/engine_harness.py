"""A tiny schema, and the ways to serve it, that the tests of the engine share."""

import itertools
import json
import socket
import threading
from asyncio import sleep
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar, cast
from uuid import UUID

import httpx
import strawberry
import uvicorn
from starlette.types import ASGIApp

from auth.viewer import ANONYMOUS, Level, Role, Viewer
from engine import Engine, Finished, RequestInfo
from kit import clock
from kit.errors import ApiError, ErrorCode, Unauthenticated

USER = Viewer(id=UUID(int=1), username="buyer", level=Level.L1)
ADMIN = Viewer(id=UUID(int=2), username="admin", level=Level.L6, roles=frozenset({Role.PLATFORM_ADMIN}))

SIGNED_IN = {"access": "signed_in"}

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
SIMPLE = {"query": '{ echo(text: "你好") }'}

Resolver = TypeVar("Resolver", bound=Callable[..., Any])


def resolver(**metadata: Any) -> Callable[[Resolver], Resolver]:
    """A field with a resolver. Strawberry's own decorator is untyped when it is given arguments."""
    return cast("Callable[[Resolver], Resolver]", strawberry.field(metadata=metadata))


def source(**metadata: Any) -> Callable[[Resolver], Resolver]:
    return cast("Callable[[Resolver], Resolver]", strawberry.subscription(metadata=metadata))


class Streams:
    """How many generators of `forever` are open at this moment."""

    open: ClassVar[int] = 0


@strawberry.interface
class Named:
    name: str = strawberry.field(metadata=SIGNED_IN)


@strawberry.federation.type(keys=["id", "code maker { id }"])
class Product:
    id: strawberry.ID
    name: str
    secret: str | None = strawberry.field(default="hidden", metadata=SIGNED_IN)
    stock: int = strawberry.field(default=7, metadata=SIGNED_IN)

    @resolver(cost=5)
    def related(self) -> list["Product"]:
        return [product("2")]

    @resolver()
    def parent(self) -> "Product | None":
        return product("9")

    @classmethod
    def resolve_reference(cls, id: strawberry.ID, **_: Any) -> "Product | None":  # noqa: A002
        return None if id == "none" else product(id)


def product(key: str) -> Product:
    return Product(id=strawberry.ID(key), name=f"Product {key}")


@strawberry.type
class Company(Named):
    name: str


@strawberry.type
class ProductConnection:
    nodes: list[Product]
    total_count: int


@strawberry.type
class Tick:
    number: int

    @resolver()
    def context(self, info: strawberry.Info) -> int:
        return int(info.context.number)


@strawberry.input
class Filter:
    text: str | None = None
    sizes: list[int] | None = None


@strawberry.type
class Query:
    @resolver(access="public")
    def product(self, id: strawberry.ID = strawberry.ID("1")) -> Product | None:  # noqa: A002, B008
        return product(id)

    @resolver(access="public")
    def products(self, first: int | None = 20, filter: Filter | None = None) -> ProductConnection:  # noqa: A002
        rows = [product(str(number)) for number in range(min(first or 1, 3))]
        return ProductConnection(nodes=rows, total_count=len(rows))

    @resolver(access="public", size=3)
    def best(self) -> list[Product]:
        return [product("1")]

    @resolver(access="public", size="ids")
    def by_ids(self, ids: list[strawberry.ID]) -> list[Product]:
        return [product(each) for each in ids]

    @resolver(access="public")
    def company(self) -> Company:
        return Company(name="Acme")

    @resolver(access="public")
    def named(self) -> Named:
        return Company(name="Acme")

    @resolver(access="public")
    def echo(self, text: str = "") -> str:
        return text

    @resolver(access="public")
    def number(self, value: int) -> int:
        return value

    @resolver(access="public")
    def context(self, info: strawberry.Info) -> int:
        return int(info.context.number)

    @resolver(access="public")
    def boom(self) -> str | None:
        raise RuntimeError("password of the database")

    @resolver(access="public")
    def nothing(self) -> str:
        return None  # type: ignore[return-value]

    @resolver(access="public")
    def busy(self) -> str | None:
        raise ApiError(ErrorCode.RATE_LIMITED, "Too busy (太忙)", after=3)

    @resolver(access="public")
    def surrogate(self) -> str:
        return "\ud800"

    @resolver(access="signed_in")
    def mine(self) -> str | None:
        return "yours"

    @resolver(access="signed_in")
    def mine_required(self) -> str:
        return "yours"


@strawberry.type
class Mutation:
    @resolver(access="signed_in")
    def rename(self, name: str) -> Product | None:
        return Product(id=strawberry.ID("1"), name=name)

    @resolver(access="public")
    def touch(self) -> Product:
        return product("1")


@strawberry.type
class Subscription:
    @source(access="public")
    async def count(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number

    @source(access="public")
    async def ticks(self) -> AsyncGenerator[Tick, None]:
        for number in (1, 2, 3):
            yield Tick(number=number)

    @source(access="public")
    async def forever(self) -> AsyncGenerator[int, None]:
        Streams.open += 1
        try:
            for number in itertools.count():
                yield number
                await sleep(0.02)
        finally:
            Streams.open -= 1

    @source(access="public")
    async def silent(self) -> AsyncGenerator[int, None]:
        Streams.open += 1
        try:
            await sleep(3600)
            yield 0
        finally:
            Streams.open -= 1

    @source(access="public")
    async def broken(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("password of the database")

    @source(access="signed_in")
    async def mine(self) -> AsyncGenerator[int, None]:
        yield 1


def make_schema() -> strawberry.federation.Schema:
    return strawberry.federation.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Product, Company],
        federation_version="2.9",
    )


SCHEMA = make_schema()


class MemoryStore:
    """A store of persisted documents in a dict."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self.texts.get(key)

    async def put(self, key: str, text: str) -> None:
        self.texts[key] = text


@dataclass
class Context:
    viewer: Viewer
    info: RequestInfo
    number: int


async def authenticate(token: str | None) -> Viewer:
    """Knows the tokens `user`, `admin`, and `brief`, which ends 0.4 seconds after it is seen."""
    brief = Viewer(id=UUID(int=3), level=Level.L1, expires_at=clock.real() + timedelta(seconds=0.4))
    viewer = {None: ANONYMOUS, "user": USER, "admin": ADMIN, "brief": brief}.get(token)
    if viewer is None:
        raise Unauthenticated("Unknown token (令牌无效)")
    return viewer


@dataclass
class Served:
    """An engine, and what it told its owner."""

    app: ASGIApp
    finished: list[Finished] = field(default_factory=list)
    infos: list[RequestInfo] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://esc.test", headers=headers)

    async def ask(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        async with self.client(**headers) as client:
            answer = await client.post("/graphql", json={"query": query, "variables": variables})
            body: dict[str, Any] = answer.json()
            return body


def make_engine(**options: Any) -> Served:
    """An engine on the tiny schema; options as `Engine` has them."""
    numbers = itertools.count(1)
    served = Served(app=None)  # type: ignore[arg-type]

    def context(viewer: Viewer, info: RequestInfo) -> Context:
        served.infos.append(info)
        return Context(viewer, info, next(numbers))

    served.app = Engine(
        options.pop("schema", SCHEMA),
        authenticate=options.pop("authenticate", authenticate),
        context=options.pop("context", context),
        persisted=options.pop("persisted", served.store),
        on_operation=served.finished.append,
        **options,
    )
    return served


async def post(body: Any, engine_options: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    """The answer of a new engine to a body: bytes, or what becomes JSON. Header names have underscores here."""
    async with make_engine(**(engine_options or {})).client() as client:
        sent = {"content-type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post("/graphql", content=content, headers=sent)


async def get(
    params: dict[str, str] | str = "", engine_options: dict[str, Any] | None = None, **headers: str
) -> httpx.Response:
    """The answer of a new engine to a GET with no headers but these. A query string is sent as it stands."""
    async with make_engine(**(engine_options or {})).client() as client:
        client.headers.clear()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = "/graphql" if isinstance(params, dict) else f"/graphql?{params}"
        named = params if isinstance(params, dict) else None
        return await client.get(url, params=named, headers={"host": "esc.test", **sent})


def code(response: httpx.Response) -> str:
    """The code of the one error."""
    (error,) = response.json()["errors"]
    return str(error["extensions"]["code"])


@contextmanager
def serving(app: ASGIApp, **options: Any) -> Iterator[str]:
    """A real uvicorn on a free port, in a thread of its own. Yields `127.0.0.1:port`."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def until(condition: Any, seconds: float = 5.0) -> None:
    """Returns once the condition holds; fails when it does not within the given time."""
    deadline = clock.real() + timedelta(seconds=seconds)
    while not condition():
        assert clock.real() < deadline, "the condition never held"
        await sleep(0.01)

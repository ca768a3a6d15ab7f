"""What Prometheus reads at `/metrics`.

Every process counts for itself: run one process per address that is scraped (containers do), since behind a port shared
by several workers a scrape meets any one of them.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

HTTP_REQUESTS = Counter("esc_http_requests", "HTTP requests by status", ["method", "status"], registry=REGISTRY)
ERRORS = Counter("esc_errors", "Top-level GraphQL errors by code", ["code"], registry=REGISTRY)
OPERATION_SECONDS = Histogram(
    "esc_operation_seconds",
    "Time of a GraphQL operation, from its document to its result",
    ["operation", "kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
_RUNS = Counter(
    "esc_operation_runs",
    "How operations were answered: by a plan, by the reference, or by the reference after a plan gave up",
    ["path"],
    registry=REGISTRY,
)
PLANS_COMPILED = Counter("esc_plans_compiled", "Operations compiled, once for each variant", registry=REGISTRY)
DOCUMENTS = Gauge("esc_documents", "GraphQL documents that are kept, with their plans", registry=REGISTRY)
RUNS_PLAN = _RUNS.labels("plan")
RUNS_REFERENCE = _RUNS.labels("reference")
RUNS_FALLBACK = _RUNS.labels("fallback")
SQL_STATEMENTS = Counter("esc_sql_statements", "SQL statements sent", registry=REGISTRY)
OPEN_SOCKETS = Gauge("esc_open_sockets", "Open WebSocket connections", registry=REGISTRY)
QUEUE_DEPTH = Gauge("esc_queue_depth", "Jobs by state; failed ones wait for a person", ["state"], registry=REGISTRY)
SEARCH_DEGRADED = Gauge("esc_search_degraded", "1 while reads fall back from the search server", registry=REGISTRY)
_CACHE_ANSWERS = Counter(
    "esc_cache_answers",
    "Queries answered: from the cache (hit), made and kept (miss), made for one viewer alone (private), "
    "made while nothing may be kept (bypass)",
    ["outcome"],
    registry=REGISTRY,
)
CACHE_HIT = _CACHE_ANSWERS.labels("hit")
CACHE_MISS = _CACHE_ANSWERS.labels("miss")
CACHE_PRIVATE = _CACHE_ANSWERS.labels("private")
CACHE_BYPASS = _CACHE_ANSWERS.labels("bypass")
CACHE_BYTES = Gauge("esc_cache_bytes", "Memory of the answers that are kept", registry=REGISTRY)
CACHE_TEXTS = Gauge("esc_cache_texts", "Different requests with answers that are kept", registry=REGISTRY)

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_NAMES_LIMIT = 200
_names: set[str] = set()

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def observe_operation(name: str | None, kind: str | None, seconds: float, codes: Iterable[str]) -> None:
    """One operation that is over. Clients choose the names, so only the first 200 that succeed have their own label."""
    codes = tuple(codes)
    count_errors(codes)
    if name and not codes and len(_names) < _NAMES_LIMIT:
        _names.add(name)
    label = name if name in _names else "(other)" if name else "(anonymous)"
    _seconds_of(label, kind or "(unread)").observe(seconds)


def count_errors(codes: Iterable[str]) -> None:
    for code in codes:
        ERRORS.labels(code).inc()


def count_answer(method: str, status: int) -> None:
    """One answer to an HTTP request."""
    _answers_of(method if method in _METHODS else "(other)", status).inc()


def counted(app: App) -> App:
    """The ASGI application, with its answers counted by status and its open sockets gauged."""

    async def count(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            with OPEN_SOCKETS.track_inprogress():
                await app(scope, receive, send)
        elif scope["type"] == "http":
            await app(scope, receive, _counting(send, scope["method"]))
        else:
            await app(scope, receive, send)

    return count


def render(accept: str) -> tuple[bytes, str]:
    """The metrics and their content type, in the format that the `Accept` header asks for."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type


def _counting(send: Send, method: str) -> Send:
    async def send_counted(message: Message) -> None:
        if message["type"] == "http.response.start":
            count_answer(method, message["status"])
        await send(message)

    return send_counted


@cache
def _seconds_of(operation: str, kind: str) -> Histogram:
    return OPERATION_SECONDS.labels(operation, kind)


@cache
def _answers_of(method: str, status: int) -> Counter:
    return HTTP_REQUESTS.labels(method, status)

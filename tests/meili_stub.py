"""A stand-in Meilisearch server on a real port, for the routes that `search/meili.py` uses.

It is strict where the real one is: every request must exist in Meilisearch's own OpenAPI file and fit its schema, and
what it answers is held against the same file. What does not fit is kept in `complaints` and answered with 400.
"""

import asyncio
import json
import operator
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

OPENAPI = Path(__file__).resolve().parents[2] / "shared" / "meilisearch-openapi.json"
WHEN = "2026-01-01T00:00:00.123456789Z"
MISSING = f"Meilisearch's OpenAPI file is not beside the repository ({OPENAPI.parent.name}/{OPENAPI.name})"

Json = dict[str, Any]


class Contract:
    """Meilisearch's OpenAPI file: which bodies a route takes and gives.

    The file describes patterns of attributes (`facets`) as an object, where the server takes the bare list, as the
    file's own GET form of the same route and all its clients do; that one schema is put right here.
    """

    def __init__(self, path: Path = OPENAPI) -> None:
        self._file = json.loads(path.read_text("utf-8"))
        self._schemas = self._file["components"]["schemas"]
        self._schemas["AttributePatterns"] = {"type": "array", "items": {"type": "string"}}

    def request_errors(self, method: str, route: str, body: Any) -> list[str]:
        """What is wrong with a request. A route without a body does not look at one (the client sends `null`)."""
        operation = self._file["paths"].get(route, {}).get(method.lower())
        if operation is None:
            return [f"no such route: {method} {route}"]
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return [] if body is None else [f"{method} {route} takes no body"]
        if body is None:
            return [f"{method} {route} needs a body"]
        return [*self._errors(schema, body), *self._unknown(schema, body)]

    def response_errors(self, method: str, route: str, status: int, body: Any) -> list[str]:
        reply = self._file["paths"][route][method.lower()]["responses"].get(str(status))
        if reply is None:
            return [] if status == 400 else [f"{method} {route} never answers {status}"]
        return self._errors(reply["content"]["application/json"]["schema"], body)

    def _errors(self, schema: Json, body: Any) -> list[str]:
        whole = {**schema, "components": {"schemas": self._schemas}}
        return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(body)]

    def _unknown(self, schema: Json, body: Any) -> list[str]:
        """The real server refuses unknown fields, though its schemas do not say so everywhere."""
        named = self._schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        known = named.get("properties")
        return (
            [f"Unknown field `{name}`" for name in body if name not in known]
            if known and isinstance(body, dict)
            else []
        )


class Refusal(Exception):
    def __init__(self, status: int, code: str, kind: str = "invalid_request") -> None:
        super().__init__(code)
        self.status, self.code, self.kind = status, code, kind


class Index:
    def __init__(self) -> None:
        self.settings: Json = {}
        self.documents: dict[str, Json] = {}


class MeiliStub:
    """State and behaviour. Tasks are done in the order of their arrival, each only when it has been asked for once."""

    def __init__(self, key: str = "") -> None:
        self.contract = Contract()
        self.key = key
        self.indexes: dict[str, Index] = {}
        self.tasks: list[Json] = []
        self.complaints: list[str] = []
        self.seen: list[tuple[str, str, Any]] = []
        self.fail_next: str | None = None
        self.before_swap: Callable[[], None] = lambda: None
        self.app = Starlette(
            routes=[
                self._route("GET", "/health", lambda _: (200, {"status": "available"})),
                self._route("GET", "/version", self._version),
                self._route("POST", "/indexes", self._create),
                self._route("DELETE", "/indexes/{index_uid}", self._delete),
                self._route("PATCH", "/indexes/{index_uid}/settings", self._settings),
                self._route("POST", "/indexes/{index_uid}/documents", self._add),
                self._route("POST", "/indexes/{index_uid}/documents/fetch", self._fetch),
                self._route("POST", "/indexes/{index_uid}/search", self._search),
                self._route("POST", "/swap-indexes", self._swap),
                self._route("GET", "/tasks/{task_id}", self._task),
            ]
        )

    def _route(self, method: str, path: str, work: Callable[[Json], tuple[int, Any]]) -> Route:
        async def answer(request: Request) -> Response:
            raw = await request.body()
            body = json.loads(raw) if raw else None
            self.seen.append((method, request.url.path, body))
            try:
                self._must_be_allowed(request, body)
                self._must_fit(self.contract.request_errors(method, path, body))
                status, reply = work({**request.path_params, "body": body})
                self._must_fit(self.contract.response_errors(method, path, status, reply))
            except Refusal as refusal:
                link = "https://docs.meilisearch.com/errors"
                error = {"message": refusal.code, "code": refusal.code, "type": refusal.kind, "link": link}
                return JSONResponse(error, refusal.status)
            return JSONResponse(reply, status)

        return Route(path, answer, methods=[method])

    def _must_be_allowed(self, request: Request, body: Any) -> None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(403, "invalid_api_key", "auth")
        if body is not None and request.headers.get("content-type") != "application/json":
            raise Refusal(415, "invalid_content_type")

    def _must_fit(self, errors: list[str]) -> None:
        if errors:
            self.complaints += errors
            raise Refusal(400, "bad_request")

    def _queue(self, kind: str, uid: str | None, work: Callable[[], None]) -> tuple[int, Json]:
        task = {"uid": len(self.tasks), "indexUid": uid, "status": "enqueued", "type": kind, "enqueuedAt": WHEN}
        self.tasks.append({**task, "work": work, "asked": 0})
        return 202, {"taskUid": task["uid"], "indexUid": uid, "status": "enqueued", "type": kind, "enqueuedAt": WHEN}

    def _task(self, asked: Json) -> tuple[int, Json]:
        wanted = self.tasks[int(asked["task_id"])]
        wanted["asked"] += 1
        if wanted["asked"] > 1:
            for task in self.tasks[: wanted["uid"] + 1]:
                self._do(task)
        return 200, {name: value for name, value in wanted.items() if name not in {"work", "asked"}}

    def _do(self, task: Json) -> None:
        if task["status"] != "enqueued":
            return
        try:
            self._fail_once()
            task["work"]()
            task["status"] = "succeeded"
        except Refusal as refusal:
            error = {"message": refusal.code, "code": refusal.code, "type": refusal.kind, "link": "https://docs"}
            task |= {"status": "failed", "error": error}
        task |= {"startedAt": WHEN, "finishedAt": WHEN, "duration": "PT0.01S"}

    def _fail_once(self) -> None:
        if self.fail_next:
            code, self.fail_next = self.fail_next, None
            raise Refusal(500, code, "internal")

    def _version(self, _: Json) -> tuple[int, Json]:
        return 200, {"commitSha": "0", "commitDate": WHEN, "pkgVersion": "1.53.0"}

    def _index(self, asked: Json) -> Index:
        if asked["index_uid"] not in self.indexes:
            raise Refusal(404, "index_not_found")
        return self.indexes[asked["index_uid"]]

    def _create(self, asked: Json) -> tuple[int, Json]:
        uid = asked["body"]["uid"]

        def work() -> None:
            if uid in self.indexes:
                raise Refusal(409, "index_already_exists")
            self.indexes[uid] = Index()

        return self._queue("indexCreation", uid, work)

    def _delete(self, asked: Json) -> tuple[int, Json]:
        uid = asked["index_uid"]

        def work() -> None:
            if uid not in self.indexes:
                raise Refusal(404, "index_not_found")
            del self.indexes[uid]

        return self._queue("indexDeletion", uid, work)

    def _settings(self, asked: Json) -> tuple[int, Json]:
        uid, body = asked["index_uid"], asked["body"]
        return self._queue("settingsUpdate", uid, lambda: self.indexes[uid].settings.update(body))

    def _add(self, asked: Json) -> tuple[int, Json]:
        uid, rows = asked["index_uid"], asked["body"]

        def work() -> None:
            for row in rows:
                if not re.fullmatch(r"[A-Za-z0-9_-]{1,511}", row["id"]):
                    raise Refusal(400, "invalid_document_id")
            self.indexes.setdefault(uid, Index()).documents.update({row["id"]: row for row in rows})

        return self._queue("documentAdditionOrUpdate", uid, work)

    def _swap(self, asked: Json) -> tuple[int, Json]:
        (one, other) = asked["body"][0]["indexes"]

        def work() -> None:
            self.before_swap()
            if not {one, other} <= self.indexes.keys():
                raise Refusal(404, "index_not_found")
            self.indexes[one], self.indexes[other] = self.indexes[other], self.indexes[one]

        return self._queue("indexSwap", None, work)

    def _fetch(self, asked: Json) -> tuple[int, Json]:
        index, body = self._index(asked), asked["body"]
        rows = [index.documents[key] for key in body.get("ids") or index.documents if key in index.documents]
        if "filter" in body:
            rows = [row for row in rows if self._fits(index, body["filter"], row, "invalid_document_filter")]
        offset, limit = body.get("offset", 0), body.get("limit", 20)
        fields = body.get("fields")
        page = [{k: v for k, v in row.items() if not fields or k in fields} for row in rows[offset : offset + limit]]
        return 200, {"results": page, "offset": offset, "limit": limit, "total": len(rows)}

    def _search(self, asked: Json) -> tuple[int, Json]:
        index, body = self._index(asked), asked["body"]
        words = [word for word in body["q"].split() if word]
        rows = [
            row for row in index.documents.values() if self._fits(index, body["filter"], row, "invalid_search_filter")
        ]
        rows = [row for row in rows if all(any(word in _folded(row.get(f)) for f in _TEXTS) for word in words)]
        rows.sort(key=lambda row: -sum(word in _folded(row.get("title")) for word in words))
        for rule in body.get("sort", []):
            name, order = rule.split(":")
            if name not in index.settings.get("sortableAttributes", []):
                raise Refusal(400, "invalid_search_sort")
            sign = -1 if order == "desc" else 1
            rows.sort(key=lambda row: (name not in row, sign * row.get(name, 0)))
        reply = {"query": body["q"], "processingTimeMs": 1, **self._page(body, rows, words)}
        if body.get("facets"):
            reply["facetDistribution"] = {
                name: dict(Counter(value for row in rows for value in _values(row, name))) for name in body["facets"]
            }
        return 200, reply

    def _page(self, body: Json, rows: list[Json], words: list[str]) -> Json:
        if "hitsPerPage" in body:
            size, page = body["hitsPerPage"], body["page"]
            start, pages = size * (page - 1), -(-len(rows) // size) if size else 0
            about = {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": len(rows)}
        else:
            size, start = body["limit"], body["offset"]
            about = {"limit": size, "offset": start, "estimatedTotalHits": len(rows)}
        return {"hits": [_hit(body, row, words) for row in rows[start : start + size]], **about}

    def _fits(self, index: Index, wanted: str | list[str], row: Json, code: str) -> bool:
        allowed = index.settings.get("filterableAttributes", [])
        for expression in [wanted] if isinstance(wanted, str) else wanted:
            name, test = parsed(expression, code)
            if name.split(".")[0] not in allowed:
                raise Refusal(400, code)
            if not any(test(value) for value in _values(row, name)):
                return False
        return True


_TEXTS = ("title", "keywords", "body")
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_.]+|-?\d+)|(>=|<=|=|\[|\]|,))')


def parsed(expression: str, code: str) -> tuple[str, Callable[[Any], bool]]:
    """`name IN ["a", "b"]` or `name >= 1`, with Meilisearch's escapes; anything else is refused."""
    tokens, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise Refusal(400, code)
        quoted, bare, sign = match.groups()
        tokens.append(("value", re.sub(r"\\(.)", r"\1", quoted)) if quoted is not None else ("word", bare or sign))
        at = match.end()
    match tokens:
        case [("word", name), ("word", "IN"), ("word", "["), *rest, ("word", "]")]:
            values = [value for kind, value in rest[::2] if kind == "value"]
            if rest[1::2] != [("word", ",")] * (len(rest) // 2) or len(values) != (len(rest) + 1) // 2:
                raise Refusal(400, code)
            return name, lambda value: value in values
        case [("word", name), ("word", ">=" | "<=" | "=" as sign), ("word", bound)] if re.fullmatch(r"-?\d+", bound):
            compare = {">=": operator.ge, "<=": operator.le, "=": operator.eq}[sign]
            return name, lambda value: compare(value, int(bound))
        case _:
            raise Refusal(400, code)


def _values(row: Json, name: str) -> list[Any]:
    found: Any = row
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return [] if found is None else found if isinstance(found, list) else [found]


def _folded(value: str | None) -> str:
    return (value or "").lower()


def _hit(body: Json, row: Json, words: list[str]) -> Json:
    formatted = {}
    for name in body.get("attributesToHighlight", []):
        value = row[name]
        for word in words:
            value = re.sub(
                f"(?i){re.escape(word)}", body["highlightPreTag"] + r"\g<0>" + body["highlightPostTag"], value
            )
        formatted[name] = value
    kept = {name: row[name] for name in body["attributesToRetrieve"]}
    return {**kept, "_formatted": formatted, "_rankingScore": 0.5}


class Served:
    """The stand-in on a port of this machine, in its own thread; may be stopped and started again on the same port."""

    def __init__(self, stub: MeiliStub) -> None:
        self.stub = stub
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = uvicorn.Server(uvicorn.Config(self.stub.app, port=self.port, log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()


def served(key: str = "") -> Iterator[Served]:
    """For a fixture: the stand-in while it is needed."""
    running = Served(MeiliStub(key))
    yield running
    running.stop()

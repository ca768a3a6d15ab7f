"""The search engine for more than one machine: a Meilisearch server.

Everything goes through the official client but the question itself: that client opens a connection for each request,
which costs a tenth of a search on one machine (0.16 of 1.7 ms, measured) and a round trip more between two, and leaves
a port waiting each time. So `search` posts the same body through a pool.

Writers of several processes must take turns: Meilisearch has no conditional write, so the version guard reads first.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import httpx
import meilisearch
import orjson
from anyio import CapacityLimiter, to_thread
from meilisearch.errors import MeilisearchError
from meilisearch.models.task import TaskInfo
from requests import RequestException

from search import text
from search.base import (
    MAX_FACET_VALUES,
    MAX_TEXT,
    NUMBER_FIELDS,
    Document,
    Health,
    Highlight,
    Hit,
    NeedsRebuild,
    Query,
    Results,
    SearchType,
    SearchUnavailable,
)
from search.commits import Change, Commits

ENGINE = "meilisearch"
LIVE, NEXT, FORM = "esc", "esc_next", "form"
THREADS = 4
SEARCH_SECONDS = 5
REQUEST_SECONDS = 30
TASK_MILLISECONDS = 300_000
POLL_MILLISECONDS = 20
BATCH = 200
PAGE = 1_000
TEXT_FIELDS = ("title", "keywords", "body")
OPEN, CLOSE = "\x01", "\x02"
CROP_WORDS = 60
_HIGHLIGHTS = {
    "attributesToHighlight": list(TEXT_FIELDS),
    "attributesToCrop": [f"body:{CROP_WORDS}"],
    "cropMarker": "",
    "highlightPreTag": OPEN,
    "highlightPostTag": CLOSE,
}

T = TypeVar("T")
Row = dict[str, Any]


def settings() -> Row:
    """What the index is told about documents and words. The title counts most, then keywords; the newest wins a tie."""
    return {
        "searchableAttributes": list(TEXT_FIELDS),
        "filterableAttributes": ["id", "type", "scopes", "facets", "epoch", *NUMBER_FIELDS],
        "sortableAttributes": list(NUMBER_FIELDS),
        "rankingRules": ["sort", "words", "typo", "attribute", "proximity", "exactness", "published_at:desc"],
        "separatorTokens": ["〔", "〕", "﹝", "﹞", "【", "】"],
        "dictionary": text.domain_words(),
        "synonyms": text.synonym_groups(),
        "localizedAttributes": [{"attributePatterns": ["*"], "locales": ["cmn"]}],
        "typoTolerance": {"disableOnNumbers": True},
        "faceting": {"maxValuesPerFacet": MAX_FACET_VALUES, "sortFacetValuesBy": {"*": "count"}},
        "pagination": {"maxTotalHits": 100_000},
    }


def form() -> str:
    """Names the settings and the shape of documents. An index of another form must be rebuilt."""
    return blake2b(orjson.dumps([1, settings()], option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def question(query: Query) -> Row:
    """The body of POST /indexes/{uid}/search. Whole pages have exact totals, an offset inside a page an estimate."""
    sort = query.sort or (None if query.text.strip() else "-published_at")
    whole = query.limit == 0 or query.offset % query.limit == 0
    body: Row = {
        "q": _words(query.text),
        "filter": list(_filters(query)),
        "facets": [_facet(name) for name in query.facets],
        "attributesToRetrieve": ["id", "type"],
        "matchingStrategy": "frequency",
        "showRankingScore": True,
        "locales": ["cmn"],
    }
    if query.highlights:
        body |= _HIGHLIGHTS
    if whole:
        body |= {"hitsPerPage": query.limit, "page": query.offset // query.limit + 1 if query.limit else 1}
    else:
        body |= {"limit": query.limit, "offset": query.offset}
    if sort:
        body["sort"] = [f"{sort.removeprefix('-')}:{'desc' if sort.startswith('-') else 'asc'}"]
    return body


def answer(query: Query, found: Row) -> Results:
    counts: Mapping[str, Mapping[str, int]] = found.get("facetDistribution") or {}
    facets = {
        name: tuple(sorted(counts.get(_facet(name), {}).items(), key=lambda pair: (-pair[1], pair[0])))
        for name in query.facets
    }
    total = found["totalHits"] if "totalHits" in found else found["estimatedTotalHits"]
    return Results(tuple(map(_found, found["hits"])), total, facets)


class MeiliIndex:
    """`SearchIndex` on a server. The index in use is always named LIVE, so no other process need be told of a swap."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._pool = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=SEARCH_SECONDS
        )
        self._commits = Commits(self._commit)
        self._rebuilding = asyncio.Lock()
        self._threads = CapacityLimiter(THREADS)

    async def search(self, query: Query) -> Results:
        if not query.scopes:
            return Results(facets=dict.fromkeys(query.facets, ()))
        try:
            reply = await self._pool.post(f"/indexes/{LIVE}/search", json=question(query))
            found = orjson.loads(reply.content)
        except (httpx.HTTPError, ValueError) as error:
            raise SearchUnavailable("the search server does not answer (搜索服务无响应)") from error
        if reply.status_code != httpx.codes.OK:
            raise _failure(found.get("code"))
        return answer(query, found)

    async def apply(self, documents: Sequence[Document], deleted: Sequence[Any] = ()) -> None:
        await self._commits.apply(documents, deleted)

    async def rebuild(self, documents: AsyncIterator[Document]) -> int:
        """What any process applied meanwhile is copied over, most of it before the swap, the rest right after."""
        async with self._rebuilding:
            await self._run(self._prepare)
            fed, batch = 0, list[Row]()
            async for document in documents:
                batch.append(_row(document))
                fed += 1
                if len(batch) == BATCH:
                    await self._run(self._add, NEXT, batch)
                    batch = []
            await self._run(self._add, NEXT, batch)
            async with self._commits.turn:
                await self._run(self._swap)
            return fed

    async def health(self) -> Health:
        try:
            version = (await self._run(self._client.get_version))["pkgVersion"]
        except SearchUnavailable as error:
            return Health(ENGINE, "", ok=False, needs_rebuild=False, detail=str(error))
        try:
            await self._run(self._known, LIVE, [])
            documents = (await self.search(Query("", limit=0))).total
        except SearchUnavailable as error:
            return Health(ENGINE, version, ok=False, needs_rebuild=isinstance(error, NeedsRebuild), detail=str(error))
        return Health(ENGINE, version, ok=True, needs_rebuild=False, documents=documents)

    async def close(self) -> None:
        await self._pool.aclose()

    @property
    def _client(self) -> meilisearch.Client:
        """A new one each time, for it keeps the headers of the request at hand, which another thread would spoil."""
        return meilisearch.Client(self._url, self._key or None, timeout=REQUEST_SECONDS)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """In a thread, since the client blocks. Every failure of the server or the way to it is SearchUnavailable."""
        try:
            return await to_thread.run_sync(work, *args, limiter=self._threads)
        except (MeilisearchError, RequestException) as error:
            raise _failure(getattr(error, "code", None) or type(error).__name__) from error

    async def _commit(self, batch: Sequence[Change]) -> None:
        rows = [_row(document) for change in batch for document in change.documents]
        rows += [_removed(removal.id, removal.version) for change in batch for removal in change.removals]
        await self._run(self._put, LIVE, rows)

    def _put(self, uid: str, rows: Sequence[Row]) -> None:
        """Adds what is not older than what is there. Of one document it keeps the batch's newest, of equals the last.

        Each row carries the epoch of the index: a rebuild begins a new one, to know later what was added meanwhile.
        """
        newest: dict[str, Row] = {}
        for row in rows:
            if row["version"] >= newest.get(row["id"], row)["version"]:
                newest[row["id"]] = row
        epoch, known = self._known(uid, list(newest))
        wanted = (row for key, row in newest.items() if row["version"] >= known.get(key, row["version"]))
        self._add(uid, [row | {"epoch": epoch} for row in wanted])

    def _known(self, uid: str, ids: Sequence[str]) -> tuple[int, dict[str, int]]:
        """The epoch and, of these documents, the versions in an index, removals included.

        Raises NeedsRebuild where the index is not of the present form.
        """
        found: dict[str, int] = {}
        for start in range(0, len(ids), PAGE):
            asked = {"ids": ids[start : start + PAGE], "limit": PAGE, "fields": ["id", "version"]}
            found |= {row["id"]: row["version"] for row in self._documents(uid, asked)}
        mark = self._mark(uid)
        if mark.get(FORM) != form():
            raise NeedsRebuild
        return mark["epoch"], found

    def _mark(self, uid: str) -> Row:
        """The one document that says of which form an index is and in which epoch."""
        return next(iter(self._documents(uid, {"ids": [FORM], "limit": 1})), {})

    def _documents(self, uid: str, asked: Row) -> list[Row]:
        return [dict(row) for row in self._client.index(uid).get_documents(asked).results]

    def _add(self, uid: str, rows: Sequence[Row]) -> None:
        if rows:
            self._settle(self._client.index(uid).add_documents(rows, primary_key="id"))

    def _prepare(self) -> None:
        """An empty index beside the one in use; and where none is in use, an empty one, for a swap takes two."""
        self._settle(self._client.delete_index(NEXT), "index_not_found")
        for uid in (NEXT, LIVE):
            self._settle(self._client.create_index(uid, {"primaryKey": "id"}), "index_already_exists")
        self._settle(self._client.index(NEXT).update_settings(settings()))
        mark = self._mark(LIVE)
        mark = {"id": FORM, "version": 0, FORM: mark.get(FORM), "epoch": mark.get("epoch", 0) + 1}
        self._add(LIVE, [mark])
        self._add(NEXT, [mark | {FORM: form()}])

    def _swap(self) -> None:
        epoch = self._mark(NEXT)["epoch"]
        self._copy(LIVE, NEXT, epoch)
        self._settle(self._client.swap_indexes([{"indexes": [LIVE, NEXT]}]))
        self._copy(NEXT, LIVE, epoch)
        self._settle(self._client.delete_index(NEXT))

    def _copy(self, source: str, target: str, epoch: int) -> None:
        """What any process added to an index in this epoch. An index of another form took nothing in it."""
        if self._mark(source).get(FORM) != form():
            return
        offset, asked = 0, {"filter": f"epoch = {epoch}", "limit": PAGE}
        while rows := self._documents(source, asked | {"offset": offset}):
            self._put(target, [row for row in rows if row["id"] != FORM])
            offset += len(rows)

    def _settle(self, task: TaskInfo, *harmless: str) -> None:
        done = self._client.wait_for_task(task.task_uid, TASK_MILLISECONDS, POLL_MILLISECONDS)
        code = (done.error or {}).get("code", done.status)
        if done.status != "succeeded" and code not in harmless:
            raise _failure(code)


def _failure(code: str | None) -> SearchUnavailable:
    """The code alone: the server's own message may hold a key or a text."""
    return NeedsRebuild() if code == "index_not_found" else SearchUnavailable(f"search server: {code} (搜索服务出错)")


def _row(document: Document) -> Row:
    """A document as it is stored. The marks' control characters never occur in it."""
    texts = {name: _plain(getattr(document, name)) for name in TEXT_FIELDS}
    return {
        "id": document.id,
        "type": document.type.value,
        **texts,
        "facets": {name: list(values) for name, values in document.facets.items()},
        "scopes": list(document.scopes),
        **document.numbers,
        "version": document.version,
    }


def _removed(key: str, version: int) -> Row:
    """A removal stays as a document without scopes, which nobody finds, so that what is older cannot return."""
    return {"id": key, "version": version}


def _plain(value: str) -> str:
    return value.replace(OPEN, " ").replace(CLOSE, " ")


def _words(value: str) -> str:
    """The text as words only: a quote would demand a phrase, a leading minus would exclude one."""
    return " ".join(word.lstrip("-") for word in text.fold(value[:MAX_TEXT]).replace('"', " ").split())


def _filters(query: Query) -> Iterable[str]:
    yield _among("scopes", query.scopes)
    if query.types:
        yield _among("type", [one.value for one in query.types])
    yield from (_among(_facet(name), values) for name, values in query.filters.items())
    for name, (low, high) in query.ranges.items():
        yield from (f"{name} {sign} {bound}" for sign, bound in ((">=", low), ("<=", high)) if bound is not None)


def _among(name: str, values: Iterable[str]) -> str:
    return f"{name} IN [{', '.join(map(quoted, values))}]"


def quoted(value: str) -> str:
    """A value in a filter expression. A backslash escapes, so it is itself escaped: nothing gets out of the quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _facet(name: str) -> str:
    return "type" if name == "type" else f"facets.{name}"


def _found(row: Row) -> Hit:
    return Hit(
        row["id"], SearchType(row["type"]), row.get("_rankingScore") or 0.0, _marked(row.get("_formatted") or {})
    )


def _marked(formatted: Row) -> tuple[Highlight, ...]:
    return tuple(
        Highlight(name, text.marked(formatted[name], OPEN, CLOSE))
        for name in TEXT_FIELDS
        if OPEN in formatted.get(name, "")
    )

"""The search engine that needs no server: tantivy in files of our own, written by one process and read by many.

A killed writer loses only what it had not yet reported as done, and the jobs that asked for it run again.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
import tantivy
from anyio import CapacityLimiter, to_thread
from tantivy import Order

from search import ranking, text
from search.base import (
    MAX_FACET_VALUES,
    MAX_TEXT,
    Document,
    Health,
    Highlight,
    Hit,
    NeedsRebuild,
    Query,
    Removal,
    Results,
    SearchType,
    SearchUnavailable,
)
from search.commits import Change, Commits
from search.tantivy_files import VERSION, Home, Reader, Writer

ENGINE = "embedded"
THREADS = 4
REBUILD_BATCH = 200
TIES = 50

T = TypeVar("T")
Place = tantivy.DocAddress


class EmbeddedIndex:
    """`SearchIndex` on tantivy. With `writer` this process may write, alone from its first change until `close`."""

    def __init__(self, home: Path, *, writer: bool) -> None:
        self._home = Home(home)
        self._reader = Reader(self._home)
        self._may_write = writer
        self._live: Writer | None = None
        self._next: Writer | None = None
        self._commits = Commits(self._commit)
        self._rebuilding = asyncio.Lock()
        self._one_thread = threading.Lock()
        self._threads = CapacityLimiter(THREADS)

    async def search(self, query: Query) -> Results:
        return await self._run(self._search, query)

    async def apply(self, documents: Sequence[Document], deleted: Sequence[Removal] = ()) -> None:
        await self._commits.apply(documents, deleted)

    async def rebuild(self, documents: AsyncIterator[Document]) -> int:
        async with self._rebuilding:
            await self._locked(self._begin)
            try:
                fed = await self._feed(documents)
                await self._locked(self._swap)
            finally:
                await self._locked(self._abandon)
            return fed

    async def health(self) -> Health:
        version = f"tantivy {VERSION}"
        try:
            documents = await self._run(self._count)
        except NeedsRebuild as error:
            return Health(ENGINE, version, ok=False, needs_rebuild=True, detail=str(error))
        return Health(ENGINE, version, ok=True, needs_rebuild=False, documents=documents)

    async def close(self) -> None:
        await self._locked(self._close)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await to_thread.run_sync(work, *args, limiter=self._threads)

    async def _locked(self, work: Callable[..., T], *args: Any) -> T:
        """For all that touches a writer. The thread's lock holds even where the waiting task was cancelled."""

        def alone() -> T:
            with self._one_thread:
                return work(*args)

        async with self._commits.turn:
            return await self._run(alone)

    async def _commit(self, batch: Sequence[Change]) -> None:
        await self._run(self._write, batch)

    def _write(self, batch: Sequence[Change]) -> None:
        """What fails is thrown away with its writer; the next change opens a new one on what was committed last."""
        with self._one_thread:
            live, self._live = self._opened(), None
            for change in batch:
                for writer in (live, self._next) if self._next else (live,):
                    writer.put(change.documents, change.removals)
            live.commit()
            self._live = live

    def _opened(self) -> Writer:
        self._claim()
        path = self._home.current()
        return self._live if self._live and self._live.path == path else Writer(path)

    def _claim(self) -> None:
        if not self._may_write:
            raise SearchUnavailable("this process only reads the search index (此进程只读搜索索引)")
        self._home.lock()

    def _begin(self) -> None:
        self._claim()
        self._next = Writer(self._home.new())

    async def _feed(self, documents: AsyncIterator[Document]) -> int:
        fed, batch = 0, list[Document]()
        async for document in documents:
            batch.append(document)
            fed += 1
            if len(batch) == REBUILD_BATCH:
                await self._locked(self._put_next, batch)
                batch = []
        await self._locked(self._put_next, batch)
        return fed

    def _put_next(self, batch: Sequence[Document]) -> None:
        self._building().put(batch)

    def _building(self) -> Writer:
        if self._next is None:
            raise SearchUnavailable("the index was closed while it was rebuilt (重建时索引被关闭)")
        return self._next

    def _swap(self) -> None:
        built, old = self._building(), self._live
        built.commit()
        self._home.use(built.path)
        self._live, self._next = built, None
        if old:
            old.close()
        self._home.sweep(keep=built.path)

    def _abandon(self) -> None:
        """What a rebuild leaves behind that did not come to its swap."""
        unfinished, self._next = self._next, None
        if unfinished:
            unfinished.close()
            self._home.remove(unfinished.path)

    def _close(self) -> None:
        if self._live:
            self._live.close()
        self._live = self._next = None
        self._home.unlock()

    def _count(self) -> int:
        return _total(self._reader.searcher().search(ranking.all_documents(), limit=1))

    def _search(self, query: Query) -> Results:
        """A second, forgiving reading of the text where the first finds nothing."""
        query = replace(query, text=query.text[:MAX_TEXT])
        searcher = self._reader.searcher()
        page = _by_number if _sort(query) else _by_score
        wanted = ranking.question(query)
        scored, total = page(searcher, wanted, query)
        if not total and text.units(query.text):
            wanted = ranking.question(query, forgiving=True)
            scored, total = page(searcher, wanted, query)
        marking = query.highlights and scored
        needles = text.needles(query.text, *text.variants(query.text)) if marking else ()
        hits = tuple(_hit(searcher, place, score, needles) for score, place in scored)
        return Results(hits, total, _facets(searcher, wanted, query.facets))


Page = tuple[list[tuple[float, Place]], int]


def _sort(query: Query) -> str | None:
    """Without a text nothing is better than anything else, so the newest comes first."""
    return query.sort or (None if text.units(query.text) else "-published_at")


def _by_number(searcher: tantivy.Searcher, wanted: tantivy.Query, query: Query) -> Page:
    sort = _sort(query) or ""
    found = searcher.search(
        wanted,
        limit=max(1, query.limit),
        offset=query.offset,
        order_by_field=sort.removeprefix("-"),
        order=Order.Desc if sort.startswith("-") else Order.Asc,
    )
    return [(0.0, place) for _, place in found.hits[: query.limit]], _total(found)


def _by_score(searcher: tantivy.Searcher, wanted: tantivy.Query, query: Query) -> Page:
    """Among equal scores the newest publication comes first, then the newest row, over TIES more than the page."""
    end = query.offset + query.limit
    found = searcher.search(wanted, limit=end + TIES)
    places = [place for _, place in found.hits]
    published = searcher.fast_field_values("published_at", places)
    born = searcher.fast_field_values(ranking.BORN, places)
    scores = [score for score, _ in found.hits]
    order = sorted(range(len(places)), key=lambda i: (-round(scores[i], 3), -(published[i] or 0), -(born[i] or 0)))
    return [(scores[i], places[i]) for i in order[query.offset : end]], _total(found)


def _total(found: tantivy.SearchResult) -> int:
    return int(found.count)  # type: ignore[attr-defined]  # the stub forgets it


def _hit(searcher: tantivy.Searcher, place: Place, score: float, needles: Sequence[str]) -> Hit:
    stored = searcher.doc(place)
    source = orjson.loads(bytes(stored[ranking.SOURCE][0]))
    return Hit(stored[ranking.ID][0], SearchType(source["type"]), score, marked(source, needles) if needles else ())


def marked(source: dict[str, str], needles: Sequence[str]) -> tuple[Highlight, ...]:
    """The title and keywords in full and the best passage of the body, each only where something in it matched."""
    return tuple(
        Highlight(name, snippet.html(source[name]))
        for name in ranking.TEXT_FIELDS
        for snippet in text.highlight(source[name], needles, text.SNIPPET if name == "body" else len(source[name]))
    )


def _facets(
    searcher: tantivy.Searcher, wanted: tantivy.Query, names: Sequence[str]
) -> dict[str, tuple[tuple[str, int], ...]]:
    if not names:
        return {}
    fields = {name: ranking.TYPE if name == "type" else f"{ranking.FACETS}.{name}" for name in names}
    asked = {name: {"terms": {"field": field, "size": MAX_FACET_VALUES}} for name, field in fields.items()}
    counted = searcher.aggregate(wanted, asked)
    return {
        name: tuple(sorted(((b["key"], b["doc_count"]) for b in counted[name]["buckets"]), key=lambda v: (-v[1], v[0])))
        for name in names
    }

"""The files of the embedded index: which one is in use, who may write it, and how documents become its fields.

    search_home/current            the name of the index in use, replaced atomically
    search_home/writer             locked by the one process that writes
    search_home/<form>-<random>/   one index

The form changes with the fields, the word lists and tantivy's version.
"""

import fcntl
import os
import re
import shutil
import threading
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import orjson
import tantivy

from search import ranking, text
from search.base import Document, NeedsRebuild, Removal, SearchUnavailable

VERSION = version("tantivy")
WRITER_HEAP_BYTES = 64_000_000
_KEY = re.compile(r"_([0-9a-f]{15})[0-9a-f]{17}$")


@cache
def form() -> str:
    """Names the form of an index. One of another form is never read: it must be rebuilt."""
    parts = (repr(ranking.SCHEMA.__reduce__()[1]), text.fingerprint(), VERSION)
    return blake2b("|".join(parts).encode(), digest_size=6).hexdigest()


class Home:
    """The folder that holds the indexes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pointer = path / "current"
        self._lock: int | None = None

    def current(self) -> Path:
        """The index in use. Raises NeedsRebuild where none of the present form is."""
        try:
            name = self._pointer.read_text("ascii", errors="replace")
        except FileNotFoundError:
            name = ""
        if not name.startswith(form()):
            raise NeedsRebuild
        return self._path / name

    def lock(self) -> None:
        """Makes this process the writer until `unlock` or its death. Raises SearchUnavailable while another one is."""
        if self._lock is not None:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path / "writer", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise SearchUnavailable("another process writes the search index (搜索索引正被其他进程写入)") from error
        self._lock = descriptor

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def new(self) -> Path:
        path = self._path / f"{form()}-{uuid4().hex[:12]}"
        path.mkdir()
        return path

    def use(self, path: Path) -> None:
        """Makes a complete index the one in use, in one step that a crash cannot halve."""
        beside = self._pointer.with_suffix(".new")
        with beside.open("w", encoding="ascii") as file:
            file.write(path.name)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._pointer)

    def sweep(self, keep: Path) -> None:
        """Removes every other index. Readers keep what they have open and find the new one at their next search."""
        for other in self._path.iterdir():
            if other.is_dir() and other != keep:
                self.remove(other)

    def remove(self, path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)


class Reader:
    """Searchers on the index in use, renewed when another index or commit is there. Called from several threads."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._open: tuple[Path, tantivy.Index] | None = None
        self._seen: tuple[int, int] | None = None

    def searcher(self) -> tantivy.Searcher:
        """Looks at two small files, so what another process committed is found at once. Raises NeedsRebuild."""
        with self._lock:
            for _ in range(3):
                path = self._home.current()
                try:
                    return self._renewed(path).searcher()
                except (OSError, ValueError) as error:
                    self._open, failure = None, error
            raise NeedsRebuild from failure

    def _renewed(self, path: Path) -> tantivy.Index:
        stat = (path / "meta.json").stat()
        seen = (stat.st_ino, stat.st_mtime_ns)
        if self._open is None or self._open[0] != path:
            self._open = (path, _prepared(tantivy.Index.open(str(path))))
            self._seen = None
        index = self._open[1]
        if seen != self._seen:
            index.reload()
            self._seen = seen
        return index


class Writer:
    """Puts documents into one index, where the newest version stays. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index = _prepared(tantivy.Index(ranking.SCHEMA, path=str(path)))
        self._index.reload()
        self._writer = self._index.writer(WRITER_HEAP_BYTES, 1)
        self._uncommitted: dict[str, int] = {}

    def put(self, documents: Iterable[Document], removals: Iterable[Removal] = ()) -> None:
        """A removal stays as a document without scopes, which nobody finds, so that what is older cannot return."""
        changes: list[Document | Removal] = [*documents, *removals]
        known = self._versions({change.id for change in changes} - self._uncommitted.keys()) | self._uncommitted
        for change in changes:
            if change.version < known.get(change.id, change.version):
                continue
            known[change.id] = self._uncommitted[change.id] = change.version
            self._writer.delete_documents_by_term(ranking.ID, change.id)
            self._writer.add_document(_removed(change) if isinstance(change, Removal) else _indexed(change))

    def commit(self) -> None:
        self._writer.commit()
        self._index.reload()
        self._uncommitted.clear()

    def close(self) -> None:
        self._writer.wait_merging_threads()

    def _versions(self, ids: set[str]) -> dict[str, int]:
        """Versions committed before, removals included."""
        searcher = self._index.searcher()
        if not ids or not searcher.num_docs:
            return {}
        found = searcher.search(tantivy.Query.term_set_query(ranking.SCHEMA, ranking.ID, list(ids)), limit=len(ids))
        places = [place for _, place in found.hits]
        versions = searcher.fast_field_values(ranking.VERSION, places)
        return {searcher.doc(place)[ranking.ID][0]: int(v or 0) for place, v in zip(places, versions, strict=True)}


def _prepared(index: tantivy.Index) -> tantivy.Index:
    """The tokenizer is not kept in the files: each process registers it. Reloading is ours to decide."""
    index.register_tokenizer(ranking.WHITESPACE, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    index.config_reader("manual")
    return index


def _indexed(document: Document) -> tantivy.Document:
    made = tantivy.Document()
    made.add_text(ranking.ID, document.id)
    made.add_text(ranking.TYPE, document.type.value)
    for scope in document.scopes:
        made.add_text(ranking.SCOPES, scope)
    made.add_json(ranking.FACETS, {name: list(values) for name, values in document.facets.items()})
    made.add_text(ranking.WHOLE_TITLE, "".join(text.units(document.title)))
    texts = {"title": document.title, "keywords": document.keywords, "body": document.body}
    for name, value in texts.items():
        for field, tokens in ranking.tokens(name, value):
            made.add_text(field, tokens)
    for name, number in document.numbers.items():
        made.add_integer(name, number)
    made.add_integer(ranking.VERSION, document.version)
    made.add_integer(ranking.BORN, _born(document.id))
    made.add_bytes(ranking.SOURCE, orjson.dumps({"type": document.type, **texts}))
    return made


def _removed(removal: Removal) -> tantivy.Document:
    made = tantivy.Document()
    made.add_text(ranking.ID, removal.id)
    made.add_integer(ranking.VERSION, removal.version)
    return made


def _born(global_id: str) -> int:
    """When the row was made, for the order among equals: the leading bits of its time-ordered key (`kit/ids.py`)."""
    match = _KEY.search(global_id)
    return int(match[1], 16) if match else 0

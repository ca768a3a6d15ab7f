"""What search is, whichever engine does it: one index of all public things, in one shape of question and answer.

Two engines keep this Protocol: `search/embedded.py` (tantivy in files of our own) and `search/meili.py` (a Meilisearch
server). `search/<domain>.py` turns rows into documents; `jobs/search.py` feeds them.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from kit.errors import EscError

MAX_OFFSET = 1_000
MAX_LIMIT = 100
MAX_TEXT = 200
MAX_FACET_VALUES = 100
FOREVER = (1 << 63) - 1
PUBLIC = "PUBLIC"
SEARCH = "search"
"""The index among the things that an answer is made of (`kit/footprint.py`), beside the tables."""

NUMBER_FIELDS = (
    "published_at",
    "updated_at",
    "apply_start",
    "apply_end",
    "starts_at",
    "ends_at",
    "price",
    "rating",
    "order_count",
    "view_count",
    "follower_count",
)
"""What can be sorted and bounded: instants as Unix seconds, money in cents, ratings in hundredths, counts."""

_FACET_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SearchUnavailable(EscError):
    """The index cannot answer or take documents now: server down, not built yet, or written by another process.

    Readers fall back to titles and 文号 in PostgreSQL and mark the answer as degraded; jobs are tried again.
    """


class NeedsRebuild(SearchUnavailable):
    """There is no index, or only one of another form (fields, word lists, engine): documents must be fed anew."""

    def __init__(self) -> None:
        super().__init__("the search index must be rebuilt (搜索索引需要重建)")


class SearchType(StrEnum):
    """What kind of thing is found (检索类型)."""

    POLICY = "POLICY"
    STORE = "STORE"
    PRODUCT = "PRODUCT"
    ARTICLE = "ARTICLE"


@dataclass(frozen=True, slots=True)
class Document:
    """One thing that can be found. `id` is its global id (`policy_0192…`).

    `keywords` holds what is typed but not read: issuer, 文号, tags. `facets` are exact values to filter and count by
    (`level`, `district`, `category` …), `numbers` have names from NUMBER_FIELDS. Who may find it is `scopes`
    (`PUBLIC`, `district:310104`, `store:<hex>` …): a viewer finds it by holding at least one.
    `version` grows with every change of the row: an older one never replaces a newer one, in whatever order jobs run.
    """

    id: str
    type: SearchType
    title: str
    body: str = ""
    keywords: str = ""
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scopes: tuple[str, ...] = (PUBLIC,)
    numbers: Mapping[str, int] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a facet or number that no engine would find again."""
        for name in self.facets:
            facet_name(name)
        for name in self.numbers:
            number_name(name)


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that can no longer be found, as of a version of its row: older ones stay away, newer ones return.

    FOREVER says that the row is gone for good, which suits ids that are never used again.
    """

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Query:
    """A question. Words apart by spaces are wanted, not all demanded; an empty text matches everything.

    Only the first MAX_TEXT characters of the text count.

    `filters` are ANDed, the values of one filter ORed; `ranges` include both ends, None is open. `sort` is a name from
    NUMBER_FIELDS, with `-` in front for the highest first; documents without the number come last. Without `sort` the
    best match comes first, among equals the newest. `facets` and `highlights` cost more than the hits: asked on demand.
    """

    text: str
    types: tuple[SearchType, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    scopes: tuple[str, ...] = (PUBLIC,)
    sort: str | None = None
    limit: int = 20
    offset: int = 0
    facets: tuple[str, ...] = ()
    highlights: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for what no client may ask.

        That is: pages past MAX_OFFSET or longer than MAX_LIMIT, unknown names, texts with lone surrogates.
        """
        if not 0 <= self.offset <= MAX_OFFSET or not 0 <= self.limit <= MAX_LIMIT:
            raise ValueError(f"offset must be in 0..{MAX_OFFSET} and limit in 0..{MAX_LIMIT}")
        for value in (self.text, *self.scopes, *(value for values in self.filters.values() for value in values)):
            value.encode()
        for name in (*self.filters, *self.facets):
            facet_name(name)
        for name in self.ranges:
            number_name(name)
        if self.sort is not None:
            number_name(self.sort.removeprefix("-"))


@dataclass(frozen=True, slots=True)
class Highlight:
    """A passage of a field's raw text, HTML-escaped, with what matched in `<mark>…</mark>`: safe to put in a page."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    id: str
    type: SearchType
    score: float
    highlights: tuple[Highlight, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """`total` counts everything that matches, not the page; `facets` count it by value, the most frequent first."""

    hits: tuple[Hit, ...] = ()
    total: int = 0
    facets: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """`needs_rebuild`: there is no index of the present form, so documents must be fed through `rebuild` first."""

    engine: str
    version: str
    ok: bool
    needs_rebuild: bool
    documents: int = 0
    detail: str = ""


class SearchIndex(Protocol):
    """Every method but `health` and `close` may raise SearchUnavailable; `search` and `apply` also NeedsRebuild."""

    async def search(self, query: Query) -> Results: ...

    async def apply(self, documents: Sequence[Document], deleted: Sequence[Removal] = ()) -> None:
        """Puts documents in and takes others out; whoever searches after it returns sees the result. Idempotent."""
        ...

    async def rebuild(self, documents: AsyncIterator[Document]) -> int:
        """Builds a new index beside the old one, swaps with no gap and returns how many documents it was fed.

        What `apply` brings meanwhile is kept. The iterator must start reading its rows only when first asked.
        """
        ...

    async def health(self) -> Health: ...

    async def close(self) -> None: ...


def facet_name(name: str) -> str:
    """The name itself; ValueError where it could change the meaning of a filter expression or a field path."""
    if not _FACET_NAME.fullmatch(name):
        raise ValueError(f"not a facet's name: {name!r}")
    return name


def number_name(name: str) -> str:
    if name not in NUMBER_FIELDS:
        raise ValueError(f"not a number's name: {name!r}")
    return name

"""Full-text search: one Protocol (`base.py`), two engines, a document shape per domain."""

from typing import TYPE_CHECKING

from search.base import SearchIndex

if TYPE_CHECKING:
    from kit.settings import Settings


def open_index(settings: "Settings", *, writer: bool) -> SearchIndex:
    """The engine that the settings name: a Meilisearch server where MEILI_URL is set, else the embedded index.

    `writer` for the worker alone: the embedded index has one writing process. Nothing is opened before its first use.
    """
    if settings.meili_url:
        from search.meili import MeiliIndex  # noqa: PLC0415 - an HTTP client that the other lacks

        return MeiliIndex(settings.meili_url, settings.meili_key.get_secret_value())
    from search.embedded import EmbeddedIndex  # noqa: PLC0415 - tantivy and word lists, likewise

    return EmbeddedIndex(settings.search_home, writer=writer)

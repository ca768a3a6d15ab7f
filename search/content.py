"""How an article is found. `row` holds its store's name, state and kind besides (`jobs/search.py`)."""

from models.publishing import PublicationState
from search.base import Document
from search.documents import Row, document


def article_document(row: Row) -> Document:
    store_open = row["store_id"] is None or row["store_state"] == PublicationState.PUBLISHED
    return document(
        "article",
        row,
        title=row["title"],
        body=(row["summary"], row["requirements"], row["body"]),
        keywords=(row["store_name"], row["origin"]),
        facets={
            "column": [row["column"]],
            "topic": [row["topic"]],
            "store_kind": [row["store_kind"]],
            "district": [row["store_district"]],
        },
        numbers={},
        public=row["state"] == PublicationState.PUBLISHED and store_open,
    )

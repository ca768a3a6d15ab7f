"""How a product is found. `row` holds its store's name, state and kind besides (`jobs/search.py`)."""

from models.publishing import PublicationState
from search.base import Document
from search.documents import Row, document
from search.store import hundredths


def product_document(row: Row) -> Document:
    return document(
        "product",
        row,
        title=row["name"],
        body=(row["summary"], row["description"], row["process"]),
        keywords=(row["provider"], row["store_name"], row["category_name"], *row["tags"]),
        facets={
            "category": [row["category_code"], row["category_code"][:4] + "0000"],
            "district": row["service_areas"],
            "price_kind": [row["price_kind"]],
            "nature": [row["nature"]],
            "store_kind": [row["store_kind"]],
        },
        numbers={
            "price": hundredths(row["price"]),
            "order_count": row["order_count"],
            "rating": hundredths(row["rating"]),
        },
        public=row["state"] == row["store_state"] == PublicationState.PUBLISHED,
    )

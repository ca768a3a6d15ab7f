"""How a store is found."""

from models.publishing import PublicationState
from search.base import Document
from search.documents import Row, document


def store_document(row: Row) -> Document:
    return document(
        "store",
        row,
        title=row["name"],
        body=(row["slogan"], row["introduction"]),
        keywords=(row["contact"], row["address"]),
        facets={
            "store_kind": [row["kind"]],
            "district": [row["district_code"]],
            "department": [row["department_code"], row["parent_department_code"]],
        },
        numbers={"follower_count": row["follower_count"], "rating": hundredths(row["rating"])},
        public=row["state"] == PublicationState.PUBLISHED,
    )


def hundredths(value: float | None) -> int | None:
    return None if value is None else round(float(value) * 100)

"""How a policy is found: by title, number, issuer and everything it says."""

from models.publishing import PublicationState
from search.base import Document
from search.documents import Row, document, seconds


def policy_document(row: Row) -> Document:
    return document(
        "policy",
        row,
        title=row["title"],
        body=(row["summary"], row["target"], row["requirements"], row["body"]),
        keywords=(row["document_no"], *row["issuers"], row["topic"], *row["enterprise_tags"]),
        facets={
            "level": [row["level"]],
            "policy_kind": [row["kind"]],
            "validity": [row["validity"]],
            "district": row["districts"],
            "department": [row["department_code"]],
            "industry": row["industries"],
            "enterprise_size": row["enterprise_sizes"],
            "enterprise_tag": row["enterprise_tags"],
            "support_kind": row["support_kinds"],
        },
        numbers={
            "apply_start": seconds(row["apply_start"]),
            "apply_end": seconds(row["apply_end"], end_of_day=True),
        },
        public=row["state"] == PublicationState.PUBLISHED,
    )

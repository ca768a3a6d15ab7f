"""Names of the topics that the bus carries."""

from uuid import UUID

REVIEW_QUEUE = "review-queue"


def job(job_id: UUID) -> str:
    """One job's progress."""
    return f"job:{job_id.hex}"

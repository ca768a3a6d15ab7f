"""Names of the topics that the bus carries."""

REVIEW_QUEUE = "review-queue"


def job(job_id: str) -> str:
    return f"job:{job_id}"

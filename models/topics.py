"""Names of the topics that the bus carries."""

REVIEW_QUEUE = "review-queue"

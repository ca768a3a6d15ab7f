"""Long acts (任务) and their progress (R-ADM-13)."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

import models
from models.job import JobState
from resolvers import job as resolvers
from resolvers.loaders import Loaders
from schema.acts import mutation, subscription
from schema.base import ID, Node, entity, field, lookup
from schema.enums import enums
from subscriptions import job as subscriptions

enums(JobState)


@entity(models.Job, Loaders.job)
class Job(Node):
    """A long act, such as an import, with its progress (任务)."""

    kind: str
    state: JobState
    total: int | None
    done: int
    failed: int
    result: JSON
    message: str = field(resolvers.message)
    problems_url: str | None = field(resolvers.problems_url, needs=("problems_key",))
    created_at: datetime
    ended_at: datetime | None


@strawberry.input
class JobCancelInput:
    """Which long act to stop (取消任务)."""

    id: ID = strawberry.field(description="The job (任务)")


@strawberry.type
class Query:
    job: Job | None = lookup(
        Loaders.job, "job", about="One long act (任务) of the viewer's.", label="任务标识", access="signed_in"
    )


@strawberry.type
class Mutation:
    job_cancel = mutation(resolvers.job_cancel, JobCancelInput, access="signed_in", job=Job)


@strawberry.type
class Subscription:
    job_progress: Job = subscription(subscriptions.job_progress, access="signed_in")

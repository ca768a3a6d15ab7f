"""The platform's clock."""

from datetime import datetime

import strawberry

from resolvers import platform as resolvers
from schema.acts import mutation, subscription
from schema.base import field
from subscriptions import platform as subscriptions


@strawberry.input
class ClockSetInput:
    """The business time to move to (调整业务时间)."""

    now: datetime = strawberry.field(description="Business time (业务时间)")


@strawberry.type
class Query:
    now: datetime = field(resolvers.now, access="public")


@strawberry.type
class Mutation:
    clock_set = mutation(resolvers.clock_set, ClockSetInput, access="clock.set", now=datetime)


@strawberry.type
class Subscription:
    server_time: datetime = subscription(subscriptions.server_time, access="public", shared=True)

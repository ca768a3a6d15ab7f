"""A stand-in for the contest until it is there: a ballot and a live tally, by the contract's names.

They are written as the platform is: for a ballot a unit of work with one statement, which holds what it depends on, so
that no race comes between; for a tally a stream of states.
"""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import ARRAY, DateTime, LargeBinary, Text, Uuid, any_, func, insert, literal, select, update

from bench.voting import BALLOT, BALLOT_KIND, CANDIDATE_KIND, CLAIM, ROUND, ROUND_KIND, TALLY, topic
from kit import clock
from kit.bus import bus
from kit.db import Row, fetch, fetch_one
from kit.errors import Refused
from kit.ids import global_id, key_of, uuid7
from kit.settings import settings
from kit.statements import late, prepare
from models.refusals import Refusal
from resolvers.context import Info, write
from schema.acts import mutation, subscription
from schema.base import ID

_FINALISTS = select(func.array_agg(TALLY.c.candidate_id)).where(TALLY.c.round_id == ROUND.c.id).scalar_subquery()
_ROUND = prepare(select(ROUND, _FINALISTS.label("finalists")).where(ROUND.c.id == late("key", Uuid)))
_TALLY = prepare(select(TALLY).where(TALLY.c.round_id == late("key", Uuid)).order_by(TALLY.c.votes.desc()))
_CHOICES, _NOW = late("choices", ARRAY(Uuid)), late("now", DateTime(timezone=True))
_NUMBER = func.cardinality(_CHOICES)
_FINAL = (
    select(func.count())
    .where(TALLY.c.round_id == late("round_id", Uuid), TALLY.c.candidate_id == any_(_CHOICES))
    .scalar_subquery()
)
_OPEN = (
    select(ROUND.c.id)
    .where(ROUND.c.id == late("round_id", Uuid), ROUND.c.opens_at <= _NOW, ROUND.c.closes_at > _NOW)
    .where(ROUND.c.max_choices >= _NUMBER, _NUMBER == _FINAL)
    .cte("open")
)
_CLAIMED = (
    insert(CLAIM)
    .from_select(CLAIM.c.keys(), select(_OPEN.c.id, late("claimant", LargeBinary), late("period", Text)))
    .cte("claimed")
)
_KEPT = select(
    late("id", Uuid), _OPEN.c.id, _CHOICES, late("receipt", Text), late("cast_at", DateTime(timezone=True)), literal(0)
)
_CAST = prepare(insert(BALLOT).from_select(BALLOT.c.keys(), _KEPT).add_cte(_CLAIMED).returning(BALLOT.c.id))
_COUNT_ONE = prepare(update(ROUND).where(ROUND.c.id == late("key", Uuid)).values(ballot_count=ROUND.c.ballot_count + 1))


@strawberry.type
class Ballot:
    """A ballot (选票) that was cast."""

    id: ID = strawberry.field(description="Its global id (标识)")
    receipt: str = strawberry.field(description="What its voter can prove it by (回执)")


@strawberry.type
class BallotRound:
    """A round of voting (投票轮次)."""

    id: ID = strawberry.field(description="Its global id (标识)")


@strawberry.type
class BallotCandidate:
    """Whom or what votes are given to (候选)."""

    id: ID = strawberry.field(description="Its global id (标识)")


@strawberry.type
class CandidateTally:
    """The votes of one candidate (得票)."""

    candidate: BallotCandidate = strawberry.field(description="The candidate (候选)")
    votes: int | None = strawberry.field(description="Its votes (票数)")
    rank: int | None = strawberry.field(description="Its place (名次)")


@strawberry.type
class Tally:
    """How a round stands (计票)."""

    round: BallotRound = strawberry.field(description="The round (轮次)")
    ballot_count: int | None = strawberry.field(description="Ballots counted (选票数)")
    candidates: list[CandidateTally] = strawberry.field(description="Its candidates, the first first (候选)")


@strawberry.input
class BallotCastInput:
    """A vote (投票)."""

    round_id: ID = strawberry.field(description="The round (轮次)")
    choices: list[ID] = strawberry.field(description="The candidates chosen (所选候选)")


@strawberry.input
class TallyBumpInput:
    """Which tally to move (计票)."""

    round_id: ID = strawberry.field(description="The round (轮次)")


async def ballot_cast(info: Info, round_id: str, choices: Sequence[str]) -> Any:
    """Casts a ballot, one for each account and day (投票)."""
    account = info.context.viewer.account_id
    key, chosen = key_of(round_id, ROUND_KIND), [each for choice in choices if (each := key_of(choice, CANDIDATE_KIND))]
    if not len(set(chosen)) == len(choices) >= 1:
        raise Refused(Refusal.INVALID_VALUE, ["choices"], zh="choices", en="choices")
    ballot_id = uuid7()
    receipt = hashlib.sha256(b"".join((ballot_id.bytes, *(each.bytes for each in chosen)))).hexdigest()
    async with write(info) as uow:
        cast = await uow.execute(
            _CAST,
            id=ballot_id,
            round_id=key,
            claimant=hmac.digest(settings.secret_key.get_secret_value().encode(), account.bytes, "sha256"),
            period=clock.today().isoformat(),
            choices=chosen,
            receipt=receipt,
            now=clock.now(),
            cast_at=clock.real(),
        )
        if not cast:
            raise _refusal(await _open_round(round_id), chosen)
    return {"id": global_id(BALLOT_KIND, ballot_id), "receipt": receipt}


def _refusal(round_: Row, chosen: Sequence[UUID]) -> Refused:
    """Why nothing came of these choices in a round that is open."""
    if missing := set(chosen).difference(round_["finalists"]):
        return Refused(Refusal.NOT_FOUND, ["choices"], ids=sorted(each.hex for each in missing))
    return Refused(Refusal.INVALID_VALUE, ["choices"], zh="choices", en="choices")


async def tally_bump(info: Info, round_id: str) -> Any:
    """Counts one ballot more at once, to set a pace for those who follow (计票加一)."""
    round_ = await _open_round(round_id)
    async with write(info) as uow:
        await uow.execute(_COUNT_ONE, key=round_["id"])
    await bus.publish(topic(round_["id"]))
    return await _tally(round_["id"])


async def tally_changed(
    _info: Info, round_id: Annotated[ID, strawberry.argument(description="The round (轮次)")]
) -> AsyncGenerator[Any, None]:
    """How a round stands, now and whenever more ballots are counted (计票变化)."""
    key = key_of(round_id, ROUND_KIND)
    if key is None:
        return
    async with bus.listen(topic(key)) as changes:
        yield await _tally(key)
        async for _ in changes:
            yield await _tally(key)


async def _open_round(round_id: str) -> Row:
    key, now = key_of(round_id, ROUND_KIND), clock.now()
    round_ = await fetch_one(_ROUND, key=key) if key else None
    if round_ is None or not round_["opens_at"] <= now < round_["closes_at"]:
        raise Refused(Refusal.NOT_FOUND, ["round_id"])
    return round_


async def _tally(key: UUID) -> dict[str, Any] | None:
    round_ = await fetch_one(_ROUND, key=key)
    if round_ is None:
        return None
    candidates = [
        {"candidate": {"id": global_id(CANDIDATE_KIND, row["candidate_id"])}, "votes": row["votes"], "rank": rank}
        for rank, row in enumerate(await fetch(_TALLY, key=key), 1)
    ]
    number = round_["ballot_count"]
    return {"round": {"id": global_id(ROUND_KIND, key)}, "ballot_count": number, "candidates": candidates}


@strawberry.type
class Mutation:
    ballot_cast = mutation(ballot_cast, BallotCastInput, access="signed_in", ballot=Ballot)
    tally_bump = mutation(tally_bump, TallyBumpInput, access="signed_in", tally=Tally)


@strawberry.type
class Subscription:
    tally_changed: Tally = subscription(tally_changed, access="public", shared=True)

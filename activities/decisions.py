"""A decision is carried out once: the person's request on the record is consumed with it, also when it is refused.

Whatever was answered first is on the record, and every repetition of the same update gets exactly that.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from activities.refusals import final
from contracts.messages import DecisionRequest, RefundRequest
from domain.decision_requests import DecidedKind, DecisionAsked
from domain.errors import PropOSError, Unavailable
from firm import decision_requests as requests
from store.db import Database

M = TypeVar("M", bound=BaseModel)
Settled = tuple[str, dict[str, Any]]  # (outcome, answer)


class Delivered:
    """A decision as it arrived: the update that carried it, and what it says."""

    def __init__(
        self,
        kind: DecidedKind,
        subject_id: str,
        verb: str,
        request: DecisionRequest | RefundRequest,
        update_id: str,
    ) -> None:
        self.update_id, self.key, self.reason = update_id, request.key, request.reason
        self.asked = DecisionAsked(
            key=request.key, subject_kind=kind, subject_id=subject_id, verb=verb, user_id=request.actor.user_id
        )


async def decided(db: Database, delivered: Delivered, kind: type[M], work: Callable[[AsyncSession], Awaitable[M]]) -> M:
    """Do `work` and consume the request in one transaction. A refusal undoes the work and not the consumption.

    `work` runs in a savepoint, so it cannot post to the ledger. Raises ApplicationError with the recorded refusal, and
    DecisionVoid for a message that may not use the request.
    """
    async with db.transaction() as session:
        row = await requests.locked(session, delivered.asked, delivered.update_id)
        settled = _settled(row.outcome, row.answer)
        if settled is None:

            async def judged() -> M:
                async with session.begin_nested():
                    await requests.check(session, row, reason=delivered.reason)
                    return await work(session)

            settled = await _outcome(judged)
            await requests.consume(session, delivered.key, outcome=settled[0], answer=settled[1])
    return _answered(settled, kind)


async def decided_in_steps(db: Database, delivered: Delivered, kind: type[M], work: Callable[[], Awaitable[M]]) -> M:
    """The same where the outside is called on the way: the request is consumed first, its outcome recorded last.

    An attempt that dies in between is followed by another of the same update, so `work` can run again after any of its
    own steps.
    """
    async with db.transaction() as session:
        row = await requests.locked(session, delivered.asked, delivered.update_id)
        settled = _settled(row.outcome, row.answer)
        if row.consumed_at is None:

            async def judged() -> None:
                await requests.check(session, row, reason=delivered.reason)

            refused = await _outcome(judged)
            settled = None if refused[0] == requests.TAKEN else refused
            outcome, answer = settled or (None, None)
            await requests.consume(session, delivered.key, outcome=outcome, answer=answer)
    if settled is None:
        settled = await _outcome(work)
        async with db.transaction() as session:
            row = await requests.locked(session, delivered.asked, delivered.update_id)
            earlier = _settled(row.outcome, row.answer)  # of an attempt that timed out but ran on
            if earlier is None:
                await requests.consume(session, delivered.key, outcome=settled[0], answer=settled[1])
            settled = earlier or settled
    return _answered(settled, kind)


def _settled(outcome: str | None, answer: dict[str, Any] | None) -> Settled | None:
    return None if outcome is None else (outcome, answer or {})


async def _outcome(work: Callable[[], Awaitable[BaseModel | None]]) -> Settled:
    """What became of `work`; Unavailable is no outcome and is raised."""
    try:
        taken = await work()
    except Unavailable:
        raise
    except PropOSError as error:
        refusal = final(error)
        return error.type, {"message": refusal.message, "details": list(refusal.details)}
    return requests.TAKEN, taken.model_dump(mode="json") if taken else {}


def _answered(settled: Settled, kind: type[M]) -> M:
    outcome, answer = settled
    if outcome != requests.TAKEN:
        raise ApplicationError(answer["message"], *answer["details"], type=outcome, non_retryable=True)
    return kind.model_validate(answer)

"""Carries out a person's decision once: the stored request is consumed with it, also when the decision is refused.

The first answer is stored. Every repetition of the same update returns that answer.
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


class DeliveredDecision:
    """A decision as the workflow delivered it: the id of its update, and its content."""

    def __init__(
        self,
        kind: DecidedKind,
        subject_id: str,
        verb: str,
        request: DecisionRequest | RefundRequest,
        update_id: str,
    ) -> None:
        self.update_id, self.key = update_id, request.key
        self.reason = request.stated
        self.asked = DecisionAsked(
            key=request.key, subject_kind=kind, subject_id=subject_id, verb=verb, user_id=request.actor.user_id
        )


async def carry_out(
    db: Database, delivered: DeliveredDecision, kind: type[M], work: Callable[[AsyncSession], Awaitable[M]]
) -> M:
    """Runs `work` and consumes the request in one transaction; returns the answer. A refusal rolls back the work but
    still consumes the request.

    `work` runs in a savepoint, so it cannot post to the ledger. Raises ApplicationError with the stored refusal, and
    DecisionVoid for a message that does not match the request.
    """
    async with db.transaction() as session:
        row = await requests.locked(session, delivered.asked, delivered.update_id)
        settled = _stored_answer(row.outcome, row.answer)
        if settled is None:

            async def check_and_work() -> M:
                async with session.begin_nested():
                    await requests.check(session, row, reason=delivered.reason)
                    return await work(session)

            settled = await _outcome(check_and_work)
            await requests.consume(session, delivered.key, outcome=settled[0], answer=settled[1])
    return _return_answer(settled, kind)


async def carry_out_in_steps(
    db: Database, delivered: DeliveredDecision, kind: type[M], work: Callable[[], Awaitable[M]]
) -> M:
    """Does the same for work that calls the outside: consumes the request first and stores the outcome last.

    If an attempt dies in between, the same update runs `work` again, so `work` must be repeatable after any of its
    steps.
    """
    async with db.transaction() as session:
        row = await requests.locked(session, delivered.asked, delivered.update_id)
        settled = _stored_answer(row.outcome, row.answer)
        if row.consumed_at is None:

            async def check() -> None:
                await requests.check(session, row, reason=delivered.reason)

            refused = await _outcome(check)
            settled = None if refused[0] == requests.TAKEN else refused
            outcome, answer = settled or (None, None)
            await requests.consume(session, delivered.key, outcome=outcome, answer=answer)
    if settled is None:
        settled = await _outcome(work)
        async with db.transaction() as session:
            row = await requests.locked(session, delivered.asked, delivered.update_id)
            earlier = _stored_answer(row.outcome, row.answer)  # by an attempt that timed out but kept running
            if earlier is None:
                await requests.consume(session, delivered.key, outcome=settled[0], answer=settled[1])
            settled = earlier or settled
    return _return_answer(settled, kind)


def _stored_answer(outcome: str | None, answer: dict[str, Any] | None) -> Settled | None:
    return None if outcome is None else (outcome, answer or {})


async def _outcome(work: Callable[[], Awaitable[BaseModel | None]]) -> Settled:
    """Runs `work` and returns its outcome and answer, also of a refusal. Raises Unavailable, which is no outcome."""
    try:
        taken = await work()
    except Unavailable:
        raise
    except PropOSError as error:
        refusal = final(error)
        return error.type, {"message": refusal.message, "details": list(refusal.details)}
    return requests.TAKEN, taken.model_dump(mode="json") if taken else {}


def _return_answer(settled: Settled, kind: type[M]) -> M:
    outcome, answer = settled
    if outcome != requests.TAKEN:
        raise ApplicationError(answer["message"], *answer["details"], type=outcome, non_retryable=True)
    return kind.model_validate(answer)

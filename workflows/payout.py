"""A payout: hold the money, check risk, wait for approval, send it, follow the transfer; or release the hold.

When the money comes back, people choose: send it again, release it to the account, or keep it as a claim.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import payouts
    from contracts.messages import (
        DecisionRequest,
        DecisionResult,
        MarketTimeReached,
        PayoutChoice,
        PayoutStart,
        RiskChanged,
        TransferChanged,
    )
    from contracts.payouts import PayoutDecision, PayoutRef, PayoutStatus
    from domain.approvals import check_reason
    from domain.payouts.payout import CAME_BACK, OPEN_TO_PEOPLE, PAYOUT
    from workflows.calls import ask, ask_here, call, update_id

Step = Callable[[PayoutRef], Awaitable[PayoutStatus]]

# The step that runs when something has changed, by the state; a payout whose money came back only waits for people.
_AFTER_NEWS: Final[dict[str, Step]] = {
    **dict.fromkeys(OPEN_TO_PEOPLE, payouts.check_risk),
    "sent": payouts.follow_and_settle,
}
# The step that runs at once, by the state.
_NEXT: Final[dict[str, Step]] = {
    "requested": payouts.hold_and_judge,
    "reserved": payouts.hold_and_judge,
    "approved": payouts.send_money,
    "settling": payouts.follow_and_settle,
    "releasing": payouts.release_hold,
}
# Runs that began before attempts were rows: facts arrived as signals, and these timers covered a lost one.
_CHECK_INTERVAL: Final = timedelta(hours=6)
_PROVIDER_CHECK_INTERVAL: Final = timedelta(hours=1)


@workflow.defn(name="Payout", versioning_behavior=VersioningBehavior.PINNED)
class PayoutWorkflow:
    """Every step and every decision returns the state on the record; the workflow keeps only a copy of the newest. A
    decision never waits for a step: both lock the payout's row, and a step goes on from what it finds there."""

    @workflow.init
    def __init__(self, start: PayoutStart) -> None:
        self._ref = PayoutRef(payout_id=start.payout_id)
        self._state = ""
        self._steps = 0
        self._news = 0
        self._known_keys: set[str] = set()
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: PayoutStart) -> str:
        if not workflow.patched("attempts"):
            return await self._run_before_attempts(start)
        seen = self._news
        await self._step(payouts.hold_and_judge)
        if self._state not in OPEN_TO_PEOPLE:
            seen = -1  # started again in the middle: look at once
        while self._state not in PAYOUT.terminal or self._may_have_come_back(seen):
            await self._continue_as_new_when_long(start)
            if self._state in _NEXT or self._state in PAYOUT.terminal:
                seen = self._news
                await self._step(_NEXT.get(self._state, payouts.follow_and_settle))
                continue
            before = self._state
            await self._wait_for_change(before, seen)
            if self._state == before:
                seen = self._news
                if before in _AFTER_NEWS:
                    await self._step(_AFTER_NEWS[before])
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    def _may_have_come_back(self, seen: int) -> bool:
        """Returns whether there is news that no step has looked at since the transfer arrived."""
        return self._state in PAYOUT.reopens and self._news != seen and workflow.patched("news-after-arrival")

    async def _wait_for_change(self, state: str, seen: int) -> None:
        await workflow.wait_condition(lambda: self._state != state or self._news != seen)

    async def _continue_as_new_when_long(self, start: PayoutStart) -> None:
        if workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(start)

    async def _step(self, activity: Step) -> None:
        self._take(await call(activity, self._ref))

    def _take(self, now: PayoutStatus | DecisionResult) -> None:
        """Keep the newer state: a step and a decision that ran at once may answer in any order."""
        if now.steps >= self._steps:
            self._state, self._steps = now.state, now.steps

    def _count_news(self, key: str) -> None:
        if key not in self._known_keys:
            self._known_keys.add(key)
            self._news += 1

    @workflow.signal
    def risk_changed(self, message: RiskChanged) -> None:
        self._count_news(message.key)

    @workflow.signal
    def transfer_changed(self, message: TransferChanged) -> None:
        self._count_news(message.key)

    @workflow.signal
    def market_time_reached(self, message: MarketTimeReached) -> None:
        """Always counts as news: the same date can be set, and be due, again."""
        self._news += 1

    @workflow.query
    def status(self) -> str:
        return self._state

    @workflow.update
    async def approve(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("approve", request)

    @workflow.update
    async def retract(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("retract", request)

    @workflow.update
    async def reject(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("reject", request)

    @workflow.update
    async def return_to_trader(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("return_to_trader", request)

    @workflow.update
    async def cancel(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("cancel", request)

    @workflow.update
    async def stop(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("stop", request)

    @workflow.update
    async def send_again(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("send_again", request)

    @workflow.update
    async def release(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("release", request)

    @workflow.update
    async def keep(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("keep", request)

    @approve.validator
    @retract.validator
    @reject.validator
    @return_to_trader.validator
    @stop.validator
    @send_again.validator
    @release.validator
    @keep.validator
    def _check_reason(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    async def _decide(self, choice: PayoutChoice, request: DecisionRequest) -> DecisionResult:
        decision = PayoutDecision(payout_id=self._ref.payout_id, choice=choice, request=request, update_id=update_id())
        if not workflow.patched("attempts"):
            async with self._lock:
                result = await ask(payouts.record_decision, decision)
                self._state = result.state
                return result
        # an approval is one short transaction; every other decision may ask a rail
        result = await (ask_here if choice == "approve" else ask)(payouts.record_decision, decision)
        self._take(result)
        self._news += choice == "send_again"
        return result

    # Runs that began before attempts were rows. Their commands stay as they are, so that they replay. Such a run ends
    # when the money came back; the relay starts the payout again.

    async def _run_before_attempts(self, start: PayoutStart) -> str:
        await self._locked_step(payouts.place_hold)
        while self._state not in (*PAYOUT.terminal, *CAME_BACK):
            await self._continue_as_new_when_long(start)
            await self._advance_before_attempts()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    async def _advance_before_attempts(self) -> None:
        news_before = self._news
        if self._state in ("reserved", *OPEN_TO_PEOPLE):
            await self._locked_step(payouts.check_risk)
            if self._state in OPEN_TO_PEOPLE:
                await self._wait_for_news(news_before, _CHECK_INTERVAL)
        elif self._state == "approved":
            if workflow.patched("send-without-lock"):
                self._state = (await call(payouts.send_money, self._ref)).state
            else:
                await self._locked_step(payouts.send_money)
        elif self._state == "sent":
            await self._locked_step(payouts.follow_transfer)
            if self._state == "sent":
                await self._wait_for_news(news_before, _PROVIDER_CHECK_INTERVAL)
        elif self._state == "settling":
            await self._locked_step(payouts.settle)
        else:
            await self._locked_step(payouts.release_hold)

    async def _locked_step(self, activity: Step) -> None:
        async with self._lock:
            self._state = (await call(activity, self._ref)).state

    async def _wait_for_news(self, news_before: int, at_most: timedelta) -> None:
        state = self._state
        try:
            await workflow.wait_condition(lambda: self._news != news_before or self._state != state, timeout=at_most)
        except TimeoutError:
            return

"""A payout: hold the money, look at risk, have it approved, send it, hear that it arrived; or give it back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from temporalio import workflow

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
    from domain.payouts.payout import PAYOUT
    from workflows.calls import ask, call, update_id

_OPEN_TO_PEOPLE: Final = ("in_review", "awaiting_approval")
# Facts arrive as signals; these only bound how long a lost one could matter.
_LOOK_AGAIN: Final = timedelta(hours=6)
_ASK_PROVIDER: Final = timedelta(hours=1)


@workflow.defn(name="Payout")
class Payout:
    """The state is the record's: every step answers with it, and nothing here is a second truth."""

    @workflow.init
    def __init__(self, start: PayoutStart) -> None:
        self._ref = PayoutRef(payout_id=start.payout_id)
        self._state = ""
        self._news = 0
        self._seen: set[str] = set()
        self._turn = asyncio.Lock()

    @workflow.run
    async def run(self, start: PayoutStart) -> str:
        await self._step(payouts.place_hold)
        while self._state not in PAYOUT.terminal:
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(start)
            await self._go_on()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    async def _go_on(self) -> None:
        heard = self._news
        if self._state in ("reserved", *_OPEN_TO_PEOPLE):
            await self._step(payouts.check_risk)
            if self._state in _OPEN_TO_PEOPLE:
                await self._rest(heard, _LOOK_AGAIN)
        elif self._state == "approved":
            await self._step(payouts.send_money)
        elif self._state == "sent":
            await self._step(payouts.follow_transfer)
            if self._state == "sent":
                await self._rest(heard, _ASK_PROVIDER)
        elif self._state == "settling":
            await self._step(payouts.settle)
        else:
            await self._step(payouts.release_hold)

    async def _step(self, activity: Callable[[PayoutRef], Awaitable[PayoutStatus]]) -> None:
        """One step at a time: a decision and a step never overwrite each other's answer."""
        async with self._turn:
            self._state = (await call(activity, self._ref)).state

    async def _rest(self, heard: int, at_most: timedelta) -> None:
        state = self._state
        try:
            await workflow.wait_condition(lambda: self._news != heard or self._state != state, timeout=at_most)
        except TimeoutError:
            return

    def _hear(self, key: str) -> None:
        if key not in self._seen:
            self._seen.add(key)
            self._news += 1

    @workflow.signal
    def risk_changed(self, message: RiskChanged) -> None:
        self._hear(message.key)

    @workflow.signal
    def transfer_changed(self, message: TransferChanged) -> None:
        self._hear(message.key)

    @workflow.signal
    def market_time_reached(self, message: MarketTimeReached) -> None:
        """Never a repetition: the same date can be due again after it was set again."""
        self._news += 1

    @workflow.query
    def status(self) -> str:
        return self._state

    @workflow.update
    async def approve(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("approve", request)

    @workflow.update
    async def reject(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("reject", request)

    @workflow.update
    async def return_to_trader(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("return_to_trader", request)

    @workflow.update
    async def cancel(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("cancel", request)

    @approve.validator
    def _may_approve(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @reject.validator
    def _may_reject(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @return_to_trader.validator
    def _may_return(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    async def _decide(self, choice: PayoutChoice, request: DecisionRequest) -> DecisionResult:
        async with self._turn:
            decision = PayoutDecision(
                payout_id=self._ref.payout_id, choice=choice, request=request, update_id=update_id()
            )
            result = await ask(payouts.record_decision, decision)
            self._state = result.state
            return result

"""A payout: hold the money, check risk, wait for approval, send it, follow the transfer; or release the hold."""

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
# Facts arrive as signals. These timers only cover a lost signal.
_CHECK_INTERVAL: Final = timedelta(hours=6)
_PROVIDER_CHECK_INTERVAL: Final = timedelta(hours=1)


@workflow.defn(name="Payout")
class PayoutWorkflow:
    """Every step returns the state on the record; the workflow keeps only a copy of it."""

    @workflow.init
    def __init__(self, start: PayoutStart) -> None:
        self._ref = PayoutRef(payout_id=start.payout_id)
        self._state = ""
        self._news = 0
        self._known_keys: set[str] = set()
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: PayoutStart) -> str:
        await self._step(payouts.place_hold)
        while self._state not in PAYOUT.terminal:
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(start)
            await self._advance()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    async def _advance(self) -> None:
        news_before = self._news
        if self._state in ("reserved", *_OPEN_TO_PEOPLE):
            await self._step(payouts.check_risk)
            if self._state in _OPEN_TO_PEOPLE:
                await self._wait_for_news(news_before, _CHECK_INTERVAL)
        elif self._state == "approved":
            await self._send()
        elif self._state == "sent":
            await self._step(payouts.follow_transfer)
            if self._state == "sent":
                await self._wait_for_news(news_before, _PROVIDER_CHECK_INTERVAL)
        elif self._state == "settling":
            await self._step(payouts.settle)
        else:
            await self._step(payouts.release_hold)

    async def _step(self, activity: Callable[[PayoutRef], Awaitable[PayoutStatus]]) -> None:
        """Run one step. The lock keeps a step and a decision from overwriting each other's state."""
        async with self._lock:
            self._state = (await call(activity, self._ref)).state

    async def _send(self) -> None:
        """Send without the lock: a stop, or the answer that it is too late, must not wait for a platform or a provider
        that is away. Both read the record under its row lock, so a copy that is overwritten here is corrected by the
        next step."""
        if workflow.patched("send-without-lock"):
            self._state = (await call(payouts.send_money, self._ref)).state
        else:
            await self._step(payouts.send_money)

    async def _wait_for_news(self, news_before: int, at_most: timedelta) -> None:
        state = self._state
        try:
            await workflow.wait_condition(lambda: self._news != news_before or self._state != state, timeout=at_most)
        except TimeoutError:
            return

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
    async def reject(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("reject", request)

    @workflow.update
    async def return_to_trader(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("return_to_trader", request)

    @workflow.update
    async def cancel(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("cancel", request)

    @approve.validator
    def _check_approve(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @reject.validator
    def _check_reject(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @return_to_trader.validator
    def _check_return(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    async def _decide(self, choice: PayoutChoice, request: DecisionRequest) -> DecisionResult:
        async with self._lock:
            decision = PayoutDecision(
                payout_id=self._ref.payout_id, choice=choice, request=request, update_id=update_id()
            )
            result = await ask(payouts.record_decision, decision)
            self._state = result.state
            return result

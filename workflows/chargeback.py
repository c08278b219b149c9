"""A chargeback, from the acquirer's first word to the bank's decision. Events and answers only ask to look again."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import chargebacks as steps
    from contracts.messages import ChargebackChanged, ChargebackStart, MarketTimeReached
    from domain.chargebacks import CHARGEBACK
    from workflows.calls import call

_CHECK_INTERVAL: Final = timedelta(days=1)  # for events that got lost


@workflow.defn(name="Chargeback", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class ChargebackWorkflow:
    @workflow.init
    def __init__(self, start: ChargebackStart) -> None:
        self._state = CHARGEBACK.initial
        self._changed = False

    @workflow.run
    async def run(self, start: ChargebackStart) -> str:
        over = False
        while self._changed or not over:
            self._changed = False
            status = await call(steps.follow, start)
            self._state, over = status.state, status.over
            if not over:
                await self._wait()
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(start)
        return self._state

    async def _wait(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._changed, timeout=_CHECK_INTERVAL)
        except TimeoutError:
            return

    @workflow.signal
    def chargeback_changed(self, _fact: ChargebackChanged) -> None:
        self._changed = True

    @workflow.signal
    def market_time_reached(self, _fact: MarketTimeReached) -> None:
        self._changed = True

    @workflow.query
    def status(self) -> str:
        return self._state

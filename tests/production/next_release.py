"""The next release, for the drill: a payout takes another way without a patch, a challenge one with a patch."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts.messages import ChallengeStart, MarketTimeReached, PayoutStart
    from workflows.challenge import ChallengeWorkflow
    from workflows.payout import PayoutWorkflow

PATCH: Final = "next-release"
WAKES: Final = "on the next release"  # the key of the message that first wakes a challenge there
_MOMENT: Final = timedelta(milliseconds=1)


@workflow.defn(name="Payout", versioning_behavior=VersioningBehavior.PINNED)
class NextPayout(PayoutWorkflow):
    @workflow.init
    def __init__(self, start: PayoutStart) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: PayoutStart) -> str:
        await workflow.sleep(_MOMENT)  # a history of the release before does not have it
        return await super().run(start)


@workflow.defn(name="Challenge", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class NextChallenge(ChallengeWorkflow):
    @workflow.init
    def __init__(self, start: ChallengeStart) -> None:
        super().__init__(start)
        self._takes_the_patch = False

    @workflow.run
    async def run(self, start: ChallengeStart) -> str:
        return await super().run(start)

    @workflow.signal
    def market_time_reached(self, fact: MarketTimeReached) -> None:
        super().market_time_reached(fact)
        self._takes_the_patch = fact.key == WAKES

    async def _wait_and_act(self) -> None:
        await super()._wait_and_act()
        # a patch that was passed while the history of the release before is replayed is off for the whole run
        if self._takes_the_patch and workflow.patched(PATCH):
            await workflow.sleep(_MOMENT)

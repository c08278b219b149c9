"""What the code never was: the history of this workflow must not replay on the real one."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.challenges import ChallengeFact, open_checkout
    from contracts.messages import ChallengeStart
    from workflows.calls import call


@workflow.defn(name="Challenge")
class AnotherChallenge:
    @workflow.init
    def __init__(self, start: ChallengeStart) -> None:
        self._fact = ChallengeFact(challenge_id=start.challenge_id, key="checkout")

    @workflow.run
    async def run(self, start: ChallengeStart) -> str:
        await workflow.sleep(1)
        return (await call(open_checkout, self._fact)).state

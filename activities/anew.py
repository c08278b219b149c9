"""Gives the phase of a challenge anew without a fee, once a second person has approved it."""

from activities import provisioning
from activities.deps import Deps
from contracts.challenges import ChallengeFact
from domain.lifecycle import CHALLENGE
from firm import challenges, interventions
from store.clock import market_now
from store.models import Challenge


async def give(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Closes the account at its platform and has the next one opened. A pass or breach that is stored already goes
    first: then there is nothing to give anew."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        made = await interventions.approved(session, challenge.id, "reset")
        account = await challenges.account(session, challenge)
        if made is None or made.id != fact.subject_id or account is None:
            return challenge
        passed = challenge.state == "active" and await challenges.verdict_waits(session, account.id)
        if passed or account.id != made.account_id or not CHALLENGE.allows(challenge.state, "retake_granted"):
            await interventions.lapse(session, challenge.id, "reset")
            return challenge
    await provisioning.lock_account(deps, challenge.id, "reset")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        made = await interventions.approved(session, challenge.id, "reset")
        account = await challenges.account(session, challenge, locked=True)
        if made is not None and account is not None and CHALLENGE.allows(challenge.state, "retake_granted"):
            await interventions.give_anew(session, made, challenge, account, await market_now(session))
        return challenge

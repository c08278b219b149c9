"""Gives the phase of a challenge anew without a fee, once a second person has approved it."""

from sqlalchemy.ext.asyncio import AsyncSession

from activities import provisioning
from activities.deps import Deps
from contracts.challenges import ChallengeFact
from domain.interventions import HAD_ENDED, HAD_JUDGED, had_ended
from domain.lifecycle import CHALLENGE
from firm import challenges, intervention_ends, interventions
from store.clock import market_now
from store.models import Account, Challenge, Intervention


async def give(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Closes the account at its platform and has the next one opened. A pass or breach that is stored already goes
    first: then there is nothing to give anew."""
    async with deps.db.transaction() as session:
        challenge, given = await _given(session, fact)
    if given is None:
        return challenge
    await provisioning.lock_account(deps, challenge.id, "reset")
    async with deps.db.transaction() as session:
        challenge, given = await _given(session, fact)
        if given is not None:
            await interventions.give_anew(session, *given, await market_now(session))
        return challenge


async def _given(
    session: AsyncSession, fact: ChallengeFact
) -> tuple[Challenge, tuple[Intervention, Challenge, Account] | None]:
    """Returns the locked challenge, and what is given anew in it; None once that is settled. An intervention that
    cannot be carried out any more lapses."""
    challenge = await challenges.lock(session, fact.challenge_id)
    made = await intervention_ends.approved(session, challenge.id, "reset")
    account = await challenges.account(session, challenge, locked=True)
    if made is None or made.id != fact.subject_id or account is None:
        return challenge, None
    why = await _why_lapsed(session, made, challenge, account)
    if not why:
        return challenge, (made, challenge, account)
    await intervention_ends.lapse(session, made, why, await market_now(session))
    return challenge, None


async def _why_lapsed(session: AsyncSession, made: Intervention, challenge: Challenge, account: Account) -> str:
    """Returns why the phase is not given anew, as a sentence for staff; empty when it is."""
    if account.id != made.account_id:
        return HAD_ENDED
    if challenge.state == "active" and await challenges.verdict_waits(session, account.id):
        return HAD_JUDGED
    return "" if CHALLENGE.allows(challenge.state, "retake_granted") else had_ended(challenge.state)

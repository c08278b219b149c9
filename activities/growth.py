"""Lets a funded account grow when it meets the scaling plan of its product."""

from activities.deps import Deps
from contracts.challenges import ChallengeFact
from firm import challenges, growth
from firm.payouts.situation import Holdings
from store import changing
from store.models import Challenge


async def grow(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Ends an account that meets the plan, so that its larger successor is opened; else sets the next wake-up.

    The platform is asked only when the record says that the account may grow, and before the row is locked. Trading on
    the old account ends when the next one is opened.
    """
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        account = await challenges.account(session, challenge)
        if challenge.state != "funded" or account is None or account.login is None:
            return challenge
        product = await challenges.terms(session, challenge)
        plan = growth.plan_of(product, account)
        if plan is None:
            return challenge
        recorded = await growth.recorded_holdings(session, account, deps.calendars)
        if (await growth.next_step(session, account, product, plan, recorded, deps.calendars)).missing:
            await challenges.wake(session, challenge, await growth.next_wake(session, challenge, account, product))
            return challenge
    snapshot = await deps.platforms.of(account.platform).snapshot(account.login)
    holdings = Holdings(snapshot.balance_minor, snapshot.equity_minor, len(snapshot.positions))
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        locked = await challenges.account(session, challenge, locked=True)
        same = locked is not None and (locked.id, locked.status) == (account.id, "active")
        if locked is None or not same or challenge.state != "funded":
            return challenge
        step = await growth.next_step(session, locked, product, plan, holdings, deps.calendars)
        if step.missing or await changing.is_under_way(session, locked.id):
            await challenges.wake(session, challenge, await growth.next_wake(session, challenge, locked, product))
        else:
            await growth.grow(session, challenge, locked, step)
        return challenge

"""Accounts on real sandboxes, opened by the firm's own activities and judged by the monitor's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import cast

from sqlalchemy import select
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.challenges import ChallengeActivities
from activities.deps import Deps
from activities.monitoring import MonitorActivities
from contracts.challenges import ChallengeFact, PhaseStep
from contracts.messages import ShardStart
from domain.approvals import Actor
from domain.errors import Unavailable
from firm import challenges
from store import products
from store.models import Account, Challenge, Trader
from tests.challenge_world import START
from tests.contract.sandbox_process import SandboxProcess, at
from tests.shelf import publish_shelf


@asynccontextmanager
async def judged(deps: Deps, numbers: list[int]) -> AsyncIterator[None]:
    """Every shard judged by the monitor's own activity, as a worker runs it."""
    environments = [ActivityEnvironment() for _ in numbers]
    monitor = MonitorActivities(deps)
    running = [
        asyncio.ensure_future(cast("Awaitable[None]", environment.run(monitor.run_shard, ShardStart(shard=number))))
        for environment, number in zip(environments, numbers, strict=True)
    ]
    try:
        yield
    finally:
        for environment in environments:
            environment.worker_shutdown()
        await asyncio.gather(*running, return_exceptions=True)


async def an_account(
    deps: Deps, other: Deps, sandbox: SandboxProcess, trader: Actor, product: str = "two-step"
) -> Account:
    """Bought, paid on the provider's own page, opened and trading: on the defaults of `deps`. The fee is looked after
    by a worker with `other` defaults, which are for new challenges alone."""
    acts, fees = ChallengeActivities(deps), ChallengeActivities(other)
    async with deps.db.transaction() as session:
        challenge = await challenges.buy(
            session,
            trader_id=str(trader.trader_id),
            product=await products.newest(session, product),
            return_url="https://firm.example/",
            provider=deps.payments.acquirers.default,
            actor=trader,
        )
    fact = ChallengeFact(challenge_id=challenge.id, key="fact")
    await fees.open_checkout(fact)
    async with deps.db.transaction() as session:
        checkout_id = (await session.get_one(Challenge, challenge.id)).checkout_id
    sandbox.http.post(f"/pay/{checkout_id}", data={"outcome": "paid"})
    await fees.check_payment(fact)
    await acts.open_account(PhaseStep(challenge_id=challenge.id, phase_index=1))
    await fees.start_phase(PhaseStep(challenge_id=challenge.id, phase_index=1))
    async with deps.db.transaction() as session:
        return (await session.scalars(select(Account).where(Account.challenge_id == challenge.id))).one()


async def a_trader(deps: Deps) -> Actor:
    async with deps.db.transaction() as session:
        await publish_shelf(session)
        session.add(
            Trader(id="trd_ada", name="ada", email="a@example.com", email_index="a", country="DE", created_at=START)
        )
    return Actor(user_id="usr_ada", person_id="person-ada", role="trader", trader_id="trd_ada")


async def no_temporal() -> Client:
    raise Unavailable("Temporal does not answer.")


async def advance(sandbox: SandboxProcess, minute: int) -> None:
    advanced = {"until": at(0, minute).isoformat()}
    (await asyncio.to_thread(sandbox.post, "/market/advance", advanced)).raise_for_status()

"""A firm whose activities die at a given call, as a killed worker does."""

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, cast

import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from activities.challenges import ChallengeActivities
from activities.deps import Deps
from activities.disputes import DisputeActivities
from contracts.challenges import ChallengeFact, PhaseStep
from contracts.disputes import DisputeStep
from contracts.messages import DecisionRequest, DisputeStart
from domain.approvals import Actor
from firm import challenges, disputes
from store import crypto, products
from store.db import Database
from tests.adapters import platforms, providers
from tests.asked import ask_for, one_decides_disputes
from tests.challenge_world import KEYS, Firm, Provider, Venue, after
from tests.shelf import publish_shelf

When = Literal["before", "after"]


class Killed(BaseException):
    """The process dies here: nothing may catch it."""


class Mortal:
    """Passes calls on to `inner`, and dies before or after call number `at`, counted over all mortals of one life."""

    def __init__(self, inner: object, life: list[int], at: int, when: When) -> None:
        self._inner, self._life, self._at, self._when = inner, life, at, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            number, self._life[0] = self._life[0], self._life[0] + 1
            if (number, self._when) == (self._at, "before"):
                raise Killed
            answer = await found(*args, **kwargs)
            if (number, self._when) == (self._at, "after"):
                raise Killed
            return answer

        return call


class Bench:
    """A firm without Temporal: activities are called as a worker would, and die as told."""

    def __init__(self, db: Database) -> None:
        self.firm = Firm(db, cast("Client", None), Venue(), Provider(), cast("Any", None), cast("Any", None))
        self.healthy = self._activities(-1, "before", [0])
        self.rosa: Actor | None = None

    def _activities(self, at: int, when: When, life: list[int]) -> tuple[ChallengeActivities, DisputeActivities]:
        venue = cast("Any", Mortal(self.firm.venue, life, at, when))
        provider = cast("Any", Mortal(self.firm.provider, life, at, when))
        deps = Deps(db=self.firm.db, platforms=platforms(venue), payments=providers(provider))
        return ChallengeActivities(deps), DisputeActivities(deps)

    def activities(self, at: int, when: When) -> tuple[ChallengeActivities, DisputeActivities]:
        return self._activities(at, when, [0])

    async def survives(self, at: int, when: When, name: str, message: object) -> bool:
        """Run activity `name`, killed at one call, then again in good health. False when there was no such call: then
        it is the result that was lost, and the activity runs once more all the same."""
        try:
            await getattr(self._activities(at, when, [0])[0], name)(message)
            died = False
        except Killed:
            died = True
        await getattr(self.healthy[0], name)(message)
        return died

    async def sold(self, name: str) -> tuple[str, Actor]:
        actor = await self.firm.add_trader(name)
        async with self.firm.db.transaction() as session:
            product = await products.newest(session, "two-step")
            row = await challenges.buy(
                session,
                trader_id=f"trd_{name}",
                product=product,
                return_url="https://firm.example/",
                provider=self.firm.provider.name,
                actor=actor,
            )
        return row.id, actor

    async def paid(self, name: str) -> tuple[str, Actor]:
        challenge_id, actor = await self.sold(name)
        await self.healthy[0].open_checkout(ChallengeFact(challenge_id=challenge_id, key="c"))
        self.firm.provider.becomes(f"co_{challenge_id}/checkout", "paid")
        await self.healthy[0].check_payment(ChallengeFact(challenge_id=challenge_id, key="p"))
        return challenge_id, actor

    async def active(self, name: str) -> tuple[str, Actor]:
        challenge_id, actor = await self.paid(name)
        step = PhaseStep(challenge_id=challenge_id, phase_index=1)
        await self.healthy[0].open_account(step)
        assert (await self.healthy[0].start_phase(step)).state == "active"
        return challenge_id, actor

    async def overturned(self, name: str) -> tuple[str, str]:
        """(challenge, dispute) where a person has granted reinstatement."""
        challenge_id, actor = await self.active(name)
        breach_id = await self.firm.breach(challenge_id)
        fact = ChallengeFact(challenge_id=challenge_id, key=f"breach/{breach_id}", subject_id=breach_id)
        assert (await self.healthy[0].record_breach(fact)).state == "breached"
        async with self.firm.db.transaction() as session:
            row = await disputes.open_dispute(session, breach_id=breach_id, actor=actor, statement="Odd.")
        await self.healthy[1].assemble_evidence(DisputeStart(dispute_id=row.id))
        self.rosa = self.rosa or await self.firm.add_user("rosa", "risk")
        request = DecisionRequest(key=row.id, actor=self.rosa, reason="Looked.")
        await one_decides_disputes(self.firm.db)
        await ask_for(self.firm.db, "dispute", row.id, "reinstate", request)
        step = DisputeStep(dispute_id=row.id, decision="reinstate", request=request, update_id=request.key)
        await self.healthy[1].record_decision(step)
        return challenge_id, row.id

    async def killed_at(self, at: int, when: When, name: str, message: object) -> None:
        with pytest.raises(Killed):
            await getattr(self._activities(at, when, [0])[0], name)(message)

    async def count(self, model: Any, *where: Any) -> int:
        async with self.firm.db.transaction() as session:
            return int((await session.execute(select(func.count()).select_from(model).where(*where))).scalar_one())

    async def steps(self, challenge_id: str) -> list[str]:
        return await self.firm.steps("challenge", challenge_id)


MOMENTS: Final[tuple[When, ...]] = ("before", "after")


@asynccontextmanager
async def a_bench(database_url: str) -> AsyncIterator[Bench]:
    """Open for business, without Temporal."""
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=5)
    async with db.transaction() as session:
        await publish_shelf(session)
    made = Bench(db)
    await made.firm.market_time(after())
    yield made
    await db.close()

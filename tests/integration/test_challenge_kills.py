"""A worker killed before or after any call to the outside, or before any commit: run again, every effect is there once."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, cast

import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from activities.challenges import ChallengeActivities
from activities.deps import Deps
from activities.disputes import DisputeActivities
from contracts.challenges import ChallengeFact, PhaseStep, RefundStep
from contracts.disputes import DisputeStep
from contracts.messages import DecisionRequest, DisputeStart, RefundRequest
from domain.approvals import Actor
from store import challenges, crypto, disputes, products
from store.db import Database
from store.models import Account, LedgerTransaction, OutboxMessage, Transition, Wakeup
from store.shelf import load_products
from tests.challenge_world import KEYS, Firm, Provider, Venue, after

When = Literal["before", "after"]


class Killed(BaseException):
    """The process dies here: nothing may catch it."""


class Mortal:
    """Passes calls on to `inner`, and dies before or after call number `at`, counted over all mortals of one life."""

    def __init__(self, inner: object, life: list[int], at: int, when: When) -> None:
        self._inner, self._life, self._at, self._when = inner, life, at, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
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
        self.firm = Firm(db, cast("Client", None), Venue(), Provider(), cast("Any", None))
        self.healthy = self._activities(-1, "before", [0])
        self.rosa: Actor | None = None

    def _activities(self, at: int, when: When, life: list[int]) -> tuple[ChallengeActivities, DisputeActivities]:
        venue = cast("Any", Mortal(self.firm.venue, life, at, when))
        provider = cast("Any", Mortal(self.firm.provider, life, at, when))
        deps = Deps(db=self.firm.db, platform=venue, payments=provider)
        return ChallengeActivities(deps), DisputeActivities(deps)

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
                session, trader_id=f"trd_{name}", product=product, return_url="https://firm.example/", actor=actor
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
        await self.healthy[1].record_decision(DisputeStep(dispute_id=row.id, decision="reinstate", request=request))
        return challenge_id, row.id

    async def count(self, model: Any, *where: Any) -> int:
        async with self.firm.db.transaction() as session:
            return int((await session.execute(select(func.count()).select_from(model).where(*where))).scalar_one())

    async def steps(self, challenge_id: str) -> list[str]:
        return await self.firm.steps("challenge", challenge_id)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=5)
    async with db.transaction() as session:
        for product in load_products():
            await products.publish(session, product)
    made = Bench(db)
    await made.firm.market_time(after())
    yield made
    await db.close()


MOMENTS: Final[tuple[When, ...]] = ("before", "after")
DEATHS: Final = tuple(itertools.product(range(8), MOMENTS))


async def test_a_checkout_is_made_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, _ = await bench.sold(f"a{at}{when}")
        fact = ChallengeFact(challenge_id=challenge_id, key="c")
        died += await bench.survives(at, when, "open_checkout", fact)
        assert (await bench.firm.challenge(challenge_id)).checkout_id == f"co_{challenge_id}/checkout"
        assert await bench.count(Wakeup, Wakeup.workflow_id == f"challenge/{challenge_id}") == 1
    assert died == 2


async def test_a_fee_is_booked_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, _ = await bench.sold(f"b{at}{when}")
        await bench.healthy[0].open_checkout(ChallengeFact(challenge_id=challenge_id, key="c"))
        bench.firm.provider.becomes(f"co_{challenge_id}/checkout", "paid")
        fact = ChallengeFact(challenge_id=challenge_id, key="p")
        died += await bench.survives(at, when, "check_payment", fact)
        assert await bench.steps(challenge_id) == ["payment_settled"]
        assert await bench.count(LedgerTransaction, LedgerTransaction.reference == challenge_id) == 1
    assert died == 2


async def test_an_account_is_opened_funded_and_enabled_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, _ = await bench.paid(f"c{at}{when}")
        step = PhaseStep(challenge_id=challenge_id, phase_index=1)
        died += await bench.survives(at, when, "open_account", step)
        account = await bench.firm.account(challenge_id)
        seat = bench.firm.venue.seats[account.login or 0]
        assert (account.status, seat.enabled, seat.balance_minor) == ("active", True, 10_000_000)
    assert died == 6
    assert len(bench.firm.venue.seats) == await bench.count(Account) == 16


async def test_a_fee_is_refunded_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, actor = await bench.active(f"d{at}{when}")
        request = RefundRequest(key=f"r-{challenge_id}", actor=actor, reason="No time.")
        step = RefundStep(challenge_id=challenge_id, request=request)
        died += await bench.survives(at, when, "refund_fee", step)
        assert (await bench.firm.challenge(challenge_id)).state == "refunded"
        assert not bench.firm.venue.seats[(await bench.firm.account(challenge_id)).login or 0].enabled
    assert died == 8
    assert len(bench.firm.provider.refunds) == 16
    assert (await bench.firm.books())["provider"] == 0


async def test_an_account_is_given_back_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, dispute_id = await bench.overturned(f"e{at}{when}")
        fact = ChallengeFact(challenge_id=challenge_id, key="o", subject_id=dispute_id)
        died += await bench.survives(at, when, "reinstate_account", fact)
        account = await bench.firm.account(challenge_id)
        seat = bench.firm.venue.seats[account.login or 0]
        assert (account.status, seat.enabled, seat.balance_minor) == ("active", True, 9_100_000)
        assert (await bench.steps(challenge_id))[-1] == "evaluation_reinstated"
        assert await bench.count(OutboxMessage, OutboxMessage.key == f"reinstated/{dispute_id}") == 1
    assert died == 6


async def test_a_chargeback_is_booked_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, _ = await bench.active(f"f{at}{when}")
        bench.firm.provider.becomes(f"co_{challenge_id}/checkout", "charged_back")
        fact = ChallengeFact(challenge_id=challenge_id, key=f"cb-{challenge_id}")
        died += await bench.survives(at, when, "record_chargeback", fact)
        assert (await bench.steps(challenge_id))[-1] == "chargeback_received"
        assert await bench.count(LedgerTransaction, LedgerTransaction.reference == challenge_id) == 2
    assert died == 4
    assert await bench.count(Transition, Transition.trigger == "chargeback_received") == 16

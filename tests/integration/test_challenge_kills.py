"""A worker killed before or after any outside call, or before any commit: run again, every effect is there once."""

import itertools
from collections.abc import AsyncIterator
from typing import Final, cast

import pytest
from sqlalchemy import update
from temporalio.exceptions import ApplicationError

from activities.challenges import ChallengeActivities
from activities.deps import Deps
from contracts.challenges import ChallengeFact, PhaseStep, RefundStep
from contracts.messages import DisputeStart, RefundRequest
from domain.errors import Conflict
from ports.acquirer import Checkout
from store.models import (
    Account,
    Breach,
    Dispute,
    Intent,
    LedgerTransaction,
    OutboxMessage,
    Transition,
    User,
    Wakeup,
)
from tests.adapters import platforms, providers
from tests.asked import ask_for
from tests.challenge_world import Provider, after, deal
from tests.convicted import convict
from tests.integration.kill_bench import MOMENTS, Bench, Killed, When, a_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with a_bench(database_url) as made:
        yield made


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
        await ask_for(bench.firm.db, "challenge", challenge_id, "refund", request)
        step = RefundStep(challenge_id=challenge_id, request=request, update_id=request.key)
        died += await bench.survives(at, when, "refund_fee", step)
        assert (await bench.firm.challenge(challenge_id)).state == "refunded"
        assert not bench.firm.venue.seats[(await bench.firm.account(challenge_id)).login or 0].enabled
    assert died == 12
    assert len(bench.firm.provider.refunded) == 16
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
        assert await bench.count(LedgerTransaction, LedgerTransaction.reference == challenge_id) == 3, (
            "paid, taken, lost"
        )
    assert died == 6
    assert await bench.count(Transition, Transition.trigger == "chargeback_received") == 16


async def test_a_refund_at_the_provider_is_booked_once(bench: Bench) -> None:
    died = 0
    for at, when in DEATHS:
        challenge_id, _ = await bench.active(f"i{at}{when}")
        bench.firm.provider.becomes(f"co_{challenge_id}/checkout", "refunded")
        fact = ChallengeFact(challenge_id=challenge_id, key=f"rf-{challenge_id}")
        died += await bench.survives(at, when, "record_refund", fact)
        assert (await bench.steps(challenge_id))[-1] == "refunded_at_provider"
        assert await bench.count(LedgerTransaction, LedgerTransaction.reference == challenge_id) == 2
        assert not bench.firm.venue.seats[(await bench.firm.account(challenge_id)).login or 0].enabled
    assert died == 6
    assert (await bench.firm.books()) == {"provider": 0, "fees": 0, "chargebacks": 0}


async def test_a_refused_refund_never_leaves_the_account_frozen(bench: Bench) -> None:
    """Killed at any call on the way: asked again it is refused again, and the account trades."""
    died = 0
    for at, when in DEATHS:
        challenge_id, actor = await bench.active(f"j{at}{when}")
        request = RefundRequest(key=f"r-{challenge_id}", actor=actor, reason="No time.")
        await ask_for(bench.firm.db, "challenge", challenge_id, "refund", request)
        step = RefundStep(challenge_id=challenge_id, request=request, update_id=request.key)
        bench.firm.provider.refuses = Conflict("The card was closed.")
        with pytest.raises((Killed, ApplicationError)) as ended:
            await bench.activities(at, when)[0].refund_fee(step)
        died += ended.type is Killed
        bench.firm.provider.refuses = Conflict("The card was closed.")
        with pytest.raises(ApplicationError, match=r"The card was closed\. The account trades again\."):
            await bench.healthy[0].refund_fee(step)
        assert bench.firm.venue.seats[(await bench.firm.account(challenge_id)).login or 0].enabled
        assert (await bench.steps(challenge_id))[-1] == "refund_refused"
        assert await bench.count(Intent, Intent.key.startswith(f"{challenge_id}/refund")) == 2, "the freeze"
    assert died == 15  # a call that raises is not died after
    assert bench.firm.provider.refunded == []


async def test_a_refund_that_was_made_and_forgotten_is_found_by_its_event(bench: Bench) -> None:
    """The process dies once the provider has refunded, and nobody asks again."""
    challenge_id, actor = await bench.active("forgotten")
    request = RefundRequest(key="r", actor=actor, reason="No time.")
    await ask_for(bench.firm.db, "challenge", challenge_id, "refund", request)
    step = RefundStep(challenge_id=challenge_id, request=request, update_id=request.key)
    await bench.killed_at(3, "after", "refund_fee", step)
    assert (await bench.firm.books())["provider"] == 54_000
    status = await bench.healthy[0].record_refund(ChallengeFact(challenge_id=challenge_id, key="ev_1"))
    assert (status.state, (await bench.firm.books())["provider"]) == ("refunded", 0)
    assert await bench.count(Intent, Intent.key == f"{challenge_id}/refund", Intent.done_at.is_not(None)) == 1


async def test_an_unpaid_checkout_is_closed_before_its_challenge_is_cancelled(bench: Bench) -> None:
    sold = [(at, when, (await bench.sold(f"g{at}{when}"))[0]) for at, when in DEATHS]
    for _, _, challenge_id in sold:
        await bench.healthy[0].open_checkout(ChallengeFact(challenge_id=challenge_id, key="c"))
    await bench.firm.market_time(after(hours=24))
    died = 0
    for at, when, challenge_id in sold:
        died += await bench.survives(at, when, "check_payment", ChallengeFact(challenge_id=challenge_id, key="p"))
        assert bench.firm.provider.checkouts[f"co_{challenge_id}/checkout"].status == "expired"
        assert await bench.steps(challenge_id) == ["payment_expired"]
    assert died == 4


async def test_who_pays_in_the_last_moment_gets_what_was_paid_for(bench: Bench) -> None:
    class LastMoment(Provider):
        async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
            self.becomes(checkout_id, "paid")  # while we were on our way
            return await super().expire_checkout(checkout_id, key=key)

    challenge_id, _ = await bench.sold("hasty")
    await bench.healthy[0].open_checkout(ChallengeFact(challenge_id=challenge_id, key="c"))
    await bench.firm.market_time(after(hours=25))
    provider = LastMoment(checkouts=bench.firm.provider.checkouts)
    deps = Deps(db=bench.firm.db, platforms=platforms(bench.firm.venue), payments=providers(provider))
    status = await ChallengeActivities(deps).check_payment(ChallengeFact(challenge_id=challenge_id, key="p"))
    assert status.state == "provisioning"
    assert (await bench.firm.books())["provider"] == 54_000


async def test_a_refund_past_its_point_of_no_return_is_only_finished(bench: Bench) -> None:
    for at, when in ((3, "before"), (3, "after")):
        challenge_id, actor = await bench.active(f"h{when}")
        request = RefundRequest(key=f"r-{challenge_id}", actor=actor, reason="No time.")
        await ask_for(bench.firm.db, "challenge", challenge_id, "refund", request)
        step = RefundStep(challenge_id=challenge_id, request=request, update_id=request.key)
        await bench.killed_at(at, cast("When", when), "refund_fee", step)
        login = (await bench.firm.account(challenge_id)).login or 0
        bench.firm.venue.seats[login].deals.append(deal(login))
        async with bench.firm.db.transaction() as session:
            await session.execute(update(User).where(User.id == actor.user_id).values(active=False))
        assert (await bench.healthy[0].refund_fee(step)).state == "refunded"
        assert not bench.firm.venue.seats[login].enabled
    assert (await bench.firm.books())["provider"] == 0
    assert len(bench.firm.provider.refunded) == 2


async def test_a_breach_after_the_account_was_given_back_stands(bench: Bench) -> None:
    challenge_id, dispute_id = await bench.overturned("again")
    fact = ChallengeFact(challenge_id=challenge_id, key="o", subject_id=dispute_id)
    await bench.killed_at(2, "after", "reinstate_account", fact)  # enabled, and not yet recorded
    second = await bench.firm.breach(challenge_id, equity_minor=8_900_000, offence=2)
    async with bench.firm.db.transaction() as session:
        await session.execute(update(Account).values(status="locked"))
    assert (await bench.healthy[0].reinstate_account(fact)).state == "active"
    assert await bench.count(Breach, Breach.status == "overturned") == 1
    assert await bench.count(Breach, Breach.status == "confirmed", Breach.id == second) == 1
    account = await bench.firm.account(challenge_id)
    seat = bench.firm.venue.seats[account.login or 0]
    assert (account.status, seat.enabled, seat.balance_minor) == ("locked", False, 8_900_000), "nothing a second time"
    news = ChallengeFact(challenge_id=challenge_id, key=f"breach/{second}", subject_id=second)
    assert (await bench.healthy[0].record_breach(news)).state == "breached"


async def test_only_the_disputed_event_is_overturned(bench: Bench) -> None:
    challenge_id, dispute_id = await bench.overturned("other")
    other = await bench.firm.breach(challenge_id, offence=2)
    await bench.healthy[0].reinstate_account(ChallengeFact(challenge_id=challenge_id, key="o", subject_id=dispute_id))
    assert await bench.count(Breach, Breach.status == "confirmed", Breach.id == other) == 1
    assert await bench.count(Breach, Breach.status == "overturned") == 1


@pytest.mark.parametrize("at", [-1, 1, 2])
async def test_a_convicted_copier_is_not_given_an_account_back(bench: Bench, at: int) -> None:
    """Convicted before the reinstatement, or between two attempts at it."""
    challenge_id, dispute_id = await bench.overturned("copier")
    fact = ChallengeFact(challenge_id=challenge_id, key="o", subject_id=dispute_id)
    if at >= 0:
        await bench.killed_at(at, "after", "reinstate_account", fact)
    await convict(bench.firm, challenge_id)
    assert (await bench.healthy[0].reinstate_account(fact)).state == "closed"
    assert (await bench.healthy[1].record_reinstatement(DisputeStart(dispute_id=dispute_id))).state == "reinstated"
    account = await bench.firm.account(challenge_id)
    assert (account.status, bench.firm.venue.seats[account.login or 0].enabled) == ("closed", False)
    assert await bench.count(Breach, Breach.status == "confirmed") == 0
    assert await bench.count(Dispute, Dispute.closed_at.is_not(None)) == 1


async def test_the_firm_closes_a_breached_challenge(bench: Bench) -> None:
    challenge_id, _ = await bench.overturned("closed")
    case_id = await convict(bench.firm, challenge_id)
    fact = ChallengeFact(challenge_id=challenge_id, key="case", subject_id=case_id)
    assert (await bench.healthy[0].close_account(fact)).state == "closed"
    assert (await bench.firm.account(challenge_id)).status == "closed"

"""A challenge's whole life on real Postgres and Temporal: every branch, each fact more than once."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from contracts.messages import RefundRequest
from domain.approvals import Actor
from domain.errors import ExtensionRefused, NotAllowed
from firm import challenges, people
from tests.asked import ask_for
from tests.challenge_world import Firm, a_firm, after, deal
from tests.convicted import convict


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _refund(firm: Firm, challenge_id: str, actor: Actor, key: str = "r1") -> str:
    request = RefundRequest(key=key, actor=actor, reason="I will not have the time.")
    await ask_for(firm.db, "challenge", challenge_id, "refund", request)
    result = await firm.handle(challenge_id).execute_update("refund", request, id=key)
    return str(result["state"])


async def _refusal(firm: Firm, challenge_id: str, actor: Actor, key: str = "r1") -> ApplicationError:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await _refund(firm, challenge_id, actor, key)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause


async def test_from_payment_over_two_phases_and_identity_to_funded(firm: Firm) -> None:
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id = await firm.bought(ada)
    first = await firm.account(challenge_id)
    assert (first.status, first.phase_index, first.opened_at) == ("active", 1, after())
    seat = firm.venue.seats[first.login or 0]
    assert (seat.enabled, seat.balance_minor) == (True, 10_000_000)
    assert await firm.books() == {"provider": 54_000, "fees": -54_000, "chargebacks": 0}

    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "active", phase_index=2)
    assert not seat.enabled
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "identity_check")
    async with firm.db.transaction() as session:
        await people.decide_identity(
            session, trader_id=str(ada.trader_id), verified=True, actor=rosa, reason="Documents match.", key="k1"
        )
    await firm.becomes(challenge_id, "funded", phase_index=3)
    assert await firm.steps("challenge", challenge_id) == [
        *("payment_settled", "phase_started", "phase_passed", "phase_started"),
        *("evaluation_passed", "identity_verified", "funding_started"),
    ]
    assert len(firm.venue.seats) == 3


async def test_a_verified_trader_goes_on_at_once_and_a_refused_one_ends(firm: Firm) -> None:
    known, refused = await firm.add_trader("known", "verified"), await firm.add_trader("refused", "refused")
    good, bad = await firm.bought(known, "one-step-futures"), await firm.bought(refused, "one-step-futures")
    await firm.passes(good)
    await firm.passes(bad)
    await firm.becomes(good, "funded", phase_index=2)
    await firm.ends(bad, "closed")


async def test_an_unpaid_checkout_is_cancelled_by_time_or_by_the_provider(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    by_provider, by_time = await firm.buy(ada), await firm.buy(ada)
    checkout_id = str((await firm.challenge(by_provider)).checkout_id)
    await firm.signal(by_provider, "payment_expired", {"key": "e1", "checkout_id": checkout_id})
    await firm.quiet()
    assert (await firm.challenge(by_provider)).state == "awaiting_payment", "a hint alone decides nothing"
    firm.provider.becomes(checkout_id, "expired")
    await firm.signal(by_provider, "payment_expired", {"key": "e2", "checkout_id": checkout_id})
    await firm.ends(by_provider, "cancelled")
    await firm.market_time(after(hours=23))
    await firm.quiet()
    assert (await firm.challenge(by_time)).state == "awaiting_payment"
    await firm.market_time(after(hours=24))
    await firm.ends(by_time, "cancelled")
    unpaid = str((await firm.challenge(by_time)).checkout_id)
    assert firm.provider.checkouts[unpaid].status == "expired", "nobody can pay for it any more"


async def test_facts_that_arrive_twice_or_in_the_wrong_order_change_nothing(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.buy(ada)
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    firm.provider.becomes(checkout_id, "paid")
    payload = {"key": "late", "checkout_id": checkout_id}
    await firm.signal(challenge_id, "payment_expired", payload)  # out of order: the provider says it is paid
    for key in ("e1", "e2"):
        await firm.signal(challenge_id, "payment_settled", {"key": key, "checkout_id": checkout_id})
    for _ in range(3):
        await firm.handle(challenge_id).signal("payment_settled", {"key": "e1", "checkout_id": checkout_id})
    await firm.becomes(challenge_id, "active")
    breach_id = await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    row = await firm.account(challenge_id)
    again = {"breach_id": breach_id, "account_id": row.id, "occurred_at": after().isoformat()}
    for key in (f"breach/{breach_id}", "another"):
        await firm.handle(challenge_id).signal("breach_detected", {"key": key, **again})
    await firm.quiet()
    assert await firm.steps("challenge", challenge_id) == ["payment_settled", "phase_started", "breach_detected"]
    assert await firm.books() == {"provider": 54_000, "fees": -54_000, "chargebacks": 0}
    assert len(firm.venue.seats) == 1


async def test_a_breach_fails_the_challenge_when_its_window_is_over(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    await firm.market_time(after(days=1))
    await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    assert (await firm.account(challenge_id)).status == "locked"
    await firm.market_time(after(days=14, hours=23))
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "breached"
    await firm.market_time(after(days=15))
    await firm.ends(challenge_id, "failed")


async def test_a_phase_expires_at_its_time_limit_unless_it_was_judged_before(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    late, judged = await firm.bought(ada), await firm.bought(ada)
    await firm.market_time(after(days=30))
    await firm.passes(judged)
    await firm.ends(late, "expired")
    account = await firm.account(late)
    assert account.status == "closed"
    assert firm.venue.seats[account.login or 0].locks == [f"{account.id}/expired"]
    await firm.becomes(judged, "active", phase_index=2)


async def test_a_refund_before_the_first_trade(firm: Firm) -> None:
    ada, eve = await firm.add_trader("ada"), await firm.add_trader("eve")
    challenge_id = await firm.bought(ada)
    assert (await _refusal(firm, challenge_id, eve)).type == "not-allowed"
    assert await _refund(firm, challenge_id, ada, "r2") == "refunded"
    await firm.ends(challenge_id, "refunded")
    assert firm.provider.refunded == [f"{challenge_id}/refund"]
    assert await firm.books() == {"provider": 0, "fees": 0, "chargebacks": 0}
    assert not firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled


async def test_no_refund_after_a_trade_or_in_a_later_phase(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    traded, moved_up = await firm.bought(ada), await firm.bought(ada)
    login = (await firm.account(traded)).login or 0
    firm.venue.seats[login].deals.append(deal(login))
    refusal = await _refusal(firm, traded, ada)
    assert (refusal.type, refusal.message) == ("conflict", "The account has traded. The fee can no longer be refunded.")
    assert firm.venue.seats[login].enabled, "a refused refund leaves the account trading"
    await firm.passes(moved_up)
    await firm.becomes(moved_up, "active", phase_index=2)
    assert (await _refusal(firm, moved_up, ada)).type == "Conflict"
    assert firm.provider.refunded == []


@pytest.mark.parametrize("stage", ["before the news of payment", "active", "breached", "funded"])
async def test_a_chargeback_ends_everything(firm: Firm, stage: str) -> None:
    ada = await firm.add_trader("ada")
    if stage == "before the news of payment":
        challenge_id = await firm.buy(ada)
    else:
        challenge_id = await firm.bought(ada, "instant" if stage == "funded" else "two-step")
    if stage == "breached":
        await firm.breach(challenge_id)
        await firm.becomes(challenge_id, "breached")
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    payload = {"key": "cb", "checkout_id": checkout_id}
    if stage == "active":
        await firm.signal(challenge_id, "chargeback_received", {**payload, "key": "rumour"})
        await firm.quiet()
        assert (await firm.challenge(challenge_id)).state == "active", "a hint alone decides nothing"
    firm.provider.becomes(checkout_id, "charged_back")
    await firm.signal(challenge_id, "chargeback_received", payload)
    await firm.ends(challenge_id, "charged_back")
    books = await firm.books()
    assert (books["provider"], books["fees"] + books["chargebacks"]) == (0, 0)
    assert books["chargebacks"] > 0
    assert not any(seat.enabled for seat in firm.venue.seats.values())


async def test_the_firm_closes_a_funded_account(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"), "instant")
    await firm.signal(challenge_id, "closed_by_firm", {"key": "rumour", "case_id": "cas_1"})
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "funded", "a signal alone closes nothing"
    case_id = await convict(firm, challenge_id)
    await firm.signal(challenge_id, "closed_by_firm", {"key": "case/1", "case_id": case_id})
    await firm.ends(challenge_id, "closed")
    assert not firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled


async def test_an_update_before_the_first_task_finds_the_state_and_is_refused(firm: Firm) -> None:
    """It runs before `run`: with state made there it would find none, or lose what it did."""
    ada = await firm.add_trader("ada")
    challenge_id = await firm.buy(ada)
    refusal = await _refusal(firm, challenge_id, ada)
    assert refusal.type == "Conflict"
    assert (await firm.handle(challenge_id).query("status"))["state"] == "awaiting_payment"


# time


async def test_an_extension_moves_the_end_of_the_phase_once(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada, await firm.lenient_product())
    async with firm.db.transaction() as session:
        given = await challenges.extend(session, challenge_id, actor=ada, key="x1", reason="I was ill.")
    assert given == (after(days=44), 0)
    async with firm.db.transaction() as session:
        with pytest.raises(ExtensionRefused, match="already extended once"):
            await challenges.extend(session, challenge_id, actor=ada, key="x2", reason="Again.")
    await firm.market_time(after(days=43))
    await firm.pump()
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "active"
    await firm.market_time(after(days=44))
    await firm.ends(challenge_id, "expired")
    assert await firm.steps("challenge", challenge_id) == [
        *("payment_settled", "phase_started", "extension_granted", "time_limit_reached")
    ]


async def test_a_stranger_gets_no_more_time_and_support_does(firm: Firm) -> None:
    ada, eve = await firm.add_trader("ada"), await firm.add_trader("eve")
    sam = await firm.add_user("sam", "support")
    challenge_id = await firm.bought(ada, await firm.lenient_product())
    async with firm.db.transaction() as session:
        with pytest.raises(NotAllowed):
            await challenges.extend(session, challenge_id, actor=eve, key="x1", reason="Mine?")
        await challenges.extend(session, challenge_id, actor=sam, key="x2", reason="The platform was down.")
    assert (await firm.challenge(challenge_id)).state == "active"


async def test_who_is_in_profit_when_time_is_over_begins_the_phase_anew(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada", "verified"), await firm.lenient_product())
    first = await firm.account(challenge_id)
    firm.venue.seats[first.login or 0].balance_minor += 1
    await firm.market_time(after(days=30))
    await firm.until(lambda: _attempt(firm, challenge_id, 2))
    await firm.becomes(challenge_id, "active", phase_index=1)
    second = await firm.account(challenge_id)
    assert (second.phase_index, second.initial_minor, second.opened_at) == (1, first.initial_minor, after(days=30))
    assert (second.login != first.login, len(firm.venue.seats)) == (True, 2)
    assert firm.venue.seats[second.login or 0].balance_minor == 10_000_000
    assert not firm.venue.seats[first.login or 0].enabled
    assert (await firm.books())["fees"] == -54_000, "no fee for it"
    # the second phase can be taken again as well, and the next attempt counts its own time
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "active", phase_index=2)
    firm.venue.seats[(await firm.account(challenge_id)).login or 0].balance_minor += 1
    await firm.market_time(after(days=90))
    await firm.until(lambda: _attempt(firm, challenge_id, 2, phase_index=2))
    await firm.becomes(challenge_id, "active", phase_index=2)
    await firm.market_time(after(days=150))
    await firm.ends(challenge_id, "expired")
    steps = await firm.steps("challenge", challenge_id)
    assert steps.count("retake_granted") == 2
    assert len(firm.venue.seats) == 4


async def _attempt(firm: Firm, challenge_id: str, attempt: int, phase_index: int = 1) -> bool:
    account = await firm.account(challenge_id)
    return (account.attempt, account.phase_index) == (attempt, phase_index)


async def test_who_has_lost_or_broken_a_rule_does_not_begin_anew(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"), await firm.lenient_product())
    await firm.market_time(after(days=30))
    await firm.ends(challenge_id, "expired")
    assert len(firm.venue.seats) == 1

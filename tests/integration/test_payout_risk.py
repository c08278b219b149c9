"""No payout leaves against the record: breaches, reviews and equity count, whatever the lifecycle has heard of."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import select, text
from temporalio.exceptions import ApplicationError

from activities.challenges import ChallengeActivities
from activities.disputes import DisputeActivities
from contracts.challenges import ChallengeFact
from contracts.disputes import DisputeStep
from contracts.ids import payout_workflow
from contracts.messages import DecisionRequest, DisputeStart
from domain.approvals import Actor
from domain.errors import PayoutRefused
from domain.keys import derived_id
from firm import challenges, disputes, reviews
from firm.payouts.risk import risk_facts
from monitor.record.verdict_rows import verdict_rows
from store.live import claim_epoch
from store.live_write import LiveWriter
from store.models import AccountLive, Challenge, OutboxMessage, Payout, Review
from tests.asked import ask_for, one_decides_disputes
from tests.payout_world import INITIAL, MEDIUM, START, Killed, World, a_firm, breach_fact, ref

TINA = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def waiting(firm: World) -> tuple[str, Actor]:
    """(a payout that one person must approve, that person)."""
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    return await firm.awaiting(trader, MEDIUM), fay


async def cancelled(firm: World, payout_id: str) -> None:
    """The payout goes no further than this, and everything is back."""
    assert (await firm.activities.check_risk(ref(payout_id))).state == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "cancelled"
    assert firm.provider.transfers == {}
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)
    async with firm.db.transaction() as session:
        assert (await session.get_one(Challenge, "chl_tina")).state == "funded", "the lifecycle has not heard of it"


@pytest.mark.parametrize("at", ["requested", "reserved", "awaiting_approval", "approved"])
async def test_a_breach_on_the_record_cancels_although_the_lifecycle_has_not_heard_of_it(firm: World, at: str) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    if at == "requested":
        payout_id = await firm.request(trader, MEDIUM)
        await firm.breached("tina")
        assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
        assert firm.venue.done == {}
        return
    payout_id = await firm.request(trader, MEDIUM)
    await firm.activities.place_hold(ref(payout_id))
    if at != "reserved":
        await firm.activities.check_risk(ref(payout_id))
    if at == "approved":
        await firm.decide(payout_id, fay)
    await firm.breached("tina")
    if at == "approved":
        assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    await cancelled(firm, payout_id)


async def test_nobody_asks_for_a_payout_of_a_breached_account(firm: World) -> None:
    trader = await firm.add_trader("tina")
    await firm.breached("tina")
    with pytest.raises(PayoutRefused, match="the challenge is not funded; its state is breached"):
        await firm.request(trader, MEDIUM)


async def test_nobody_approves_against_a_breach_that_is_on_the_record(firm: World) -> None:
    payout_id, fay = await waiting(firm)
    breach_id = await firm.breached("tina")
    with pytest.raises(ApplicationError, match=f"is held.* Breach {breach_id} is on the record") as refused:
        await firm.decide(payout_id, fay)
    assert refused.value.type == "conflict"
    await cancelled(firm, payout_id)


async def test_a_breach_that_is_being_committed_is_waited_for_and_seen(firm: World) -> None:
    payout_id, fay = await waiting(firm)
    await firm.decide(payout_id, fay)
    epoch = await asyncio.to_thread(claim_epoch, firm.db.url, 0)
    with psycopg.connect(firm.db.url, autocommit=True) as monitor, monitor.transaction():
        LiveWriter(monitor, 0, epoch).commit_verdicts(verdict_rows([breach_fact("tina")], epoch, datetime.now(UTC)))
        sending = asyncio.create_task(firm.activities.send_money(ref(payout_id)))
        await somebody_waits(firm)
        assert firm.provider.calls == 0
    assert (await sending).state == "in_review"
    await cancelled(firm, payout_id)


async def test_a_breach_waits_while_a_payout_is_judged(firm: World) -> None:
    payout_id, _ = await waiting(firm)
    async with firm.db.transaction() as session:
        await risk_facts(session, await session.get_one(Payout, payout_id))
        breach = asyncio.create_task(firm.breached("tina"))
        await somebody_waits(firm)
        assert not breach.done()
    await breach


async def test_what_ends_the_challenge_waits_while_a_payout_is_judged(firm: World) -> None:
    payout_id, _ = await waiting(firm)

    async def end() -> None:
        async with firm.db.transaction() as session:
            await challenges.lock(session, "chl_tina")

    async with firm.db.transaction() as session:
        await risk_facts(session, await session.get_one(Payout, payout_id))
        ending = asyncio.create_task(end())
        await somebody_waits(firm)
        assert not ending.done()
    await ending


async def somebody_waits(firm: World) -> None:
    async with asyncio.timeout(30), firm.db.transaction() as session:
        while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            await asyncio.sleep(0.02)


async def test_the_lifecycle_that_hears_of_the_breach_wakes_the_payout(firm: World) -> None:
    payout_id, _ = await waiting(firm)
    breach_id = await firm.breached("tina")
    fact = ChallengeFact(challenge_id="chl_tina", subject_id=breach_id, key=f"breach/{breach_id}")
    assert (await ChallengeActivities(firm.deps).record_breach(fact)).state == "breached"
    assert await woken(firm, payout_id) == [f"risk/{payout_id}/breach/{breach_id}"]
    assert (await firm.activities.check_risk(ref(payout_id))).state == "releasing"


async def reinstated(firm: World) -> tuple[str, str, DisputeActivities, DisputeStart]:
    """A payout, and a breach of its account that was overturned: the account is back, its dispute is not closed yet.
    Returns (payout, breach, what closes the dispute, the dispute)."""
    payout_id, _ = await waiting(firm)
    rosa, lifecycle, hearing = (
        await firm.add_user("rosa", "risk"),
        ChallengeActivities(firm.deps),
        DisputeActivities(firm.deps),
    )
    breach_id = await firm.breached("tina")
    breach = ChallengeFact(challenge_id="chl_tina", subject_id=breach_id, key=f"breach/{breach_id}")
    await lifecycle.record_breach(breach)
    async with firm.db.transaction() as session:
        dispute = await disputes.open_dispute(
            session, breach_id=breach_id, actor=TINA, statement="The price was wrong."
        )
    start = DisputeStart(dispute_id=dispute.id)
    await hearing.assemble_evidence(start)
    request = DecisionRequest(key="d1", actor=rosa, reason="It was.")
    await one_decides_disputes(firm.db)
    await ask_for(firm.db, "dispute", dispute.id, "reinstate", request)
    step = DisputeStep(dispute_id=dispute.id, decision="reinstate", request=request, update_id=request.key)
    await hearing.record_decision(step)
    reinstate = ChallengeFact(challenge_id="chl_tina", subject_id=dispute.id, key=f"dispute/{dispute.id}/reinstate")
    assert (await lifecycle.reinstate_account(reinstate)).state == "funded"
    return payout_id, breach_id, hearing, start


async def test_a_breach_that_is_overturned_wakes_the_payout(firm: World) -> None:
    payout_id, breach_id, hearing, dispute = await reinstated(firm)
    await hearing.record_reinstatement(dispute)
    assert f"risk/{payout_id}/breach/{breach_id}/overturned" in await woken(firm, payout_id)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def test_an_open_dispute_holds_the_payout_until_it_is_closed(firm: World) -> None:
    payout_id, _, hearing, dispute = await reinstated(firm)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    assert not (await firm.payout(payout_id)).checks["disputes"]["ok"]
    await hearing.record_reinstatement(dispute)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def woken(firm: World, payout_id: str) -> list[str]:
    async with firm.db.transaction() as session:
        wanted = (OutboxMessage.target == payout_workflow(payout_id), OutboxMessage.name == "risk_changed")
        return list(await session.scalars(select(OutboxMessage.key).where(*wanted)))


@pytest.mark.parametrize("kind", ["doubtful_breach", "equity_drift", "estimated", "missed_reset", "offence"])
async def test_an_open_review_of_the_account_holds(firm: World, kind: str) -> None:
    payout_id, fay = await waiting(firm)
    await firm.decide(payout_id, fay)
    review_id = await add_review(firm, kind)
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    held = await firm.payout(payout_id)
    assert held.checks["reviews"] == {"ok": False, "words": f"Review {review_id} ({kind.replace('_', ' ')}) is open."}
    assert firm.provider.transfers == {}


async def add_review(firm: World, kind: str, account_id: str | None = "acc_tina") -> str:
    review = Review(id=derived_id("rev", kind), key=kind, kind=kind, detail={}, status="open", occurred_at=START)
    review.account_id = account_id
    async with firm.db.transaction() as session:
        session.add(review)
    return review.id


async def test_a_review_that_is_closed_wakes_the_payout_and_frees_it(firm: World) -> None:
    payout_id, _ = await waiting(firm)
    review_id = await add_review(firm, "equity_drift")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    rosa = await firm.add_user("rosa", "risk")
    async with firm.db.transaction() as session:
        await reviews.close(session, review_id=review_id, actor=rosa, reason="The venue rounds.")
    assert await woken(firm, payout_id) == [f"risk/{payout_id}/{review_id}/closed"]
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def test_the_reason_of_a_held_payout_names_what_holds_it_now(firm: World) -> None:
    payout_id, _ = await waiting(firm)
    first = await add_review(firm, "equity_drift")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    assert (await firm.payout(payout_id)).reason == f"review {first} (equity drift) of the account is open"
    rosa = await firm.add_user("rosa", "risk")
    async with firm.db.transaction() as session:
        await reviews.close(session, review_id=first, actor=rosa, reason="The venue rounds.")
    second = await add_review(firm, "estimated")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    held = await firm.payout(payout_id)
    assert (held.reason, held.told) == (
        f"review {second} (estimated) of the account is open",
        "The payout is under review.",
    )


async def test_a_review_of_the_feed_or_of_another_account_holds_nothing(firm: World) -> None:
    payout_id, _ = await waiting(firm)
    await firm.add_trader("leo")
    await add_review(firm, "bad_tick", None)
    await add_review(firm, "equity_drift", "acc_leo")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


@pytest.mark.parametrize(("status", "state"), [("locked", "in_review"), ("closed", "releasing")])
async def test_an_account_that_is_shut_pays_nothing(firm: World, status: str, state: str) -> None:
    payout_id, _ = await waiting(firm)
    async with firm.db.transaction() as session:
        challenge = await challenges.lock(session, "chl_tina")
        await challenges.end_account(session, challenge, status, START)
    assert (await firm.activities.check_risk(ref(payout_id))).state == state


async def test_the_equity_on_record_is_judged_again_before_the_send(firm: World) -> None:
    payout_id, fay = await waiting(firm)
    await firm.decide(payout_id, fay)
    async with firm.db.transaction() as session:
        live = await session.get_one(AccountLive, "acc_tina")
        live.equity_minor = 9_000_000 + MEDIUM - 1  # the floor is at 90,000.00
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    words = str((await firm.payout(payout_id)).checks["equity"]["words"])
    assert "-0.01 USD of room would be left under max loss" in words
    assert firm.provider.transfers == {}


async def test_a_send_that_is_repeated_is_judged_again_and_then_ended_by_people_alone(firm: World) -> None:
    payout_id, fay = await waiting(firm)
    await firm.decide(payout_id, fay)
    firm.provider.dies = "before"
    with pytest.raises(Killed):
        await firm.activities.send_money(ref(payout_id))
    firm.provider.dies = None
    await firm.breached("tina")
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert firm.provider.calls == 1, "nothing was sent again"
    due = (await firm.payout(payout_id)).decide_by
    assert due is not None
    await firm.market_time(due)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review", "the first send may still arrive"
    with pytest.raises(ApplicationError, match="it is not known yet whether it was made"):
        await firm.decide(payout_id, TINA, "cancel")
    gil = await firm.add_user("gil", "finance")
    assert await firm.decide(payout_id, gil, "reject") == "releasing"


async def test_what_was_sent_before_the_breach_is_booked(firm: World) -> None:
    payout_id, fay = await waiting(firm)
    await firm.decide(payout_id, fay)
    firm.provider.dies = "after"
    with pytest.raises(Killed):
        await firm.activities.send_money(ref(payout_id))
    firm.provider.dies = None
    await firm.breached("tina")
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert len(firm.provider.transfers) == 1

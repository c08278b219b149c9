"""Deals become cases, cases hold payouts, and a person's decision frees or ends what they held."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import func, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.cases import CaseActivities
from activities.policy_replays import PolicyReplays
from activities.surveillance import SurveillanceActivities, SurveillanceLoop
from activities.trading_memory import TradingMemory
from contracts.cases import CaseDecision
from contracts.ids import case_workflow, challenge_workflow, payout_workflow
from contracts.messages import ClosedByFirm, DecisionRequest, DecisionResult, SurveillanceStart
from domain.approvals import Actor
from domain.errors import Conflict
from domain.products.product import Product
from domain.surveillance.casework import Verb
from firm import case_actions, challenges, surveillance_policies
from store import products, surveillance, venue_clocks
from store.models import Account, Alert, AuditEntry, Case, CaseAccount, CorrectionRow, DealRow, OutboxMessage
from store.read import policy_changes
from surveillance.book import Book
from surveillance.pattern import Judged, Limits, Pattern
from tests.asked import ask_for
from tests.pattern_modules import Following, FollowingThresholds, following
from tests.payout_world import MEDIUM, START, World, a_firm, ref
from tests.recorded_trades import happen, trades


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def follow(firm: World, *, at_once: int = 2000, patterns: dict[str, Pattern[Any]] | None = None) -> None:
    """Let the stream be judged to its end, then stop the worker."""
    await judge_stream(SurveillanceActivities(firm.deps, at_once=at_once, patterns=patterns or following()), firm)


async def judge_stream(activities: SurveillanceActivities, firm: World) -> None:
    environment = ActivityEnvironment()
    reading = asyncio.create_task(environment.run(activities.follow_deals, SurveillanceStart()))
    async with asyncio.timeout(120):
        while not await _all_judged(firm):
            assert not reading.done(), "it reads until its worker ends"
            await asyncio.sleep(0.02)
    environment.worker_shutdown()
    async with asyncio.timeout(120):
        await reading


async def _all_judged(firm: World) -> bool:
    async with firm.db.transaction() as session:
        return await surveillance.cursor(session) == await surveillance.newest_deal(session)


async def found(firm: World) -> list[tuple[str, ...]]:
    async with firm.db.transaction() as session:
        rows = (await session.scalars(select(Alert).order_by(Alert.recorded_at))).all()
    findings = [surveillance.finding(row) for row in rows]
    return [(*finding.in_role("leader"), *finding.in_role("follower")) for finding in findings]


async def test_a_copier_becomes_a_case_once_whatever_restarts_between(firm: World) -> None:
    for name in ("leo", "tina", "olga"):
        await firm.add_trader(name)
    await happen(firm, trades("leo", 3), trades("tina", 3, lag=12, lots="0.50"), trades("olga", 3, lag=1200))
    await follow(firm)
    assert await found(firm) == []
    await happen(firm, trades("leo", 3, first=3), trades("tina", 3, lag=12, lots="0.50", first=3))
    for _ in range(2):
        await follow(firm)
    assert await found(firm) == [("acc_leo", "acc_tina")]
    async with firm.db.transaction() as session:
        case = (await session.execute(select(Case))).scalar_one()
        named = (await session.scalars(select(CaseAccount.account_id).order_by(CaseAccount.account_id))).all()
        message = (await session.execute(select(OutboxMessage))).scalar_one()
        actions = (await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_kind == "case"))).all()
    assert (case.state, named) == ("open", ["acc_leo", "acc_tina"])
    assert (message.target, message.name, message.payload) == (case_workflow(case.id), "Case", {"case_id": case.id})
    assert actions == ["case.opened"]


async def test_thresholds_of_the_policy_in_force_judge_from_the_next_deal_on(
    firm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six matches made a case; with nine wanted, eight make none and the ninth does."""
    for module in ("activities.patterns_in_force", "surveillance.registry"):
        monkeypatch.setattr(f"{module}.pattern_types", lambda: {Following.name: Following})
    activities = SurveillanceActivities(firm.deps)
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    async with firm.db.transaction() as session:
        body = {"thresholds": {Following.name: {"*": {"min_matches": "9"}}}}
        made = await surveillance_policies.propose(session, body, actor=ria, reason="Too many false alerts.")
    assert await PolicyReplays(firm.db).step()
    async with firm.db.transaction() as session:
        await surveillance_policies.decide(session, made.id, verdict="approve", actor=rob, reason="Yes.", key="k1")
    await happen(firm, trades("leo", 8), trades("tina", 8, lag=12, lots="0.50"))
    await judge_stream(activities, firm)
    assert await found(firm) == []
    await happen(firm, trades("leo", 1, first=8), trades("tina", 1, lag=12, lots="0.50", first=8))
    await judge_stream(activities, firm)
    assert await found(firm) == [("acc_leo", "acc_tina")]


async def test_an_account_is_judged_by_what_the_version_of_its_product_says(
    firm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tina's product wants nine matches, Olga's six of any trader; the policy of the firm for a product goes before."""
    for module in ("activities.patterns_in_force", "surveillance.registry"):
        monkeypatch.setattr(f"{module}.pattern_types", lambda: {Following.name: Following})
    async with firm.db.transaction() as session:
        body = (await products.newest(session, "two-step")).model_dump(mode="json")
        body |= {"product": "patient", "surveillance": {Following.name: {"min_matches": 9}}}
        await products.publish(session, Product.model_validate(body))
    await firm.add_trader("leo")
    await firm.add_trader("tina", product="patient")
    await firm.add_trader("olga")
    activities = SurveillanceActivities(firm.deps)
    await happen(firm, trades("leo", 8), trades("tina", 8, lag=12), trades("olga", 8, lag=30))
    await judge_stream(activities, firm)
    assert sorted(await found(firm)) == [("acc_leo", "acc_olga"), ("acc_tina", "acc_olga")]
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    async with firm.db.transaction() as session:
        policy = {"thresholds": {Following.name: {"patient": {"min_matches": "7"}}}}
        made = await surveillance_policies.propose(session, policy, actor=ria, reason="They must not wait.")
    assert await PolicyReplays(firm.db).step()
    async with firm.db.transaction() as session:
        await surveillance_policies.decide(session, made.id, verdict="approve", actor=rob, reason="Yes.", key="k1")
    await happen(firm, trades("leo", 1, first=8), trades("tina", 1, lag=12, first=8))
    await judge_stream(activities, firm)
    assert ("acc_leo", "acc_tina") in await found(firm)


async def test_the_clock_of_a_venue_reaches_the_patterns(firm: World) -> None:
    await firm.add_trader("leo")
    await happen(firm, trades("leo", 2))
    book, _ = await TradingMemory(firm.db).firm_book(0)
    assert book.clock_known.tolist() == [False], "nobody has told the clock of its venue"
    async with firm.db.transaction() as session:
        platform = (await session.scalars(select(Account.platform))).one()
    with psycopg.connect(firm.db.url) as connection:
        for ahead in (5, 1_500_000):  # the newest counts
            venue_clocks.write(connection, platform, ahead_us=ahead, simulated=False, samples=200)
    book, _ = await TradingMemory(firm.db).firm_book(0)
    assert book.clock_known.all()
    assert book.clock_offset is not None and book.clock_offset.tolist() == [1_500_000]


async def test_new_thresholds_are_replayed_over_the_last_weeks_before_they_can_be_approved(
    firm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tina follows within seconds, and is an alert; Olga follows both within minutes, which only the new lag finds."""
    for module in ("activities.patterns_in_force", "surveillance.registry"):
        monkeypatch.setattr(f"{module}.pattern_types", lambda: {Following.name: Following})
    activities = SurveillanceActivities(firm.deps)
    for name in ("leo", "tina", "olga"):
        await firm.add_trader(name)
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    await happen(firm, trades("leo", 9), trades("tina", 9, lag=12), trades("olga", 6, lag=300))
    await judge_stream(activities, firm)
    assert await found(firm) == [("acc_leo", "acc_tina")]
    async with firm.db.transaction() as session:
        body = {"thresholds": {Following.name: {"*": {"min_matches": "6", "max_lag_seconds": "400"}}}}
        made = await surveillance_policies.propose(session, body, actor=ria, reason="Slow followers, too.")
    with pytest.raises(Conflict, match="not been replayed yet"):
        async with firm.db.transaction() as session:
            await surveillance_policies.decide(session, made.id, verdict="approve", actor=rob, reason="Yes.", key="k1")
    assert await PolicyReplays(firm.db).step()
    assert not await PolicyReplays(firm.db).step(), "it is replayed once"
    async with firm.db.transaction() as session:
        view = await policy_changes.one(session, made.id)
        (counts,) = view.replayed
        assert not view.replay_waits
        assert (counts.flagged, counts.unseen, counts.confirmed, counts.lost) == (3, 2, 0, 0)
        await surveillance_policies.decide(session, made.id, verdict="approve", actor=rob, reason="Yes.", key="k1")
    await judge_stream(activities, firm)


async def test_an_open_case_holds_the_payouts_of_both_until_it_is_cleared(firm: World) -> None:
    await firm.add_trader("leo")
    trader, ria = await firm.add_trader("tina"), await firm.add_user("ria", "risk")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    await follow(firm)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    case_id = await only_case(firm)
    assert (await decide(firm, case_id, ria, "clear")).state == "cleared"
    async with firm.db.transaction() as session:
        keys = select(OutboxMessage.key).where(OutboxMessage.target == payout_workflow(payout_id))
        waked = (await session.scalars(keys.where(OutboxMessage.name == "risk_changed"))).all()
    assert sorted(waked) == [f"risk/{payout_id}/{case_id}/clear", f"risk/{payout_id}/{case_id}/opened"]
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def test_confirmed_abuse_closes_the_followers_challenge(firm: World) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    await follow(firm)
    case_id = await only_case(firm)
    assert await refused(decide(firm, case_id, ria, "confirm")) == "conflict", "nothing is proposed"
    await propose_closing(firm, case_id, ria)
    assert await refused(decide(firm, case_id, ria, "confirm")) == "self-approval"
    for _ in range(2):
        assert (await decide(firm, case_id, rob, "confirm", key="k1")).state == "confirmed"
    async with firm.db.transaction() as session:
        signals = await session.scalars(select(OutboxMessage).where(OutboxMessage.name == "closed_by_firm"))
        (signal,) = signals.all()
        case = await session.get_one(Case, case_id)
    assert signal.target == challenge_workflow("chl_tina")
    assert ClosedByFirm.model_validate(signal.payload).case_id == case_id
    assert case.closed_at is not None


async def test_a_case_is_decided_once_by_the_right_role_with_a_reason(firm: World) -> None:
    await firm.add_trader("tina")
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    fay = await firm.add_user("fay", "finance")
    await firm.add_case("one", "acc_tina")
    assert await refused(decide(firm, "cas_one", fay, "clear")) == "not-allowed"
    assert await refused(decide(firm, "cas_one", ria, "clear", reason=" ")) == "bad-input"
    await decide(firm, "cas_one", ria, "clear")
    assert await refused(decide(firm, "cas_one", rob, "confirm")) == "already-decided"


async def test_a_later_phase_of_the_follower_is_a_case_of_its_own(firm: World) -> None:
    for name in ("leo", "tina", "tina2"):
        await firm.add_trader(name)
    await happen(
        firm,
        trades("leo", 12),
        trades("tina", 6, lag=12, lots="0.50"),
        trades("tina2", 6, lag=12, lots="0.50", first=6),
    )
    await follow(firm)
    assert await found(firm) == [("acc_leo", "acc_tina"), ("acc_leo", "acc_tina2")]


async def test_the_cursor_moves_over_deals_that_open_nothing(firm: World) -> None:
    await firm.add_trader("leo")
    await happen(firm, trades("leo", 1))
    await follow(firm)
    async with firm.db.transaction() as session:
        newest = await session.scalar(select(func.max(DealRow.id)))
        assert await surveillance.cursor(session) == newest


async def test_a_few_deals_at_a_time_find_what_all_at_once_find(firm: World) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    await follow(firm, at_once=3)
    assert await found(firm) == [("acc_leo", "acc_tina")]
    async with firm.db.transaction() as session:
        (alert,) = (await session.scalars(select(Alert))).all()
        finding = surveillance.finding(alert)
        openings = select(DealRow.id).where(DealRow.entry == "in").order_by(DealRow.at)
        numbers = [str(number) for number in (await session.scalars(openings)).all()]
    assert sorted(finding.deals, key=int) == numbers[: len(finding.deals)], "trades are named by their openings"


async def test_a_cancelled_deal_no_longer_counts_and_a_corrected_one_counts_as_corrected(firm: World) -> None:
    await firm.add_trader("leo")
    await happen(firm, trades("leo", 3))
    memory = TradingMemory.of(firm.db)
    async with memory.up_to_date() as known:
        assert known.firm(anew=True).trades.profit_minor.tolist() == [0, 0, 0]
    async with firm.db.transaction() as session:
        session.add_all([correction(1, 1, None), correction(2, 2, -700), correction(3, 99, None)])
    for shared in (memory, TradingMemory(firm.db)):  # the one that had read the deals before, and one that begins
        async with shared.up_to_date() as known:
            book, counts = known.firm(anew=True), known.counts
        assert book.trades.profit_minor.tolist() == [0, -700]
        assert (counts.cancelled, counts.corrected, counts.unknown_corrections) == (1, 1, 1)
        assert counts.without_opening == 1, "what closes the cancelled opening is counted, not guessed"


def correction(number: int, seq: int, change: int | None) -> CorrectionRow:
    body = {"bid": None, "ask": None, "change_minor": change, "reason": ""}
    return CorrectionRow(feed="fake", seq=1000 + number, corrects_seq=seq, at=START, body=body)


async def test_an_alert_of_the_first_format_is_decided_as_it_was_meant(firm: World) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    await firm.add_case("one", "acc_leo", "acc_tina")
    await propose_closing(firm, "cas_one", ria)
    assert (await decide(firm, "cas_one", rob, "confirm")).state == "confirmed"
    async with firm.db.transaction() as session:
        signals = await session.scalars(select(OutboxMessage.target).where(OutboxMessage.name == "closed_by_firm"))
        assert signals.all() == [challenge_workflow("chl_tina")]
        against = [await challenges.case_against(session, name) for name in ("chl_leo", "chl_tina")]
    assert against == [None, "cas_one"]


class Broken(Following):
    name = "broken"

    def find(self, book: Book) -> Judged:
        raise ZeroDivisionError


async def test_a_pattern_that_fails_is_paused_and_later_looks_at_what_it_missed(
    firm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    broken = Broken(Limits(FollowingThresholds()))
    loop = SurveillanceLoop(firm.db, patterns={**following(), "broken": broken})
    while await loop.step():
        pass
    assert await found(firm) == [("acc_leo", "acc_tina")], "the other one goes on"
    async with firm.db.transaction() as session:
        assert await surveillance.cursor(session) == await surveillance.newest_deal(session)
    monkeypatch.setattr(Broken, "find", Following.find)
    monkeypatch.setattr("activities.surveillance._RETRY_SECONDS", 0)
    loop._retry_at.clear()  # as if the minute had passed
    await loop.step()
    async with firm.db.transaction() as session:
        keys = (await session.scalars(select(Alert.key).order_by(Alert.key))).all()
    assert keys == ["broken/acc_leo/acc_tina", "following/acc_leo/acc_tina"]


async def only_case(firm: World) -> str:
    async with firm.db.transaction() as session:
        return (await session.execute(select(Case.id))).scalar_one()


async def propose_closing(firm: World, case_id: str, actor: Actor) -> None:
    async with firm.db.transaction() as session:
        await case_actions.propose(
            session, case_id, action="close", rule="Copying is not allowed.", actor=actor, reason="6 of 6 openings"
        )


async def decide(
    firm: World, case_id: str, actor: Actor, choice: Verb, reason: str = "looked at it", key: str = ""
) -> DecisionResult:
    request = DecisionRequest(key=key or uuid4().hex, actor=actor, reason=reason)
    await ask_for(firm.db, "case", case_id, choice, request)
    decision = CaseDecision(case_id=case_id, choice=choice, request=request, update_id=request.key)
    return await CaseActivities(firm.deps).record_decision(decision)


async def refused(call: Awaitable[object]) -> str | None:
    with pytest.raises(ApplicationError) as caught:
        await call
    return caught.value.type

"""Deals become cases, cases hold payouts, and a person's decision frees or ends what they held."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.cases import CaseActivities
from activities.surveillance import DetectorProgress, SurveillanceActivities, group_by_progress
from contracts.cases import CaseDecision
from contracts.ids import case_workflow, challenge_workflow, payout_workflow
from contracts.messages import ClosedByFirm, DecisionRequest, DecisionResult, SurveillanceStart
from domain.approvals import Actor
from domain.surveillance.detectors.copy_trading import CopyTradingDetector
from firm import challenges
from store import surveillance
from store.models import Alert, AuditEntry, Case, CaseAccount, DealRow, OutboxMessage
from tests.asked import ask_for
from tests.detector_modules import detector_module
from tests.payout_world import MEDIUM, START, World, a_firm, ref

DETECTOR = "copy_trading"


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


def trades(name: str, count: int, *, lag: int = 0, lots: str = "1.00", first: int = 0) -> list[DealRow]:
    """Openings half an hour apart, `lag` seconds after the half hour; each is closed ten minutes later."""
    at = [(n, START + timedelta(minutes=30 * n, seconds=lag)) for n in range(first, first + count)]
    openings = [deal(name, n, "in", moment, lots) for n, moment in at]
    return openings + [deal(name, n, "out", moment + timedelta(minutes=10), lots) for n, moment in at]


async def happen(firm: World, *histories: list[DealRow]) -> None:
    """Store deals in the order in which they happened."""
    async with firm.db.transaction() as session:
        for row in sorted((row for history in histories for row in history), key=lambda row: row.at):
            session.add(row)
            await session.flush()


def deal(name: str, n: int, entry: str, at: datetime, lots: str) -> DealRow:
    return DealRow(
        account_id=f"acc_{name}",
        deal_id=f"{n}-{entry}",
        seq=n,
        at=at,
        position_id=str(n),
        symbol="XAUUSD",
        side="buy" if entry == "in" else "sell",
        entry=entry,
        lots=Decimal(lots),
        price=Decimal(1300),
        profit_minor=0,
        commission_minor=0,
        swap_minor=0,
        balance_minor=0,
        reason="client",
    )


async def follow(firm: World, *, at_once: int = 2000) -> None:
    """Let the detectors read until copy trading has read everything, then stop their worker."""
    environment = ActivityEnvironment()
    activities = SurveillanceActivities(firm.deps, at_once=at_once)
    reading = asyncio.create_task(environment.run(activities.follow_deals, SurveillanceStart()))
    for _ in range(200):
        await asyncio.sleep(0.02)
        async with firm.db.transaction() as session:
            if await surveillance.cursor(session, DETECTOR) == await surveillance.newest_deal(session):
                break
    environment.worker_shutdown()
    await asyncio.wait_for(reading, 10)


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
    ria = await firm.add_user("ria", "risk")
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    await follow(firm)
    case_id = await only_case(firm)
    for _ in range(2):
        assert (await decide(firm, case_id, ria, "confirm", key="k1")).state == "confirmed"
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
        assert await surveillance.cursor(session, DETECTOR) == newest


async def test_a_detector_that_remembers_much_shows_signs_of_life_and_forgets_nothing(firm: World) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    await happen(firm, trades("leo", 4), trades("tina", 4, lag=12, lots="0.50"))
    await follow(firm)
    assert await found(firm) == []
    # all but the last deals are remembered, and the last pair of them makes the case
    await happen(firm, trades("leo", 1, first=4), trades("tina", 1, lag=12, lots="0.50", first=4))
    beats: list[object] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.extend(details)
    activities = SurveillanceActivities(firm.deps, at_once=3)
    reading = asyncio.create_task(environment.run(activities.follow_deals, SurveillanceStart()))
    for _ in range(200):
        await asyncio.sleep(0.02)
        if await found(firm):
            break
    environment.worker_shutdown()
    await asyncio.wait_for(reading, 10)
    assert await found(firm) == [("acc_leo", "acc_tina")]
    async with firm.db.transaction() as session:
        first = await session.scalar(select(func.min(DealRow.id)))
    assert first is not None
    assert beats[:6] == [first - 1 + 3 * n for n in range(6)], "16 deals to remember, three at a time"


async def test_an_alert_of_the_first_format_is_decided_as_it_was_meant(firm: World) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    ria = await firm.add_user("ria", "risk")
    await firm.add_case("one", "acc_leo", "acc_tina")
    assert (await decide(firm, "cas_one", ria, "confirm")).state == "confirmed"
    async with firm.db.transaction() as session:
        signals = await session.scalars(select(OutboxMessage.target).where(OutboxMessage.name == "closed_by_firm"))
        assert signals.all() == [challenge_workflow("chl_tina")]
        against = [await challenges.case_against(session, name) for name in ("chl_leo", "chl_tina")]
    assert against == [None, "cas_one"]


DIARY = """
from datetime import timedelta
from domain.surveillance.base import Detector, Thresholds

FED = []

class DiaryDetector(Detector):
    name = "diary"
    window = timedelta(minutes=45)

    def __init__(self):
        self.thresholds = Thresholds()

    def observe(self, fill):
        FED.append(fill.deal)
        return []
"""


async def test_every_detector_is_fed_each_deal_once_and_after_a_restart_its_window_again(
    firm: World, tmp_path: Path
) -> None:
    await firm.add_trader("leo")
    await happen(firm, trades("leo", 5))
    with detector_module(tmp_path, "diary", DIARY):
        fed: list[int] = importlib.import_module("domain.surveillance.detectors.diary").FED
        await follow(firm, at_once=3)
        async with firm.db.transaction() as session:
            deals = (await session.scalars(select(DealRow.id).order_by(DealRow.id))).all()
            assert (
                await surveillance.cursor(session, "diary") == await surveillance.cursor(session, DETECTOR) == deals[-1]
            )
        assert fed == deals
        del fed[:]
        async with firm.db.transaction() as session:
            row = await surveillance.lock_cursor(session, DETECTOR)
            row.last_deal = 0  # as if copy trading were new: the diary waits where it is
        await follow(firm, at_once=3)
        assert sorted(fed) == sorted(set(fed))
        assert set(deals[-4:]) <= set(fed), "45 minutes: the last two trades, and what is read with them"


BROKEN = """
from datetime import timedelta
from domain.surveillance.base import Detector, Thresholds

class BrokenDetector(Detector):
    name = "broken"
    window = timedelta(hours=1)

    def __init__(self):
        self.thresholds = Thresholds()

    def observe(self, fill):
        raise ZeroDivisionError
"""


async def test_a_detector_that_fails_keeps_its_cursor_and_the_others_go_on(firm: World, tmp_path: Path) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    with detector_module(tmp_path, "broken", BROKEN):
        await follow(firm)
    assert await found(firm) == [("acc_leo", "acc_tina")]
    async with firm.db.transaction() as session:
        assert await surveillance.cursor(session, "broken") == 0


def test_detectors_that_have_come_equally_far_share_one_reading() -> None:
    new, one, other, restarted = (
        DetectorProgress(CopyTradingDetector(), read=read, cursor=cursor)
        for read, cursor in ((0, 0), (7, 7), (7, 7), (7, 9))
    )
    assert group_by_progress([one, new, restarted, other]) == [[new], [one, other], [restarted]]


async def only_case(firm: World) -> str:
    async with firm.db.transaction() as session:
        return (await session.execute(select(Case.id))).scalar_one()


async def decide(
    firm: World, case_id: str, actor: Actor, choice: str, reason: str = "looked at it", key: str = ""
) -> DecisionResult:
    request = DecisionRequest(key=key or uuid4().hex, actor=actor, reason=reason)
    await ask_for(firm.db, "case", case_id, choice, request)
    decision = CaseDecision(
        case_id=case_id, choice="clear" if choice == "clear" else "confirm", request=request, update_id=request.key
    )
    return await CaseActivities(firm.deps).record_decision(decision)


async def refused(call: Awaitable[object]) -> str | None:
    with pytest.raises(ApplicationError) as caught:
        await call
    return caught.value.type

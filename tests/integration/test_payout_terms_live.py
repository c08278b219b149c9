"""Payout terms on the record: every fact gathered, every share, refund and excess booked, every refusal proven."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from activities.deps import Deps
from activities.payouts import PayoutActivities
from adapters.calendars.exchange import ExchangeCalendars
from contracts.messages import PayoutChoice
from domain import keys
from domain.approvals import Actor
from domain.errors import BadInput, PayoutRefused
from domain.keys import new_id
from domain.money import Money
from domain.payouts import PayoutFacts
from domain.proofs.check import check
from firm.payouts import preview as payout_preview
from firm.payouts import situation as payout_facts
from firm.payouts.preview import preview
from ports.platform import BalanceKind, PositionState
from store import ledger
from store.models import (
    AccountLive,
    BalanceOperationRow,
    Intent,
    NewsRelease,
    Offence,
    OutboxMessage,
    Payout,
    Posting,
    Proof,
)
from tests.adapters import platforms, providers
from tests.payout_world import INITIAL, MEDIUM, SMALL, START, Killed, Venue, World, a_firm, ref


@dataclass
class SlowVenue(Venue):
    """A venue on which the excess is taken only once it `goes_on`."""

    waits: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        if operation == "adjustment" and amount_minor < 0:
            self.waits.set()
            await self.goes_on.wait()
        await super().balance_operation(login, key=key, operation=operation, amount_minor=amount_minor)


DAYS = (date(2014, 5, 5), date(2014, 5, 6), date(2014, 5, 7))
TRADING_DAYS = {"type": "trading_day_count", "id": "trading_days", "required": 3, "blocks": ["payout"]}


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.no_approvals()
        yield world


async def _trader(firm: World, *, profit_minor: int = 400_000, rules: Any = (), **payout: Any) -> Actor:
    product = await firm.add_product("special", rules=rules, **payout)
    return await firm.add_trader("tina", profit_minor=profit_minor, product=product)


async def _balance(firm: World, account: str) -> int:
    async with firm.db.transaction() as session:
        assert await ledger.imbalance(session) == 0
        return await ledger.balance(session, account, "USD")


async def _facts(firm: World, cycle: str | None = None) -> PayoutFacts:
    async with firm.db.transaction() as session:
        return (await payout_facts.situation(session, "acc_tina", cycle=cycle)).facts


async def test_what_a_request_depends_on_is_read_from_the_record(firm: World) -> None:
    await _trader(firm)
    await firm.traded("tina", *DAYS, pnl_minor=200_000)
    async with firm.db.transaction() as session:
        session.add(_operation("acc_tina/initial", "deposit", INITIAL))
        session.add(_operation("dispute/dsp_1", "adjustment", 150_000))
    facts = await _facts(firm)
    assert facts.first_trade_at == START.replace(day=5, hour=12)
    assert facts.profit_minor == 250_000, "what the firm gave is no profit"
    assert (facts.pending_orders, facts.payouts_paid, facts.last_fee_minor) == (0, 0, 54_000)


def _operation(key: str, kind: str, amount: int, seq: int = 1) -> BalanceOperationRow:
    return BalanceOperationRow(
        account_id="acc_tina", key=key, operation=kind, seq=seq, at=START, amount_minor=amount, balance_minor=INITIAL
    )


async def test_gates_are_folded_from_the_record_and_block(firm: World) -> None:
    trader = await _trader(firm, rules=[TRADING_DAYS])
    await firm.traded("tina", *DAYS[:2])
    with pytest.raises(PayoutRefused, match="trading days") as refused:
        await firm.request(trader, SMALL)
    (refusal,) = refused.value.refusals
    assert (refusal["code"], refusal["figures"]["gate"]) == ("gate_unmet", "trading_days")
    await firm.traded("tina", *DAYS[2:], first=2)
    assert [gate.met for gate in (await _facts(firm)).gates] == [True]
    assert await firm.request(trader, SMALL)


async def test_the_running_day_counts_against_a_gate_as_far_as_it_has_come(firm: World) -> None:
    """The days that have ended are those whose reset lies behind market time, with or without a later fill."""
    gate = {"type": "profitable_day_count", "id": "winning_days", "required": 1, "compare": ">=", "blocks": ["payout"]}
    gate |= {"threshold": {"type": "amount", "value": "100"}}
    await _trader(firm, rules=[gate])
    await firm.traded("tina", DAYS[0], pnl_minor=400_000)
    await firm.market_time(START.replace(day=5, hour=14))
    assert [gate.met for gate in (await _facts(firm)).gates] == [False]
    await firm.market_time(START.replace(day=6, hour=14))
    assert [gate.met for gate in (await _facts(firm)).gates] == [True]


async def test_profit_around_news_does_not_count_and_is_taken_off_once(firm: World) -> None:
    """The rule keeps count, and the monitor writes an offence for the same money."""
    news = {"type": "news_window", "id": "news", "before_minutes": 2, "after_minutes": 2, "counted_pct": "0"}
    news |= {"consequences": [{"kind": "deduct_profit"}], "applies_to": ["open", "close"]}
    await _trader(firm, rules=[news])
    await firm.traded("tina", DAYS[0], pnl_minor=300_000)
    async with firm.db.transaction() as session:
        session.add(_release())
    assert (await _facts(firm)).deducted_minor == 300_000
    async with firm.db.transaction() as session:
        for rule_id, number in (("news", 300_000), ("too_large", 50_000)):
            proof = Proof(id=new_id("prf"), account_id="acc_tina", kind="violation", digest="0" * 64, body={})
            session.add(proof)
            await session.flush()
            session.add(_offence(rule_id, number, proof.id))
    assert (await _facts(firm)).deducted_minor == 350_000


def _release() -> NewsRelease:
    return NewsRelease(
        key="r1", released_at=START.replace(day=5, hour=12, minute=1), names=["USD"], impact="high", title="Jobs"
    )


async def test_an_offence_lowers_the_share_of_later_payouts(firm: World) -> None:
    actor, gross = await _trader(firm), Money(minor=SMALL, currency="USD")
    async with firm.db.transaction() as session:
        before = await preview(session, "acc_tina", gross)
        for number, share in enumerate(("70", "60"), start=1):
            body = {"consequence": {"kind": "lower_split", "split_pct": share}}
            proof = Proof(id=new_id("prf"), account_id="acc_tina", kind="breach", digest="0" * 64, body=body)
            session.add(proof)
            await session.flush()
            offence = _offence("daily_loss", 0, proof.id)
            offence.offence, offence.consequence, offence.seq = number, "lower_split", number
            session.add(offence)
    facts = await _facts(firm)
    assert facts.lowered_split_pct == 60
    async with firm.db.transaction() as session:
        after = await preview(session, "acc_tina", gross)
    assert (before.trader_minor, after.trader_minor) == (SMALL * 80 // 100, SMALL * 60 // 100)
    payout_id = await firm.request(actor, SMALL)
    async with firm.db.transaction() as session:
        payout = await session.get_one(Payout, payout_id)
        assert payout.trader_minor == after.trader_minor


async def test_of_two_offences_at_one_event_the_last_one_of_the_product_decides_the_share(firm: World) -> None:
    await _trader(firm)
    rules = [{"id": "max_loss"}, {"id": "daily_loss"}]
    sheet = {
        "account": {"phase_index": 1},
        "product": {"terms": {"phases": [], "funded": {"rules": rules}}},
    }
    async with firm.db.transaction() as session:
        for rule_id, share in (("daily_loss", "70"), ("max_loss", "60")):
            body = {**sheet, "consequence": {"kind": "lower_split", "split_pct": share}}
            proof = Proof(id=new_id("prf"), account_id="acc_tina", kind="breach", digest="0" * 64, body=body)
            session.add(proof)
            await session.flush()
            offence = _offence(rule_id, 0, proof.id)
            offence.consequence, offence.seq = "lower_split", 7
            session.add(offence)
    assert (await _facts(firm)).lowered_split_pct == 70


async def test_profit_begins_anew_where_an_offence_reset_the_balance(firm: World) -> None:
    await _trader(firm)
    async with firm.db.transaction() as session:
        session.add(_operation("dispute/dsp_1", "adjustment", 150_000, seq=5))
        session.add(_operation(keys.reset_balance("off_1"), "adjustment", 250_000, seq=6))
        session.add(_operation("dispute/dsp_2", "adjustment", 100_000, seq=7))
    facts = await _facts(firm)
    assert facts.profit_minor == 400_000 - 100_000


async def test_profit_that_an_offence_resets_cannot_be_requested_before_the_venue_has_reset_it(firm: World) -> None:
    actor = await _trader(firm)
    asked = await firm.request(actor, SMALL)
    async with firm.db.transaction() as session:  # as the monitor commits it
        proof = Proof(id="prf_reset", account_id="acc_tina", kind="breach", digest="0" * 64, body={})
        session.add(proof)
        await session.flush()
        offence = _offence("daily_loss", 0, proof.id)
        offence.consequence = "reset_balance"
        session.add(offence)
        payload = {"account_id": "acc_tina"}
        key = keys.reset_balance(offence.id)
        session.add(OutboxMessage(key=key, topic="venue.reset_balance", target="1", name="", payload=payload))
    assert (await firm.activities.place_hold(ref(asked))).state == "refused"
    with pytest.raises(PayoutRefused, match=r"more than the 0\.00 USD available"):
        await firm.request(actor, SMALL)


def _offence(rule_id: str, minor: int, proof_id: str) -> Offence:
    return Offence(
        id=new_id("off"),
        account_id="acc_tina",
        challenge_id="chl_tina",
        phase_index=3,
        rule_id=rule_id,
        offence=1,
        consequence="deduct_profit",
        sentence="Around news.",
        deducted_minor=minor,
        proof_id=proof_id,
        seq=1,
        occurred_at=START,
        epoch=1,
    )


# what is paid


async def test_the_split_follows_the_number_of_the_payout(firm: World) -> None:
    trader = await _trader(firm, split_by_payout=[{"from_payout": 2, "pct": "90"}])
    first = await firm.payout(await firm.paid(trader, SMALL))
    await firm.market_time(START + timedelta(days=60))
    second = await firm.payout(await firm.paid(trader, SMALL))
    assert [row.trader_minor for row in (first, second)] == [40_000, 45_000]
    assert (await _facts(firm)).paid_trader_minor == 85_000


async def test_tiers_go_by_what_was_paid_before(firm: World) -> None:
    trader = await _trader(firm, split_tiers=[{"up_to": "750", "pct": "100"}, {"up_to": None, "pct": "80"}])
    await firm.paid(trader, SMALL)
    await firm.market_time(START + timedelta(days=60))
    assert (await firm.payout(await firm.request(trader, SMALL))).trader_minor == 25_000 + 20_000


async def test_a_cycle_that_is_chosen_binds_and_an_unknown_one_is_refused(firm: World) -> None:
    cycle = {"name": "monthly", "first_after_days": 30, "every_days": 30, "split_pct": "95"}
    trader = await _trader(firm, cycles=[cycle])
    with pytest.raises(BadInput) as unknown:
        await firm.request(trader, SMALL, "weekly")
    assert (unknown.value.field, "monthly" in str(unknown.value.remedy)) == ("cycle", True)
    with pytest.raises(PayoutRefused, match="from 2014-06-01"):
        await firm.request(trader, SMALL, "monthly")
    await firm.market_time(START + timedelta(days=30))
    payout = await firm.payout(await firm.awaiting(trader, SMALL, "monthly"))
    assert (payout.cycle, payout.trader_minor, payout.state) == ("monthly", 47_500, "approved")


async def test_the_fee_comes_back_with_the_first_payout_alone(firm: World) -> None:
    trader = await _trader(firm, fee_refund={"pct": "100"})
    first = await firm.payout(await firm.paid(trader, SMALL))
    assert (first.trader_minor, first.refund_minor) == (40_000, 54_000)
    assert [t.amount_minor for t in firm.provider.transfers.values()] == [94_000]
    assert await firm.books() == (0, -94_000, 0)
    assert (await _balance(firm, "fees"), await _balance(firm, "payout-expense")) == (54_000, 40_000)
    await firm.market_time(START + timedelta(days=60))
    assert (await firm.payout(await firm.request(trader, SMALL))).refund_minor == 0


async def test_a_fee_that_would_come_back_stays_when_the_payout_is_not_made(firm: World) -> None:
    trader, fay = await _trader(firm, fee_refund={"pct": "50"}), await firm.add_user("fay", "finance")
    await firm.add_case("c", "acc_tina")
    payout_id = await firm.awaiting(trader, SMALL)
    assert (await firm.books())[0] == -67_000
    await firm.decide(payout_id, fay, "reject")
    await firm.activities.release_hold(ref(payout_id))
    assert await firm.books() == (0, 0, 0)
    assert await _balance(firm, "fees") == 0


CAPPED: dict[str, Any] = {"caps": [{"type": "amount", "value": "1000"}], "excess": "deducted_from_account"}


async def test_what_lies_beyond_the_cap_leaves_the_account_for_nobody(firm: World) -> None:
    trader = await _trader(firm, **CAPPED)
    payout = await firm.payout(await firm.paid(trader, 100_000))
    assert (payout.trader_minor, payout.forfeited_minor) == (80_000, 300_000)
    assert list(firm.venue.balances.values()) == [INITIAL]
    assert firm.venue.done[f"{payout.id}/forfeit"] == ("adjustment", -300_000)
    assert await _balance(firm, "forfeited-profit") == -300_000


async def test_a_payout_that_is_not_made_forfeits_nothing(firm: World) -> None:
    trader, fay = await _trader(firm, **CAPPED), await firm.add_user("fay", "finance")
    await firm.add_case("c", "acc_tina")
    payout_id = await firm.awaiting(trader, 100_000)
    assert list(firm.venue.balances.values()) == [INITIAL]
    await firm.decide(payout_id, fay, "reject")
    await firm.activities.release_hold(ref(payout_id))
    assert list(firm.venue.balances.values()) == [INITIAL + 400_000]
    assert await _balance(firm, "forfeited-profit") == 0
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(Intent.done_at.is_(None))) == 0


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kill", range(1, 6))
async def test_a_hold_that_was_given_back_is_never_paid(firm: World, kill: int, moment: Any) -> None:
    """The trader loses between hold and excess; with the hold back, there is enough for the excess again."""
    payout_id = await firm.request(await _trader(firm, **CAPPED), 100_000)
    (login,) = firm.venue.balances
    firm.venue.loses = {f"{payout_id}/hold": INITIAL + 400_000 - 350_000}
    await _until_it_lives(firm, payout_id, (kill, moment))
    payout = await firm.payout(payout_id)
    assert (payout.state, firm.venue.balances[login]) == ("refused", 350_000), "all that was not lost is back"
    assert "not enough" in str(payout.reason)
    assert await firm.books() == (0, 0, 0)
    assert await _balance(firm, "forfeited-profit") == 0
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    assert firm.venue.balances[login] == 350_000


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kill", [1, 2])
async def test_a_kill_at_any_call_of_a_hold_takes_each_once(firm: World, kill: int, moment: Any) -> None:
    payout_id = await firm.request(await _trader(firm, **CAPPED), 100_000)
    await _until_it_lives(firm, payout_id, (kill, moment))
    assert (await firm.payout(payout_id)).state == "reserved"
    assert list(firm.venue.balances.values()) == [INITIAL]
    assert (await firm.books())[::2] == (-80_000, 0)


async def test_a_hold_that_an_older_version_gave_back_is_not_held(firm: World) -> None:
    """It gave back without a word on the record, and was killed before it could say so."""
    payout_id = await firm.request(await _trader(firm, **CAPPED), 100_000)
    (login,) = firm.venue.balances
    firm.venue.dies_at = (3, "before")
    with pytest.raises(Killed):
        await firm.activities.place_hold(ref(payout_id))
    await firm.venue.balance_operation(
        login, key=f"{payout_id}/hold/back", operation="payout_release", amount_minor=100_000
    )
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    assert list(firm.venue.balances.values()) == [INITIAL + 400_000]
    assert await firm.books() == (0, 0, 0)


@pytest.mark.parametrize("choice", ["approve", "reject"])
async def test_what_an_older_version_counted_as_held_is_not_paid_nor_given_back_twice(
    firm: World, choice: PayoutChoice
) -> None:
    trader = await firm.add_trader("tina", product=await firm.add_product("special", **CAPPED))
    fay = await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, 100_000)
    (login,) = firm.venue.balances
    await firm.venue.balance_operation(
        login, key=f"{payout_id}/hold/back", operation="payout_release", amount_minor=100_000
    )
    if choice == "approve":  # the policy lets it go on by itself
        assert (await firm.payout(payout_id)).state == "approved"
        assert (await firm.activities.send_money(ref(payout_id))).state == "releasing"
    else:
        await firm.decide(payout_id, fay, choice)
    for _ in range(2):
        await firm.activities.release_hold(ref(payout_id))
    assert (await firm.payout(payout_id)).state == ("cancelled" if choice == "approve" else "rejected")
    assert list(firm.venue.balances.values()) == [INITIAL + 400_000]
    assert firm.provider.transfers == {}
    assert await firm.books() == (0, 0, 0)


async def test_an_attempt_that_takes_late_gives_back_what_another_gave_up(firm: World) -> None:
    """Two attempts run at once: one gives back while the other still takes."""
    payout_id = await firm.request(await _trader(firm, **CAPPED), 100_000)
    (login,) = firm.venue.balances
    firm.venue.loses = {f"{payout_id}/hold": INITIAL + 400_000 - 350_000}
    slow = SlowVenue(balances=firm.venue.balances, done=firm.venue.done, loses=firm.venue.loses)
    attempt = asyncio.create_task(
        PayoutActivities(Deps(db=firm.db, platforms=platforms(slow), payments=providers(firm.provider))).place_hold(
            ref(payout_id)
        )
    )
    await slow.waits.wait()
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    slow.goes_on.set()
    assert (await attempt).state == "refused"
    assert firm.venue.done[f"{payout_id}/forfeit"] == ("adjustment", -300_000), "it was taken late"
    assert firm.venue.balances[login] == 350_000, "and given back"
    assert await firm.books() == (0, 0, 0)


async def _until_it_lives(firm: World, payout_id: str, dies_at: tuple[int, Any]) -> None:
    """Place the hold in attempts that are killed once, at a call of the venue, and repeated."""
    firm.venue.calls, firm.venue.dies_at = 0, dies_at
    with suppress(Killed):
        await firm.activities.place_hold(ref(payout_id))
    firm.venue.dies_at = None
    await firm.activities.place_hold(ref(payout_id))


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_kill_between_hold_and_excess_takes_each_once(firm: World, moment: Any) -> None:
    trader = await _trader(firm, **CAPPED)
    payout_id = await firm.request(trader, 100_000)
    firm.venue.dies = moment
    with pytest.raises(Killed):
        await firm.activities.place_hold(ref(payout_id))
    firm.venue.dies = None
    assert (await firm.activities.place_hold(ref(payout_id))).state == "reserved"
    assert sorted(firm.venue.done.values()) == [("adjustment", -300_000), ("payout_hold", -100_000)]


async def test_an_excess_that_the_platform_will_not_take_gives_the_hold_back(firm: World) -> None:
    trader = await _trader(firm, **CAPPED)
    payout_id = await firm.request(trader, 100_000)
    firm.venue.dies = "before"
    with pytest.raises(Killed):
        await firm.activities.place_hold(ref(payout_id))
    firm.venue.dies = None
    (login,) = firm.venue.balances
    firm.venue.balances[login] = 200_000  # lost since the request was judged
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    assert firm.venue.balances[login] == 200_000
    assert await firm.books() == (0, 0, 0)


async def test_an_approval_covers_the_refund_and_the_excess(firm: World) -> None:
    trader = await _trader(firm, **CAPPED, fee_refund={"pct": "100"})
    payout_id = await firm.awaiting(trader, 100_000)
    async with firm.db.transaction() as session:
        (await session.get_one(Payout, payout_id)).refund_minor += 1
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert firm.provider.calls == 0


# refusals


async def test_a_refusal_is_proven_once_and_a_changed_digit_is_found(firm: World) -> None:
    trader = await firm.add_trader("tina", profit_minor=MEDIUM)
    for _ in range(2):
        with pytest.raises(PayoutRefused) as refused:
            await firm.request(trader, MEDIUM + 1)
    assert [refusal["code"] for refusal in refused.value.refusals] == ["more_than_available"]
    assert refused.value.refusals[0]["figures"] == {"requested": MEDIUM + 1, "available": MEDIUM}
    async with firm.db.transaction() as session:
        (proof,) = (await session.scalars(select(Proof))).all()
        assert await session.scalar(select(func.count()).select_from(Posting)) == 0
    assert (proof.id, proof.kind) == (refused.value.proof_id, "payout_refusal")
    assert check(proof.body) == []
    wrong = copy.deepcopy(proof.body)
    wrong["facts"]["balance_minor"] += 1
    assert check(wrong)


async def test_a_refusal_at_the_hold_names_its_proof(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.request(trader, MEDIUM)
    (login,) = firm.venue.balances
    firm.venue.positions[login] = (_position(),)
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    payout = await firm.payout(payout_id)
    async with firm.db.transaction() as session:
        proof = await session.get_one(Proof, payout.proof_id)
    assert check(proof.body) == []
    assert [part["code"] for part in proof.body["refusals"]] == ["positions_open"]
    assert proof.body["facts"]["open_positions"] == 1


def _position() -> PositionState:
    return PositionState.model_validate(
        {"position_id": "1", "symbol": "EURUSD", "side": "buy", "lots": "1", "open_price": "1", "opened_at": START}
    )


# what does not count


async def _monitor_records(firm: World, at: datetime) -> None:
    """Writes the balance operations of the venue on the record, as the monitor does when they come in its stream."""
    async with firm.db.transaction() as session:
        known = set(await session.scalars(select(BalanceOperationRow.key)))
        for number, (key, (operation, amount)) in enumerate(firm.venue.done.items(), start=100):
            if key not in known:
                balance = next(iter(firm.venue.balances.values()))
                session.add(
                    BalanceOperationRow(
                        account_id="acc_tina",
                        key=key,
                        operation=operation,
                        seq=number,
                        at=at + timedelta(seconds=number),
                        amount_minor=amount,
                        balance_minor=balance,
                    )
                )


async def _most(firm: World) -> int:
    async with firm.db.transaction() as session:
        return (await payout_preview.preview(session, "acc_tina", Money(minor=SMALL, currency="USD"))).most_minor


PAYDAY = date(2014, 5, 19)  # the first day on which the product pays
CAP = {"type": "daily_profit_cap", "id": "cap", "amount": {"type": "amount", "value": "3000"}, "blocks": ["payout"]}
EXCESS = {"type": "best_day_ratio", "id": "best", "limit_pct": "50", "compare": "<=", "effect": "excess_deducted"}


@pytest.mark.parametrize(
    ("rule", "first", "later"),
    [
        # 3,000 of the day's 4,250 count
        ({**CAP, "window": "since_last_payout"}, 300_000, 0),
        ({**CAP, "window": "since_last_payout_request"}, 300_000, 0),
        ({**CAP, "window": "since_last_payout", "counts_later": True}, 300_000, 125_000),
        # the best day is 4,250 of 4,250: 2,125 count
        ({**EXCESS, "window": "since_last_approved_payout"}, 212_500, 0),
    ],
)
async def test_profit_that_does_not_count_never_comes_back_after_a_payout(
    firm: World, rule: dict[str, Any], first: int, later: int
) -> None:
    trader = await _trader(firm, rules=[rule], profit_minor=425_000)
    await firm.traded("tina", PAYDAY, pnl_minor=425_000)
    await firm.market_time(START.replace(day=19, hour=15))
    assert await _most(firm) == first
    await firm.paid(trader, first)
    await _monitor_records(firm, START.replace(day=19, hour=16))
    await firm.market_time(START + timedelta(days=60))
    assert await _most(firm) == later, "nothing was traded since"


async def test_what_is_earned_after_a_payout_is_available_besides_what_never_counts(firm: World) -> None:
    trader = await _trader(firm, rules=[{**CAP, "window": "since_last_payout"}], profit_minor=425_000)
    await firm.traded("tina", PAYDAY, pnl_minor=425_000)
    await firm.market_time(START.replace(day=19, hour=15))
    await firm.paid(trader, 300_000)
    await _monitor_records(firm, START.replace(day=19, hour=16))
    await firm.traded("tina", date(2014, 6, 2), pnl_minor=350_000, first=1)
    async with firm.db.transaction() as session:
        live = await session.get_one(AccountLive, "acc_tina")
        live.balance_minor = live.equity_minor = INITIAL + 475_000
    await firm.market_time(START + timedelta(days=60))
    assert await _most(firm) == 300_000, "3,000 of the 3,500 of that day"
    facts = await _facts(firm)
    assert facts.deducted_minor == 125_000 + 50_000, "1,250 for good, and 500 of the new window"


async def test_gains_of_short_trades_are_compared_with_the_amount_that_is_asked_for(firm: World) -> None:
    """The trade of an hour made 4,000: at most 10 percent of a request may be so short."""
    rule = {"type": "min_hold_time", "id": "hold", "seconds": 7200, "max_short_pct_of_request": "10"}
    trader = await _trader(firm, rules=[rule], profit_minor=400_000)
    await firm.traded("tina", PAYDAY, pnl_minor=40_000)
    await firm.market_time(START.replace(day=19, hour=15))
    with pytest.raises(PayoutRefused, match=r"at most 10 % of 3,999\.99 USD"):
        await firm.request(trader, 399_999)
    assert await firm.request(trader, 400_000)


async def test_half_days_of_a_venue_are_no_trading_days_of_a_payout(firm: World) -> None:
    """3 July 2014 closed early in New York."""
    rule = {**TRADING_DAYS, "required": 2, "half_days_count": False, "calendar": "XNYS"}
    await _trader(firm, rules=[rule])
    await firm.traded("tina", date(2014, 7, 2), date(2014, 7, 3))
    await firm.market_time(START + timedelta(days=90))
    async with firm.db.transaction() as session:
        current = await payout_facts.situation(session, "acc_tina", calendars=ExchangeCalendars())
    (gate,) = current.facts.gates
    assert (gate.met, gate.sentence) == (False, "1 of 2 trading days completed.")

"""Deductions of tainted profit on the record: who may, of what, and what payouts make of it."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from temporalio.exceptions import ApplicationError

from activities.cases import CaseActivities
from contracts.cases import CaseDecision
from contracts.messages import DecisionRequest, DecisionResult
from domain import keys
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotAllowed, PropOSError, StaleDecision
from domain.payouts import PayoutFacts
from domain.proofs.check import check
from firm import case_actions, growth
from firm.payouts import situation as payout_facts
from store import products
from store.models import (
    Account,
    AuditEntry,
    BalanceOperationRow,
    Case,
    CaseAction,
    DealRow,
    DeductedTrade,
    LedgerTransaction,
    Proof,
    User,
)
from store.read import cases as read_cases
from store.read import deductions as read
from store.read import timeline
from store.read.pages import Window
from store.scope import scope_of
from tests.asked import ask_for
from tests.payout_world import START, World, a_firm, ref

DAYS = (date(2014, 5, 5), date(2014, 5, 6))
MADE = 150_000
RULE = "Copying trades is not allowed."


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    """Tina is funded and has 4,000.00 USD of profit, 1,500.00 of it from each of two trades; a case blames her."""
    async with a_firm(database_url) as world:
        await world.no_approvals()
        await world.add_trader("tina")
        await world.traded("tina", *DAYS, pnl_minor=MADE)
        await world.add_case("one", "acc_tina")
        yield world


@pytest.fixture
async def ria(firm: World) -> Actor:
    return await firm.add_user("ria", "risk")


@pytest.fixture
async def rob(firm: World) -> Actor:
    return await firm.add_user("rob", "risk")


TINA = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")


async def propose(
    firm: World, actor: Actor, *positions: str, case: str = "one", account: str = "acc_tina", **changes: Any
) -> CaseAction:
    given = {"trades": [(account, position) for position in positions], "rule": RULE, "reason": "copied", **changes}
    async with firm.db.transaction() as session:
        return await case_actions.propose(session, f"cas_{case}", action="deduct", actor=actor, **given)


async def decide(
    firm: World, actor: Actor, choice: Any = "deduct", *, case: str = "one", key: str = "", seen: str | None = None
) -> DecisionResult:
    request = DecisionRequest(key=key or uuid4().hex, actor=actor, reason="looked at it")
    await ask_for(firm.db, "case", f"cas_{case}", choice, request, seen=seen)
    decision = CaseDecision(case_id=f"cas_{case}", choice=choice, request=request, update_id=request.key)
    return await CaseActivities(firm.deps).record_decision(decision)


async def refused(call: Awaitable[object]) -> tuple[str | None, str]:
    with pytest.raises(ApplicationError) as caught:
        await call
    return caught.value.type, str(caught.value)


async def facts(firm: World) -> PayoutFacts:
    async with firm.db.transaction() as session:
        return (await payout_facts.situation(session, "acc_tina")).facts


async def counts(firm: World) -> Sequence[str]:
    async with firm.db.transaction() as session:
        found = select(DeductedTrade.position_id).where(DeductedTrade.counts).order_by(DeductedTrade.position_id)
        return (await session.scalars(found)).all()


async def test_the_record_names_the_trades_and_no_money_moves(firm: World, ria: Actor, rob: Actor) -> None:
    await propose(firm, ria, "tina-2")
    assert await counts(firm) == [] and (await facts(firm)).tainted == ()
    for _ in range(2):
        assert (await decide(firm, rob, key="k-approve")).state == "deducted"
    assert await counts(firm) == ["tina-2"]
    (trade,) = (await facts(firm)).tainted
    assert (trade.position_id, trade.profit_minor, trade.rule) == ("tina-2", MADE, RULE)
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerTransaction)) == 0
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.subject_id == "cas_one").order_by(AuditEntry.seq)
        )
        told = [(entry.actor, str(entry.evidence)) for entry in entries]
        case = await read_cases.one(session, "cas_one")
    assert [(actor, "tina-2" in words) for actor, words in told][:1] == [("usr_ria", True)]
    assert ("usr_rob", True) in [(actor, "tina-2" in words) for actor, words in told]
    assert case.proposal is not None and case.proposal.state == "approved"
    assert [one.decision for one in case.decisions] == ["deduct"]


async def test_the_trader_reads_facts_and_rule_and_nothing_of_the_case(firm: World, ria: Actor, rob: Actor) -> None:
    await propose(firm, ria, "tina-0")
    async with firm.db.transaction() as session:
        assert await read.of_account(session, "acc_tina") == ()
    await decide(firm, rob)
    async with firm.db.transaction() as session:
        (own,) = await read.of_account(session, "acc_tina")
        happened = await timeline.page(session, scope_of(TINA), "acc_tina", Window(limit=50))
    assert (own.position_id, own.profit_minor, own.currency, own.rule) == ("tina-0", MADE, "USD", RULE)
    (entry,) = [one for one in happened.items if one.what == "deduction"]
    assert entry.words == f"1,500.00 USD of profit of trade tina-0 (EURUSD) does not count for payouts: {RULE}"
    assert "cas_one" not in f"{own}{happened}"


async def test_nobody_approves_alone(firm: World, ria: Actor) -> None:
    """Two logins of one person are one person."""
    ria2 = await firm.add_user("ria2", "admin", person=ria.person_id)
    await propose(firm, ria, "tina-2")
    for actor in (ria, ria2):
        assert (await refused(decide(firm, actor)))[0] == "self-approval"
    assert await counts(firm) == []


async def test_the_right_role_with_a_reason_and_a_rule(firm: World, ria: Actor, rob: Actor) -> None:
    fay = await firm.add_user("fay", "finance")
    with pytest.raises(NotAllowed):
        await propose(firm, fay, "tina-2")
    for changes in ({"reason": " "}, {"rule": " "}):
        with pytest.raises(BadInput) as caught:
            await propose(firm, ria, "tina-2", **changes)
        assert caught.value.field == next(iter(changes))
    await propose(firm, ria, "tina-2")
    assert (await refused(decide(firm, fay)))[0] == "not-allowed"
    async with firm.db.transaction() as session:
        await session.execute(update(User).where(User.id == ria.user_id).values(role="support"))
    kind, words = await refused(decide(firm, rob))
    assert kind == "conflict" and "may not decide cases any more" in words
    assert await counts(firm) == []


async def test_an_approval_is_for_what_was_seen(firm: World, ria: Actor, rob: Actor) -> None:
    first = await propose(firm, ria, "tina-0")
    with pytest.raises(BadInput):
        await decide(firm, rob, seen="")
    await propose(firm, ria, "tina-0", "tina-2")
    with pytest.raises(StaleDecision, match="its evidence or the proposed action"):
        await decide(firm, rob, seen=first.digest)
    request = DecisionRequest(key=uuid4().hex, actor=rob, reason="looked at it")
    await ask_for(firm.db, "case", "cas_one", "deduct", request)
    await propose(firm, ria, "tina-2")  # replaced between the request and the decision
    decision = CaseDecision(case_id="cas_one", choice="deduct", request=request, update_id=request.key)
    assert (await refused(CaseActivities(firm.deps).record_decision(decision)))[0] == "decision-differs"
    assert await counts(firm) == []
    await decide(firm, rob)
    assert await counts(firm) == ["tina-2"]


async def test_a_proposal_ends_with_its_case_or_is_withdrawn(firm: World, ria: Actor, rob: Actor) -> None:
    assert "no proposal to deduct" in (await refused(decide(firm, rob)))[1]
    await propose(firm, ria, "tina-0")
    async with firm.db.transaction() as session:
        await case_actions.withdraw(session, "cas_one", actor=rob, reason="not these")
    async with firm.db.transaction() as session:
        with pytest.raises(Conflict):
            await case_actions.withdraw(session, "cas_one", actor=rob, reason="again")
    await propose(firm, ria, "tina-2")
    await decide(firm, ria, "clear")
    with pytest.raises(PropOSError, match="cleared"):
        await propose(firm, ria, "tina-0")
    async with firm.db.transaction() as session:
        found = select(CaseAction.state).order_by(CaseAction.recorded_at)
        assert (await session.scalars(found)).all() == ["withdrawn", "dropped"]
    assert await counts(firm) == []


async def test_what_cannot_be_named(firm: World, ria: Actor, rob: Actor) -> None:
    await firm.add_trader("otto")
    await firm.traded("otto", DAYS[0], pnl_minor=MADE)
    await firm.add_case("two", "acc_tina")
    async with firm.db.transaction() as session:
        for position, entry, profit in (("open", "in", 0), ("loss", "in", 0), ("loss", "out", -5), ("fee", "in", 0)):
            session.add(_deal(position, entry, profit))
        session.add(_deal("fee", "out", 700, commission=-700))
    for position, words in (
        ("open", "is not closed"),
        ("loss", "made no profit"),
        ("fee", "made no profit"),
        ("otto-0", "no trade of an account that this case blames"),
    ):
        with pytest.raises(BadInput, match=words):
            await propose(firm, ria, position)
    with pytest.raises(BadInput, match="no trade of an account"):
        await propose(firm, ria, "otto-0", account="acc_otto")
    await propose(firm, ria, "tina-0")
    await propose(firm, ria, "tina-0", "tina-2", case="two")
    await decide(firm, rob)
    assert "deducted already" in (await refused(decide(firm, rob, case="two")))[1]
    with pytest.raises(BadInput, match="deducted already"):
        await propose(firm, ria, "tina-0", case="two")
    await propose(firm, ria, "tina-2", case="two")
    assert (await decide(firm, rob, case="two")).state == "deducted"
    assert [trade.position_id for trade in (await facts(firm)).tainted] == ["tina-0", "tina-2"]


def _deal(position: str, entry: str, profit: int, commission: int = 0) -> DealRow:
    return DealRow(
        account_id="acc_tina",
        deal_id=f"{position}-{entry}",
        seq=50,
        at=START.replace(day=8),
        position_id=position,
        symbol="EURUSD",
        side="buy" if entry == "in" else "sell",
        entry=entry,
        lots=Decimal(1),
        price=Decimal("1.1"),
        profit_minor=profit,
        commission_minor=commission,
        swap_minor=0,
        balance_minor=0,
        reason="client",
    )


async def test_the_profit_of_a_trade_that_changed_is_proposed_anew(firm: World, ria: Actor, rob: Actor) -> None:
    await propose(firm, ria, "tina-2")
    async with firm.db.transaction() as session:
        rows = update(DealRow).where(DealRow.position_id == "tina-2", DealRow.entry == "out").values(swap_minor=-100)
        await session.execute(rows)
    assert "1,499.00 USD now" in (await refused(decide(firm, rob)))[1]


async def test_the_database_keeps_what_was_proposed_and_counts_a_trade_once(
    firm: World, ria: Actor, rob: Actor
) -> None:
    await firm.add_case("two", "acc_tina")
    await propose(firm, ria, "tina-0")
    await propose(firm, ria, "tina-0", case="two")
    await decide(firm, rob)
    for statement in (
        "UPDATE deducted_trades SET profit_minor = 1",
        "UPDATE deducted_trades SET counts = false",
        "DELETE FROM deducted_trades",
        "UPDATE case_actions SET rule = 'another'",
        "UPDATE deducted_trades SET counts = true",
    ):
        with pytest.raises(DBAPIError):
            async with firm.db.transaction() as session:
                await session.execute(text(statement))
    assert await counts(firm) == ["tina-0"]


async def test_a_payout_that_has_enough_beside_the_trades_goes_on(firm: World, ria: Actor, rob: Actor) -> None:
    async with firm.db.transaction() as session:
        (await session.get_one(Case, "cas_one")).state = "cleared"
    await firm.add_case("two", "acc_tina")
    payout_id = await firm.awaiting(TINA, 250_000)
    await propose(firm, ria, "tina-0", case="two")
    await decide(firm, rob, case="two")
    state = (await firm.activities.check_risk(ref(payout_id))).state
    payout = await firm.payout(payout_id)
    assert state == "approved" and payout.checks["deductions"]["ok"] and payout.tainted_minor == 0
    await firm.arrives(TINA, payout_id)
    known = await facts(firm)
    assert known.profit_minor == 150_000 and known.tainted[0].profit_minor == MADE, "what is left is tainted"


async def test_a_request_that_is_not_held_yet_is_refused_with_its_reason(firm: World, ria: Actor, rob: Actor) -> None:
    payout_id = await firm.request(TINA, 300_000)
    await propose(firm, ria, "tina-0")
    await decide(firm, rob)
    await firm.activities.place_hold(ref(payout_id))
    payout = await firm.payout(payout_id)
    assert payout.state == "refused" and payout.proof_id
    assert "3,000.00 USD is more than the 2,500.00 USD available" in (payout.told or "")
    async with firm.db.transaction() as session:
        proof = await session.get_one(Proof, payout.proof_id)
    assert check(proof.body) == []
    assert [trade["position_id"] for trade in proof.body["facts"]["tainted"]] == ["tina-0"]


async def test_a_smaller_request_is_computed_again_when_it_is_held(firm: World, ria: Actor, rob: Actor) -> None:
    payout_id = await firm.request(TINA, 200_000)
    await propose(firm, ria, "tina-0")
    await decide(firm, rob)
    await firm.activities.place_hold(ref(payout_id))
    payout = await firm.payout(payout_id)
    assert (payout.state, payout.base_minor, payout.tainted_minor) == ("reserved", 250_000, MADE)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "approved"


async def test_no_rule_deducts_the_same_profit_again(firm: World, ria: Actor, rob: Actor) -> None:
    cap = {"type": "daily_profit_cap", "id": "cap", "amount": {"type": "amount", "value": "1000"}}
    cap |= {"window": "whole_phase", "blocks": ["payout"]}
    product = await firm.add_product("capped", rules=[cap])
    await firm.add_trader("kim", product=product)
    await firm.traded("kim", *DAYS, pnl_minor=MADE)
    await firm.add_case("kim", "acc_kim")
    async with firm.db.transaction() as session:
        before = (await payout_facts.situation(session, "acc_kim")).facts
    await propose(firm, ria, "kim-0", case="kim", account="acc_kim")
    await decide(firm, rob, case="kim")
    async with firm.db.transaction() as session:
        after = (await payout_facts.situation(session, "acc_kim")).facts
    assert before.deducted_minor == 100_000, "500.00 above the cap on each of the two days"
    assert (after.deducted_minor, after.tainted[0].profit_minor) == (50_000, MADE)


async def test_a_reset_of_the_balance_has_taken_the_profit_already(firm: World, ria: Actor, rob: Actor) -> None:
    await propose(firm, ria, "tina-0")
    await decide(firm, rob)
    assert (await facts(firm)).tainted
    async with firm.db.transaction() as session:
        session.add(
            BalanceOperationRow(
                account_id="acc_tina",
                key=keys.reset_balance("off_1"),
                operation="adjustment",
                seq=60,
                at=START.replace(day=9),
                amount_minor=-400_000,
                balance_minor=10_000_000,
            )
        )
    assert (await facts(firm)).tainted == ()
    await firm.add_case("two", "acc_tina")
    with pytest.raises(BadInput, match="reset of the balance"):
        await propose(firm, ria, "tina-2", case="two")


async def test_the_case_lists_the_trades_it_can_name(firm: World, ria: Actor, rob: Actor) -> None:
    async with firm.db.transaction() as session:
        listed = await read_cases.trades(session, await read_cases.one(session, "cas_one"))
    assert [(one.position_id, one.profit_minor, one.why_not) for one in listed] == [
        ("tina-0", MADE, ""), ("tina-2", MADE, ""),
    ]  # fmt: skip
    await propose(firm, ria, "tina-0")
    await decide(firm, rob)
    async with firm.db.transaction() as session:
        listed = await read_cases.trades(session, await read_cases.one(session, "cas_one"))
    assert [one.why_not for one in listed] == ["is deducted already", ""]


async def test_tainted_profit_makes_no_account_grow(firm: World, ria: Actor, rob: Actor) -> None:
    plan: Any = SimpleNamespace(min_profitable_months=0)

    async def profit() -> int:
        async with firm.db.transaction() as session:
            account = await session.get_one(Account, "acc_tina")
            product = await products.load(session, account.product, account.version)
            return (await growth._facts(session, account, product, plan, account.initial_minor + 400_000)).profit_minor

    assert await profit() == 400_000
    await propose(firm, ria, "tina-0")
    await decide(firm, rob)
    assert await profit() == 250_000

"""Who may approve, and what stands in a payout's way while it waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from temporalio.exceptions import ApplicationError

from console.present import payouts as present
from contracts.ids import payout_workflow
from contracts.messages import PayoutChoice
from domain.errors import OutcomeUnknown
from firm.payouts import signals
from store import operations, reasons
from store.models import Account, Challenge, Decision, OutboxMessage, Trader, Wakeup
from store.read import payouts as read
from store.read.pages import Window
from store.scope import FIRM, Scope
from tests.payout_world import INITIAL, LARGE, MEDIUM, SMALL, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def refusal(call: Awaitable[object]) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await call
    assert caught.value.non_retryable
    return caught.value


async def test_a_small_payout_goes_on_by_itself(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.awaiting(trader, SMALL)
    assert (await firm.payout(payout_id)).state == "approved"


async def test_a_large_payout_needs_two_people(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "admin")
    payout_id = await firm.awaiting(trader, LARGE)
    assert await firm.decide(payout_id, fay, key="fay-1") == "awaiting_approval"
    assert await firm.decide(payout_id, fay, key="fay-1") == "awaiting_approval"  # the same request again
    assert await firm.decide(payout_id, gil) == "approved"
    async with firm.db.transaction() as session:
        rows = (await session.execute(select(Decision.user_id, Decision.role, Decision.reason))).all()
        said = await reasons.opened(session, (row.reason for row in rows))
        woken = await session.scalar(select(Wakeup.fired_at).where(Wakeup.workflow_id == payout_workflow(payout_id)))
    assert [(row.user_id, row.role, said[row.reason]) for row in rows] == [
        ("usr_fay", "finance", "looked at it"),
        ("usr_gil", "admin", "looked at it"),
    ]
    assert woken is not None


async def test_nobody_approves_twice_and_a_second_account_of_one_person_is_no_second_person(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay = await firm.add_user("fay", "finance")
    twin = await firm.add_user("fay2", "admin", person=fay.person_id)
    payout_id = await firm.awaiting(trader, LARGE)
    await firm.decide(payout_id, fay)
    assert (await refusal(firm.decide(payout_id, fay, key="again"))).type == "already-decided"
    assert (await refusal(firm.decide(payout_id, twin))).type == "already-decided"
    assert (await firm.payout(payout_id)).state == "awaiting_approval"


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(
    ("choice", "state"), [("reject", "rejected"), ("return_to_trader", "cancelled"), ("cancel", "cancelled")]
)
async def test_who_approved_can_still_stop_it(firm: World, choice: PayoutChoice, state: str, held: bool) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, LARGE)
    await firm.decide(payout_id, fay)
    if held:
        await firm.add_case("one", "acc_tina")
        await firm.activities.check_risk(ref(payout_id))
    async with firm.db.transaction() as session:
        view = await present.payout(session, fay, payout_id)
    assert [button.decision for button in view.choices] == ["retract", "return_to_trader", "reject"]
    assert held or "You approved it" in view.effect
    once = {"key": "stop-1", "reason": "wrong beneficiary"}
    assert await firm.decide(payout_id, fay, choice, **once) == "releasing"
    assert await firm.decide(payout_id, fay, choice, **once) == "releasing", "the same request"
    assert (await firm.activities.release_hold(ref(payout_id))).state == state
    async with firm.db.transaction() as session:
        made = (await session.scalars(select(Decision.decision).order_by(Decision.id))).all()
    assert made == ["approve", choice]
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)


async def test_an_approved_payout_can_be_ended_until_its_transfer_has_left(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert await firm.decide(payout_id, fay) == "approved"
    assert (await refusal(firm.decide(payout_id, gil, "reject"))).type == "already-decided"
    assert (await refusal(firm.decide(payout_id, fay, key="again"))).type == "already-decided"
    assert await firm.decide(payout_id, fay, "reject") == "releasing"
    assert (await firm.activities.send_money(ref(payout_id))).state == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert firm.provider.transfers == {}

    payout_id = await firm.awaiting(trader, MEDIUM)
    assert await firm.decide(payout_id, fay, key="second") == "approved"
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    await firm.provider.lands()
    firm.provider.cancels = False
    late = await refusal(firm.decide(payout_id, fay, "reject", key="late"))
    assert (late.type, "was not stopped" in late.message) == ("conflict", True)
    assert (await firm.payout(payout_id)).state == "sent"


async def test_the_requester_does_not_approve_whatever_hat_is_worn(firm: World) -> None:
    trader = await firm.add_trader("tina")
    hat = await firm.add_user("tina2", "finance", person=trader.person_id)
    payout_id = await firm.awaiting(trader, LARGE)
    assert (await refusal(firm.decide(payout_id, trader))).type == "not-allowed"
    assert (await refusal(firm.decide(payout_id, hat))).type == "self-approval"


@pytest.mark.parametrize("role", ["support", "risk", "auditor"])
async def test_the_role_decides(firm: World, role: str) -> None:
    trader = await firm.add_trader("tina")
    other = await firm.add_user("olaf", "support" if role == "support" else "risk" if role == "risk" else "auditor")
    payout_id = await firm.awaiting(trader, LARGE)
    assert (await refusal(firm.decide(payout_id, other))).type == "not-allowed"


async def test_a_decision_says_why(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, LARGE)
    assert (await refusal(firm.decide(payout_id, fay, "reject", reason=" "))).type == "bad-input"


async def test_of_two_racing_operators_one_wins_and_the_other_hears_who(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    results = await asyncio.gather(
        firm.decide(payout_id, fay), firm.decide(payout_id, gil, "reject"), return_exceptions=True
    )
    (lost,) = [result for result in results if isinstance(result, ApplicationError)]
    winner = "usr_gil" if results[0] is lost else "usr_fay"
    assert lost.type == "already-decided"
    assert winner in lost.message
    assert lost.details == ({"by": winner},)


async def test_who_approves_after_the_transfer_left_hears_who_approved(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert await firm.decide(payout_id, fay) == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    lost = await refusal(firm.decide(payout_id, gil))
    assert (lost.type, lost.details) == ("already-decided", ({"by": "usr_fay"},))


async def test_the_trader_cancels_and_gets_the_hold_back(firm: World) -> None:
    trader = await firm.add_trader("tina")
    stranger = await firm.add_trader("eve")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert (await refusal(firm.decide(payout_id, stranger, "cancel"))).type == "not-found"
    assert await firm.decide(payout_id, trader, "cancel", reason="") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "cancelled"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)
    assert await firm.request(trader, SMALL)


@pytest.mark.parametrize(
    ("choice", "state", "told"),
    [
        ("reject", "rejected", "Payout rejected. 3,000.00 USD goes back to the account."),
        (
            "return_to_trader",
            "cancelled",
            "Payout returned to you: wrong bank. 3,000.00 USD goes back to the account.",
        ),
    ],
)
async def test_staff_refuses_with_a_reason_that_the_trader_reads_only_when_it_is_returned(
    firm: World, choice: str, state: str, told: str
) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.decide(payout_id, fay, "reject" if choice == "reject" else "return_to_trader", reason="wrong bank")
    assert (await firm.activities.release_hold(ref(payout_id))).state == state
    assert (await firm.payout(payout_id)).reason == "wrong bank"
    async with firm.db.transaction() as session:
        row = await read.one(session, Scope("trd_tina"), payout_id)
        for_staff = await read.one(session, FIRM, payout_id)
        listed = (await read.page(session, Scope("trd_tina"), Window(limit=5))).items
        assert (row.reason, row.told, listed[0].reason) == (told, told, told)
        assert row.decisions[0].reason == ("" if choice == "reject" else "wrong bank")
        assert (for_staff.reason, for_staff.decisions[0].reason) == ("wrong bank", "wrong bank")
        seen = await present.payout(session, trader, payout_id)
        assert ("wrong bank" in str(seen)) == (choice == "return_to_trader")
        assert seen.effect == told
        assert await operations.open_holds(session) == 0


async def test_who_is_never_asked_times_out(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.awaiting(trader, MEDIUM)
    due = (await firm.payout(payout_id)).decide_by
    assert due is not None
    async with firm.db.transaction() as session:
        wakeup = await session.get_one(Wakeup, payout_workflow(payout_id))
    assert (wakeup.due_at < due, wakeup.fired_at) == (True, None), "it is raised to an admin before"
    await firm.market_time(due - timedelta(seconds=1))
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"
    await firm.market_time(due)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "timed_out"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}


async def test_a_case_holds_the_account_that_it_names_and_no_other_one_of_the_trader(firm: World) -> None:
    trader = await firm.add_trader("tina")
    await firm.add_trader("leo")
    await firm.add_trader("second")
    async with firm.db.transaction() as session:
        for row in (Challenge, Account):
            await session.execute(update(row).where(row.trader_id == "trd_second").values(trader_id="trd_tina"))
    fay = await firm.add_user("fay", "finance")
    await firm.add_case("other", "acc_leo", "acc_second")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert (await firm.payout(payout_id)).state == "awaiting_approval"
    await firm.add_case("one", "acc_leo", "acc_tina")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    held = await firm.payout(payout_id)
    assert (held.state, held.was_held, held.told) == ("in_review", True, "The payout is under review.")
    assert held.reason == "case cas_one is open: It copies"
    assert held.checks["cases"] == {"ok": False, "words": "Case cas_one is open: It copies."}
    refused = await refusal(firm.decide(payout_id, fay))
    words = f"Payout {payout_id} is held. Case cas_one is open: It copies."
    assert (refused.type, refused.message) == ("conflict", words)
    await firm.case_becomes("one", "cleared")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"
    assert (await firm.payout(payout_id)).was_held
    assert await firm.decide(payout_id, fay) == "approved"


async def test_a_confirmed_case_rejects(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.add_case("one", "acc_tina", state="confirmed")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    payout = await firm.payout(payout_id)
    assert payout.told == (
        "Payout rejected. The rules on trading conduct were broken. 3,000.00 USD goes back to the account."
    )
    assert payout.was_held


@pytest.mark.parametrize(
    ("decision", "leader", "follower"),
    [("open", "in_review", "in_review"), ("confirmed", "awaiting_approval", "releasing")],
)
async def test_only_who_copied_is_rejected_and_who_was_copied_goes_on(
    firm: World, decision: str, leader: str, follower: str
) -> None:
    found = {name: await firm.awaiting(await firm.add_trader(name), MEDIUM) for name in ("leo", "tina")}
    await firm.add_case("one", "acc_leo", "acc_tina")
    for payout_id in found.values():
        assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    await firm.case_becomes("one", decision)
    states = {name: (await firm.activities.check_risk(ref(found[name]))).state for name in found}
    assert states == {"leo": leader, "tina": follower}


async def test_an_unverified_identity_holds_and_a_refused_one_rejects(firm: World) -> None:
    trader = await firm.add_trader("tina")
    await set_identity(firm, "unverified")
    payout_id = await firm.awaiting(trader, MEDIUM)
    payout = await firm.payout(payout_id)
    assert (payout.state, payout.was_held) == ("in_review", False)
    await set_identity(firm, "refused")
    assert (await firm.activities.check_risk(ref(payout_id))).state == "releasing"


async def set_identity(firm: World, identity: str) -> None:
    async with firm.db.transaction() as session:
        await session.execute(update(Trader).values(identity=identity))


async def test_what_changes_wakes_each_open_payout_once(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.request(trader, SMALL)
    for _ in range(2):
        async with firm.db.transaction() as session:
            await signals.send_risk_changed(session, cause="case/x/opened", trader_ids=["trd_tina", "trd_none"])
    async with firm.db.transaction() as session:
        signal_rows = select(OutboxMessage).where(OutboxMessage.topic == "workflow.signal")
        (message,) = (await session.scalars(signal_rows)).all()
    assert (message.target, message.name) == (payout_workflow(payout_id), "risk_changed")
    assert message.payload == {"key": f"risk/{payout_id}/case/x/opened"}

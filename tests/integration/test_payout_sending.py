"""Money moves once, whatever breaks while it is sent, and comes back whole when it is returned."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from temporalio.exceptions import ApplicationError

from activities.deps import Deps
from activities.payouts import PayoutActivities
from adapters.payments.sandbox import SandboxPayments
from console.present import payouts as present
from contracts.ids import payout_workflow
from contracts.messages import PayoutChoice
from domain import keys
from domain.errors import (
    BadInput,
    Conflict,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    RefusedForGood,
    Unavailable,
)
from firm.payouts import attempts, signals, transfers
from firm.payouts import row as payouts
from ports.rail import TransferOrder
from store import operations
from store.models import AuditEntry, OutboxMessage, Payout, PayoutTransfer, Transition, User
from tests.adapters import beneficiary, platforms, providers
from tests.contract.sandbox_process import SECRET, TOKEN, running_sandbox, waves, write_recording
from tests.payout_world import INITIAL, MEDIUM, Killed, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def approved(firm: World, gross: int = MEDIUM) -> str:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, gross)
    await firm.decide(payout_id, fay)
    return payout_id


@pytest.mark.parametrize("moment", ["before", "after", "stored"])
async def test_a_kill_around_the_send_leaves_exactly_one_transfer(firm: World, moment: str) -> None:
    payout_id = await approved(firm)
    if moment != "stored":
        firm.provider.dies = "before" if moment == "before" else "after"
        with pytest.raises(Killed):
            await firm.activities.send_money(ref(payout_id))
        firm.provider.dies = None
        assert (await firm.payout(payout_id)).state == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    (transfer,) = firm.provider.transfers.values()
    assert (transfer.key, transfer.amount_minor) == (keys.transfer(payout_id, 1), 240_000)
    assert (await firm.payout(payout_id)).transfer_id == transfer.transfer_id
    assert await firm.books() == (0, -240_000, 0)


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_an_unknown_outcome_is_looked_up_then_sent_again_under_the_same_key(firm: World, lost: str) -> None:
    payout_id = await approved(firm)
    firm.provider.loses = ["request" if lost == "request" else "answer"]
    if lost == "request":
        with pytest.raises(OutcomeUnknown):
            await firm.activities.send_money(ref(payout_id))
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert len(firm.provider.transfers) == 1
    assert firm.provider.calls == (2 if lost == "request" else 1)


IN_USE = [InProgress, Conflict, NotFound, BadInput, IdempotencyMismatch, Unavailable, OutcomeUnknown]


@pytest.mark.parametrize("in_use", IN_USE)
async def test_a_send_that_is_still_under_way_is_no_refusal(firm: World, in_use: type[PropOSError]) -> None:
    payout_id = await approved(firm)
    beneficiary = (await firm.payout(payout_id)).beneficiary
    firm.provider.loses = ["under way"]
    firm.provider.in_use = in_use(f"The key of the transfer to {beneficiary} is in use.")
    for _ in range(3):
        with pytest.raises(Unavailable) as waits:
            await firm.activities.send_money(ref(payout_id))
        assert beneficiary not in str(waits.value) or waits.value is firm.provider.in_use
    payout = await firm.payout(payout_id)
    assert (payout.state, firm.provider.transfers) == ("approved", {})
    assert "is tried again with the same key" in str(payout.checks["transfer"])
    await firm.provider.lands()
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert [t.amount_minor for t in firm.provider.transfers.values()] == [240_000]
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000 - MEDIUM}, "the hold stays"
    assert await firm.books() == (0, -240_000, 0)
    assert "transfer" not in (await firm.payout(payout_id)).checks


async def test_a_send_still_under_way_at_the_sandbox_ends_as_sent(firm: World, tmp_path: Path) -> None:
    payout_id = await approved(firm)
    write_recording(tmp_path / "prices", "EURUSD", waves(1, 110_000, 300, 10, 5))
    with running_sandbox(tmp_path, market_dir=tmp_path / "prices", symbols=("EURUSD",)) as sandbox:
        sandbox.http.put("/provider/faults", json={"hold_transfers": True}).raise_for_status()
        hasty = SandboxPayments(url=sandbox.url, token=TOKEN, webhook_secret=SECRET, timeout=2, name=firm.provider.name)
        sending = PayoutActivities(Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(hasty)))
        with pytest.raises(OutcomeUnknown):
            await sending.send_money(ref(payout_id))
        with pytest.raises(InProgress):
            await sending.send_money(ref(payout_id))
        assert (await firm.payout(payout_id)).state == "approved"
        sandbox.http.put("/provider/faults", json={}).raise_for_status()
        while await hasty.find_transfer(keys.transfer(payout_id, 1)) is None:
            await asyncio.sleep(0.02)
        assert (await sending.send_money(ref(payout_id))).state == "sent"
        assert [e.amount_minor for e in await hasty.entries(None)] == [-240_000]
        await hasty.aclose()


async def test_what_the_provider_refuses_for_good_is_held_and_never_sent_again(firm: World) -> None:
    payout_id = await approved(firm)
    beneficiary = (await firm.payout(payout_id)).beneficiary
    firm.provider.refuses = RefusedForGood(keys.transfer(payout_id, 1), f"It knows no account {beneficiary}.")
    for _ in range(2):
        assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    firm.provider.refuses = None
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    gil = await firm.add_user("gil", "finance")
    with pytest.raises(ApplicationError, match=r"is held\. The provider refused the transfer"):
        await firm.decide(payout_id, gil)
    payout = await firm.payout(payout_id)
    assert payout.told == "The payment provider did not accept the transfer. The firm is looking into it."
    assert not payout.checks["transfer"]["ok"]
    assert (firm.provider.calls, firm.provider.transfers) == (1, {})
    async with firm.db.transaction() as session:
        view = await present.payout(session, gil, payout_id)
        told = await session.scalar(select(AuditEntry.reason).where(AuditEntry.action == "payout.transfer_refused"))
    assert "Nothing is sent until a person decides" in view.effect
    assert told is not None
    assert told.startswith("The provider refused the transfer: ")
    assert beneficiary not in f"{told} {payout.checks}", "a refusal must not carry an account number into the record"
    assert await firm.decide(payout_id, gil, "reject") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)


async def test_a_refusal_of_what_was_sent_all_the_same_counts_as_sent(firm: World) -> None:
    payout_id = await approved(firm)
    order = TransferOrder(
        key=keys.transfer(payout_id, 1),
        reference=payout_id,
        amount_minor=1,
        currency="USD",
        beneficiary=beneficiary("XX66"),
    )
    made = await firm.provider.create_transfer(order)
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert (await firm.payout(payout_id)).transfer_id == made.transfer_id
    assert (await firm.books())[1] == -1, "the books follow what the provider took"


async def test_once_declared_a_send_is_finished_even_if_a_case_opens(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.dies = "after"
    with pytest.raises(Killed):
        await firm.activities.send_money(ref(payout_id))
    firm.provider.dies = None
    await firm.add_case("late", "acc_tina")
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert len(firm.provider.transfers) == 1


async def test_a_role_revoked_after_the_approval_stops_the_send(firm: World) -> None:
    payout_id = await approved(firm)
    async with firm.db.transaction() as session:
        await session.execute(update(User).where(User.id == "usr_fay").values(role="support"))
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval"
    assert firm.provider.transfers == {}
    gil = await firm.add_user("gil", "finance")
    assert await firm.decide(payout_id, gil) == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"


async def test_a_user_who_was_shut_out_after_the_approval_stops_the_send(firm: World) -> None:
    payout_id = await approved(firm)
    async with firm.db.transaction() as session:
        await session.execute(update(User).where(User.id == "usr_fay").values(active=False))
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval"
    assert firm.provider.transfers == {}


@pytest.mark.parametrize("change", [{"trader_minor": 299_999}, {"beneficiary": "XX66"}])
async def test_what_was_changed_after_the_approval_is_not_sent(firm: World, change: dict[str, object]) -> None:
    payout_id = await approved(firm)
    async with firm.db.transaction() as session:
        await session.execute(update(Payout).values(**change))
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    assert not (await firm.payout(payout_id)).checks["terms"]["ok"]
    assert firm.provider.transfers == {}


async def test_what_was_changed_while_it_was_being_sent_is_not_sent_twice(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.dies = "before"
    with pytest.raises(Killed):
        await firm.activities.send_money(ref(payout_id))
    firm.provider.dies = None
    async with firm.db.transaction() as session:
        await session.execute(update(Payout).values(beneficiary="XX66"))
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert firm.provider.transfers == {}


async def test_paid_is_settled_on_the_platform_and_closed(firm: World) -> None:
    payout_id = await approved(firm)
    await firm.activities.send_money(ref(payout_id))
    assert (await firm.activities.follow_transfer(ref(payout_id))).state == "sent"
    firm.provider.becomes(payout_id, "paid")
    assert (await firm.activities.follow_transfer(ref(payout_id))).state == "settling"
    assert (await firm.activities.settle(ref(payout_id))).state == "paid"
    assert firm.venue.done[f"{payout_id}/settled"] == ("payout_settled", 0)
    assert (await firm.payout(payout_id)).closed_at is not None
    async with firm.db.transaction() as session:
        steps = select(Transition.trigger).where(Transition.subject_kind == "payout").order_by(Transition.id)
        assert (await session.scalars(steps)).all() == [
            "hold_placed",
            "risk_clear",
            "approvals_complete",
            "transfer_accepted",
            "transfer_paid",
            "payout_settled",
        ]
        assert await operations.open_holds(session) == 0
    assert await firm.books() == (0, -240_000, 0)


async def test_returned_gives_the_money_back_to_the_account_and_the_books(firm: World) -> None:
    payout_id = await approved(firm)
    await firm.activities.send_money(ref(payout_id))
    firm.provider.becomes(payout_id, "returned")
    for _ in range(2):
        assert (await firm.activities.follow_transfer(ref(payout_id))).state == "returned"
    assert await firm.books() == (-240_000, 0, 0), "the firm owes it again"
    assert await firm.decide(payout_id, await firm.add_user("gil", "finance"), "release") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "released"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)
    async with firm.db.transaction() as session:
        assert await operations.open_holds(session) == 0


async def test_a_transfers_webhook_reaches_its_payout(firm: World) -> None:
    payout_id = await approved(firm)
    await firm.activities.send_money(ref(payout_id))
    async with firm.db.transaction() as session:
        assert await signals.send_transfer_changed(session, key="evt_1", rail="fakepay", transfer_id="tr_1")
        assert not await signals.send_transfer_changed(session, key="evt_2", rail="fakepay", transfer_id="tr_unknown")
        count = await session.scalar(
            select(func.count()).where(
                OutboxMessage.name == "transfer_changed", OutboxMessage.target == payout_workflow(payout_id)
            )
        )
    assert count == 1


async def back_in_review(firm: World) -> str:
    """A payout whose send has no answer yet when a case opens: the send is not repeated."""
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    await firm.add_case("late", "acc_tina")
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    return payout_id


async def is_paid_once(firm: World, payout_id: str) -> None:
    """The transfer is booked as sent, followed to its end, and the hold stays out of the account."""
    (transfer,) = firm.provider.transfers.values()
    payout = await firm.payout(payout_id)
    assert (payout.state, payout.transfer_id) == ("sent", transfer.transfer_id)
    assert payout.told == "2,400.00 USD was sent to your bank account."
    assert (await firm.activities.release_hold(ref(payout_id))).state == "sent"
    firm.provider.becomes(payout_id, "paid")
    assert (await firm.activities.follow_transfer(ref(payout_id))).state == "settling"
    assert (await firm.activities.settle(ref(payout_id))).state == "paid"
    assert f"{payout_id}/release" not in firm.venue.done
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000 - MEDIUM}
    assert await firm.books() == (0, -240_000, 0)


async def test_a_transfer_that_lands_after_its_payout_went_back_to_review_is_booked(firm: World) -> None:
    payout_id = await back_in_review(firm)
    await firm.provider.lands()
    assert (await firm.activities.check_risk(ref(payout_id))).state == "sent"
    await is_paid_once(firm, payout_id)


async def test_a_transfer_that_lands_after_its_payout_was_changed_is_booked(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    async with firm.db.transaction() as session:
        await session.execute(update(Payout).values(beneficiary="XX66"))
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    await firm.provider.lands()
    assert (await firm.activities.check_risk(ref(payout_id))).state == "sent"
    await is_paid_once(firm, payout_id)


@pytest.mark.parametrize("choice", ["reject", "return_to_trader"])
async def test_staff_do_not_end_a_payout_whose_transfer_the_provider_made(firm: World, choice: PayoutChoice) -> None:
    payout_id = await back_in_review(firm)
    gil = await firm.add_user("gil", "finance")
    await firm.provider.lands()
    firm.provider.cancels = False
    with pytest.raises(ApplicationError, match="was not stopped"):
        await firm.decide(payout_id, gil, choice)
    await is_paid_once(firm, payout_id)


async def test_a_transfer_that_lands_after_the_rejection_is_booked_instead_of_the_release(firm: World) -> None:
    payout_id = await back_in_review(firm)
    assert await firm.decide(payout_id, await firm.add_user("gil", "finance"), "reject") == "releasing"
    await firm.provider.lands()
    assert (await firm.activities.release_hold(ref(payout_id))).state == "sent"
    await is_paid_once(firm, payout_id)


async def test_staff_end_a_begun_payout_once_the_provider_answers_that_it_made_no_transfer(firm: World) -> None:
    payout_id = await back_in_review(firm)
    gil = await firm.add_user("gil", "finance")
    firm.provider.away = True
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review", "the checks wait for no provider"
    with pytest.raises(ApplicationError, match="it is not known yet whether it was made"):
        await firm.decide(payout_id, gil, "reject", key="first")
    firm.provider.away = False
    assert await firm.decide(payout_id, gil, "reject", key="second") == "releasing"
    firm.provider.away = True
    with pytest.raises(Unavailable):
        await firm.activities.release_hold(ref(payout_id))
    assert f"{payout_id}/release" not in firm.venue.done
    firm.provider.away = False
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    async with firm.db.transaction() as session:
        attempt = await session.get_one(PayoutTransfer, keys.transfer(payout_id, 1))
    assert (attempt.state, attempt.why) == ("never_sent", "The rail had no transfer under this key.")
    assert (await firm.activities.send_money(ref(payout_id))).state == "rejected"
    assert (firm.provider.calls, firm.provider.transfers) == (1, {})
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)


async def older_refusal(firm: World) -> str:
    """As older code left it: a call that was still under way is recorded as refused for good."""
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    async with firm.db.transaction() as session:
        payout, attempt = await payouts.locked(session, payout_id), await attempts.last(session, payout_id)
        assert attempt is not None
        await transfers.record_refused(session, payout, attempt, "409 key in use")
    return payout_id


@pytest.mark.parametrize("lands", ["before the decision", "after the decision", "before the checks"])
async def test_what_older_code_recorded_as_refused_is_looked_up_before_its_release(firm: World, lands: str) -> None:
    payout_id = await older_refusal(firm)
    gil = await firm.add_user("gil", "finance")
    if lands == "after the decision":
        assert await firm.decide(payout_id, gil, "reject") == "releasing"
    await firm.provider.lands()
    if lands == "before the decision":
        firm.provider.cancels = False
        with pytest.raises(ApplicationError, match="was not stopped"):
            await firm.decide(payout_id, gil, "reject")
    if lands == "before the checks":
        assert (await firm.activities.check_risk(ref(payout_id))).state == "sent"
    if lands == "after the decision":
        assert (await firm.activities.release_hold(ref(payout_id))).state == "sent"
    await is_paid_once(firm, payout_id)
    async with firm.db.transaction() as session:
        attempt = await session.get_one(PayoutTransfer, keys.transfer(payout_id, 1))
    assert (attempt.state, attempt.provider_id) == ("paid", "tr_1")


async def test_a_transfer_found_late_and_returned_gives_the_hold_back(firm: World) -> None:
    payout_id = await back_in_review(firm)
    await firm.provider.lands()
    assert (await firm.activities.check_risk(ref(payout_id))).state == "sent"
    firm.provider.becomes(payout_id, "returned")
    assert (await firm.activities.follow_transfer(ref(payout_id))).state == "returned"
    assert await firm.decide(payout_id, await firm.add_user("gil", "finance"), "release") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "released"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)

"""Attempts to send a payout: stopped, refused, repeated over another rail, back after arrival. Money moves once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import ColumnElement, func, select, update
from temporalio.exceptions import ApplicationError

from activities.deps import Deps
from activities.payouts import PayoutActivities
from activities.reconciliation import ReconciliationActivities
from contracts.ids import payout_workflow
from contracts.messages import ReconciliationStart
from domain.approvals import Actor
from domain.errors import BadInput, OutcomeUnknown, RefusedForGood, Unavailable
from domain.payouts.transfer import MAX_FAILURES
from firm import beneficiaries
from firm.payouts import approving
from front.subjects.payout import PAYOUT as SUBJECT
from ports.rail import Beneficiary, Transfer
from relay.inbox import InboxDispatcher
from store import inbox, operations
from store.models import InboxEvent, OutboxMessage, PayoutTransfer, Review, Transition
from store.read import queue
from store.scope import FIRM
from tests.adapters import platforms, providers
from tests.asked import shown_account
from tests.payout_world import INITIAL, MEDIUM, SMALL, START, Killed, Provider, World, a_firm, ref

SENT = 240_000


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def approved(firm: World) -> str:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.decide(payout_id, fay)
    return payout_id


async def sent(firm: World) -> str:
    payout_id = await approved(firm)
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    return payout_id


async def paid(firm: World) -> str:
    payout_id = await sent(firm)
    firm.provider.becomes(payout_id, "paid")
    assert (await firm.activities.follow_and_settle(ref(payout_id))).state == "paid"
    return payout_id


async def attempts_of(firm: World, payout_id: str) -> list[tuple[str, str]]:
    async with firm.db.transaction() as session:
        rows = await session.scalars(
            select(PayoutTransfer).where(PayoutTransfer.payout_id == payout_id).order_by(PayoutTransfer.number)
        )
        return [(row.rail, row.state) for row in rows]


async def event(firm: World, event_id: str, kind: str, transfer_id: str) -> None:
    """A webhook of the rail arrives and is routed."""
    async with firm.db.transaction() as session:
        await inbox.receive(session, provider="fakepay", event_id=event_id, kind=kind, object_id=transfer_id)
    assert await InboxDispatcher(firm.db, firm.deps.payments).step() == 1


async def count(firm: World, model: type[Review] | type[OutboxMessage], *where: ColumnElement[bool]) -> int:
    async with firm.db.transaction() as session:
        found: int | None = await session.scalar(select(func.count()).select_from(model).where(*where))
        return found or 0


async def agrees(firm: World) -> None:
    report = await ReconciliationActivities(firm.deps).reconcile(ReconciliationStart())
    assert report.unreconciled == 0
    async with firm.db.transaction() as session:
        assert await operations.open_holds(session) == 0


async def sends_again(firm: World, payout_id: str, name: str, rail: str = "") -> str:
    """A person has it sent again, and the checks and approvals let it through once more."""
    actor = await firm.add_user(name, "finance")
    assert await firm.decide(payout_id, actor, "send_again", rail=rail) == "in_review"
    return await judged(firm, payout_id, actor)


async def judged(firm: World, payout_id: str, actor: Actor) -> str:
    """Returns the state after the checks, and after an approval if approvals began anew."""
    state = (await firm.activities.check_risk(ref(payout_id))).state
    return await firm.decide(payout_id, actor) if state == "awaiting_approval" else state


async def test_a_send_without_an_answer_becomes_work_for_people_and_is_repeated_under_its_key(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.loses = ["request"] * MAX_FAILURES
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(OutcomeUnknown):
            await firm.activities.send_money(ref(payout_id))
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    payout = await firm.payout(payout_id)
    assert payout.halted == f"The transfer is not confirmed after {MAX_FAILURES} tries: no answer"
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    async with firm.db.transaction() as session:
        item = await queue.one(session, "payout", SUBJECT.waiting, payout_id)
    assert item is not None
    assert "no answer" in item.words
    assert await sends_again(firm, payout_id, "gil") == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert await attempts_of(firm, payout_id) == [("fakepay", "sent")]
    assert [transfer.amount_minor for transfer in firm.provider.transfers.values()] == [SENT]
    assert await firm.books() == (0, -SENT, 0)


async def test_a_transfer_that_has_not_left_is_stopped_at_the_rail_and_sent_again_by_a_person(firm: World) -> None:
    payout_id = await sent(firm)
    gil = await firm.add_user("gil", "finance")
    assert await firm.decide(payout_id, gil, "stop", key="stop-1", reason="wrong month") == "in_review"
    assert await firm.decide(payout_id, gil, "stop", key="stop-1", reason="wrong month") == "in_review"
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review", "nobody said to send it"
    assert (await firm.payout(payout_id)).halted == "Stopped by usr_gil: wrong month"
    assert await firm.books() == (-SENT, 0, 0)
    await agrees_with_open(firm)
    assert await sends_again(firm, payout_id, "ada") == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert await attempts_of(firm, payout_id) == [("fakepay", "cancelled"), ("fakepay", "sent")]
    assert [one.status for one in firm.provider.transfers.values()] == ["cancelled", "pending"]
    assert await firm.books() == (0, -SENT, 0)


async def agrees_with_open(firm: World) -> None:
    report = await ReconciliationActivities(firm.deps).reconcile(ReconciliationStart())
    assert report.unreconciled == 0


async def test_a_transfer_that_has_left_is_not_stopped(firm: World) -> None:
    payout_id = await sent(firm)
    gil = await firm.add_user("gil", "finance")
    firm.provider.cancels = False
    with pytest.raises(ApplicationError, match="was not stopped"):
        await firm.decide(payout_id, gil, "stop")
    firm.provider.away = True
    with pytest.raises(ApplicationError, match="was not stopped"):
        await firm.decide(payout_id, gil, "stop")
    assert (await firm.payout(payout_id)).state == "sent"


@pytest.mark.parametrize("who", ["support", "trader", "stranger"])
async def test_who_may_not_stop_a_payout_does_not_reach_its_rail(firm: World, who: str) -> None:
    payout_id = await sent(firm)
    if who == "support":
        with pytest.raises(ApplicationError, match="needs the role"):
            await firm.decide(payout_id, await firm.add_user("sam", "support"), "stop")
    elif who == "trader":
        tina = await firm.add_user("tina2", "trader", person="person-tina", trader_id="trd_tina")
        with pytest.raises(ApplicationError):
            await firm.decide(payout_id, tina, "cancel", reason="")
    else:
        with pytest.raises(ApplicationError, match="already decided"):
            await firm.decide(payout_id, await firm.add_user("gil", "finance"), "reject")
    assert [one.status for one in firm.provider.transfers.values()] == ["pending"]
    assert (await firm.payout(payout_id)).state == "sent"


async def test_two_operators_at_once_stop_it_once(firm: World) -> None:
    payout_id = await sent(firm)
    gil, ada = await firm.add_user("gil", "finance"), await firm.add_user("ada", "finance")
    results = await asyncio.gather(
        firm.decide(payout_id, gil, "stop"), firm.decide(payout_id, ada, "stop"), return_exceptions=True
    )
    assert "in_review" in results
    assert (await firm.payout(payout_id)).state == "in_review"
    assert await attempts_of(firm, payout_id) == [("fakepay", "cancelled")]
    assert await firm.books() == (-SENT, 0, 0)


async def test_what_one_rail_refuses_is_sent_over_another_one(firm: World) -> None:
    other = Provider(name="otherpay")
    firm.activities = both = PayoutActivities(
        Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(firm.provider, other)), call_seconds=0
    )
    payout_id = await approved(firm)
    firm.provider.refuses = RefusedForGood("key", "No such account.")
    assert (await both.send_money(ref(payout_id))).state == "in_review"
    assert await sends_again(firm, payout_id, "gil", rail="otherpay") == "approved"
    assert (await both.send_money(ref(payout_id))).state == "sent"
    assert await attempts_of(firm, payout_id) == [("fakepay", "refused"), ("otherpay", "sent")]
    assert (firm.provider.transfers, len(other.transfers)) == ({}, 1)
    assert await firm.books() == (0, 0, 0), "nothing moved at the first rail"


class Picky(Provider):
    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        raise BadInput(f"{self.name} cannot pay that account in {currency}.", field="beneficiary")


async def test_a_rail_that_cannot_pay_the_account_is_refused_before_anything_changes(firm: World) -> None:
    firm.activities = PayoutActivities(
        Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(firm.provider, Picky(name="picky")))
    )
    payout_id = await sent(firm)
    gil, ada = await firm.add_user("gil", "finance"), await firm.add_user("ada", "finance")
    await firm.decide(payout_id, gil, "stop")
    for rail, words in (("picky", "cannot pay that account"), ("nowhere", "No payment rail")):
        with pytest.raises(ApplicationError, match=words):
            await firm.decide(payout_id, ada, "send_again", key=f"over-{rail}", rail=rail)
    payout = await firm.payout(payout_id)
    assert (payout.state, payout.rail) == ("in_review", "fakepay")


async def test_a_payout_is_sent_again_only_to_the_account_that_was_seen(firm: World) -> None:
    payout_id = await sent(firm)
    gil, ada = await firm.add_user("gil", "finance"), await firm.add_user("ada", "finance")
    assert await firm.decide(payout_id, gil, "stop") == "in_review"
    shown = await shown_account(firm.db, payout_id)
    async with firm.db.transaction() as session:
        view = await approving.viewed(session, FIRM, payout_id)
    assert [(each.rail, each.beneficiary) for each in view.send_to] == [("fakepay", shown)]
    assert view.beneficiary_digest == shown
    tina = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")
    async with firm.db.transaction() as session:
        await beneficiaries.add(session, trader_id="trd_tina", account="DE00CHANGED", rail="fakepay", actor=tina)
    before = (await firm.payout(payout_id)).beneficiary
    for account, words in ((shown, "the beneficiary"), ("", "names the account")):
        with pytest.raises(ApplicationError, match=words):
            await firm.decide(payout_id, ada, "send_again", account=account)
    assert (await firm.payout(payout_id)).beneficiary == before
    assert await firm.decide(payout_id, ada, "send_again") == "in_review"
    assert (await firm.payout(payout_id)).beneficiary == "DE00CHANGED"
    async with firm.db.transaction() as session:
        step = (await approving.viewed(session, FIRM, payout_id)).transitions[-1]
        stored = await session.scalar(select(Transition.detail).where(Transition.trigger == "sent_again"))
    assert step.trigger == "sent_again"
    assert stored == {"rail": "fakepay", "beneficiary": await shown_account(firm.db, payout_id)}


async def test_money_that_waits_at_the_rail_is_taken_back(firm: World) -> None:
    payout_id = await sent(firm)
    firm.provider.becomes(payout_id, "undelivered")
    assert (await firm.activities.follow_and_settle(ref(payout_id))).state == "returned"
    assert await attempts_of(firm, payout_id) == [("fakepay", "returned")]
    assert await firm.books() == (-SENT, 0, 0)


async def test_a_payout_that_comes_back_after_it_arrived_is_open_again_and_sent_again(firm: World) -> None:
    payout_id = await paid(firm)
    assert (await firm.payout(payout_id)).closed_at is not None
    firm.provider.becomes(payout_id, "returned")
    for number in (1, 2):
        await event(firm, f"evt_{number}", "transfer.returned", "tr_1")
    payout = await firm.payout(payout_id)
    assert (payout.state, payout.closed_at) == ("returned", None)
    restarts = (OutboxMessage.topic == "workflow.restart", OutboxMessage.target == payout_workflow(payout_id))
    assert await count(firm, OutboxMessage, *restarts) == 1
    assert await firm.books() == (-SENT, 0, 0)
    assert await firm.decide(payout_id, await firm.add_user("eve", "finance"), "keep") == "owed"
    await firm.add_case("late", "acc_tina")
    assert await sends_again(firm, payout_id, "gil") == "in_review", "an open case holds it again"
    await firm.case_becomes("late", "cleared")
    assert await judged(firm, payout_id, firm.fay) == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    firm.provider.becomes(payout_id, "paid")
    assert (await firm.activities.follow_and_settle(ref(payout_id))).state == "paid"
    assert await attempts_of(firm, payout_id) == [("fakepay", "returned"), ("fakepay", "paid")]
    assert await firm.books() == (0, -SENT, 0)
    await agrees(firm)


async def test_a_return_after_arrival_does_not_wait_for_the_next_payout_of_the_account(firm: World) -> None:
    payout_id = await paid(firm)
    now = START + timedelta(days=60)
    await firm.market_time(now)
    tina = await firm.add_user("tina2", "trader", person="person-tina", trader_id="trd_tina")
    following = await firm.request(tina.model_copy(update={"user_id": "usr_tina"}), SMALL)
    firm.provider.becomes(payout_id, "returned")
    await event(firm, "evt_1", "transfer.returned", "tr_1")
    assert (await firm.payout(payout_id)).state == "returned"
    assert (await firm.payout(following)).state == "requested"


async def test_a_breach_after_arrival_does_not_take_the_payout_away_but_is_no_reason_to_end_it(firm: World) -> None:
    payout_id = await paid(firm)
    await firm.breached("tina")
    firm.provider.becomes(payout_id, "returned")
    await event(firm, "evt_1", "transfer.returned", "tr_1")
    assert await sends_again(firm, payout_id, "gil") == "approved"


async def test_what_came_back_is_put_back_on_the_account(firm: World) -> None:
    payout_id = await paid(firm)
    firm.provider.becomes(payout_id, "returned")
    await event(firm, "evt_1", "transfer.returned", "tr_1")
    gil = await firm.add_user("gil", "finance")
    assert await firm.decide(payout_id, gil, "release") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "released"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await firm.books() == (0, 0, 0)
    await agrees(firm)


async def test_a_transfer_that_lands_after_the_release_is_booked_once_and_shown_to_people(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    assert await firm.decide(payout_id, firm.fay, "reject") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    await firm.provider.lands()
    for number in (1, 2):
        await event(firm, f"evt_{number}", "transfer.paid", "tr_1")
    assert await count(firm, Review, Review.kind == "stray_transfer", Review.status == "open") == 1
    assert await firm.books() == (SENT, -SENT, 0), "the trader owes what was sent too much"
    firm.provider.becomes(payout_id, "returned")
    await event(firm, "evt_3", "transfer.returned", "tr_1")
    assert await firm.books() == (0, 0, 0)
    assert (await firm.payout(payout_id)).state == "rejected"


async def test_a_transfer_that_lands_after_it_was_given_up_for_another_rail_stops_the_next_one(firm: World) -> None:
    other = Provider(name="otherpay")
    firm.activities = both = PayoutActivities(
        Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(firm.provider, other)), call_seconds=0
    )
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await both.send_money(ref(payout_id))
    assert await firm.decide(payout_id, firm.fay, "stop") == "in_review"
    assert await sends_again(firm, payout_id, "gil", rail="otherpay") == "approved"
    await firm.provider.lands()
    assert (await both.send_money(ref(payout_id))).state == "sent"
    assert (len(firm.provider.transfers), other.calls) == (1, 0)
    assert await attempts_of(firm, payout_id) == [("fakepay", "sent")]


async def test_nothing_is_released_while_a_call_that_sends_may_be_under_way(firm: World) -> None:
    payout_id = await approved(firm)
    firm.activities = dying = PayoutActivities(firm.deps, call_seconds=3600)
    firm.provider.dies = "before"
    with pytest.raises(Killed):
        await dying.send_money(ref(payout_id))
    firm.provider.dies = None
    assert await firm.decide(payout_id, firm.fay, "reject") == "releasing"
    with pytest.raises(Unavailable, match="may be under way"):
        await dying.release_hold(ref(payout_id))
    assert f"{payout_id}/release" not in firm.venue.done


async def test_what_was_stopped_before_its_first_call_goes_back_to_people_without_asking_a_rail(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.away = True
    assert await firm.decide(payout_id, await firm.add_user("gil", "finance"), "stop") == "in_review"
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert firm.provider.calls == 0


async def test_a_payout_that_stays_too_long_in_a_passing_state_is_in_the_queue(firm: World) -> None:
    payout_id = await sent(firm)
    changed = (await firm.payout(payout_id)).changed_at
    for days, waits in ((3, False), (5, True)):
        await firm.market_time(changed + timedelta(days=days))
        async with firm.db.transaction() as session:
            item = await queue.one(session, "payout", SUBJECT.waiting, payout_id)
        assert (item is not None) == waits
    assert item is not None
    assert "too long in the state sent" in item.words


async def test_it_is_stopped_and_sent_many_times_and_one_transfer_is_left(firm: World) -> None:
    payout_id = await sent(firm)
    for number in range(3):
        people = [await firm.add_user(f"{name}{number}", "finance") for name in ("gil", "ada")]
        assert await firm.decide(payout_id, people[0], "stop") == "in_review"
        assert await firm.decide(payout_id, people[1], "send_again") == "in_review"
        assert await judged(firm, payout_id, people[0]) == "approved"
        assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert [state for _, state in await attempts_of(firm, payout_id)] == ["cancelled"] * 3 + ["sent"]
    assert await firm.books() == (0, -SENT, 0)


async def over_two_rails(firm: World, call_seconds: float = 0) -> tuple[PayoutActivities, Provider]:
    """The payout activities with a second rail `otherpay`, and that rail."""
    other = Provider(name="otherpay")
    deps = Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(firm.provider, other))
    firm.activities = both = PayoutActivities(deps, call_seconds=call_seconds)
    return both, other


async def test_after_a_lost_answer_nothing_else_is_sent_or_released_while_the_call_may_take_effect(firm: World) -> None:
    both, other = await over_two_rails(firm, call_seconds=3600)
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    firm.provider.in_use = Unavailable("The provider is being repaired.")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await both.send_money(ref(payout_id))
    gil, ada = await firm.add_user("gil", "finance"), await firm.add_user("ada", "finance")
    assert await firm.decide(payout_id, gil, "stop") == "in_review"
    with pytest.raises(ApplicationError, match="not known yet whether it was made"):
        await firm.decide(payout_id, ada, "send_again", rail="otherpay")
    assert await firm.decide(payout_id, firm.fay, "reject") == "releasing"
    with pytest.raises(Unavailable, match="may be under way"):
        await both.release_hold(ref(payout_id))
    await firm.provider.lands()
    assert (await both.release_hold(ref(payout_id))).state == "sent"
    assert (len(firm.provider.transfers), other.calls) == (1, 0)
    assert await firm.books() == (0, -SENT, 0)


async def stray(firm: World) -> tuple[str, PayoutActivities, Provider]:
    """A payout that is sent over a second rail, and whose first transfer was made after that."""
    both, other = await over_two_rails(firm)
    payout_id = await approved(firm)
    firm.provider.loses = ["under way"]
    with pytest.raises(OutcomeUnknown):
        await both.send_money(ref(payout_id))
    assert await firm.decide(payout_id, firm.fay, "stop") == "in_review"
    assert await sends_again(firm, payout_id, "gil", rail="otherpay") == "approved"
    assert (await both.send_money(ref(payout_id))).state == "sent"
    await firm.provider.lands()
    await event(firm, "evt_1", "transfer.paid", "tr_1")
    assert await attempts_of(firm, payout_id) == [("fakepay", "sent"), ("otherpay", "sent")]
    assert await count(firm, Review, Review.kind == "stray_transfer", Review.status == "open") == 1
    assert await firm.books() == (SENT, -SENT, 0)
    return payout_id, both, other


async def test_the_return_of_an_earlier_transfer_is_booked_while_the_next_one_is_out(firm: World) -> None:
    payout_id, _, _ = await stray(firm)
    firm.provider.becomes(payout_id, "returned")
    await event(firm, "evt_2", "transfer.returned", "tr_1")
    assert await attempts_of(firm, payout_id) == [("fakepay", "returned"), ("otherpay", "sent")]
    assert (await firm.payout(payout_id)).state == "sent"
    assert await firm.books() == (0, 0, 0), "what is left was sent over the other rail"


async def test_news_of_a_payout_with_several_attempts_is_never_routed_in_a_batch(firm: World) -> None:
    payout_id, _, _ = await stray(firm)
    second = (await firm.payout(payout_id)).transfer_id or ""
    news = [inbox.ReceivedEvent(1, "otherpay", "evt_2", "transfer.paid", second, 1)]
    async with firm.db.transaction() as session:
        assert await inbox.payouts_of(session, news) == {}


async def test_nothing_is_sent_again_or_released_while_an_earlier_transfer_is_out(firm: World) -> None:
    payout_id, both, other = await stray(firm)
    other.becomes(payout_id, "returned")
    assert (await both.follow_and_settle(ref(payout_id))).state == "returned"
    ada = await firm.add_user("ada", "finance")
    for choice in ("send_again", "release"):
        with pytest.raises(ApplicationError, match="has left and is not back"):
            await firm.decide(payout_id, ada, choice)
    firm.provider.becomes(payout_id, "returned")
    await event(firm, "evt_2", "transfer.returned", "tr_1")
    assert await firm.decide(payout_id, ada, "release") == "releasing"
    assert (await both.release_hold(ref(payout_id))).state == "released"
    assert await firm.books() == (0, 0, 0)


async def test_an_earlier_transfer_is_the_one_of_the_payout_once_the_next_one_is_refused(firm: World) -> None:
    payout_id, both, other = await stray(firm)
    other.becomes(payout_id, "refused")
    assert (await both.follow_and_settle(ref(payout_id))).state == "in_review"
    await firm.breached("tina")
    assert (await both.check_risk(ref(payout_id))).state == "in_review", "the money has left: nothing is released"
    firm.provider.becomes(payout_id, "paid")
    await event(firm, "evt_2", "transfer.paid", "tr_1")
    assert (await both.follow_and_settle(ref(payout_id))).state == "paid"
    assert await firm.books() == (0, -SENT, 0)


class Stingy(Provider):
    """A rail that does not give the money of an undelivered transfer back at once."""

    gives_back: bool = False

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        return await (super().cancel_transfer if self.gives_back else self.fetch_transfer)(transfer_id)


async def test_money_that_waits_at_the_rail_after_it_arrived_is_asked_for_until_it_is_back(database_url: str) -> None:
    stingy = Stingy()
    async with a_firm(database_url, provider=stingy) as firm:
        payout_id = await paid(firm)
        stingy.becomes(payout_id, "undelivered")
        await event(firm, "evt_1", "transfer.changed", "tr_1")
        assert (await firm.payout(payout_id)).state == "paid"
        stingy.gives_back = True
        async with firm.db.transaction() as session:
            await session.execute(update(InboxEvent).values(next_at=func.now()))
        assert await InboxDispatcher(firm.db, firm.deps.payments).step() == 1
        assert (await firm.payout(payout_id)).state == "returned"
        assert await firm.books() == (-SENT, 0, 0)


async def test_a_changed_bank_account_is_paid_under_a_new_key_after_a_send_without_an_answer(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.loses = ["request"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    gil = await firm.add_user("gil", "finance")
    assert await firm.decide(payout_id, gil, "stop") == "in_review"
    tina = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")
    sam = await firm.add_user("sam", "support")
    await firm.policy(beneficiary_cooling_hours=0)
    async with firm.db.transaction() as session:
        new = await beneficiaries.add(session, trader_id="trd_tina", account="DE99NEW", rail="fakepay", actor=tina)
        await beneficiaries.decide(session, new.id, verb="confirm", actor=sam, reason="phoned", key="confirm-1")
    assert await sends_again(firm, payout_id, "ada") == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert await attempts_of(firm, payout_id) == [("fakepay", "never_sent"), ("fakepay", "sent")]
    assert list(firm.provider.beneficiaries.values()) == ["DE99NEW"]
    assert await firm.books() == (0, -SENT, 0)


async def test_approvals_that_have_expired_while_the_rail_was_away_are_given_again(firm: World) -> None:
    payout_id = await approved(firm)
    firm.provider.loses = ["request"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    await firm.market_time((await firm.payout(payout_id)).changed_at + timedelta(hours=73))
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval"
    payout = await firm.payout(payout_id)
    assert (payout.reason, payout.told) == ("only 0 of 1 approvals still count", None)
    assert await firm.decide(payout_id, await firm.add_user("gil", "finance")) == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert await firm.books() == (0, -SENT, 0)

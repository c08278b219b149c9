"""Compensations: who grants which amount, what the trader gets and reads, and what the books have."""

import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from domain.approvals import Actor
from domain.compensations import Verb
from domain.errors import BadInput, Conflict, IllegalTransition, NotAllowed, SelfApproval
from domain.key_errors import NeedsPerson
from domain.lifecycle import Paid
from domain.money import Money
from firm import challenges, compensations, dispute_evidence, dispute_policies, disputes, fees, refunds
from firm.selling import pricing
from firm.selling.pricing import Taxed, Wanted
from ports.acquirer import Refund
from store import audit, crypto, ledger, reasons
from store.models import (
    AuditEntry,
    Challenge,
    Compensation,
    CouponRow,
    Decision,
    Dispute,
    DisputePack,
    DisputeWords,
    TicketMessage,
)
from store.read import audit as read_audit
from store.read import compensations as read_compensations
from store.read import disputes as read
from store.read import tickets
from store.read.pages import Window
from store.scope import FIRM, scope_of
from tests.payout_world import START, World, a_firm

TINA = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.add_trader("tina")
        await world.add_user("fay", "finance")
        await world.add_user("ann", "admin")
        await world.add_user("ria", "risk")
        async with world.db.transaction() as session:
            await dispute_policies.publish(session, dispute_policies.load_policy())
        yield world


def person(name: str, role: str = "finance", **more: str) -> Actor:
    return Actor.model_validate({"user_id": f"usr_{name}", "person_id": f"person-{name}", "role": role} | more)


async def disputed(firm: World) -> str:
    breach_id = await firm.breached("tina")
    async with firm.db.transaction() as session:
        return (await disputes.open_dispute(session, breach_id=breach_id, actor=TINA, statement="Odd.")).id


async def proposed(
    firm: World, dispute_id: str, minor: int, currency: str = "USD", actor: Actor | None = None
) -> Compensation:
    async with firm.db.transaction() as session:
        return await compensations.propose(
            session, dispute_id, amount=Money(minor=minor, currency=currency), actor=actor or person("fay"),
            reason="Our feed was wrong.", message="We are sorry.", key=f"k{minor}", proven=True,
        )  # fmt: skip


async def decided(firm: World, compensation_id: str, verb: Verb, actor: Actor) -> Compensation:
    async with firm.db.transaction() as session:
        return await compensations.decide(
            session, compensation_id, verb=verb, actor=actor, reason="I read the ticks.", key=f"{verb}-{actor.user_id}"
        )


async def ordered(firm: World, made: Compensation) -> Challenge:
    async with firm.db.transaction() as session:
        return await pricing.order(
            session, Wanted("two-step", (), (str(made.coupon),)), Taxed(Money(minor=49_000, currency="USD"), (), {}),
            seen=None, accepted_terms=None, return_url="https://firm.example/", provider="fakepay", actor=TINA,
        )  # fmt: skip


def refund(minor: int) -> Refund:
    return Refund(refund_id="re_1", key="", checkout_id="co_1", status="succeeded", amount_minor=minor, currency="USD")


async def books(firm: World) -> dict[str, int]:
    async with firm.db.transaction() as session:
        assert await ledger.imbalance(session) == 0
        names = ("goodwill", "vouchers-payable", "discounts")
        return {name: await ledger.balance(session, name, "USD") for name in names}


async def test_a_large_amount_takes_another_person_and_is_a_debt_in_the_books(firm: World) -> None:
    dispute_id = await disputed(firm)
    made = await proposed(firm, dispute_id, 20_000)
    assert made.state == "proposed"
    async with firm.db.transaction() as session:
        assert (await read.one(session, scope_of(TINA), dispute_id)).compensations == ()
    with pytest.raises(SelfApproval):
        await decided(firm, made.id, "grant", person("fay"))
    with pytest.raises(NotAllowed, match="finance"):
        await decided(firm, made.id, "grant", person("ria", "risk"))
    assert await books(firm) == {"goodwill": 0, "vouchers-payable": 0, "discounts": 0}
    for _ in range(2):  # the same request again changes nothing
        assert (await decided(firm, made.id, "grant", person("ann", "admin"))).state == "granted"
    assert await books(firm) == {"goodwill": 20_000, "vouchers-payable": -20_000, "discounts": 0}
    async with firm.db.transaction() as session:
        (seen,) = (await read.one(session, scope_of(TINA), dispute_id)).compensations
        coupon = await session.scalar(select(CouponRow.code))
        (told,) = (await session.scalars(select(TicketMessage.body))).all()
        (decision,) = (await read_compensations.one(session, made.id)).decisions
        kept = await session.scalar(select(Decision.reason))
        raw = (await session.execute(text("SELECT reason FROM sealed_reasons"))).scalars().all()
        audited = (await read_audit.page(session, Window(), subject_id=made.id)).items
    assert (seen.state, seen.coupon, seen.reason, seen.proposed_by) == ("granted", coupon, "", None)
    assert coupon is not None and coupon in told and "feed" not in told
    assert decision.reason == "I read the ticks." and kept is not None and "ticks" not in kept
    assert raw and not any(b"ticks" in each or b"feed" in each for each in raw)
    assert [row.reason for row in audited] == ["I read the ticks.", "Our feed was wrong."], "staff read the words"


async def test_a_small_amount_is_granted_at_once_and_only_once_and_the_band_counts_all_of_an_account(
    firm: World,
) -> None:
    dispute_id = await disputed(firm)
    granted = await proposed(firm, dispute_id, 10_000)
    assert granted.state == "granted"
    with pytest.raises(Conflict, match="already"):
        await proposed(firm, dispute_id, 5_000)
    async with firm.db.transaction() as session:
        first = await session.get_one(Dispute, dispute_id)
        same = {name: getattr(first, name) for name in ("breach_id", "challenge_id", "account_id", "trader_id")}
        session.add(
            Dispute(id="dsp_2", instance=2, state="opened", statement="No.", evidence={}, opened_at=START, **same)
        )
    small = await proposed(firm, "dsp_2", 10)
    assert small.state == "proposed", "the account has got as much as one person may grant"
    assert (await decided(firm, small.id, "reject", person("ann", "admin"))).state == "rejected"
    mistaken = await proposed(firm, "dsp_2", 20, actor=person("ria", "risk"))
    assert mistaken.state == "proposed", "risk never grants"
    async with firm.db.transaction() as session:
        with pytest.raises(NotAllowed, match="Only who proposed it"):
            await compensations.withdraw(session, mistaken.id, actor=person("fay"), reason="Not mine.")
        withdrawn = await compensations.withdraw(session, mistaken.id, actor=person("ria", "risk"), reason="Too much.")
        assert withdrawn.state == "withdrawn" and withdrawn.closed_at is not None
        with pytest.raises(IllegalTransition):
            await compensations.withdraw(session, granted.id, actor=person("fay"), reason="Too late.")
    with pytest.raises(IllegalTransition):
        await decided(firm, mistaken.id, "grant", person("ann", "admin"))
    assert (await proposed(firm, "dsp_2", 30)).state == "proposed", "another one can be made"
    assert (await books(firm))["goodwill"] == 10_000


async def test_what_is_refused(firm: World) -> None:
    dispute_id = await disputed(firm)
    with pytest.raises(BadInput, match="The account is in USD"):
        await proposed(firm, dispute_id, 5_000, "EUR")
    with pytest.raises(NotAllowed):
        await proposed(firm, dispute_id, 5_000, actor=person("sam", "support"))
    with pytest.raises(SelfApproval, match="This account is yours"):
        await proposed(firm, dispute_id, 5_000, actor=person("fay", person_id="person-tina"))
    with pytest.raises(NeedsPerson):
        await proposed(firm, dispute_id, 5_000, actor=person("fay", key_id="key_1"))
    with pytest.raises(BadInput, match=r"no product on sale costs more than 1,250\.00 USD"):
        await proposed(firm, dispute_id, 125_000)  # nothing would be left to pay
    made = await proposed(firm, dispute_id, 124_999)
    with pytest.raises(SelfApproval, match="This account is yours"):
        await decided(firm, made.id, "grant", person("ann", "admin", person_id="person-tina"))
    for change in ("SET amount_minor = 1", "SET trader_id = 'trd_x'"):
        with pytest.raises(DBAPIError, match="cannot change"):
            async with firm.db.transaction() as session:
                await session.execute(text(f"UPDATE compensations {change}"))
    async with firm.db.transaction() as session:
        assert (await session.scalars(select(Decision))).all() == []
    assert await books(firm) == {"goodwill": 0, "vouchers-payable": 0, "discounts": 0}


async def test_a_payment_that_differs_uses_no_voucher_and_its_refund_brings_it_back(firm: World) -> None:
    made = await proposed(firm, await disputed(firm), 5_000)
    row = await ordered(firm, made)
    paid = Paid(minor=40_000, currency="USD")
    async with firm.db.transaction() as session:
        challenge = await challenges.lock(session, row.id)
        assert await fees.receive(session, challenge, paid=paid, reference=row.id, provider="fakepay")
        challenge.state = "payment_review"
    granted = {"goodwill": 5_000, "vouchers-payable": -5_000, "discounts": 0}
    assert await books(firm) == granted
    back = refund(40_000)
    codes = []
    for _ in range(2):  # a second look finds nothing new
        async with firm.db.transaction() as session:
            challenge = await challenges.lock(session, row.id)
            assert (await refunds.observe(session, challenge, paid, [back])).whole
            codes.append((await session.get_one(Compensation, made.id)).coupon)
    assert codes[0] == codes[1] != made.coupon
    assert await books(firm) == granted
    async with firm.db.transaction() as session:
        ended = dict((await session.execute(select(CouponRow.code, CouponRow.ended_at))).tuples().all())
        used_in = await session.scalar(select(Compensation.used_in))
        assert (await session.get_one(Challenge, row.id)).state == "payment_review"
        about = AuditEntry.action.in_(("coupon.added", "coupon.ended"))
        noted = await session.execute(select(AuditEntry.action, AuditEntry.actor).where(about).order_by(AuditEntry.seq))
        written = select(TicketMessage.author_id).order_by(TicketMessage.recorded_at)
        authors = (await session.scalars(written)).all()
        ticket_id = await session.scalar(select(TicketMessage.ticket_id).where(TicketMessage.author_id.is_(None)))
        (told,) = (await tickets.one(session, scope_of(TINA), str(ticket_id))).messages
        dispute = (await session.scalars(select(Dispute))).one()
        await dispute_evidence.freeze(session, dispute)
        pack = json.loads((await session.get_one(DisputePack, dispute.id)).files)
    assert noted.tuples().all() == [
        ("coupon.added", "usr_fay"), ("coupon.ended", "system"), ("coupon.added", "system"),
    ], "nobody gave it back"  # fmt: skip
    assert [each["by"] for each in json.loads(pack["messages.json"])] == ["finance", "support"], "it has all"
    assert authors == ["usr_fay", None] and (told.author, told.from_firm) == ("Support", True)
    assert ended[str(made.coupon)] is not None and ended[str(codes[0])] is None and used_in is None


async def test_a_voucher_that_went_to_a_later_order_stays_there_when_the_cancelled_one_is_paid_back(
    firm: World,
) -> None:
    made = await proposed(firm, await disputed(firm), 5_000)
    first = await ordered(firm, made)
    async with firm.db.transaction() as session:
        (await challenges.lock(session, first.id)).state = "cancelled"
    second = await ordered(firm, made)
    paid = Paid(minor=49_000, currency="USD")

    async def paid_back() -> Compensation:
        """The checkout of the cancelled order was paid all the same, and refunded at the acquirer's desk."""
        async with firm.db.transaction() as session:
            locked = await challenges.lock(session, first.id)
            assert (await refunds.observe(session, locked, paid, [refund(49_000)])).whole
            return await session.get_one(Compensation, made.id)

    found = await paid_back()
    assert (found.state, found.coupon) == ("granted", made.coupon), "the second order has it, and may be paid"
    async with firm.db.transaction() as session:
        challenge = await challenges.lock(session, second.id)
        assert not await fees.receive(session, challenge, paid=paid, reference=second.id, provider="fakepay")
    used = {"goodwill": 5_000, "vouchers-payable": 0, "discounts": 0}
    assert await books(firm) == used
    for state in ("active", "cancelled"):  # whatever became of the second order: this payment was not for it
        async with firm.db.transaction() as session:
            (await challenges.lock(session, second.id)).state = state
        found = await paid_back()
        assert (found.state, found.used_in, found.coupon) == ("used", second.id, made.coupon)
        assert await books(firm) == used


async def test_staff_read_the_reasons_that_earlier_versions_kept_with_a_proposal(firm: World) -> None:
    """Their audit entry had a digest of another form, and nothing beside it; the text is in the proposal."""
    mine = await proposed(firm, await disputed(firm), 20_000)
    async with firm.db.transaction() as session:
        for reason in (mine.reason, "It was never said."):
            await audit.record(
                session, action="compensation.proposed", subject_kind="compensation", subject_id=mine.id,
                occurred_at=START, reason=f"{reasons.SEAL}{crypto.keys().digest(reason)}",
            )  # fmt: skip
    async with firm.db.transaction() as session:
        forged, old, _ = [each.reason for each in (await read_audit.page(session, Window(), subject_id=mine.id)).items]
    assert (old, forged) == (mine.reason, "(the text of this reason was altered)")


async def test_staff_read_the_reasons_that_earlier_versions_kept_with_a_decision(firm: World) -> None:
    dispute_id = await disputed(firm)
    said = ("The price was real.", "It was not.")
    kept = [f"{reasons.SEAL}{crypto.keys().digest(each)}" for each in said]
    async with firm.db.transaction() as session:
        for number, (sealed, words) in enumerate(zip(kept, (said[0], "Altered."), strict=True)):
            row = Decision(
                subject_kind="dispute", subject_id=dispute_id, decision="uphold", user_id="usr_ria",
                person_id=f"person-{number}", role="risk", reason=sealed, subject_digest="d", round=1,
                evidence={"key": f"k{number}"}, occurred_at=START,
            )  # fmt: skip
            session.add(row)
            await session.flush()
            whose = {"dispute_id": dispute_id, "trader_id": "trd_tina"}
            session.add(DisputeWords(decision_id=row.id, reason=words, message="No.", **whose))
    async with firm.db.transaction() as session:
        for_staff = (await read.one(session, FIRM, dispute_id)).decisions
        for_tina = await read.one(session, scope_of(TINA), dispute_id)
    assert [row.reason for row in for_staff] == [said[0], "(the text of this reason was altered)"]
    assert for_tina.decisions == () and said[0] not in for_tina.model_dump_json()

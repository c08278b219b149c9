"""Alerts become cases: one for each owner and family; what is weakly linked holds nothing, and a hold has an end."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from activities.cases import CaseActivities
from contracts.cases import CaseRef
from contracts.ids import case_workflow
from domain.approvals import Actor
from domain.decision_errors import EvidenceChanged
from domain.surveillance.findings import Finding, Involved
from firm import case_actions, case_opening
from firm import cases as firm_cases
from store.models import Alert, AuditEntry, Case, CaseAccount, OutboxMessage, Wakeup
from store.read import cases
from store.read.listing import Asked
from store.read.pages import Window
from tests.payout_world import MEDIUM, START, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        for name in ("leo", "tina", "olga"):
            await world.add_trader(name)
        yield world


def found(key: str, *names: str, blamed: Sequence[str] = ("tina",), **more: Any) -> Finding:
    given = {"detector": "copy_trading", "score": Decimal("0.9"), "sentence": "It copies.", **more}
    return Finding(
        key=key,
        at=START,
        accounts=tuple(Involved(account_id=f"acc_{name}", role="named") for name in names),
        blamed=tuple(f"acc_{name}" for name in blamed),
        **given,
    )


async def happens(firm: World, finding: Finding) -> str | None:
    async with firm.db.transaction() as session:
        return await case_opening.open_case(session, finding)


async def rows(firm: World) -> list[tuple[str, str, bool]]:
    """(case, account, whether it holds) of every named account."""
    async with firm.db.transaction() as session:
        found = await session.execute(
            select(CaseAccount.case_id, CaseAccount.account_id, CaseAccount.holds).order_by(
                CaseAccount.case_id, CaseAccount.account_id
            )
        )
        return [(case_id, account, holds) for case_id, account, holds in found]


async def test_a_further_alert_of_the_family_joins_the_open_case_and_is_never_a_second_one(firm: World) -> None:
    first = await happens(firm, found("a", "leo", "tina"))
    assert first is not None
    assert await happens(firm, found("a", "leo", "tina")) is None, "the same finding again"
    assert await happens(firm, found("b", "tina", "olga", detector="hedging")) == first, "of the same family"
    other = await happens(firm, found("c", "tina", detector="all_in"))
    assert other not in (None, first), "another family is another case"
    assert await happens(firm, found("d", "olga", blamed=("olga",))) not in (None, first, other), "another owner"
    async with firm.db.transaction() as session:
        case = await cases.one(session, first)
        starts = await session.scalar(
            select(func.count()).select_from(OutboxMessage).where(OutboxMessage.target == case_workflow(first))
        )
        actions = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == first).order_by(AuditEntry.seq)
        )
    assert [alert.detector for alert in case.alerts] == ["copy_trading", "hedging"]
    assert sorted(named.account_id for named in case.accounts) == ["acc_leo", "acc_olga", "acc_tina"]
    assert starts == 1 and list(actions) == ["case.opened", "case.alert_joined"]


async def test_a_group_takes_in_its_members_and_groups_that_only_overlap_stay_apart(firm: World) -> None:
    group = await happens(firm, found("g", "leo", "tina", detector="hedging", blamed=("leo", "tina")))
    assert await happens(firm, found("one", "tina")) == group, "one of the group"
    apart = await happens(firm, found("o", "tina", "olga", detector="hedging", blamed=("tina", "olga")))
    assert apart not in (None, group), "it shares one owner with the group: no chain of links"
    assert await happens(firm, found("all", "leo", "tina", "olga", blamed=("leo", "tina", "olga"))) in (group, apart)


async def test_after_a_decision_the_next_alert_is_a_new_case(firm: World) -> None:
    first = await happens(firm, found("a", "tina"))
    ria = await firm.add_user("ria", "risk")
    async with firm.db.transaction() as session:
        case = await firm_cases.locked(session, first or "")
        await firm_cases.decide(session, case, decision="clear", actor=ria, reason="one signal", key="k1")
    second = await happens(firm, found("b", "tina"))
    assert second not in (None, first)


async def test_a_note_is_recorded_and_opens_nothing(firm: World) -> None:
    assert await happens(firm, found("n", "tina", severity="note")) is None
    assert await happens(firm, found("weak", "tina", link_strength=Decimal("0.2"))) is None, "too weakly linked"
    async with firm.db.transaction() as session:
        severities = await session.scalars(select(Alert.severity).order_by(Alert.key))
        assert list(severities) == ["note", "note"]
        assert await session.scalar(select(func.count()).select_from(Case)) == 0


async def test_a_hold_stops_exactly_the_accounts_that_are_named_by_strong_links(firm: World) -> None:
    """Tina is named by a strong alert, Olga joins the same case by a weak one: only Tina's payout waits."""
    actors = {name: _owner(name) for name in ("tina", "olga")}
    payouts = {name: await firm.awaiting(actor, MEDIUM) for name, actor in actors.items()}
    case_id = await happens(firm, found("strong", "tina"))
    weak = found("weak", "tina", "olga", detector="hedging", blamed=("tina", "olga"), link_strength=Decimal("0.5"))
    assert await happens(firm, weak) == case_id
    assert await rows(firm) == [(case_id, "acc_olga", False), (case_id, "acc_tina", True)]
    states = {name: (await firm.activities.check_risk(ref(payout))).state for name, payout in payouts.items()}
    assert states == {"tina": "in_review", "olga": "awaiting_approval"}
    held = await firm.payout(payouts["tina"])
    assert held.reason == f"case {case_id} is open: It copies. The hold ends on 2014-05-29 21:00 UTC"
    assert held.told == "The payout is under review."
    assert (await firm.payout(payouts["olga"])).checks["cases"]["ok"]


def _owner(name: str) -> Actor:
    return Actor(user_id=f"usr_{name}", person_id=f"person-{name}", role="trader", trader_id=f"trd_{name}")


async def test_a_review_holds_nothing_until_an_alert_that_holds_joins(firm: World) -> None:
    case_id = await happens(firm, found("r", "tina", severity="review"))
    async with firm.db.transaction() as session:
        assert not (await cases.one(session, case_id or "")).hold.is_on
    assert await happens(firm, found("h", "tina")) == case_id
    async with firm.db.transaction() as session:
        hold = (await cases.one(session, case_id or "")).hold
    assert hold.is_on and hold.until == datetime(2014, 5, 29, 21, tzinfo=UTC)


async def test_a_hold_is_raised_after_two_business_days_and_ends_after_five(firm: World) -> None:
    """From Thursday evening: raised on Monday, ended on the next Thursday. The case stays open."""
    case_id = await happens(firm, found("a", "tina")) or ""
    check = CaseActivities(firm.deps).check_hold

    async def at(day: int) -> tuple[str | None, bool, datetime | None]:
        await firm.market_time(datetime(2014, 5, day, 21, tzinfo=UTC))
        assert (await check(CaseRef(case_id=case_id))).state == "open"
        async with firm.db.transaction() as session:
            case = await session.get_one(Case, case_id)
            wakeup = await session.get_one(Wakeup, case_workflow(case_id))
            due = wakeup.due_at if wakeup.fired_at is None else None
            return f"{case.escalated_at:%d}" if case.escalated_at else None, case.hold_ended_at is not None, due

    assert await at(25) == (None, False, datetime(2014, 5, 26, 21, tzinfo=UTC))
    assert await at(26) == ("26", False, datetime(2014, 5, 29, 21, tzinfo=UTC))
    payout_id = await firm.awaiting(_owner("tina"), MEDIUM)
    assert (await firm.payout(payout_id)).state == "in_review"
    assert "The case is escalated to admin" in ((await firm.payout(payout_id)).reason or "")
    assert await at(29) == ("26", True, None)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"
    async with firm.db.transaction() as session:
        actions = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == case_id).order_by(AuditEntry.seq)
        )
        assert list(actions) == ["case.opened", "case.escalated", "case.hold_ended"]


async def test_changed_evidence_is_seen_and_nothing_is_decided_on_it(firm: World) -> None:
    case_id = await happens(firm, found("a", "tina")) or ""
    ria = await firm.add_user("ria", "risk")
    async with firm.db.transaction() as session:
        assert (await cases.one(session, case_id)).is_intact
        await session.execute(update(Alert).values(sentence="It copies nobody."))
    async with firm.db.transaction() as session:
        view = await cases.one(session, case_id)
        assert not view.is_intact and not view.alerts[0].is_intact
        case = await firm_cases.locked(session, case_id)
        with pytest.raises(EvidenceChanged):
            await firm_cases.decide(session, case, decision="clear", actor=ria, reason="fine", key="k1")
        with pytest.raises(EvidenceChanged):
            await case_actions.propose(session, case_id, action="warn", rule="None.", actor=ria, reason="fine")
    async with firm.db.transaction() as session:
        await session.execute(update(Alert).values(sentence="It copies."))
        assert (await cases.one(session, case_id)).is_intact
    with pytest.raises(Exception, match="permission denied"):
        async with firm.db.transaction() as session:
            await session.execute(text("UPDATE case_alerts SET digest = ''"))


async def test_a_case_is_claimed_handed_over_and_noted(firm: World) -> None:
    case_id = await happens(firm, found("a", "tina")) or ""
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "admin")
    fay = await firm.add_user("fay", "finance")
    async with firm.db.transaction() as session:
        await firm_cases.assign(session, case_id, to=ria.user_id, actor=ria)
        await firm_cases.assign(session, case_id, to=rob.user_id, actor=ria, reason="I am away.")
        await firm_cases.note(session, case_id, body="The trader called.", actor=rob)
        for wrong in ("usr_nobody", fay.user_id):
            with pytest.raises(Exception, match=r"no such person|needs the role"):
                await firm_cases.assign(session, case_id, to=wrong, actor=ria)
        view = await cases.one(session, case_id)
    assert (view.assigned_to, [note.body for note in view.notes]) == (rob.user_id, ["The trader called."])
    async with firm.db.transaction() as session:
        listed = await cases.page(session, Window(limit=10), Asked({"assigned_to": rob.user_id}))
    assert [row.id for row in listed.items] == [case_id]

"""A hold reaches the payout that the trading led to, and once it has ended only what is new holds again."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from activities.cases import CaseActivities
from contracts.cases import CaseRef
from domain.approvals import Actor
from domain.errors import Conflict
from domain.surveillance.findings import Finding, Involved
from firm import case_actions, case_opening
from firm import cases as firm_cases
from store.models import Account, AuditEntry, Case, CaseAccount, Challenge
from store.read import cases
from tests.payout_world import INITIAL, MEDIUM, START, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        for name in ("leo", "tina", "olga"):
            await world.add_trader(name)
        yield world


def owner(name: str) -> Actor:
    return Actor(user_id=f"usr_{name}", person_id=f"person-{name}", role="trader", trader_id=f"trd_{name}")


def found(key: str, *accounts: str, blamed: Sequence[str] = (), **more: Any) -> Finding:
    given = {"detector": "copy_trading", "score": Decimal("0.9"), "sentence": "It copies.", **more}
    return Finding(
        key=key,
        at=START,
        accounts=tuple(Involved(account_id=each, role="named") for each in accounts),
        blamed=tuple(blamed or accounts),
        **given,
    )


async def happens(firm: World, finding: Finding) -> str | None:
    async with firm.db.transaction() as session:
        return await case_opening.open_case(session, finding)


async def first_phase(firm: World, challenge_id: str, account_id: str, login: int) -> None:
    """An account of the first phase of this challenge, which is over."""
    async with firm.db.transaction() as session:
        like = await session.get_one(Account, "acc_tina")
        session.add(
            Account(
                id=account_id,
                challenge_id=challenge_id,
                trader_id="trd_tina",
                phase_index=0,
                product=like.product,
                version=like.version,
                platform="fake",
                login=login,
                clock_group=like.clock_group,
                currency="USD",
                initial_minor=INITIAL,
                status="closed",
                opened_at=START,
            )
        )


async def other_challenge(firm: World, challenge_id: str) -> None:
    async with firm.db.transaction() as session:
        like = await session.get_one(Challenge, "chl_tina")
        names = ("trader_id", "product", "version", "fee_minor", "currency", "provider", "bought_at", "changed_at")
        session.add(
            Challenge(id=challenge_id, state="passed", phase_index=0, **{name: getattr(like, name) for name in names})
        )


async def state(firm: World, payout_id: str) -> str:
    return (await firm.activities.check_risk(ref(payout_id))).state


@pytest.mark.parametrize("where", ["same challenge", "challenge before", "another challenge"])
async def test_a_case_about_an_earlier_account_holds_the_payout_that_its_trading_led_to(
    firm: World, where: str
) -> None:
    """Tina copied in her first phase. The case opens on that account; her payout comes from the funded one."""
    challenge_id = "chl_tina"
    if where != "same challenge":
        challenge_id = "chl_older"
        await other_challenge(firm, challenge_id)
    if where == "challenge before":
        async with firm.db.transaction() as session:
            await session.execute(update(Challenge).where(Challenge.id == "chl_tina").values(replaces=challenge_id))
    await first_phase(firm, challenge_id, "acc_first", 77)
    payout_id = await firm.awaiting(owner("tina"), MEDIUM)
    strangers = await firm.awaiting(owner("olga"), MEDIUM)
    case_id = await happens(firm, found("a", "acc_first"))
    holds = where != "another challenge"
    assert await state(firm, payout_id) == ("in_review" if holds else "awaiting_approval")
    assert await state(firm, strangers) == "awaiting_approval"
    async with firm.db.transaction() as session:
        (named,) = (await cases.one(session, case_id or "")).accounts
    assert named.held_payout_id == (payout_id if holds else None), "people see the payout that the case holds"


async def test_after_its_hold_has_ended_only_accounts_of_a_new_alert_are_held(firm: World) -> None:
    case_id = await happens(firm, found("a", "acc_leo", "acc_tina")) or ""
    await firm.market_time(datetime(2014, 5, 29, 21, tzinfo=UTC))
    await CaseActivities(firm.deps).check_hold(CaseRef(case_id=case_id))
    payouts = {name: await firm.awaiting(owner(name), MEDIUM) for name in ("leo", "tina")}
    assert await happens(firm, found("b", "acc_tina", detector="hedging")) == case_id
    assert {name: await state(firm, payout_id) for name, payout_id in payouts.items()} == {
        "leo": "awaiting_approval",
        "tina": "in_review",
    }
    async with firm.db.transaction() as session:
        ended = select(AuditEntry.evidence["accounts"]).where(AuditEntry.action == "case.hold_ended")
        assert (await session.execute(ended)).scalar_one() == ["acc_leo", "acc_tina"]
        case = await session.get_one(Case, case_id)
        assert case.hold_until == datetime(2014, 6, 5, 21, tzinfo=UTC)


async def test_an_alert_that_blames_more_accounts_takes_the_proposal_away(firm: World) -> None:
    """Rosa proposes to close Tina's account. Nobody has proposed to close Olga's, who is blamed by a later alert."""
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "risk")
    case_id = await happens(firm, found("a", "acc_tina")) or ""

    async def propose() -> None:
        async with firm.db.transaction() as session:
            await case_actions.propose(
                session, case_id, action="close", rule="No copying.", actor=rosa, reason="6 of 6 openings"
            )

    async def approve(key: str) -> str:
        async with firm.db.transaction() as session:
            case = await firm_cases.locked(session, case_id)
            await firm_cases.decide(session, case, decision="confirm", actor=ana, reason="I read it.", key=key)
            return case.state

    await propose()
    assert await happens(firm, found("same", "acc_tina", detector="hedging")) == case_id
    async with firm.db.transaction() as session:
        assert (await cases.one(session, case_id)).proposal is not None, "it blames nobody new"
    assert await happens(firm, found("more", "acc_tina", "acc_olga")) == case_id
    with pytest.raises(Conflict, match="has no proposal to close the account"):
        await approve("k1")
    async with firm.db.transaction() as session:
        told = select(AuditEntry.reason).where(AuditEntry.action == "case.action_replaced")
        assert (await session.execute(told)).scalar_one() == ("an alert joined that blames more accounts; propose anew")
    await propose()
    assert await approve("k2") == "confirmed"


async def test_a_denied_payout_is_free_once_its_trader_is_no_longer_blamed(firm: World) -> None:
    """The appeal of Tina was granted; the case still blames Olga, so its action stays in force."""
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "risk")
    payouts = {name: await firm.awaiting(owner(name), MEDIUM) for name in ("tina", "olga")}
    case_id = await happens(firm, found("a", "acc_tina", "acc_olga")) or ""
    async with firm.db.transaction() as session:
        await case_actions.propose(
            session, case_id, action="deny", rule="No copying.", actor=rosa, reason="copied",
            payouts=list(payouts.values()),
        )  # fmt: skip
        case = await firm_cases.locked(session, case_id)
        await firm_cases.decide(session, case, decision="deny", actor=ana, reason="I read it.", key="k1")
        tinas = (CaseAccount.case_id == case_id, CaseAccount.account_id == "acc_tina")
        await session.execute(update(CaseAccount).where(*tinas).values(blamed=False))
    assert await state(firm, payouts["tina"]) == "awaiting_approval"
    assert await state(firm, payouts["olga"]) == "releasing"

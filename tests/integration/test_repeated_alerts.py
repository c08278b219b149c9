"""A finding that is on the record already: it is told again only when it says more, and then people look again."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from activities.payout_readings import PayoutReadings
from activities.surveillance import SurveillanceLoop
from domain import keys
from domain.approvals import Actor
from domain.surveillance.findings import Finding, Involved
from firm import case_opening, surveillance_policies
from firm import cases as firm_cases
from store.models import Alert, Case, CaseAccount
from tests.pattern_modules import following
from tests.payout_world import MEDIUM, START, World, a_firm, ref
from tests.recorded_trades import happen, trades

KEY = "copy_trading/acc_leo"


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        for name in ("leo", "tina", "olga"):
            await world.add_trader(name)
        yield world


def found(*followers: str, deals: int = 6, first: int = 0, **more: Any) -> Finding:
    """Leo is copied by these."""
    given = {"detector": "copy_trading", "score": Decimal("0.9"), "sentence": "They copy.", **more}
    return Finding(
        key=KEY,
        at=START,
        accounts=tuple(Involved(account_id=f"acc_{name}", role="named") for name in ("leo", *followers)),
        blamed=tuple(f"acc_{name}" for name in followers),
        deals=tuple(str(number) for number in range(first, first + deals)),
        **given,
    )


async def happens(firm: World, finding: Finding) -> str | None:
    async with firm.db.transaction() as session:
        return await case_opening.open_case(session, finding)


async def cleared(firm: World, case_id: str | None) -> None:
    ria = Actor(user_id="usr_ria", person_id="person-ria", role="risk")
    async with firm.db.transaction() as session:
        case = await firm_cases.locked(session, case_id or "")
        await firm_cases.decide(session, case, decision="clear", actor=ria, reason="fine", key=f"clear {case_id}")


async def named(firm: World, case_id: str | None) -> dict[str, tuple[bool, bool]]:
    """Account -> whether the case blames it, and whether it holds for it."""
    async with firm.db.transaction() as session:
        rows = await session.scalars(select(CaseAccount).where(CaseAccount.case_id == case_id))
        return {row.account_id: (row.blamed, row.holds) for row in rows}


async def alerts(firm: World) -> Sequence[str]:
    async with firm.db.transaction() as session:
        return (await session.scalars(select(Alert.key).order_by(Alert.recorded_at, Alert.key))).all()


async def test_a_new_follower_joins_the_open_case_and_is_held(firm: World) -> None:
    case_id = await happens(firm, found("tina"))
    assert await happens(firm, found("tina", deals=40)) is None, "while people look, more of the same is no news"
    assert await happens(firm, found("tina", "olga")) == case_id
    assert await happens(firm, found("tina", "olga")) is None
    assert (await named(firm, case_id))["acc_olga"] == (True, True)
    assert await alerts(firm) == [KEY, f"{KEY}#2"]


async def test_a_review_that_becomes_a_hold_holds(firm: World) -> None:
    case_id = await happens(firm, found("tina", severity="review"))
    assert (await named(firm, case_id))["acc_tina"] == (True, False)
    assert await happens(firm, found("tina")) == case_id
    assert (await named(firm, case_id))["acc_tina"] == (True, True)
    assert await happens(firm, found("tina", severity="review")) is None, "less than before is no news"


async def test_who_was_cleared_and_goes_on_is_a_case_again(firm: World) -> None:
    await firm.add_user("ria", "risk")
    first = await happens(firm, found("tina"))
    await cleared(firm, first)
    assert await happens(firm, found("tina", deals=11)) is None, "five new deals, and the first alert named six"
    second = await happens(firm, found("tina", deals=12))
    assert second == keys.case_id(f"{KEY}#2") != first
    assert await named(firm, second) == {"acc_leo": (False, True), "acc_tina": (True, True)}
    await cleared(firm, second)
    assert await happens(firm, found("tina", first=6)) is None, "these deals were judged"
    assert await happens(firm, found("tina", first=12)) == keys.case_id(f"{KEY}#3")


async def test_who_was_cleared_is_left_in_peace_when_another_follower_is_found(firm: World) -> None:
    await firm.add_user("ria", "risk")
    await cleared(firm, await happens(firm, found("tina")))
    second = await happens(firm, found("tina", "olga"))
    assert await named(firm, second) == {
        "acc_leo": (False, False),
        "acc_tina": (False, False),
        "acc_olga": (True, True),
    }


async def test_the_stream_tells_again_of_who_goes_on_after_a_decision(firm: World) -> None:
    await firm.add_user("ria", "risk")
    loop = SurveillanceLoop(firm.db, patterns=following())

    async def follow(first: int) -> None:
        await happen(firm, trades("leo", 6, first=first), trades("tina", 6, lag=12, first=first))
        while await loop.step():
            pass

    await follow(0)
    async with firm.db.transaction() as session:
        case_id = (await session.execute(select(Case.id))).scalar_one()
    await cleared(firm, case_id)
    await follow(6)
    assert await alerts(firm) == ["following/acc_leo/acc_tina", "following/acc_leo/acc_tina#2"]


async def test_the_reading_of_a_payout_holds_who_was_cleared_and_goes_on(firm: World) -> None:
    tina = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")
    await firm.add_user("ria", "risk")
    firm.activities._readings = PayoutReadings(firm.db, following())
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12))
    loop = SurveillanceLoop(firm.db, patterns=following())
    while await loop.step():
        pass
    async with firm.db.transaction() as session:
        case_id = (await session.execute(select(Case.id))).scalar_one()
    await cleared(firm, case_id)
    await happen(firm, trades("leo", 6, first=6), trades("tina", 6, lag=12, first=6))
    await firm.market_time(datetime(2014, 5, 23, 21, tzinfo=UTC))
    payout_id = await firm.awaiting(tina, MEDIUM)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    assert ((await firm.payout(payout_id)).reason or "").startswith(
        f"case {keys.case_id('following/acc_leo/acc_tina#2')}"
    )


async def test_replayed_thresholds_count_a_finding_once(firm: World) -> None:
    await firm.add_user("ria", "risk")
    await cleared(firm, await happens(firm, found("tina")))
    await happens(firm, found("tina", deals=12))
    async with firm.db.transaction() as session:
        counted = await surveillance_policies._alerts(session, "copy_trading", START)
    assert counted == {KEY: "undecided"}

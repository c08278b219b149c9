"""The surveillance policy: proposed with its replay of the past, approved by a second person, in force at once."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from domain import keys
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotAllowed, SelfApproval
from domain.surveillance.evidence import Figure, Figures
from domain.surveillance.findings import Finding, Involved
from firm import case_opening, surveillance_policies
from firm import cases as firm_cases
from store.models import Case, SurveillanceProposal
from store.read import cases, policy_changes, precision
from store.read.pages import Window
from tests.payout_world import START, World, a_firm


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        for name in ("tina", "olga"):
            await world.add_trader(name)
        yield world


@pytest.fixture
async def ria(firm: World) -> Actor:
    return await firm.add_user("ria", "risk")


@pytest.fixture
async def rob(firm: World) -> Actor:
    return await firm.add_user("rob", "risk")


def found(key: str, name: str, matches: int) -> Finding:
    figure = Figure(name="min matches", measured=Decimal(matches), threshold=Decimal(5), bound="at_least")
    return Finding(
        key=key,
        detector="copy_trading",
        thresholds_version="aaaa1111",
        at=START,
        score=Decimal("0.9"),
        sentence="It copies.",
        accounts=(Involved(account_id=f"acc_{name}", role="follower"),),
        blamed=(f"acc_{name}",),
        evidence=(Figures(figures=(figure,)),),
    )


async def propose(firm: World, actor: Actor, **changes: Any) -> SurveillanceProposal:
    async with firm.db.transaction() as session:
        body = (await policy_changes.in_force(session)).policy.model_dump(mode="json") | changes
        return await surveillance_policies.propose(session, body, actor=actor, reason="Too many false alerts.")


async def decide(firm: World, proposal_id: str, actor: Actor, verdict: Any = "approve") -> str:
    async with firm.db.transaction() as session:
        row = await surveillance_policies.decide(
            session, proposal_id, verdict=verdict, actor=actor, reason="I read it.", key=f"{actor.user_id}/{verdict}"
        )
        return row.state


async def test_two_people_change_it_and_it_is_in_force_at_once(firm: World, ria: Actor, rob: Actor) -> None:
    fay = await firm.add_user("fay", "finance")
    with pytest.raises(NotAllowed):
        await propose(firm, fay, appeal_days=7)
    with pytest.raises(BadInput, match="Nothing changes"):
        await propose(firm, ria)
    made = await propose(firm, ria, appeal_days=7)
    with pytest.raises(Conflict, match="proposed already"):
        await propose(firm, rob, appeal_days=8)
    with pytest.raises(SelfApproval):
        await decide(firm, made.id, ria)
    async with firm.db.transaction() as session:
        assert (await surveillance_policies.in_force(session)).appeal_days == 14
    assert await decide(firm, made.id, rob) == "in_force"
    async with firm.db.transaction() as session:
        policy = await surveillance_policies.in_force(session)
        view = await policy_changes.one(session, made.id)
    assert policy.appeal_days == 7
    assert [(change.field, change.was, change.becomes) for change in view.changes] == [("appeal_days", "14", "7")]
    assert [made.decision for made in view.decisions] == ["approve"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"holds": {"weak_link": "2"}}, "policy.holds.weak_link"),
        ({"thresholds": {"witchcraft": {"*": {"x": "1"}}}}, "thresholds"),
        ({"thresholds": {"copy_trading": {"*": {"min_match": "6"}}}}, "thresholds.copy_trading.*.min_match"),
        ({"thresholds": {"copy_trading": {"*": {"min_matches": "1"}}}}, "thresholds.copy_trading.*.min_matches"),
    ],
)
async def test_a_value_that_cannot_be_is_named(firm: World, ria: Actor, changes: Any, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        await propose(firm, ria, **changes)
    assert caught.value.field == field


async def test_the_precision_of_a_pattern_counts_decided_cases_only(firm: World, ria: Actor) -> None:
    for key, name, matches in (("a", "tina", 5), ("b", "olga", 8)):
        async with firm.db.transaction() as session:
            await case_opening.open_case(session, found(key, name, matches))
    async with firm.db.transaction() as session:
        listed = (await cases.page(session, Window(limit=10))).items
        (false,) = [row for row in listed if row.alert_id == keys.alert_id("a")]
        case = await firm_cases.locked(session, false.id)
        await firm_cases.decide(session, case, decision="clear", actor=ria, reason="One signal.", key="k1")
    async with firm.db.transaction() as session:
        (row,) = (await precision.by_pattern(session)).items
    assert (row.thresholds_version, row.above.false_positive, row.above.undecided) == ("aaaa1111", 1, 1)
    assert row.above.precision is not None and row.above.precision.share == 0


async def test_a_sample_below_the_line_is_decided_like_others_and_never_holds(firm: World, ria: Actor) -> None:
    made = await propose(firm, ria, samples={"below_line": "1", "blind": "1"})
    await decide(firm, made.id, await firm.add_user("rob", "risk"))
    async with firm.db.transaction() as session:
        case_id = await case_opening.open_sample(session, found("s", "tina", 3)) or ""
        view = await cases.one(session, case_id)
    assert not view.hold.is_on and view.hold.accounts == ()
    assert (view.is_sample, view.score, view.alerts[0].score) == (False, None, None), "nobody sees that before deciding"
    async with firm.db.transaction() as session:
        case = await firm_cases.locked(session, case_id)
        await firm_cases.decide(session, case, decision="clear", actor=ria, reason="One signal.", key="k1")
    async with firm.db.transaction() as session:
        view, (row,) = await cases.one(session, case_id), (await precision.by_pattern(session)).items
        assert (await session.get_one(Case, case_id)).is_sample
    assert (view.is_sample, view.score) == (True, Decimal("0.9"))
    assert (row.below.false_positive, row.above.false_positive) == (1, 0)


async def test_no_sample_is_taken_at_a_rate_of_zero(firm: World, ria: Actor, rob: Actor) -> None:
    made = await propose(firm, ria, samples={"below_line": "0", "blind": "0"})
    await decide(firm, made.id, rob)
    async with firm.db.transaction() as session:
        assert await case_opening.open_sample(session, found("s", "tina", 3)) is None

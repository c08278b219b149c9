"""A trader reads what was decided, with facts and rule, and appeals once; a granted appeal takes it back."""

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from temporalio.exceptions import ApplicationError

from activities.cases import CaseActivities
from activities.disputes import DisputeActivities
from contracts.cases import CaseDecision
from contracts.disputes import DisputeStep
from contracts.messages import DecisionRequest, DisputeStart
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.surveillance.casework import VERB_OF, ProposedAction
from firm import appeals, case_actions, case_grades, case_messages
from firm import cases as firm_cases
from firm.payouts import situation as payout_facts
from store import case_evidence, surveillance
from store.models import Case, Dispute, Ticket, TicketMessage, Trader
from store.read import case_actions as own_actions
from store.read import cases, disputes, precision
from store.scope import scope_of
from tests.asked import ask_for
from tests.payout_world import World, a_firm

RULE = "Copying trades is not allowed."
TINA = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")
LEO = Actor(user_id="usr_leo", person_id="person-leo", role="trader", trader_id="trd_leo")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    """Tina copied Leo; a case blames her."""
    async with a_firm(database_url) as world:
        await world.no_approvals()
        for name in ("leo", "tina"):
            await world.add_trader(name)
        await world.traded("tina", date(2014, 5, 5), date(2014, 5, 6), pnl_minor=150_000)
        await world.add_case("one", "acc_leo", "acc_tina")
        for name in ("ria", "rob", "ada"):
            await world.add_user(name, "risk")
        yield world


def person(name: str) -> Actor:
    return Actor(user_id=f"usr_{name}", person_id=f"person-{name}", role="risk")


async def decided(firm: World, action: ProposedAction, **given: Any) -> str:
    """Ria proposes, Rob decides. Gives the action's id."""
    async with firm.db.transaction() as session:
        made = await case_actions.propose(
            session, "cas_one", action=action, rule=RULE, actor=person("ria"), reason="copied", **given
        )
    request = DecisionRequest(key=uuid4().hex, actor=person("rob"), reason="I read it.")
    await ask_for(firm.db, "case", "cas_one", VERB_OF[action], request)
    decision = CaseDecision(case_id="cas_one", choice=VERB_OF[action], request=request, update_id=request.key)
    await CaseActivities(firm.deps).record_decision(decision)
    return made.id


async def appealed(firm: World, action_id: str) -> str:
    async with firm.db.transaction() as session:
        row = await appeals.open_appeal(session, action_id=action_id, actor=TINA, statement="It was my own idea.")
    await DisputeActivities(firm.deps).assemble_evidence(DisputeStart(dispute_id=row.id))
    return row.id


async def judge(firm: World, dispute_id: str, name: str, decision: Any) -> str:
    request = DecisionRequest(key=uuid4().hex, actor=person(name), reason="I read both sides.")
    await ask_for(firm.db, "dispute", dispute_id, decision, request)
    step = DisputeStep(dispute_id=dispute_id, decision=decision, request=request, update_id=request.key)
    return (await DisputeActivities(firm.deps).record_decision(step)).state


async def refused(call: Awaitable[object]) -> str | None:
    with pytest.raises(ApplicationError) as caught:
        await call
    return caught.value.type


async def test_the_trader_reads_facts_and_rule_and_neither_score_nor_name(firm: World) -> None:
    await decided(firm, "warn")
    async with firm.db.transaction() as session:
        ticket = (await session.scalars(select(Ticket))).one()
        (body,) = (await session.scalars(select(TicketMessage.body))).all()
        known = await case_evidence.of(session, "cas_one")
        made = await case_actions.in_force(session, "cas_one")
        assert made is not None
        (letter,) = await case_messages.letters(session, known, made)
        (own,) = await own_actions.of_account(session, "acc_tina")
        assert await own_actions.of_account(session, "acc_leo") == ()
    assert (ticket.trader_id, ticket.subject, body) == ("trd_tina", "A warning about your trading", letter.body)
    number = f"A-{letter.account.number}"
    assert body.startswith(f"Trades on {number} copied the trades of another account, or were opposite to them.")
    assert f"The rule: {RULE}" in body and "0.9" not in body and "leo" not in body.lower()
    assert (own.action, own.rule, own.appeal_id) == ("warn", RULE, None)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("You copied Leo.", "names Leo"),
        ("The score was high.", "speaks of a score"),
        ("We are 90 % sure.", "names the score"),
        ("0.9 of 1 says so.", "names the score"),
        ("You copied acc_leo.", "names acc_leo"),
        ("See {case}.", "{case} stands for nothing"),
    ],
)
async def test_a_message_that_says_too_much_is_refused(firm: World, message: str, words: str) -> None:
    async with firm.db.transaction() as session:
        await session.execute(_name("trd_leo", "Leo Brandt"))
        with pytest.raises(BadInput) as caught:
            await case_actions.propose(
                session, "cas_one", action="warn", rule=RULE, message=message, actor=person("ria"), reason="copied"
            )
    assert caught.value.field == "message" and words.lower() in caught.value.message.lower()


def _name(trader_id: str, name: str) -> Any:
    return update(Trader).where(Trader.id == trader_id).values(name=name)


async def test_a_granted_appeal_gives_the_deducted_profit_back_and_the_case_counts_as_false(firm: World) -> None:
    action_id = await decided(firm, "deduct", trades=[("acc_tina", "tina-0")])
    async with firm.db.transaction() as session:
        assert len((await payout_facts.situation(session, "acc_tina")).facts.tainted) == 1
    dispute_id = await appealed(firm, action_id)
    async with firm.db.transaction() as session:
        seen = await disputes.one(session, scope_of(TINA), dispute_id)
    assert (seen.action, seen.case_id, seen.state) == ("deduct", None, "awaiting_decision")
    assert [one["position"] for one in seen.evidence["trades"]] == ["tina-0"]
    for name in ("ria", "rob"):
        assert await refused(judge(firm, dispute_id, name, "reinstate")) == "self-approval", "they had a part in it"
    assert await judge(firm, dispute_id, "ada", "reinstate") == "reinstated"
    async with firm.db.transaction() as session:
        assert (await payout_facts.situation(session, "acc_tina")).facts.tainted == ()
        case = await session.get_one(Case, "cas_one")
        (row,) = (await precision.by_pattern(session)).items
        subjects = await session.scalars(select(Ticket.subject).order_by(Ticket.recorded_at))
        (own,) = await own_actions.of_account(session, "acc_tina")
        assert list(subjects)[-1] == "Your appeal is granted"
    assert (case.state, case.outcome) == ("overturned", "false_positive")
    assert (row.above.confirmed, row.above.false_positive) == (0, 1)
    assert (own.state, own.appeal_state) == ("overturned", "reinstated")


async def test_an_appeal_that_is_refused_changes_nothing(firm: World) -> None:
    action_id = await decided(firm, "deduct", trades=[("acc_tina", "tina-0")])
    assert await judge(firm, await appealed(firm, action_id), "ada", "uphold") == "upheld"
    async with firm.db.transaction() as session:
        assert (await session.get_one(Case, "cas_one")).state == "deducted"
        assert len((await payout_facts.situation(session, "acc_tina")).facts.tainted) == 1
        with pytest.raises(Conflict, match="already"):
            await appeals.open_appeal(session, action_id=action_id, actor=TINA, statement="Once more.")


async def test_only_whom_the_case_blames_appeals_once_and_in_time(firm: World) -> None:
    action_id = await decided(firm, "warn")
    async with firm.db.transaction() as session:
        with pytest.raises(NotFound):
            await appeals.open_appeal(session, action_id=action_id, actor=LEO, statement="I object.")
        with pytest.raises(NotFound):
            await appeals.open_appeal(session, action_id="act_none", actor=TINA, statement="I object.")
        with pytest.raises(BadInput):
            await appeals.open_appeal(session, action_id=action_id, actor=TINA, statement=" ")
    await firm.market_time(datetime(2014, 5, 22, 21, tzinfo=UTC) + timedelta(days=14))
    async with firm.db.transaction() as session:
        with pytest.raises(Conflict, match="time to appeal"):
            await appeals.open_appeal(session, action_id=action_id, actor=TINA, statement="I object.")
        assert (await session.scalars(select(Dispute.id))).all() == []


async def test_a_closing_that_is_overturned_is_no_case_against_the_challenge(firm: World) -> None:
    action_id = await decided(firm, "close")
    async with firm.db.transaction() as session:
        assert await surveillance.confirmed_against(session, "chl_tina") == ("cas_one",)
        assert await surveillance.confirmed_against(session, "chl_leo") == ()
    await judge(firm, await appealed(firm, action_id), "ada", "reinstate")
    async with firm.db.transaction() as session:
        assert await surveillance.confirmed_against(session, "chl_tina") == ()


async def test_consequences_grow_with_each_offence_of_the_family_and_an_overturned_one_does_not_count(
    firm: World,
) -> None:
    async def proposed(case_id: str) -> tuple[str, int]:
        async with firm.db.transaction() as session:
            case = await firm_cases.locked(session, case_id)
            found = await case_grades.suggested(session, case, await case_evidence.of(session, case_id))
            assert found is not None
            return found.action, found.offence

    assert await proposed("cas_one") == ("warn", 1)
    action_id = await decided(firm, "warn")
    await firm.add_case("two", "acc_leo", "acc_tina")
    assert await proposed("cas_two") == ("deduct", 2)
    await judge(firm, await appealed(firm, action_id), "ada", "reinstate")
    assert await proposed("cas_two") == ("warn", 1)
    async with firm.db.transaction() as session:
        (similar,) = (await cases.one(session, "cas_two")).similar
    assert (similar.id, similar.state, similar.same_owner) == ("cas_one", "overturned", True)

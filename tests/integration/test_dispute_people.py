"""Who had a part in a breach does not decide its dispute; a stale or missing `seen` decides nothing; the pack has what
was written at the desk of a third party."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from activities.disputes import DisputeActivities
from contracts.messages import DecisionRequest, DisputeStart
from domain.approvals import Actor
from domain.decision_requests import DecisionAsked
from domain.errors import BadInput, SelfApproval, StaleDecision
from firm import decision_requests, dispute_voting, disputes, tickets
from firm.desk import reading
from firm.desk.reading import Written
from firm.dispute_voting import Spoken
from store import decisions
from store.clock import market_now
from store.read import disputes as read
from store.scope import FIRM
from tests.payout_world import World, a_firm

TINA = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")


def person(name: str) -> Actor:
    return Actor(user_id=f"usr_{name}", person_id=f"person-{name}", role="risk")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.add_trader("tina")
        for name in ("ria", "rob"):
            await world.add_user(name, "risk")
        yield world


async def disputed(firm: World) -> tuple[str, str]:
    breach_id = await firm.breached("tina")
    async with firm.db.transaction() as session:
        row = await disputes.open_dispute(session, breach_id=breach_id, actor=TINA, statement="The price was odd.")
    await DisputeActivities(firm.deps).assemble_evidence(DisputeStart(dispute_id=row.id))
    return breach_id, row.id


async def test_who_confirmed_the_doubtful_breach_does_not_decide_its_dispute(firm: World) -> None:
    breach_id, dispute_id = await disputed(firm)
    async with firm.db.transaction() as session:
        await decisions.record(
            session, "review", "rev_1", decision="confirm", actor=person("ria"), reason="It was real.", key="k0",
            digest="d", occurred_at=await market_now(session), evidence={"breach_id": breach_id},
        )  # fmt: skip
        row = await disputes.lock(session, dispute_id)
        with pytest.raises(SelfApproval, match="confirmed this breach"):
            await dispute_voting.decide(session, row, Spoken("uphold", person("ria"), "I was right.", "", "k1"))
        said = await dispute_voting.decide(session, row, Spoken("uphold", person("rob"), "Real.", "", "k2"))
    assert said is not None and (said.verb, said.agree, said.needed) == (None, 1, 2)


async def test_a_decision_says_what_was_seen_and_a_vote_of_another_makes_it_stale(firm: World) -> None:
    _, dispute_id = await disputed(firm)

    async def ask(seen: str | None) -> None:
        request = DecisionRequest(key=uuid4().hex, actor=person("ria"), reason="I read it.")
        asked = DecisionAsked(
            key=request.key, subject_kind="dispute", subject_id=dispute_id, verb="uphold", user_id="usr_ria"
        )
        async with firm.db.transaction() as session:
            await decision_requests.ask(session, asked, reason=request.stated, seen=seen)

    async with firm.db.transaction() as session:
        before = (await read.one(session, FIRM, dispute_id)).seen
    await ask(before)
    with pytest.raises(BadInput, match="what was seen"):
        await ask(None)
    async with firm.db.transaction() as session:
        row = await disputes.lock(session, dispute_id)
        await dispute_voting.decide(session, row, Spoken("reinstate", person("rob"), "Wide.", "Sorry.", "k2"))
    with pytest.raises(StaleDecision):
        await ask(before)


async def test_the_pack_has_what_was_written_at_the_desk_of_a_third_party_and_no_note(firm: World) -> None:
    sid = await firm.add_user("sid", "support")
    async with firm.db.transaction() as session:
        ticket = await tickets.open_ticket(
            session, actor=TINA, subject="My account", body="Why is it closed?", account_id="acc_tina"
        )
        await tickets.note(session, ticket_id=ticket.id, actor=sid, body="She is angry.")
        await tickets.reply(session, ticket_id=ticket.id, actor=sid, body="We look.")
        at = datetime.now(UTC)
        written = [
            Written(
                "1",
                "firm",
                public=True,
                mailed=True,
                author="Zoe",
                body="It broke a limit.",
                customer_id=None,
                written_at=at,
            ),
            Written(
                "2",
                "firm",
                public=False,
                mailed=False,
                author="Zoe",
                body="Give her nothing.",
                customer_id=None,
                written_at=at,
            ),
            Written(
                "3",
                "trader",
                public=True,
                mailed=True,
                author="tina",
                body="Which one?",
                customer_id="7",
                written_at=at,
            ),
        ]
        taken = await reading.take(session, "zammad", ticket.id, written, customer_id="7", seen_until=None)
        assert taken == 3
    _, dispute_id = await disputed(firm)
    async with firm.db.transaction() as session:
        data = await read.pack(session, FIRM, dispute_id)
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        said = json.loads(pack.read("messages.json"))
    assert [(each["by"], each["body"]) for each in said] == [
        ("trader", "Why is it closed?"),
        ("support", "We look."),
        ("support", "It broke a limit."),
        ("trader", "Which one?"),
    ]

"""The desk of support: clocks and their timers on the record, claims, snoozing, merging, and answers that overlook
nothing. The service clock is moved, never waited for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from domain.approvals import Actor
from domain.errors import BadInput, ChangedMeanwhile, Conflict, NotAllowed, NotFound
from domain.service.policy import ServicePolicy
from firm import ticket_desk as desk
from firm import ticket_merging as merging
from firm import tickets
from firm.service import clocks, deadlines, timers
from firm.service import policy as policies
from front.subjects.subject import kinds
from front.subjects.table import SUBJECTS
from store import service_time
from store.models import Review, ServiceDeadline, Ticket, TicketClock, TicketClockEvent, TicketTimer
from store.read import queue
from store.read import tickets as read
from store.read.pages import Window
from store.scope import FIRM, Scope
from tests.payout_world import World, a_firm

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = ServicePolicy.model_validate(
    {
        "calendar": {"zone": "UTC", "week": {d: ["09:00-17:00"] for d in ("mon", "tue", "wed", "thu", "fri")}},
        "targets": {"first_answer": "4h", "next_answer": "2h", "resolution": "10h"},
    }
)


@dataclass
class Help:
    """A firm with a policy, a trader, and two people of support."""

    firm: World
    tina: Actor
    sue: Actor
    sam: Actor

    async def at(self, hours: float) -> None:
        async with self.firm.db.transaction() as session:
            await service_time.move_to(session, MONDAY + hours * HOUR)

    async def ask(self, subject: str = "Where is it?", actor: Actor | None = None) -> str:
        async with self.firm.db.transaction() as session:
            made = await tickets.open_ticket(session, actor=actor or self.tina, subject=subject, body="My payout.")
            return made.id

    async def say(self, ticket_id: str, actor: Actor, body: str = "Hm.", seen: str | None = None) -> Ticket:
        async with self.firm.db.transaction() as session:
            return await tickets.reply(session, ticket_id=ticket_id, actor=actor, body=body, seen=seen)

    async def solve(self, ticket_id: str) -> None:
        async with self.firm.db.transaction() as session:
            await tickets.solve(session, ticket_id=ticket_id, actor=self.sue, site="http://firm.test")

    async def merge(self, source: str, target: str) -> str:
        async with self.firm.db.transaction() as session:
            return (await merging.merge(session, source_id=source, target_id=target, actor=self.sue)).id

    async def split(self, source: str) -> None:
        async with self.firm.db.transaction() as session:
            await merging.split(session, source_id=source, actor=self.sue)

    async def fire(self) -> list[tuple[str, str]]:
        async with self.firm.db.transaction() as session:
            return sorted((each.clock, each.outcome) for each in await timers.fire(session, limit=100))

    async def due(self, ticket_id: str) -> dict[str, float | None]:
        """Clock -> hours of wall time after the start at which it is late; None while it does not run."""
        async with self.firm.db.transaction() as session:
            rows = await session.scalars(select(TicketClock).where(TicketClock.ticket_id == ticket_id))
            return {row.clock: None if row.due_at is None else round((row.due_at - MONDAY) / HOUR, 1) for row in rows}

    async def view(self, ticket_id: str, scope: Scope = FIRM) -> read.TicketView:
        async with self.firm.db.transaction() as session:
            return await read.one(session, scope, ticket_id)

    async def late_at(self, ticket_id: str) -> float | None:
        """Hours of wall time after the start at which the first clock of a ticket is late."""
        due = (await self.view(ticket_id)).due_at
        return None if due is None else round((due - MONDAY) / HOUR, 1)

    async def late_reviews(self) -> list[str]:
        async with self.firm.db.transaction() as session:
            found = await session.scalars(select(Review).where(Review.kind == "service_late").order_by(Review.key))
            return [f"{row.detail['clock']} {row.status}" for row in found]


@pytest.fixture
async def help_desk(database_url: str) -> AsyncIterator[Help]:
    async with a_firm(database_url) as firm:
        tina = await firm.add_trader("tina")
        sue, sam = await firm.add_user("sue", "support"), await firm.add_user("sam", "support")
        made = Help(firm, tina, sue, sam)
        async with firm.db.transaction() as session:
            await policies.publish(session, POLICY)
        await made.at(0)
        yield made


async def test_deadlines_are_kept_beside_the_events_and_only_a_person_who_answers_ends_them(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    assert await help_desk.due(ticket) == {"first_answer": 4, "resolution": 26}
    async with help_desk.firm.db.transaction() as session:
        await tickets.note(session, ticket_id=ticket, actor=help_desk.sue, body="Look at the bank.")
    assert (await help_desk.due(ticket))["first_answer"] == 4, "a note answers nothing"
    await help_desk.at(1)
    await help_desk.say(ticket, help_desk.sue)
    assert await help_desk.due(ticket) == {"first_answer": None, "resolution": None}
    assert (await help_desk.view(ticket)).due_at is None
    await help_desk.at(3)
    await help_desk.say(ticket, help_desk.tina)
    assert await help_desk.due(ticket) == {"first_answer": None, "next_answer": 5, "resolution": 28}


async def test_a_clock_that_is_late_is_found_once_and_becomes_work(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    await help_desk.at(3.9)
    assert await help_desk.fire() == []
    await help_desk.at(4.1)
    assert await help_desk.fire() == [("first_answer", "late")] and await help_desk.fire() == []
    assert await help_desk.late_reviews() == ["First answer open"]
    await help_desk.say(ticket, help_desk.sue)
    assert await help_desk.late_reviews() == ["First answer closed"]
    async with help_desk.firm.db.transaction() as session:
        kinds = await session.scalars(
            select(TicketClockEvent.kind)
            .where(TicketClockEvent.ticket_id == ticket, TicketClockEvent.clock == "first_answer")
            .order_by(TicketClockEvent.number)
        )
        assert list(kinds) == ["activate", "breach", "fulfil"]


async def test_a_timer_of_an_earlier_generation_is_dropped(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    await help_desk.say(ticket, help_desk.sue)
    await help_desk.at(1)
    await help_desk.say(ticket, help_desk.tina)
    await help_desk.at(2)
    await help_desk.say(ticket, help_desk.tina)
    await help_desk.at(3.5)  # the first message would be late now; the clock was started again by the second
    assert await help_desk.fire() == [("next_answer", "dropped")]
    await help_desk.at(4.5)
    assert await help_desk.fire() == [("first_answer", "dropped"), ("next_answer", "late")]


async def test_nothing_is_late_outside_business_hours(help_desk: Help) -> None:
    await help_desk.at(7)  # Monday 16:00
    ticket = await help_desk.ask()
    assert (await help_desk.due(ticket))["first_answer"] == 27
    await help_desk.at(15)  # midnight
    assert await help_desk.fire() == []


async def test_another_policy_moves_the_deadlines_of_open_tickets_and_forgets_no_pause(help_desk: Help) -> None:
    running, paused = await help_desk.ask(), await help_desk.ask()
    await help_desk.at(1)
    await help_desk.say(paused, help_desk.sue)
    body = POLICY.model_dump(mode="json")
    body["targets"]["resolution"] = "6h"
    body["calendar"]["holidays"] = [{"day": "2026-03-03", "name": "Founders' day"}]
    async with help_desk.firm.db.transaction() as session:
        await policies.publish(session, ServicePolicy.model_validate(body))
    async with help_desk.firm.db.transaction() as session:
        assert await clocks.recompute(session, limit=100) == 3
        assert await clocks.recompute(session, limit=100) == 0
    assert await help_desk.due(running) == {"first_answer": 4, "resolution": 6}
    await help_desk.at(7)  # Monday 16:00: an hour was spent, five are left; Tuesday is closed
    await help_desk.say(paused, help_desk.tina)
    assert await help_desk.due(paused) == {"first_answer": None, "next_answer": 49, "resolution": 52}


async def test_opening_an_old_ticket_again_is_late_in_nothing(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    await help_desk.say(ticket, help_desk.sue)
    await help_desk.solve(ticket)
    await help_desk.at(24 * 7 * 4)
    await help_desk.say(ticket, help_desk.tina)
    assert {outcome for _, outcome in await help_desk.fire()} <= {"dropped"}
    assert await help_desk.late_at(ticket) == 24 * 7 * 4 + 2


async def test_a_claim_lasts_minutes_stops_others_and_is_taken_over_openly(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    async with help_desk.firm.db.transaction() as session:
        await desk.claim(session, ticket_id=ticket, actor=help_desk.sue)
    assert (await help_desk.view(ticket)).assignee == "Sue"
    with pytest.raises(Conflict, match="Sue has this ticket until 09:1"):
        await help_desk.say(ticket, help_desk.sam)
    async with help_desk.firm.db.transaction() as session:
        with pytest.raises(Conflict):
            await desk.claim(session, ticket_id=ticket, actor=help_desk.sam)
        await desk.claim(session, ticket_id=ticket, actor=help_desk.sam, take_over=True)
    await help_desk.at(0.3)
    assert (await help_desk.view(ticket)).assignee is None, "it ended without activity"
    await help_desk.say(ticket, help_desk.sue)
    assert (await help_desk.view(ticket)).assignee == "Sue", "who answers has it"


async def test_people_see_who_else_looks_and_writes_and_only_writing_prolongs_a_claim(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    async with help_desk.firm.db.transaction() as session:
        await desk.claim(session, ticket_id=ticket, actor=help_desk.sue)
        await desk.look(session, ticket_id=ticket, actor=help_desk.sue, writing=False)
        there = await desk.look(session, ticket_id=ticket, actor=help_desk.sam, writing=True)
        assert [(each.name, each.writing) for each in there] == [("Sue", False)]
    await help_desk.at(0.2)
    for writing, until in ((False, MONDAY + timedelta(minutes=15)), (True, MONDAY + timedelta(minutes=27))):
        async with help_desk.firm.db.transaction() as session:
            assert await desk.look(session, ticket_id=ticket, actor=help_desk.sue, writing=writing) == []
        lasts = (await help_desk.view(ticket)).lease_until
        assert lasts is not None and abs(lasts - until) < timedelta(seconds=30)
    async with help_desk.firm.db.transaction() as session:
        with pytest.raises(NotFound):
            await desk.look(session, ticket_id=ticket, actor=help_desk.tina, writing=False)


async def test_a_snooze_ends_at_its_moment_or_when_the_trader_writes(help_desk: Help) -> None:
    ticket = await help_desk.ask()

    async def put_aside(until: datetime | None) -> None:
        async with help_desk.firm.db.transaction() as session:
            await desk.snooze(session, ticket_id=ticket, actor=help_desk.sue, until=until)

    async def listed() -> list[str]:
        async with help_desk.firm.db.transaction() as session:
            return [
                row.id for row in (await read.page(session, FIRM, Window(), desk=read.AtDesk(aside="without"))).items
            ]

    await put_aside(MONDAY + HOUR)
    assert await listed() == []
    await put_aside(MONDAY + 2 * HOUR)
    await help_desk.at(1.5)
    assert await help_desk.fire() == [("snooze", "dropped")] and await listed() == []
    await help_desk.at(2.5)
    assert await help_desk.fire() == [("snooze", "woken")] and await listed() == [ticket]
    assert (await help_desk.view(ticket)).last_snoozed_until == MONDAY + 2 * HOUR, "kept, to snooze to it again"
    await put_aside(None)
    await help_desk.say(ticket, help_desk.tina)
    assert await listed() == [ticket]
    await put_aside(None)
    await help_desk.at(4.5)
    assert ("first_answer", "late") in await help_desk.fire() and await listed() == [ticket], "late: it comes back"
    with pytest.raises(BadInput):
        await put_aside(MONDAY)


async def test_an_answer_is_not_sent_when_something_arrived_meanwhile(help_desk: Help) -> None:
    ticket = await help_desk.ask()
    seen = (await help_desk.view(ticket)).newest
    await help_desk.say(ticket, help_desk.tina, "It has arrived, thank you.")
    with pytest.raises(ChangedMeanwhile):
        await help_desk.say(ticket, help_desk.sue, "It is on its way.", seen=seen)
    view = await help_desk.view(ticket)
    assert len(view.messages) == 2
    await help_desk.say(ticket, help_desk.sue, "Good.", seen=view.newest)


async def test_merged_tickets_are_one_conversation_with_the_earliest_deadline(help_desk: Help) -> None:
    first = await help_desk.ask("First")
    await help_desk.at(1)
    second = await help_desk.ask("Second")
    await help_desk.at(2)
    third = await help_desk.ask("Third")
    assert await help_desk.merge(first, second) == second
    assert await help_desk.merge(second, third) == third
    view = await help_desk.view(third)
    assert [message.ticket_id for message in view.messages] == [first, second, third]
    assert await help_desk.late_at(third) == 4, "as the first"
    signpost = await help_desk.view(first)
    assert (signpost.state, signpost.merged_into, signpost.subject) == ("merged", third, "First")
    assert (await help_desk.say(first, help_desk.tina)).id == third, "further messages go to the end of the chain"
    assert (await help_desk.view(first)).state == "merged", "the signpost does not wake up"
    await help_desk.say(third, help_desk.sue)
    assert [(await help_desk.due(each))["first_answer"] for each in (first, second, third)] == [None] * 3
    await help_desk.at(9)
    assert {outcome for _, outcome in await help_desk.fire()} == {"dropped"}


async def test_a_merge_can_be_undone_with_what_was_merged_before(help_desk: Help) -> None:
    first, second, third = await help_desk.ask("First"), await help_desk.ask("Second"), await help_desk.ask("Third")
    await help_desk.merge(first, second)
    await help_desk.merge(second, third)
    await help_desk.split(second)
    view = await help_desk.view(second)
    assert (view.state, [each.ticket_id for each in view.merged]) == ("open", [first])
    assert (await help_desk.view(first)).merged_into == second
    assert (await help_desk.view(third)).merged == ()
    await help_desk.split(first)
    assert await help_desk.late_at(first) == 4
    with pytest.raises(Conflict):
        await help_desk.split(first)


async def test_only_tickets_of_one_trader_are_merged_and_a_waiting_question_waits_on_the_target(
    help_desk: Help,
) -> None:
    eve = await help_desk.firm.add_trader("eve")
    theirs, mine = await help_desk.ask(actor=eve), await help_desk.ask()
    with pytest.raises(NotFound):
        await help_desk.merge(mine, theirs)
    with pytest.raises(BadInput):
        await help_desk.merge(mine, mine)
    solved = await help_desk.ask()
    await help_desk.solve(solved)
    await help_desk.merge(mine, solved)
    assert (await help_desk.view(solved)).state == "open"
    with pytest.raises(Conflict):
        await help_desk.merge(mine, solved)


async def test_the_firm_writes_first_and_a_trader_reads_nothing_of_the_desk(help_desk: Help) -> None:
    async with help_desk.firm.db.transaction() as session:
        made = await tickets.open_for(
            session,
            actor=help_desk.sue,
            trader_id="trd_tina",
            subject="Documents",
            body="Please send us your passport.",
        )
        await tickets.note(session, ticket_id=made.id, actor=help_desk.sue, body="Asked by risk.")
        await desk.claim(session, ticket_id=made.id, actor=help_desk.sue)
    assert made.state == "waiting_for_trader" and await help_desk.due(made.id) == {}
    mine = await help_desk.view(made.id, Scope("trd_tina"))
    assert [message.body for message in mine.messages] == ["Please send us your passport."]
    assert (mine.assignee, mine.clocks, mine.due_at, mine.lease_until) == (None, (), None, None)
    await help_desk.say(made.id, help_desk.tina)
    assert (await help_desk.due(made.id))["next_answer"] == 2
    async with help_desk.firm.db.transaction() as session:
        with pytest.raises(NotAllowed):
            await tickets.note(session, ticket_id=made.id, actor=help_desk.tina, body="Hm.")
        assert await session.scalar(select(TicketTimer.fired_at)) is None


async def test_decisions_that_wait_get_deadlines_from_the_same_calendar(help_desk: Help) -> None:
    await help_desk.at(6)  # Monday 15:00

    async def stamped() -> dict[str, float]:
        async with help_desk.firm.db.transaction() as session:
            await deadlines.stamp(session, limit=100)
        async with help_desk.firm.db.transaction() as session:
            rows = await session.scalars(select(ServiceDeadline).where(ServiceDeadline.ended_at.is_(None)))
            return {row.kind: round((row.due_at - MONDAY) / HOUR, 1) for row in rows}

    async with help_desk.firm.db.transaction() as session:
        review = Review(
            id="rev_1",
            key="k",
            kind="doubtful_breach",
            account_id="acc_tina",
            detail={},
            status="open",
            occurred_at=MONDAY,
        )
        session.add(review)
    assert await stamped() == {"doubtful_breach": 26}, "two hours on Monday, two on Tuesday"
    async with help_desk.firm.db.transaction() as session:
        items = (await queue.page(session, Window(), kinds(SUBJECTS))).items
    assert next(item.deadline for item in items if item.subject_id == "rev_1") is not None
    await help_desk.at(7)
    body = POLICY.model_dump(mode="json")
    body["deadlines"]["doubtful_breach"] = "1h"
    async with help_desk.firm.db.transaction() as session:
        await policies.publish(session, ServicePolicy.model_validate(body))
    assert await stamped() == {"doubtful_breach": 7}, "from the same start"
    async with help_desk.firm.db.transaction() as session:
        (await session.get_one(Review, "rev_1")).status = "closed"
    assert await stamped() == {}

"""Clocks of tickets as folds over events: what starts, pauses and ends them, and every error that others were seen to
make."""

from datetime import UTC, datetime, timedelta

from domain.service.calendar import BusinessCalendar
from domain.service.clocks import Cause, Clock, ClockEvent, fold, follows
from domain.service.policy import ALWAYS_OPEN, CLOCKS, ClockName, ServicePolicy

HOUR = timedelta(hours=1)
WEEKDAYS = BusinessCalendar.model_validate(
    {"zone": "UTC", "week": dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",))}
)
POLICY = ServicePolicy.model_validate({"targets": {"first_answer": "4h", "next_answer": "2h", "resolution": "10h"}})
START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday


class Desk:
    """The events of one ticket; `policy` is the one in force."""

    def __init__(self, policy: ServicePolicy = POLICY) -> None:
        self.policy = policy
        self.events: dict[ClockName, list[ClockEvent]] = {name: [] for name in CLOCKS}

    def clock(self, name: ClockName) -> Clock:
        return fold(self.events[name])

    def happens(self, cause: Cause, hours: float) -> None:
        at, clocks = START + hours * HOUR, {name: self.clock(name) for name in CLOCKS}
        for name, kind in follows(cause, clocks, self.policy):
            target = self.policy.target_minutes(name) if kind == "activate" else 0
            self.events[name].append(ClockEvent(kind, at, target))

    def due(self, name: ClockName) -> float | None:
        """Hours after the start."""
        due = self.clock(name).due(self.policy.calendar)
        return None if due is None else (due - START) / HOUR


def test_a_question_starts_the_first_answer_and_the_resolution() -> None:
    desk = Desk()
    desk.happens("opened", 0)
    assert (desk.due("first_answer"), desk.due("next_answer"), desk.due("resolution")) == (4, None, 10)


def test_the_clock_does_not_run_on_after_the_answer() -> None:
    desk = Desk()
    desk.happens("opened", 0)
    desk.happens("answered", 1)
    assert desk.clock("first_answer").status == "fulfilled" and desk.due("first_answer") is None
    assert desk.clock("first_answer").spent(ALWAYS_OPEN, START + 99 * HOUR) == HOUR


def test_a_second_question_leaves_the_first_answer_where_it_is() -> None:
    """A shorter target of the next answer must not displace the first one."""
    desk = Desk()
    desk.happens("opened", 0)
    desk.happens("trader_wrote", 1)
    assert desk.due("first_answer") == 4 and desk.clock("next_answer").status == "idle"


def test_each_message_of_the_trader_starts_the_next_answer_again() -> None:
    desk = Desk()
    for cause, hours in (("opened", 0), ("answered", 1), ("trader_wrote", 2)):
        desk.happens(cause, hours)  # type: ignore[arg-type]
    assert desk.due("next_answer") == 4
    desk.happens("trader_wrote", 3)
    assert desk.due("next_answer") == 5


def test_a_firm_may_count_from_the_oldest_message_without_an_answer() -> None:
    desk = Desk(POLICY.model_copy(update={"next_answer_counts_from": "oldest_unanswered"}))
    for cause, hours in (("opened", 0), ("answered", 1), ("trader_wrote", 2), ("trader_wrote", 3)):
        desk.happens(cause, hours)  # type: ignore[arg-type]
    assert desk.due("next_answer") == 4


def test_the_resolution_stops_while_the_firm_waits_for_the_trader_and_the_first_answer_never_does() -> None:
    desk = Desk()
    desk.happens("opened", 0)
    desk.happens("answered", 3)
    assert desk.clock("resolution").status == "paused" and desk.due("resolution") is None
    desk.happens("trader_wrote", 50)
    assert desk.due("resolution") == 57
    clock = fold([ClockEvent("activate", START, 240)])
    assert clock.status == "running"


def test_a_change_of_policy_forgets_no_pause() -> None:
    events = [
        ClockEvent("activate", START, 600),
        ClockEvent("pause", START + 3 * HOUR),
        ClockEvent("policy", START + 4 * HOUR, 480),
        ClockEvent("resume", START + 50 * HOUR),
    ]
    clock = fold(events)
    assert clock.due(ALWAYS_OPEN) == START + 55 * HOUR and clock.generation == 4
    assert fold([*events, ClockEvent("policy", START + 51 * HOUR, 120)]).due(ALWAYS_OPEN) == START + 2 * HOUR


def test_a_change_of_the_calendar_moves_the_deadline_of_the_same_events() -> None:
    clock = fold([ClockEvent("activate", START + 6 * HOUR, 240)])
    assert clock.due(ALWAYS_OPEN) == START + 10 * HOUR
    assert clock.due(WEEKDAYS) == START + 26 * HOUR  # two hours on Monday, two on Tuesday


def test_reopening_an_old_ticket_is_late_in_nothing() -> None:
    desk = Desk()
    for cause, hours in (("opened", 0), ("answered", 1), ("solved", 2), ("trader_wrote", 5000)):
        desk.happens(cause, hours)  # type: ignore[arg-type]
    assert desk.due("next_answer") == 5002 and desk.due("resolution") == 5010
    assert desk.clock("resolution").spent(ALWAYS_OPEN, START + 5000 * HOUR) == timedelta(0)


def test_a_ticket_closed_without_an_answer_owes_one_when_it_is_opened_again() -> None:
    desk = Desk()
    for cause, hours in (("opened", 0), ("solved", 1), ("trader_wrote", 2)):
        desk.happens(cause, hours)  # type: ignore[arg-type]
    assert desk.due("first_answer") == 6 and desk.due("next_answer") is None


def test_what_the_firm_tells_starts_no_clock_until_the_trader_answers() -> None:
    desk = Desk()
    desk.happens("answered", 0)
    desk.happens("solved", 0)
    assert all(desk.due(name) is None for name in CLOCKS)
    desk.happens("trader_wrote", 1)
    assert (desk.due("first_answer"), desk.due("next_answer"), desk.due("resolution")) == (None, 3, 11)


def test_a_split_ticket_waits_again_unless_it_waited_all_along() -> None:
    desk = Desk()
    desk.happens("opened", 0)
    desk.happens("split", 1)
    assert desk.due("first_answer") == 4 and desk.due("next_answer") is None and desk.due("resolution") == 10
    desk.happens("answered", 2)
    desk.happens("split", 3)
    assert desk.due("next_answer") == 5 and desk.due("resolution") == 11


def test_a_breach_is_noted_once_started_and_forgotten_with_the_next_start() -> None:
    late = [ClockEvent("activate", START, 60), ClockEvent("breach", START + HOUR)]
    assert fold(late).breached == START + HOUR and fold(late).generation == 1
    assert fold([*late, ClockEvent("activate", START + 5 * HOUR, 60)]).breached is None
    assert (
        fold([ClockEvent("activate", START, 60), ClockEvent("pause", START), ClockEvent("breach", START)]).breached
        is None
    )


def test_events_that_do_not_fit_change_nothing_but_the_generation() -> None:
    events = [ClockEvent("resume", START), ClockEvent("fulfil", START), ClockEvent("policy", START, 60)]
    assert fold(events) == Clock(generation=3)

"""A proof has a bounded number of events, however long the account has traded, and points of the history vouch for the
state that it begins with."""

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from domain.histories.replay import replay
from domain.histories.results import DecidingMoment
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs.chain import check_beginning, check_points
from domain.proofs.check import check
from domain.proofs.history import ProofSubject, violation_sheet
from domain.proofs.points import MOST, Point
from domain.proofs.sheets import read
from domain.rules.events_json import from_json
from monitor.columns.conduct_state import ConductState, stored_conduct_state
from monitor.facts import OffenceFact
from monitor.loaded import Pending
from store.news import ScheduledRelease
from tests.unit.conduct_venue import START, Venue
from tests.unit.proof_forgeries import changed, leaves, resealed

WARN = {"kind": "warn"}
LOTS = {"type": "max_exposure", "limit": "2", "consequences": [WARN]}
RATE = {"type": "max_trades_per_day", "limit": 7, "consequences": [{"kind": "review"}]}
NEWS = {"type": "news_window", "before_minutes": 2, "after_minutes": 2, "applies_to": ["open"], "consequences": [WARN]}
DAYS = {"type": "trading_day_count", "required": 300, "blocks": ["pass"]}


def traded(venue: Venue, trades: int, *, restart_every: int = 0, begin: int = 0) -> None:
    """Every fifth position is too large."""
    for number in range(begin, begin + trades):
        venue.open(f"p{number}", "3" if number % 5 == 4 else "1")
        venue.close(f"p{number}")
        venue.wait(minutes=70)
        if restart_every and number % restart_every == 0:
            venue.restart()


def conduct_of(venue: Venue) -> ConductState:
    conduct = venue.shard.state.accounts[0].conduct
    assert conduct is not None
    return conduct


def points_of(venue: Venue) -> dict[str, Point]:
    """The points as the record has them."""
    facts = venue.shard.state.facts.points
    return {fact.name.hash: Point.model_validate(json.loads(fact.point.model_dump_json())) for fact in facts}


def proofs_of(venue: Venue) -> Iterator[dict[str, Any]]:
    for fact in (*venue.shard.state.facts.verdicts, *venue.shard.state.facts.gates):
        yield json.loads(json.dumps(fact.proof))


def wrong_points(venue: Venue, *more: PhaseTerms) -> list[str]:
    versions = {terms.product.version: terms for terms in (venue.terms, *more)}
    found = check_points(points_of(venue), lambda product, version, phase, size: versions[version])
    return [f"{point.number}: {difference}" for point, difference in found]


@pytest.mark.parametrize("restart_every", [0, 1, 17])
def test_proofs_of_a_long_life_are_short_and_hold_alone(restart_every: int) -> None:
    venue = Venue(LOTS, RATE, DAYS, target="90000")
    traded(venue, 150, restart_every=restart_every)
    offences = [fact for fact in venue.shard.state.facts.verdicts if isinstance(fact, OffenceFact)]
    assert [fact.offence for fact in offences if fact.rule_id == "max_exposure"] == list(range(1, 31))
    assert len(conduct_of(venue).events) <= MOST
    points = points_of(venue)
    assert len(points) >= 5 and wrong_points(venue) == []
    for sheet in proofs_of(venue):
        assert check(sheet) == []
        assert len(sheet["history"]["events"]) <= MOST
        assert list(check_beginning(read(sheet), points)) == []
    late = offences[-1].proof["history"]
    assert late["point"]["number"] >= 3, "it begins at a point, three generations later"


def test_a_changed_digit_in_the_state_that_a_proof_begins_with_is_found_by_the_points() -> None:
    venue = Venue(LOTS, DAYS, target="90000")
    traded(venue, 120)
    points, sheet = points_of(venue), json.loads(json.dumps(venue.shard.state.facts.verdicts[-1].proof))
    for path in leaves({"began": sheet["history"]["began"], "point": sheet["history"]["point"]}):
        forged = copy.deepcopy(sheet)
        place: Any = forged["history"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = changed(place[path[-1]])
        again = resealed(forged)
        assert check(again) or list(check_beginning(read(again), points)), path


def test_a_changed_point_is_found_by_the_points() -> None:
    venue = Venue(LOTS, DAYS, target="90000")
    traded(venue, 120)
    points = points_of(venue)
    last = list(points)[-2]
    body = points[last].model_dump(mode="json")
    figures = [path for path in leaves(body) if path[0] in ("state", "events")]
    for path in figures[::17]:
        forged = copy.deepcopy(body)
        place: Any = forged
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = changed(place[path[-1]])
        try:
            point = Point.model_validate(forged)
        except ValueError:
            continue
        found = list(check_points({**points, last: point}, lambda *_: venue.terms))
        assert any(difference.field == "hash" for _, difference in found), path
        # a forger who takes the hash again breaks the link of the next point
        renamed = {name: each for name, each in points.items() if name != last} | {point.digest: point}
        found = list(check_points(renamed, lambda *_: venue.terms))
        assert any(difference.field == "previous" for _, difference in found), path


def test_a_state_that_does_not_follow_from_its_events_is_found() -> None:
    venue = Venue(LOTS, DAYS, target="90000")
    traded(venue, 60)
    *_, (name, point) = points_of(venue).items()
    state = copy.deepcopy(point.state)
    state["rules"]["max_exposure"]["offences"] -= 1
    forged = point.model_copy(update={"state": state})
    points = {**points_of(venue), forged.digest: forged}
    del points[name]
    assert [d.field for _, d in check_points(points, lambda *_: venue.terms)] == ["state"]


def as_of_earlier(venue: Venue) -> dict[str, Any]:
    """The state of the account as an earlier version stored it: with all events of the phase."""
    conduct = conduct_of(venue)
    stored = conduct.model_dump(mode="json")
    kept = [fact.point.events for fact in venue.shard.state.facts.points]
    stored["events"] = [*(event for events in kept for event in events), *stored["events"][conduct.settled :]]
    for name in ("point", "middle", "middle_point", "settled", "told"):
        del stored[name]
    return stored | {"began": None}


def test_a_stored_state_with_all_its_events_is_shortened_at_the_next_one() -> None:
    venue = Venue(LOTS, RATE, NEWS, DAYS, target="90000", news=[ScheduledRelease(1, "nfp", START, ("USD",), "high")])
    traded(venue, 100)
    whole = as_of_earlier(venue)
    before, whole_points = conduct_of(venue), points_of(venue)
    assert len(whole["events"]) > 200
    row = venue.shard.state.accounts[0].row
    venue.shard.state.accounts.conduct_states[row] = stored_conduct_state(whole, venue.terms)
    assert conduct_of(venue).told == before.told != {}
    venue.shard.state.facts.points.clear()
    traded(venue, 30, begin=100, restart_every=7)
    assert len(conduct_of(venue).events) <= MOST
    assert list(points_of(venue))[: len(whole_points)] == list(whole_points), "the same points as if it had always been"
    assert wrong_points(venue) == []
    points = points_of(venue)
    for sheet in proofs_of(venue):
        assert check(sheet) == [] and list(check_beginning(read(sheet), points)) == []


def test_a_stored_state_that_is_judged_differently_today_stays_as_it_was_found() -> None:
    venue = Venue(LOTS, DAYS, target="90000")
    traded(venue, 80)
    whole = as_of_earlier(venue)
    whole["history"]["rules"]["max_exposure"]["offences"] = 40  # an earlier version had found more
    row = venue.shard.state.accounts[0].row
    venue.shard.state.accounts.conduct_states[row] = stored_conduct_state(whole, venue.terms)
    venue.shard.state.facts.points.clear()
    venue.shard.state.facts.verdicts.clear()
    traded(venue, 70, begin=80)
    offences = [fact.offence for fact in venue.shard.state.facts.verdicts if isinstance(fact, OffenceFact)]
    assert offences[0] == 41
    assert venue.found and wrong_points(venue) == []
    assert "found" in {point.kind for point in points_of(venue).values()}


def test_points_go_on_under_other_terms() -> None:
    venue = Venue(LOTS, DAYS, target="90000")
    traded(venue, 60, restart_every=13)
    made = venue.terms.product.model_dump(mode="json") | {"version": 2}
    made["phases"][0]["rules"][1:] = [LOTS | {"limit": "0.5"}, RATE]
    second = phase_terms(Product.model_validate(made), 1)
    venue.shard.versions.expect("acc_1", Pending("mov_1", second))
    venue.wait(days=1)
    first, venue.terms = venue.terms, second
    traded(venue, 60, begin=60, restart_every=13)
    points = points_of(venue)
    assert [point.kind for point in points.values()].count("terms") == 1
    assert wrong_points(venue, first) == []
    assert venue.found[-1][1] == "max_exposure"
    for sheet in proofs_of(venue):
        assert list(check_beginning(read(sheet), points)) == []


def test_a_release_is_told_once_however_many_events_follow() -> None:
    soon = START + timedelta(days=5)
    venue = Venue(NEWS, LOTS, target="90000", news=[ScheduledRelease(1, "nfp", soon, ("USD",), "high")])
    traded(venue, 80, restart_every=9)
    told = [event for fact in venue.shard.state.facts.points for event in fact.point.events]
    told += json.loads(conduct_of(venue).model_dump_json())["events"]
    assert len({event["seq"] for event in told if event["type"] == "news"}) == 1
    assert list(conduct_of(venue).told) == ["nfp"]
    traded(venue, 200, begin=80, restart_every=29)
    told += [event for fact in venue.shard.state.facts.points for event in fact.point.events]
    assert len({event["seq"] for event in told if event["type"] == "news"}) == 1


def test_a_replay_of_a_long_life_proves_each_offence_by_few_events() -> None:
    venue = Venue(LOTS, DAYS, target="90000")
    traded(venue, 150)
    told = [from_json(event) for fact in venue.shard.state.facts.points for event in fact.point.events]
    told += conduct_of(venue).events[conduct_of(venue).settled :]
    subject, points = ProofSubject("acc_1", "chl_1", 1, venue.terms), []

    def write(moment: DecidingMoment) -> dict[str, Any]:
        assert moment.rule_id is not None
        points.append(moment.point)
        return violation_sheet(
            "prf_1", subject, moment.rule_id, moment.offence, moment.history, began=moment.began, point=moment.point
        )

    found = replay(told, venue.terms, venue.terms.context, write).breaches
    assert [breach.offence for breach in found] == list(range(1, 31))
    for breach in found:
        assert breach.proof is not None and check(breach.proof) == []
        assert len(breach.proof["history"]["events"]) <= MOST
    assert points[0] is None and points[-1] is not None and points[-1].number >= 3

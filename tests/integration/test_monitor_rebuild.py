"""A monitor that is killed again and again ends where one that never was ends."""

from collections.abc import Iterator
from random import Random

import pytest

from domain.errors import OutcomeUnknown
from domain.products.product import Product
from ports.platform import Batch, Event
from tests.integration.recorded_feed import BREACHES, falling, record_one
from tests.integration.scripted_venue import Killed, ScriptedVenue, judge, on_record, rows
from tests.integration.shard_tables import TABLES
from tests.unit.market_story import batches
from tests.unit.venue_story import Story, product


def outcome(database_url: str) -> dict[str, list[tuple[object, ...]]]:
    return {name: rows(database_url, query) for name, query in TABLES.items()}


@pytest.fixture
def other_database_url(postgres_url: str, _template: str) -> str:
    from tests import servers

    servers.create_database(postgres_url, "other", _template)
    return servers.database_of(postgres_url, "other")


def test_kills_at_random_places_change_nothing(database_url: str, other_database_url: str) -> None:
    random = Random(11)
    logins = list(range(1, 13))
    accounts: dict[int, tuple[Product, int]] = {n: (product(random, n), random.choice([1, 2])) for n in logins}
    story = Story(random, logins)
    for _ in range(900):
        story.step()
    stream = batches(story.events, random)
    last = stream[-1].events[-1].model_copy(update={"flush": True})
    stream[-1] = stream[-1].model_copy(update={"events": (*stream[-1].events[:-1], last)})
    for n in range(4, len(stream) - 1, 9):  # a checkpoint now and then, so that kills fall between two
        end = stream[n].events[-1].model_copy(update={"flush": True})
        stream[n] = stream[n].model_copy(update={"events": (*stream[n].events[:-1], end)})

    on_record(database_url, accounts)
    judge(database_url, ScriptedVenue(stream))
    expected = outcome(database_url)
    assert len(expected["breaches"]) >= 5

    on_record(other_database_url, accounts)
    venue, kills = ScriptedVenue(stream), 0

    def perhaps_die(_: int = 0) -> None:
        nonlocal kills
        if random.random() < 0.12 and kills < 40:
            kills += 1
            raise Killed

    venue.on_ack, venue.on_lock = perhaps_die, perhaps_die
    while venue.acked < len(stream):
        try:
            judge(other_database_url, venue)
        except Killed:
            continue
    assert kills >= 8
    actual = outcome(other_database_url)
    for name, table in expected.items():
        assert actual[name] == table, name
    assert len({key for _, key in venue.locks}) == len(venue.locks)


def test_a_kill_after_the_breach_and_before_the_first_checkpoint_judges_the_account_from_its_start_again(
    database_url: str,
) -> None:
    record_one(database_url)
    script = falling()
    script.batches = [
        b.model_copy(update={"events": (*b.events[:-1], _unflushed(b.events[-1]))}) for b in script.batches
    ]
    venue = ScriptedVenue(script.batches)

    def die() -> None:
        raise Killed

    venue.on_lock = die
    with pytest.raises(Killed):
        judge(database_url, venue)
    assert rows(database_url, "SELECT status FROM accounts") == [("locked",)]
    assert rows(database_url, "SELECT batch FROM shards") == [(0,)]
    venue.on_lock = lambda: None
    judge(database_url, venue)
    assert len(rows(database_url, BREACHES)) == len(venue.locks) == 1
    assert rows(database_url, "SELECT rule_state->>'ended' FROM account_live") == [("true",)]


def _unflushed(event: Event) -> Event:
    return event.model_copy(update={"flush": False})


class InLockstep(ScriptedVenue):
    """Tells the next batch only once the one before it is acknowledged, and stops who has nothing to read."""

    def held(self, after: int) -> Iterator[Batch | None]:
        for batch in super().held(after):
            if batch is not None and batch.number <= self.acked + 1:
                yield batch


def test_an_acknowledgement_that_was_lost_after_a_checkpoint_is_given_again(database_url: str) -> None:
    record_one(database_url)
    venue = InLockstep(falling().batches)

    def lost(number: int) -> None:
        venue.on_ack = lambda number: None
        raise OutcomeUnknown("The venue did not answer.")

    venue.on_ack = lost
    with pytest.raises(OutcomeUnknown):
        judge(database_url, venue)
    assert (rows(database_url, "SELECT batch FROM shards"), venue.acked) == ([(1,)], 0)
    judge(database_url, venue)
    assert venue.acked == len(falling().batches)
    assert len(rows(database_url, BREACHES)) == 1

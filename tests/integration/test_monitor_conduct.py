"""Consequences short of the end, on a real PostgreSQL: proved, placed at the venue, and taken back at the reset."""

from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from temporalio.client import Client

from domain.errors import Unavailable
from domain.products.product import Product
from domain.proofs.check import check
from relay.outbox import OutboxDispatcher
from store.db import Database
from tests.adapters import platforms
from tests.challenge_world import Seat, Venue
from tests.integration.recorded_feed import Script, opened, two_step
from tests.integration.scripted_venue import Killed, ScriptedVenue, judge, on_record, rows

MIDNIGHT: Final = datetime(2014, 5, 2, 22, tzinfo=UTC)  # in Prague
OFFENCES: Final = "SELECT rule_id, offence, consequence, seq FROM offences ORDER BY seq"
OUTBOX: Final = "SELECT topic, target, name, dispatched_at IS NOT NULL FROM outbox ORDER BY id"
PAUSED: Final = ("venue.lock", "1", "", True)
RESUMED: Final = ("venue.resume", "1", "", False)
EXPOSURE: Final = {"type": "max_exposure", "limit": "12"}


def terms(
    *more: dict[str, Any], daily: tuple[str | dict[str, str], ...] = ("pause_until_reset", "pause_until_reset")
) -> Product:
    """The two-step product whose daily limit, 5,000.00, pauses; `more`: rules of conduct."""
    made = two_step().model_dump(mode="json")
    rules = made["phases"][0]["rules"]
    rules[0]["consequences"] = [kind if isinstance(kind, dict) else {"kind": kind} for kind in daily]
    made["phases"][0]["rules"] = [*rules, *more]
    return Product.model_validate(made)


def paused(script: Script, price: str = "1.37499", lost: int = 501_000) -> None:
    """The daily limit is broken, and the venue flattens at `price`."""
    script.tick("1.37499")
    script.batch()
    script.deal(1, "p1", "10", price, "out", -lost)
    script.batch(flush=True)


def at(script: Script, when: datetime, price: str) -> None:
    script.at = when
    script.tick(price)
    script.batch(flush=True)


def test_a_pause_is_proved_locked_and_taken_back_by_the_reset(database_url: str) -> None:
    on_record(database_url, {1: (terms(), 1)})
    script = opened()
    paused(script)
    at(script, MIDNIGHT, "1.37499")
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, OFFENCES) == [("daily_loss", 1, "pause_until_reset", 6)]
    assert [login for login, _ in venue.locks] == [1]
    assert rows(database_url, OUTBOX) == [PAUSED, RESUMED]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert check(proof) == []
    assert rows(database_url, "SELECT status, ended_at FROM accounts") == [("active", None)]
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]


@pytest.mark.parametrize("back_to", [1, 2, 3])
def test_a_pause_that_is_judged_again_is_placed_and_taken_back_once(database_url: str, back_to: int) -> None:
    on_record(database_url, {1: (terms(), 1)})
    script = opened()
    paused(script)
    at(script, MIDNIGHT, "1.37499")
    venue = ScriptedVenue(script.batches)

    def die() -> None:
        raise Killed

    venue.on_lock = die
    with pytest.raises(Killed):
        judge(database_url, venue)
    assert rows(database_url, OUTBOX) == [("venue.lock", "1", "", False)], "the relay's to place, if nobody else does"
    venue.on_lock = lambda: None
    venue.upto = back_to
    judge(database_url, venue)
    venue.upto = 2**62
    judge(database_url, venue)
    rows(database_url, "UPDATE outbox SET attempts = 0 RETURNING 1")
    assert rows(database_url, OFFENCES) == [("daily_loss", 1, "pause_until_reset", 6)]
    assert len(venue.locks) == 1
    assert rows(database_url, OUTBOX) == [PAUSED, RESUMED]


def test_conduct_that_ends_the_phase_locks_the_account_and_tells_its_challenge(database_url: str) -> None:
    on_record(database_url, {1: (terms(EXPOSURE), 1)})
    script = opened()
    script.deal(1, "p2", "3", "1.38000", "in")
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    judge(database_url, venue)
    breach = "SELECT rule_id, offence, floor_minor, equity_minor, locked_at IS NOT NULL FROM breaches"
    assert rows(database_url, breach) == [("max_exposure", 1, None, 10_000_000, True)]
    assert rows(database_url, OUTBOX) == [PAUSED, ("workflow.signal", "challenge/chl_1", "breach_detected", False)]
    assert rows(database_url, "SELECT status FROM accounts") == [("locked",)]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert check(proof) == []
    assert len(venue.locks) == 1


async def _relayed(database_url: str, balance_minor: int = 0) -> Seat:
    """Everything in the outbox delivered to a venue where account 1 is paused."""

    async def away() -> Client:
        raise Unavailable("Temporal does not answer.")

    seat = Seat(1, enabled=False, balance_minor=balance_minor)
    db = Database(database_url)
    dispatcher = OutboxDispatcher(db, away, platforms(Venue("sandbox", seats={1: seat})))
    await dispatcher.release()
    while await dispatcher.step():
        pass
    await db.close()
    return seat


async def test_a_resume_enables_trading_at_the_venue(database_url: str) -> None:
    test_a_pause_is_proved_locked_and_taken_back_by_the_reset(database_url)
    assert (await _relayed(database_url)).enabled
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE dispatched_at IS NULL") == [(0,)]


async def test_a_resume_that_comes_too_late_does_not_undo_the_next_pause(database_url: str) -> None:
    on_record(database_url, {1: (terms(), 1)})
    script = opened()
    paused(script, "1.37700", 300_000)
    at(script, MIDNIGHT, "1.37700")
    script.deal(1, "p2", "10", "1.37700", "in")
    script.tick("1.37199")
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, OUTBOX) == [PAUSED, RESUMED, PAUSED]
    assert not (await _relayed(database_url)).enabled


async def test_a_resume_does_not_enable_an_account_that_has_ended_meanwhile(database_url: str) -> None:
    test_a_pause_is_proved_locked_and_taken_back_by_the_reset(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE accounts SET status = 'locked'")
    assert not (await _relayed(database_url)).enabled


@pytest.mark.parametrize(("whole", "lifts"), [(False, False), (True, False), (False, True)])
async def test_a_resume_waits_for_the_end_of_a_stop_that_limits_accounts(
    database_url: str, whole: bool, lifts: bool
) -> None:
    test_a_pause_is_proved_locked_and_taken_back_by_the_reset(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO users (id, login, login_index, name, password_hash, role, person_id, active)"
            " VALUES ('usr_1', '', 'x', '', '', 'risk', 'person', true)"
        )
        for number, ends in enumerate((False, True) if lifts else (False,)):
            connection.execute(
                "INSERT INTO platform_stops (id, platform, lifts, whole, reason, state, proposed_by, proposed_at)"
                " VALUES (%s, 'sandbox', %s, %s, 'Prices.', 'done', 'usr_1', now())",
                (f"hlt_{number}", ends, whole),
            )
    assert (await _relayed(database_url)).enabled == (whole or lifts)


async def test_an_offence_brings_the_balance_back_to_the_initial_one_once(database_url: str) -> None:
    on_record(database_url, {1: (terms(daily=("reset_balance",)), 1)})
    script = opened()
    paused(script)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, OFFENCES) == [("daily_loss", 1, "reset_balance", 6)]
    assert rows(database_url, OUTBOX) == [("venue.reset_balance", "1", "", False)]
    assert (await _relayed(database_url, 9_499_000)).balance_minor == 10_000_000
    rows(database_url, "UPDATE outbox SET dispatched_at = NULL RETURNING 1")
    assert (await _relayed(database_url, 9_499_000)).balance_minor == 10_000_000, "the answer was lost"


def test_the_share_that_an_offence_leaves_is_in_its_proof(database_url: str) -> None:
    lower = {"kind": "lower_split", "split_pct": "60"}
    on_record(database_url, {1: (terms(daily=(lower,)), 1)})
    script = opened()
    paused(script)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, OFFENCES) == [("daily_loss", 1, "lower_split", 6)]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert (proof["consequence"], check(proof)) == (lower, [])
    assert rows(database_url, OUTBOX) == []


async def test_an_account_that_has_ended_keeps_its_balance(database_url: str) -> None:
    on_record(database_url, {1: (terms(daily=("reset_balance",)), 1)})
    script = opened()
    paused(script)
    judge(database_url, ScriptedVenue(script.batches))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE accounts SET status = 'locked'")
    assert (await _relayed(database_url, 9_499_000)).balance_minor == 9_499_000

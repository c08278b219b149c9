"""Many breaches at one price: committed and locked in parts while the shard judges on, and nothing lost at a kill."""

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from domain.errors import Unavailable
from domain.proofs.check import check
from monitor.facts import MANY
from ports.platform import Batch
from store.live import claim_epoch, select_epoch_exclusive
from store.live_write import LiveWriter, VerdictRows
from tests.integration.recorded_feed import Script, two_step
from tests.integration.scripted_venue import Killed, ScriptedVenue, judge, on_record, rows

ACCOUNTS = 2 * MANY + 50
LOGINS = range(1, ACCOUNTS + 1)


def crash() -> list[Batch]:
    """Every account is long 10 lots, and one tick goes through the daily limit of all of them."""
    script = Script()
    script.tick("1.38000")
    for login in LOGINS:
        script.balance = 0
        script.cash(login, "deposit", 10_000_000)
        script.enable(login)
        script.deal(login, f"p{login}", "10", "1.38000", "in")
    script.batch(flush=True)
    script.tick("1.37499")
    script.batch(flush=True)
    return script.batches


class Counting(ScriptedVenue):
    """Counts the calls that place locks."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__(batches)
        self.calls: list[int] = []

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        self.on_lock()
        self.calls.append(len(locks))
        self.locks += locks


def every_account_is_broken_and_locked_once(database_url: str) -> None:
    assert rows(database_url, "SELECT count(*), count(DISTINCT account_id), count(locked_at) FROM breaches") == [
        (ACCOUNTS, ACCOUNTS, ACCOUNTS)
    ]
    assert rows(database_url, "SELECT count(*) FROM accounts WHERE status = 'locked'") == [(ACCOUNTS,)]
    waiting = "SELECT topic, count(*) FROM outbox WHERE dispatched_at IS NULL GROUP BY topic"
    assert rows(database_url, waiting) == [("workflow.signal", ACCOUNTS)]
    for (sheet,) in rows(database_url, "SELECT body FROM proofs ORDER BY id LIMIT 5"):
        assert isinstance(sheet, dict)
        assert check(sheet) == []
    assert rows(database_url, "SELECT count(*) FROM proofs") == [(ACCOUNTS,)]


def test_a_price_that_breaks_many_accounts_is_stored_in_parts(database_url: str) -> None:
    on_record(database_url, dict.fromkeys(LOGINS, (two_step(), 1)))
    venue = Counting(crash())
    judge(database_url, venue)
    assert venue.calls == [MANY, MANY, 50]
    assert sorted(login for login, _ in venue.locks) == list(LOGINS)
    every_account_is_broken_and_locked_once(database_url)


def test_a_kill_between_two_parts_loses_nothing_and_judges_nobody_twice(database_url: str) -> None:
    on_record(database_url, dict.fromkeys(LOGINS, (two_step(), 1)))
    venue = Counting(crash())

    def die_at_the_second() -> None:
        if venue.calls:
            raise Killed

    venue.on_lock = die_at_the_second
    with pytest.raises(Killed):
        judge(database_url, venue)
    assert venue.acked == 1

    venue.on_lock = lambda: None
    judge(database_url, venue)
    every_account_is_broken_and_locked_once(database_url)
    assert {login for login, _ in venue.locks} == set(LOGINS)


def test_a_venue_that_fails_during_a_part_ends_the_run(database_url: str) -> None:
    on_record(database_url, dict.fromkeys(LOGINS, (two_step(), 1)))
    venue = Counting(crash())

    def away() -> None:
        raise Unavailable("The venue is away.")

    venue.on_lock = away
    with pytest.raises(Unavailable):
        judge(database_url, venue)
    assert venue.acked == 1


NOTHING = VerdictRows([], [], [], [], [], [], [], [])


def test_a_verdict_does_not_wait_for_a_checkpoint_that_holds_the_shards_row(database_url: str) -> None:
    epoch = claim_epoch(database_url, 0)
    with psycopg.connect(database_url) as checkpoint, psycopg.connect(database_url, autocommit=True) as verdict:
        select_epoch_exclusive(checkpoint, 0)
        checkpoint.execute("UPDATE shards SET batch = 7 WHERE id = 0")
        verdict.execute("SET lock_timeout = '2s'")
        assert LiveWriter(verdict, 0, epoch).commit_verdicts(NOTHING) == []


def test_a_new_owner_waits_for_a_verdict_that_is_being_recorded(database_url: str) -> None:
    epoch = claim_epoch(database_url, 0)
    impatient = f"{database_url}{'&' if '?' in database_url else '?'}options=-c%20lock_timeout%3D500"
    with psycopg.connect(database_url) as verdict:
        LiveWriter(verdict, 0, epoch).commit_verdicts(NOTHING)
        with pytest.raises(LockNotAvailable):
            claim_epoch(impatient, 0)
        verdict.commit()
    assert claim_epoch(impatient, 0) == epoch + 1

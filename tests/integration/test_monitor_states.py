"""Accounts whose worth the venue states: judged by its figures exactly, with or without quotes."""

from datetime import timedelta

import pytest

from domain.proofs.check import check
from ports.platform import AccountChanged
from tests.integration.recorded_feed import BREACHES, START, Script, opened, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows


def by_state(database_url: str) -> Script:
    """Account 1 of the two-step product, long 10 lots; no price moves it, only what the venue says."""
    record_one(database_url)
    rows(database_url, "UPDATE accounts SET marks = 'states' RETURNING 1")
    return opened()


def test_the_venues_state_breaks_a_rule_and_quotes_do_not(database_url: str) -> None:
    script = by_state(database_url)
    script.tick("1.30000")  # far below every floor, were the position marked
    script.state(1, 9_500_000)  # at the floor, not below
    script.batch()
    script.state(1, 9_499_999)
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, script.seq - 1, 9_500_000, 9_499_999, True)]
    assert [login for login, _ in venue.locks] == [1]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert check(proof) == []
    source = proof["source"]
    assert (source["source"], source["seq"], source["equity_minor"]) == ("state", script.seq - 1, 9_499_999)
    assert check(proof | {"equity_minor": 9_499_998}) != []


def test_what_an_account_is_worth_after_its_balance_changed_is_judged_by_the_next_state(database_url: str) -> None:
    script = by_state(database_url)
    script.state(1, 10_000_000)
    script.deal(1, "p1", "5", "1.37000", "out", -600_000)  # below the floor, if what is still open were worth nothing
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == []
    script.state(1, 9_700_000)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == []
    assert rows(database_url, "SELECT equity_minor FROM account_live") == [(9_700_000,)]


def test_a_flat_account_is_judged_at_its_balance(database_url: str) -> None:
    script = by_state(database_url)
    script.deal(1, "p1", "10", "1.37000", "out", -600_000)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == [("daily_loss", 1, script.seq - 1, 9_500_000, 9_400_000, True)]


@pytest.mark.parametrize("killed", [False, True], ids=["one life", "a restart between"])
def test_the_days_anchor_is_taken_from_the_last_state(database_url: str, killed: bool) -> None:
    script = by_state(database_url)
    script.state(1, 10_400_000)
    script.batch(flush=True)
    if killed:
        judge(database_url, ScriptedVenue(script.batches))
    script.at = START + timedelta(days=1)  # the reset at Prague midnight has passed
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    snapshots = rows(database_url, "SELECT balance_minor, equity_minor FROM daily_snapshots")
    assert snapshots == [(10_000_000, 10_400_000)]


@pytest.mark.parametrize("status", ["breached", "closed by a person"])
def test_a_position_that_is_opened_after_the_end_is_closed_again(database_url: str, status: str) -> None:
    """The venue of such an account may not be able to disable trading."""
    script = by_state(database_url)
    if status == "breached":
        script.state(1, 9_499_999)
        script.deal(1, "p2", "1", "1.38000", "in")  # before the lock is placed, which closes everything
    else:
        judge(database_url, ScriptedVenue(script.batches))
        rows(database_url, "UPDATE accounts SET status = 'closed' RETURNING 1")
        script.events.append(AccountChanged(seq=script.next(), at=script.at, login=1, change="disabled"))
    script.batch()
    script.deal(1, "p3", "1", "1.38000", "in")
    opened_by = script.seq
    script.deal(1, "p1", "10", "1.37000", "out")
    script.batch(flush=True)
    for _ in range(2):  # and once more from the checkpoint
        judge(database_url, ScriptedVenue(script.batches))
    found = rows(database_url, "SELECT key, payload->'position_ids' FROM outbox WHERE topic = 'venue.close'")
    [(account,)] = rows(database_url, "SELECT id FROM accounts WHERE login = 1")
    assert found == [(f"close/{account}/d{opened_by}", ["p3"])]

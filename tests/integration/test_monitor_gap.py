"""After a gap in the stream: the venue's state is taken over, doubted where it is broken, and judged from there."""

from typing import TypeVar

import pytest

from domain.proofs.check import check
from ports.platform import AccountSnapshot
from tests.integration.recorded_feed import BREACHES, Script, falling, opened, record_one, snapshot, two_step
from tests.integration.scripted_venue import ScriptedVenue, judge, on_record, rows

REVIEW = (
    "SELECT kind, status, detail->>'rule_id', detail->>'floor_minor', detail->>'equity_minor', detail->>'venue_minor'"
    " FROM reviews WHERE account_id = 'acc_1'"
)


def after_the_gap(script: Script) -> Script:
    """The same life, as it goes on at sequence 101."""
    script.batches.clear()
    script.seq = 100
    return script


_V = TypeVar("_V", bound=ScriptedVenue)


def venue_of(script: Script, *snapshots: AccountSnapshot, kind: type[_V]) -> _V:
    venue = kind([b.model_copy(update={"number": b.number + 8}) for b in script.batches], first=9)
    venue.snapshots = {s.login: s for s in snapshots}
    return venue


def plain(script: Script, *snapshots: AccountSnapshot) -> ScriptedVenue:
    return venue_of(script, *snapshots, kind=ScriptedVenue)


def before_the_gap(database_url: str) -> Script:
    record_one(database_url)
    script = opened()
    judge(database_url, ScriptedVenue(script.batches))
    return after_the_gap(script)


def test_a_flat_account_below_its_floor_after_a_gap_gets_a_review_and_its_next_deal_a_verdict(
    database_url: str,
) -> None:
    script = before_the_gap(database_url)
    script.tick("1.38000")
    script.batch(flush=True)
    judge(database_url, plain(script, snapshot(1, 9_100_000)))
    assert rows(database_url, REVIEW) == [("gap", "open", "daily_loss", "9500000", "9100000", "9100000")]
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)], "a gap breaches nobody by itself"

    script.balance = 9_100_000
    script.deal(1, "p2", "1", "1.38000", "in")
    script.batch(flush=True)
    venue = plain(script)
    judge(database_url, venue)
    assert rows(database_url, BREACHES) == [("daily_loss", 1, script.seq - 1, 9_500_000, 9_100_000, True)]
    assert [login for login, _ in venue.locks] == [1]


def test_a_floating_loss_below_the_floor_after_a_gap_is_reviewed_and_judged_at_the_next_quote(
    database_url: str,
) -> None:
    script = before_the_gap(database_url)
    script.tick("1.37400")  # 94,000.00: what the venue's own equity said already, now with a quote that was seen
    script.batch(flush=True)
    judge(database_url, plain(script, snapshot(1, 10_000_000, 9_400_000, held=True)))
    assert rows(database_url, REVIEW) == [("gap", "open", "daily_loss", "9500000", "9400000", None)]
    assert rows(database_url, BREACHES) == [("daily_loss", 1, 101, 9_500_000, 9_400_000, True)]
    [(proof,)] = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(proof, dict)
    assert check(proof) == []


def test_an_account_that_came_through_the_gap_unharmed_gets_no_review(database_url: str) -> None:
    script = before_the_gap(database_url)
    script.tick("1.37500")
    script.batch(flush=True)
    judge(database_url, plain(script, snapshot(1, 10_000_000, 9_500_000, held=True)))
    assert rows(database_url, REVIEW) == []
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]


def test_an_account_reinstated_within_the_gap_starts_a_fresh_day_there(database_url: str) -> None:
    record_one(database_url)
    script = falling()
    judge(database_url, ScriptedVenue(script.batches))
    rows(database_url, "UPDATE breaches SET status = 'overturned' RETURNING 1")
    rows(database_url, "UPDATE accounts SET status = 'active', ended_at = NULL RETURNING 1")
    after_the_gap(script).balance = 9_400_000  # the day's floor is 89,000.00 from here, the lowest of all 90,000.00
    script.tick("1.38000")
    script.deal(1, "p2", "10", "1.38000", "in")
    script.tick("1.37600")
    script.batch(flush=True)
    judge(database_url, plain(script, snapshot(1, 9_400_000)))
    assert len(rows(database_url, BREACHES)) == 1, "only the one that was overturned"
    assert rows(database_url, REVIEW)[0][2:4] == (None, None)
    assert rows(database_url, "SELECT floors->'daily_loss'->>'floor_minor' FROM account_live") == [("8900000",)]


@pytest.mark.parametrize("held", [True, False])
def test_an_account_that_ended_within_the_gap_is_not_judged_and_asked_for_only_while_it_holds_positions(
    database_url: str, held: bool
) -> None:
    record_one(database_url)
    script = opened()
    if not held:
        script.deal(1, "p1", "10", "1.38000", "out")
        script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    rows(database_url, "UPDATE accounts SET status = 'closed' RETURNING 1")
    after_the_gap(script).tick("1.37000")
    script.batch(flush=True)
    venue = plain(script, snapshot(1, 9_000_000))
    judge(database_url, venue)
    assert venue.asked == ([1] if held else [])
    assert rows(database_url, "SELECT count(*) FROM breaches") == [(0,)]
    assert rows(database_url, "SELECT rule_state->>'judged' FROM account_live") == [("false",)]


class _Watched(ScriptedVenue):
    """Counts how many snapshots are asked for without a sign of life between."""

    silent = most = 0

    def snapshot(self, login: int) -> AccountSnapshot:
        self.silent += 1
        self.most = max(self.most, self.silent)
        return super().snapshot(login)


def test_every_account_is_a_sign_of_life_while_a_shard_is_rebuilt_and_while_a_gap_is_closed(database_url: str) -> None:
    logins = range(1, 41)
    on_record(database_url, {login: (two_step(), 1) for login in logins})
    script = Script()
    script.tick("1.38000")
    for login in logins:
        script.balance = 0
        script.cash(login, "deposit", 10_000_000)
        script.enable(login)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    after_the_gap(script).tick("1.38000")
    script.batch(flush=True)
    venue = venue_of(script, *(snapshot(login, 10_000_000) for login in logins), kind=_Watched)
    beats: list[int] = []

    def heard(number: int) -> None:
        venue.silent = 0
        beats.append(number)

    judge(database_url, venue, heartbeat=heard)
    assert (len(venue.asked), venue.most) == (len(logins), 1)
    assert beats.count(1) >= len(logins), "one per account rebuilt, with the batch of the checkpoint"

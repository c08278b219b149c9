"""An account from another platform in a shard: the resets of the days between, the names of its trades, and money that
moves at a place which an account has left."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from domain.proofs.departure import Place, carried_on
from domain.proofs.sheets import ContinuesPart
from domain.rules.state import AccountRules, fresh
from monitor.facts import ReviewKind
from monitor.loaded import Checkpoint, Left, Loaded
from monitor.shard import Shard
from ports.platform import Batch, ClockMark, Deal, Event
from tests.unit.market_story import Shelf, instruments
from tests.unit.platform_terms import TERMS

MIDNIGHT: Final = datetime(2025, 3, 7, tzinfo=UTC)
BALANCE: Final = 1_020_000
BASE: Final = 500


def from_elsewhere(since: datetime, synced: int = 5) -> Loaded:
    came = ContinuesPart(proof_id="prf_1", hash="0" * 64, platform="east", login=7, at=since, balance_minor=BALANCE)
    checkpoint = Checkpoint(
        balance_minor=BALANCE,
        positions=(),
        rules=carried_on(fresh(TERMS.specs)),
        opening_minor=BALANCE,
        opening_at=since,
        opening_seq=0,
        movements=(),
        trading_days=(),
        offences={},
        judged=True,
        ended=False,
        synced=synced,
        place=Place(number=2, since=since, base=BASE, continues=came),
    )
    return Loaded("acc_1", "chl_1", 8, TERMS, "active", (), checkpoint)


class Stand:
    """A shard at `now`, which has just taken the account."""

    def __init__(self, now: datetime, since: datetime) -> None:
        loaded = from_elsewhere(since)
        self.shard = Shard(Shelf({8: loaded}), instruments, now=now, left=LEFT.get)
        self.account = self.shard.admission.admit(loaded, now)
        self.number = 0

    def hears(self, *events: Event) -> None:
        self.number += 1
        self.shard.apply(Batch(number=self.number, events=events))

    def time(self, seq: int, at: datetime) -> None:
        self.hears(ClockMark(seq=seq, at=at))

    @property
    def rules(self) -> AccountRules:
        return self.account.rules

    @property
    def days(self) -> list[Any]:
        return [each.day for each in self.shard.state.facts.snapshots]


LEFT: Final = {9: Left("acc_9", MIDNIGHT)}


def minutes(count: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=count)


def test_a_reset_that_ended_before_the_account_came_is_made_up_once() -> None:
    stand = Stand(now=minutes(10), since=minutes(-10))
    stand.time(5, minutes(11))
    assert stand.days == [], "this is no news of the account yet"
    stand.time(6, minutes(12))
    stand.time(7, minutes(13))
    assert [day.isoformat() for day in stand.days] == ["2025-03-06"]
    daily = stand.rules.states[0]
    assert (daily.basis_minor, daily.at, daily.seq) == (BALANCE, MIDNIGHT, 6)
    assert stand.account.place is not None and stand.account.place.arrived


def test_a_reset_that_was_done_at_the_other_platform_is_not_done_again() -> None:
    stand = Stand(now=minutes(-10), since=minutes(10))
    stand.time(6, minutes(-5))
    stand.time(7, minutes(5))
    assert (stand.days, stand.rules) == ([], carried_on(fresh(TERMS.specs)))
    stand.time(8, minutes(11))
    assert stand.days == []
    stand.time(9, minutes(24 * 60))
    assert [day.isoformat() for day in stand.days] == ["2025-03-07"]


def deal(seq: int, at: datetime, login: int = 8, **more: Any) -> Deal:
    given = {"deal_id": "d1", "position_id": "p1", "profit_minor": 0, "balance_minor": BALANCE, **more}
    return Deal(
        seq=seq,
        at=at,
        login=login,
        symbol="EURUSD",
        side="buy",
        lots=Decimal(1),
        price=Decimal("1.1"),
        entry="in",
        commission_minor=0,
        swap_minor=0,
        reason="client",
        **given,
    )


def test_its_trades_have_names_and_numbers_of_their_own_on_record() -> None:
    stand = Stand(now=minutes(1), since=minutes(0))
    stand.hears(deal(6, minutes(2)))
    ((account_id, kept),) = stand.shard.state.facts.deals
    assert (account_id, kept.deal_id, kept.position_id, kept.seq) == ("acc_1", "2/d1", "2/p1", BASE + 6)
    assert [position.position_id for position in stand.account.positions()] == ["2/p1"]
    assert [movement.seq for movement in stand.account.movements] == [6], "proofs have the venue's numbers"


@pytest.mark.parametrize(("at", "reviews"), [(minutes(0), 0), (minutes(1), 1)])
def test_money_that_moves_where_the_account_was_opens_a_review(at: datetime, reviews: int) -> None:
    stand = Stand(now=minutes(-1), since=minutes(-2))
    stand.hears(deal(6, at, login=9), ClockMark(seq=7, at=at))
    found = [note for note in stand.shard.state.facts.reviews if note.kind is ReviewKind.LEFT_PLACE]
    assert [note.account_id for note in found] == ["acc_9"] * reviews

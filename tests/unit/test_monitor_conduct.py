"""Conduct rules, gates and consequences short of the end, on the live path: a shard fed event by event."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.proofs.check import check
from monitor.facts import BreachFact, OffenceFact, PassFact
from monitor.loaded import Checkpoint, Loaded
from monitor.record.checkpoint_rows import account_row
from monitor.record.checkpoints import checkpoint_from
from monitor.shard import Shard
from ports.platform import AccountChanged, BalanceOperation, Batch, ClockMark, Deal, Event, Side, Tick
from store.news import ScheduledRelease
from tests.unit.test_monitor_three_ways import Shelf, instruments
from tests.unit.venue_story import product

START = datetime(2014, 5, 2, 9, tzinfo=UTC)  # a Friday
LOSS = {
    "type": "max_loss_static",
    "id": "max_loss",
    "allowance": {"type": "pct_of_initial", "value": "10"},
    "breach_when": "equity < floor",
}
DAILY = {
    "type": "daily_loss",
    "id": "daily_loss",
    "anchor": "balance",
    "allowance": {"type": "pct_of_initial", "value": "1"},
    "breach_when": "equity < floor",
}


class Venue:
    """One account with 100,000.00 that trades EURUSD; every call is one batch."""

    def __init__(self, *rules: dict[str, Any], target: str = "500", news: list[ScheduledRelease] | None = None) -> None:
        made = product(Random(1)).model_dump(mode="json")
        made |= {"clock": {"zone": "UTC", "reset": "00:00"}, "loss_clock": None, "initial_balance": "100000"}
        made["phases"][0] |= {"rules": [LOSS, *rules], "target": {"type": "amount", "value": target}}
        made["phases"][0]["min_trading_days"] = 0
        self.terms = phase_terms(Product.model_validate(made), 1)
        self.releases = news or []
        self.seq, self.number, self.balance, self.now = 0, 0, 0, START
        self.lots: dict[str, tuple[Side, Decimal, Decimal]] = {}
        self.begin(None)
        self.send(
            AccountChanged(seq=self.next, at=self.now, login=1, change="opened"),
            BalanceOperation(
                seq=self.next, at=self.now, login=1, operation="deposit", key="i", amount_minor=10_000_000,
                balance_minor=10_000_000,
            ),
            AccountChanged(seq=self.next, at=self.now, login=1, change="enabled"),
        )  # fmt: skip
        self.balance = 10_000_000
        self.quote("1.10000")

    def begin(self, checkpoint: Checkpoint | None) -> None:
        """A shard that takes the account up from a checkpoint, or from its start."""
        account = Loaded("acc_1", "chl_1", 1, self.terms, "active", (), checkpoint)
        self.shard = Shard(Shelf({1: account}), instruments, news=self._news, now=self.now)
        if checkpoint is not None:
            self.shard.admission.admit(account, self.now)

    def _news(self, last: int, since: datetime) -> list[ScheduledRelease]:
        return [release for release in self.releases if release.id > last]

    @property
    def next(self) -> int:
        self.seq += 1
        return self.seq

    def send(self, *events: Event) -> None:
        self.number += 1
        mark = ClockMark(seq=self.next, at=self.now)
        self.shard.apply(Batch(number=self.number, events=(*events, mark)))

    def wait(self, **time: float) -> None:
        """Nothing happens but time."""
        self.now += timedelta(**time)
        self.send()

    def quote(self, bid: str, **later: float) -> None:
        self.now += timedelta(**later)
        self.bid = Decimal(bid)
        self.send(Tick(seq=self.next, at=self.now, symbol="EURUSD", bid=self.bid, ask=self.bid))

    def open(self, position: str, lots: str = "1", side: Side = "buy") -> None:
        self.lots[position] = (side, Decimal(lots), self.bid)
        self._fill(position, side, lots, "in", 0)

    def close(self, position: str) -> None:
        side, lots, price = self.lots.pop(position)
        move = self.bid - price if side == "buy" else price - self.bid
        self._fill(position, "sell" if side == "buy" else "buy", str(lots), "out", int(move * lots * 100_000 * 100))

    def _fill(self, position: str, side: Side, lots: str, entry: Any, profit: int) -> None:
        self.balance += profit
        self.send(
            Deal(
                seq=self.next, at=self.now, deal_id=f"d{self.seq}", login=1, position_id=position, symbol="EURUSD",
                side=side, lots=Decimal(lots), price=self.bid, entry=entry, profit_minor=profit, commission_minor=0,
                swap_minor=0, balance_minor=self.balance, reason="client",
            )
        )  # fmt: skip

    def restart(self) -> None:
        """Checkpoint, and go on from it in another shard."""
        row = account_row(self.shard, self.shard.state.accounts[0], 1)
        state, positions = json.loads(row[-1]), json.loads(row[-3])
        waiting = self.shard.state.facts
        board = self.shard.state.board
        self.begin(checkpoint_from(self.terms, row[3], positions, state))
        self.shard.state.board.prices.update(board.prices)
        self.shard.state.board.stamps.update(board.stamps)
        self.shard.state.facts.verdicts, self.shard.state.facts.gates = waiting.verdicts, waiting.gates
        self.quote(str(self.bid))

    @property
    def found(self) -> list[tuple[str, str, int]]:
        """(kind or consequence, rule, offence) of everything found so far; every sheet of it holds."""
        said = []
        for fact in self.shard.state.facts.verdicts:
            assert check(json.loads(json.dumps(fact.proof))) == [], fact
            if isinstance(fact, BreachFact):
                said.append(("breach", fact.rule_id, fact.offence))
            elif isinstance(fact, OffenceFact):
                said.append((fact.consequence, fact.rule_id, fact.offence))
            else:
                assert isinstance(fact, PassFact)
                said.append(("pass", "", 0))
        return said


def test_a_rule_of_conduct_warns_first_and_then_ends_the_phase() -> None:
    exposure = {"type": "max_exposure", "limit": "2", "consequences": [{"kind": "warn"}, {"kind": "fail"}]}
    venue = Venue(exposure)
    venue.open("a", "2")
    assert venue.found == []
    venue.open("b", "0.1")
    assert venue.found == [("warn", "max_exposure", 1)]
    venue.restart()
    venue.close("b")
    venue.open("c", "0.2")
    assert venue.found == [("warn", "max_exposure", 1), ("breach", "max_exposure", 2)]
    breach = venue.shard.state.facts.verdicts[-1]
    assert isinstance(breach, BreachFact) and breach.floor_minor is None and breach.cause
    venue.open("d", "5")
    assert len(venue.found) == 2, "an account that has ended is judged no more"


def test_a_soft_daily_limit_pauses_until_the_reset_once_a_day() -> None:
    venue = Venue(DAILY | {"consequences": [{"kind": "pause_until_reset"}, {"kind": "fail"}]})
    venue.open("a", "10")
    venue.quote("1.09899")
    assert venue.found == [("pause_until_reset", "daily_loss", 1)]
    venue.quote("1.09800")
    assert len(venue.found) == 1
    venue.close("a")
    assert venue.shard.state.facts.resumes == []
    venue.wait(hours=16)
    (resume,) = venue.shard.state.facts.resumes
    assert resume.login == 1 and resume.at == datetime(2014, 5, 3, tzinfo=UTC)
    venue.open("b", "10")
    venue.quote("1.09690")
    assert venue.found[1:] == [("breach", "daily_loss", 2)]


@pytest.mark.parametrize(("back", "found"), [("1.09950", []), ("1.09890", [("breach", "daily_loss", 1)])])
def test_a_limit_may_be_cured_within_its_minutes(back: str, found: list[tuple[str, str, int]]) -> None:
    venue = Venue(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.restart()
    venue.quote(back, minutes=9)
    venue.wait(minutes=2)
    assert venue.found == found
    if not found:
        venue.quote("1.09899")
        assert venue.found == [("breach", "daily_loss", 1)], "only once"


def test_a_cure_that_a_mere_price_brings_counts_so_that_the_next_break_ends_the_phase() -> None:
    venue = Venue(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.quote("1.09990", minutes=3)
    conduct = venue.shard.state.accounts[0].conduct
    assert conduct is not None and (conduct.curing, conduct.cured) == ({}, {"daily_loss": 1})
    venue.quote("1.09899", minutes=2)
    assert venue.found == [("breach", "daily_loss", 1)]


def test_a_cap_on_gains_takes_away_what_is_above_it() -> None:
    cap = DAILY | {
        "type": "daily_move_cap",
        "id": "cap",
        "directions": ["up"],
        "consequences": [{"kind": "deduct_profit"}],
    }
    venue = Venue(cap, target="9000")
    venue.open("a", "10")
    venue.quote("1.10120")
    (fact,) = venue.shard.state.facts.verdicts
    assert isinstance(fact, OffenceFact)
    assert (fact.consequence, fact.deducted_minor) == ("deduct_profit", 20_000)
    assert venue.found == [("deduct_profit", "cap", 1)]


def test_time_alone_ends_an_account_that_nobody_trades() -> None:
    venue = Venue({"type": "inactivity", "calendar_days": 3})
    venue.wait(days=2)
    venue.open("a")
    venue.wait(days=5)
    assert venue.found == []
    venue.close("a")
    venue.restart()
    venue.wait(days=3, seconds=-1)
    assert venue.found == []
    venue.wait(hours=1)
    assert venue.found == [("breach", "inactivity", 1)]
    assert venue.shard.state.facts.verdicts[0].at < venue.now - timedelta(minutes=50), "found at its own instant"


def test_positions_over_the_weekend_are_closed_and_nothing_more() -> None:
    flat = {
        "type": "flat_by",
        "weekday": "friday",
        "time": "21:00",
        "zone": "UTC",
        "consequences": [{"kind": "close_position"}],
    }
    venue = Venue(flat)
    venue.open("a")
    venue.open("b", side="sell")
    venue.wait(hours=12, minutes=1)
    fact = venue.shard.state.facts.verdicts[0]
    assert isinstance(fact, OffenceFact)
    assert (fact.consequence, sorted(fact.position_ids)) == ("close_position", ["a", "b"])
    assert venue.found[0] == ("close_position", "flat_by", 1)


def test_a_gate_holds_a_pass_back_until_a_day_has_ended() -> None:
    ratio = {"type": "best_day_ratio", "limit_pct": "60", "compare": "<=", "denominator": "total_profit",
             "effect": "continue_trading", "blocks": ["pass"]}  # fmt: skip
    venue = Venue(ratio)
    venue.open("a")
    venue.quote("1.10600")
    venue.close("a")
    assert venue.found == [], "600 in one day is all of the profit"
    venue.wait(days=1)
    venue.open("b")
    venue.quote("1.11100")
    venue.restart()
    venue.close("b")
    venue.wait(days=1)
    assert venue.found == [("pass", "", 0)]
    told = venue.shard.state.facts.gates
    assert [(fact.outcome, fact.met) for fact in told] == [("blocked", False)], "as of the end of the first day"
    assert check(json.loads(json.dumps(told[0].proof))) == []


def test_a_payout_and_news_reach_the_rules() -> None:
    release = ScheduledRelease(1, "nfp", START + timedelta(minutes=30), ("USD",), "high")
    news = {"type": "news_window", "before_minutes": 2, "after_minutes": 2, "applies_to": ["open", "close"],
            "consequences": [{"kind": "review"}]}  # fmt: skip
    venue = Venue(news, news=[release])
    venue.wait(minutes=27, seconds=59)
    venue.open("a")
    assert venue.found == []
    venue.restart()
    venue.wait(seconds=1)
    venue.open("b")
    assert venue.found == [("review", "news_window", 1)]
    assert [note.kind for note in venue.shard.state.facts.reviews if note.kind == "offence"] == ["offence"]


def test_an_account_without_such_rules_carries_nothing() -> None:
    venue = Venue(DAILY)
    assert venue.shard.state.accounts.conduct_states == {}

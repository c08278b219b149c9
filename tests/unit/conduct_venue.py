"""A venue whose accounts are bound by conduct rules."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.proofs.check import check
from monitor.facts import BreachFact, OffenceFact, PassFact
from monitor.judging.feed_quality import FeedQuality, Limits
from monitor.loaded import Checkpoint, Loaded
from monitor.record.checkpoint_rows import account_row
from monitor.record.checkpoints import checkpoint_from
from monitor.shard import Shard
from ports.platform import AccountChanged, BalanceOperation, Batch, ClockMark, Deal, Event, Side, StopsChanged, Tick
from store.news import ScheduledRelease
from tests.unit.market_story import Shelf, instruments
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

    feed_limits = Limits()

    def __init__(
        self,
        *rules: dict[str, Any],
        target: str = "500",
        news: list[ScheduledRelease] | None = None,
        loss_clock: dict[str, str] | None = None,
    ) -> None:
        made = product(Random(1)).model_dump(mode="json")
        made |= {"clock": {"zone": "UTC", "reset": "00:00"}, "loss_clock": loss_clock, "initial_balance": "100000"}
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
        quality = FeedQuality(self.feed_limits)
        self.shard = Shard(Shelf({1: account}), instruments, quality=quality, news=self._news, now=self.now)
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
        self.last_mark = ClockMark(seq=self.next, at=self.now)
        self.shard.apply(Batch(number=self.number, events=(*events, self.last_mark)))

    def wait(self, **time: float) -> None:
        """Nothing happens but time."""
        self.now += timedelta(**time)
        self.send()

    def quote(self, bid: str, **later: float) -> None:
        self.now += timedelta(**later)
        self.bid = Decimal(bid)
        self.send(Tick(seq=self.next, at=self.now, symbol="EURUSD", bid=self.bid, ask=self.bid))

    def open(self, position: str, lots: str = "1", side: Side = "buy", reason: Any = "client", **stops: str) -> None:
        self.lots[position] = (side, Decimal(lots), self.bid)
        self._fill(position, side, lots, "in", 0, reason, **stops)

    def protect(self, position: str, **stops: str) -> None:
        """The stop loss and the take profit of an open position from now on."""
        self.send(StopsChanged.model_validate(
            {"seq": self.next, "at": self.now, "login": 1, "position_id": position, **stops}
        ))  # fmt: skip

    def close(self, position: str) -> None:
        side, lots, price = self.lots.pop(position)
        move = self.bid - price if side == "buy" else price - self.bid
        self._fill(position, "sell" if side == "buy" else "buy", str(lots), "out", int(move * lots * 100_000 * 100))

    def _fill(
        self, position: str, side: Side, lots: str, entry: Any, profit: int, reason: Any = "client", **stops: str
    ) -> None:
        self.balance += profit
        self.send(
            Deal(
                **{name: Decimal(price) for name, price in stops.items()},
                seq=self.next, at=self.now, deal_id=f"d{self.seq}", login=1, position_id=position, symbol="EURUSD",
                side=side, lots=Decimal(lots), price=self.bid, entry=entry, profit_minor=profit, commission_minor=0,
                swap_minor=0, balance_minor=self.balance, reason=reason,
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
        facts = self.shard.state.facts
        facts.verdicts, facts.gates, facts.points = waiting.verdicts, waiting.gates, waiting.points
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

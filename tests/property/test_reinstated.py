"""An account that is breached and reinstated at once lives on exactly as one that was never breached.

Two venues play the same story on a whole phase of a product that ships. In one of them the account is ended by a breach
on the way and comes back: by a person's word on doubtful data, or by a bad tick that the monitor itself judged. Then
both have the same levels, limits, days, history, objectives, verdicts and money.
"""

from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from adapters.calendars.exchange import ExchangeCalendars
from domain.products.phase_terms import PhaseTerms, phase_terms
from monitor.facts import BreachFact
from monitor.loaded import Loaded
from monitor.shard import Shard
from ports.platform import AccountChanged, Tick
from tests.shelf import shipped
from tests.unit.conduct_venue import Venue
from tests.unit.market_story import Shelf, instruments

PHASES = [
    pytest.param(phase_terms(product, index, ExchangeCalendars()), id=f"{product.ref}/{index}")
    for product in shipped()
    for index in range(1, product.funded_index + 1)
    if product.initial_minor and product.currency == "USD"
]


class Story(Venue):
    """One account of a phase of a shipped product; its record can be changed on the way."""

    def __init__(self, terms: PhaseTerms) -> None:
        self._own = terms
        super().__init__()

    def begin(self, checkpoint: Any) -> None:
        self.terms = self._own
        self.accounts = {1: Loaded("acc_1", "chl_1", 1, self.terms, "active", (), checkpoint)}
        self.shard = Shard(Shelf(self.accounts), instruments, news=self._news, now=self.now)

    def becomes(self, **record: Any) -> None:
        self.accounts[1] = replace(self.accounts[1], **record)

    def spike(self, bid: str) -> None:
        """One tick and back again."""
        here = self.bid
        for price in (Decimal(bid), here):
            self.send(Tick(seq=self.next, at=self.now, symbol="EURUSD", bid=price, ask=price))

    def changed(self, change: Any) -> None:
        self.send(AccountChanged(seq=self.next, at=self.now, login=1, change=change))

    @property
    def ended(self) -> bool:
        return bool(self.shard.state.accounts[0].ended)

    def pause(self, *, breached: bool, bad_price: str) -> None:
        """The same length and the same money in both; only one of them is ended and comes back."""
        at = self.seq
        self.spike(bad_price if breached else str(self.bid))
        for position in list(self.lots):
            self.close(position)  # the venue flattens what it locks; the other closes by itself
        if breached:
            rule = self.terms.specs[0].rule_id
            self.becomes(status="locked", ended_seq=at + 1, breaches=((rule, at + 1),))
            self.changed("disabled")
            self.becomes(status="active", ended_seq=0)
            self.changed("enabled")
        else:
            for _ in range(2):
                self.send(Tick(seq=self.next, at=self.now, symbol="EURUSD", bid=self.bid, ask=self.bid))


def lives(venue: Story, random: Random, steps: int) -> None:
    for step in range(steps):
        if venue.ended:
            return
        venue.quote(f"{1.1 + random.randrange(-8, 9) / 10_000:.5f}", minutes=random.choice([2, 40, 200]))
        if venue.lots and random.random() < 0.6:
            venue.close(random.choice(sorted(venue.lots)))
        elif len(venue.lots) < 2:
            venue.open(f"p{venue.seq}-{step}", random.choice(["0.1", "0.5", "1"]), random.choice(["buy", "sell"]))
        if random.random() < 0.15:
            venue.wait(hours=random.choice([10, 26]))


def known_of(venue: Story) -> dict[str, Any]:
    account, state = venue.shard.state.accounts[0], venue.shard.state
    levels = zip(account.rules.specs, account.rules.states, strict=True)
    found: dict[str, Any] = {
        "levels": [(spec.key, level) for spec, level in levels],
        "days": account.trading_days,
        "money": (account.balance_minor, state.exact_equity(account), account.ended, account.judged),
        "snapshots": [(each.day, each.balance_minor, each.floors) for each in state.facts.snapshots],
    }
    if account.conduct is not None:
        limits = account.conduct.limits.items()
        found |= {
            "limits": {name: each.counted for name, each in limits if each.counted},
            "history": account.conduct.history,
            "gates": account.conduct.gates,
        }
    return found


@pytest.mark.parametrize("terms", PHASES)
@pytest.mark.parametrize("seed", range(3))
def test_as_if_it_had_never_been_breached(terms: PhaseTerms, seed: int) -> None:
    both = []
    for breached in (True, False):
        random = Random(seed)
        venue = Story(terms)
        lives(venue, random, random.randint(3, 25))
        if venue.ended:
            return  # a real verdict came first: there is nothing to reinstate
        before = len(venue.shard.state.facts.verdicts)
        venue.pause(breached=breached, bad_price=str(venue.bid))
        lives(venue, random, 25)
        found = [(type(fact).__name__, fact.account_id) for fact in venue.shard.state.facts.verdicts[before:]]
        both.append((known_of(venue), found))
    (one, said), (other, meant) = both
    for name in one:
        assert one[name] == other[name], name
    assert said == meant


@pytest.mark.parametrize("terms", PHASES)
def test_a_bad_tick_that_ended_it_leaves_no_trace_but_the_verdict(terms: PhaseTerms) -> None:
    """The monitor judges the bad tick itself; the firm overturns the breach at once."""
    both = []
    for breached in (True, False):
        venue = Story(terms)
        venue.quote("1.10000", minutes=5)
        venue.open("a", "10")
        venue.quote("1.10010", minutes=1)
        venue.pause(breached=breached, bad_price="1.07000")
        if breached and not any(isinstance(fact, BreachFact) for fact in venue.shard.state.facts.verdicts):
            return  # no level of this phase is compared at each tick
        venue.quote("1.10000", minutes=5)
        venue.open("b", "1")
        venue.quote("1.10020", minutes=40)
        venue.close("b")
        both.append(known_of(venue))
    for name in both[0]:
        assert both[0][name] == both[1][name], name

"""Levels that move while the worth of an account is not known: the first known price is judged with the new level."""

from decimal import Decimal
from typing import Any

from ports.platform import BalanceOperation, Deal, Tick
from tests.unit.conduct_venue import Venue

_TRAILING: dict[str, Any] = {
    "type": "max_loss_trailing",
    "peak_basis": "intraday_balance_peak",
    "allowance": {"type": "pct_of_initial", "value": "5"},
    "breach_when": "equity < floor",
    "payout_effect": "locks_at_initial",
}


def _unpriced(venue: Venue) -> None:
    """Opens a position in a symbol that nobody has quoted yet."""
    venue.send(
        Deal(
            seq=venue.next, at=venue.now, deal_id="g", login=1, position_id="g", symbol="GBPUSD", side="buy",
            lots=Decimal("0.01"), price=Decimal("1.50000"), entry="in", profit_minor=0, commission_minor=0,
            swap_minor=0, balance_minor=venue.balance, reason="client",
        )
    )  # fmt: skip


def _priced(venue: Venue) -> None:
    bid = Decimal("1.50000")
    venue.send(Tick(seq=venue.next, at=venue.now, symbol="GBPUSD", bid=bid, ask=bid))


def test_a_floor_that_a_payout_locked_binds_at_the_first_known_price() -> None:
    venue = Venue(_TRAILING, target="90000")
    venue.open("a", "1")
    venue.quote("1.09900", minutes=1)
    _unpriced(venue)
    venue.send(
        BalanceOperation(
            seq=venue.next, at=venue.now, login=1, operation="payout_settled", key="p", amount_minor=0,
            balance_minor=venue.balance,
        )
    )  # fmt: skip
    assert venue.found == []
    _priced(venue)
    assert venue.found == [("breach", "trailing_loss", 1)]


def test_a_peak_of_the_balance_that_rose_binds_at_the_first_known_price() -> None:
    venue = Venue(_TRAILING, target="90000")
    venue.open("a", "1")
    venue.open("b", "10")
    venue.quote("1.10500", minutes=1)
    _unpriced(venue)
    venue.close("b")  # the balance is 105,000.00 now, the floor 100,000.00
    venue.quote("1.04900", minutes=1)
    _priced(venue)
    assert venue.found == [("breach", "trailing_loss", 1)]


def test_the_limit_of_a_symbol_counts_positions_that_were_opened_meanwhile() -> None:
    limit = {"type": "floating_loss", "per": "symbol", "limit": {"type": "pct_of_initial", "value": "1"}}
    venue = Venue(limit, target="90000")
    venue.open("a", "1")
    _unpriced(venue)
    venue.open("b", "1")
    _priced(venue)
    venue.quote("1.09400", minutes=1)
    assert venue.found == [("breach", "floating_loss", 1)]

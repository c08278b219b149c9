"""The venue's arithmetic and its stops."""

from decimal import Decimal

import pytest

from domain.errors import BadInput, Conflict, NotFound, RateMissing
from ports.platform import Correction, Deal, Side, StopsChanged
from sandbox.feed import Quote
from sandbox.symbols import symbol_specs
from sandbox.venue import Venue

SYMBOLS = ("EURUSD", "USDJPY", "XAUUSD")


def _tick(venue: Venue, symbol: str, bid: str, ask: str) -> None:
    venue.tick(Quote(venue.now_us + 1, symbol, Decimal(bid), Decimal(ask)))


def _venue(currency: str = "USD") -> tuple[Venue, int]:
    venue = Venue(symbol_specs(SYMBOLS))
    login = venue.create_account("chl_1/1", "test/1", currency, 100)
    venue.balance_operation(login, "d", "deposit", 10_000_000)
    venue.set_trading(login, "on", True)
    _tick(venue, "EURUSD", "1.38694", "1.38705")
    _tick(venue, "XAUUSD", "1284.065", "1284.405")
    return venue, login


def _last_deal(venue: Venue) -> Deal:
    event = venue.pending[-1].event
    assert isinstance(event, Deal)
    return event


def test_a_yen_profit_is_booked_in_dollars_through_the_ask() -> None:
    venue, login = _venue()
    _tick(venue, "USDJPY", "101.500", "101.510")
    position_id = venue.order(login, "USDJPY", "buy", Decimal("0.33"))
    _tick(venue, "USDJPY", "101.777", "101.790")
    expected = Decimal("0.267") * 33_000 / Decimal("101.790") * 100
    venue.order(login, "USDJPY", "sell", Decimal("0.33"), position_id=position_id)
    deal = _last_deal(venue)
    assert (deal.profit_minor, deal.price, deal.side) == (round(expected), Decimal("101.777"), "sell")
    assert deal.balance_minor == 10_000_000 - 165 + deal.profit_minor


def test_a_euro_account_converts_dollars_and_refuses_what_it_cannot_convert() -> None:
    venue, login = _venue("EUR")
    venue.order(login, "XAUUSD", "sell", Decimal(2))
    account = venue.account(login)
    (position,) = account.positions.values()
    assert venue.profit_minor(account, position) == round(Decimal("-0.340") * 200 / Decimal("1.38705") * 100)
    _tick(venue, "USDJPY", "101.5", "101.51")
    with pytest.raises(RateMissing):
        venue.order(login, "USDJPY", "buy", Decimal(1))
    assert len(account.positions) == 1


def test_stops_and_targets_fill_at_the_tick_that_reaches_them() -> None:
    venue, login = _venue()
    low, high = Decimal(1280), Decimal(1290)
    venue.order(login, "XAUUSD", "buy", Decimal(1), stop_loss=low, take_profit=high)
    venue.order(login, "XAUUSD", "sell", Decimal(1), stop_loss=high, take_profit=low)
    made = len(venue.pending)
    _tick(venue, "XAUUSD", "1280.001", "1280.4")
    _tick(venue, "XAUUSD", "1289.6", "1289.999")
    _tick(venue, "EURUSD", "1.2", "1.21")
    assert len(venue.pending) == made
    _tick(venue, "XAUUSD", "1291", "1291.5")  # a gap through both: filled where the market is
    fills = [item.event for item in venue.pending[made:] if isinstance(item.event, Deal)]
    assert [(f.reason, f.price, f.profit_minor) for f in fills] == [
        ("take_profit", Decimal(1291), 65_950),
        ("stop_loss", Decimal("1291.5"), -74_350),
    ]
    assert venue.account(login).positions == {}


def test_a_stop_can_be_moved_and_removed_while_the_position_is_open() -> None:
    venue, login = _venue()
    position_id = venue.order(login, "XAUUSD", "buy", Decimal(1), stop_loss=Decimal(1280))
    assert _last_deal(venue).stop_loss == 1280
    venue.protect(login, position_id, None, Decimal(1290))
    changed = venue.pending[-1].event
    assert isinstance(changed, StopsChanged)
    assert (changed.position_id, changed.stop_loss, changed.take_profit) == (position_id, None, Decimal(1290))
    _tick(venue, "XAUUSD", "1279", "1279.4")
    assert venue.account(login).positions, "the old stop is gone"
    with pytest.raises(BadInput, match="wrong side"):
        venue.protect(login, position_id, Decimal(1280), None)
    venue.protect(login, position_id, Decimal(1278), None)
    _tick(venue, "XAUUSD", "1277", "1277.4")
    assert (venue.account(login).positions, _last_deal(venue).reason) == ({}, "stop_loss")
    with pytest.raises(NotFound):
        venue.protect(login, position_id, None, None)


@pytest.mark.parametrize(
    ("side", "stop", "target"),
    [("buy", "1284.065", None), ("buy", None, "1284.405"), ("sell", "1284.405", None), ("sell", None, "1285")],
)
def test_a_stop_on_the_wrong_side_is_refused(side: str, stop: str | None, target: str | None) -> None:
    venue, login = _venue()
    low, high = stop and Decimal(stop), target and Decimal(target)
    with pytest.raises(BadInput, match="wrong side"):
        venue.order(login, "XAUUSD", side, Decimal(1), stop_loss=low or None, take_profit=high or None)  # type: ignore[arg-type]


def test_a_position_closes_in_parts_and_never_more_than_it_holds() -> None:
    venue, login = _venue()
    position_id = venue.order(login, "XAUUSD", "buy", Decimal("1.00"))
    venue.order(login, "XAUUSD", "sell", Decimal("0.40"), position_id=position_id)
    assert venue.account(login).positions[position_id].lots == Decimal("0.60")
    wrong: list[tuple[Side, str]] = [("sell", "0.61"), ("buy", "0.10")]
    for side, lots in wrong:
        with pytest.raises(BadInput):
            venue.order(login, "XAUUSD", side, Decimal(lots), position_id=position_id)
    venue.order(login, "XAUUSD", "sell", Decimal("0.6"), position_id=position_id)
    assert venue.account(login).positions == {}
    assert _last_deal(venue).deal_id == f"{login}-3"


def test_a_floating_loss_cannot_be_withdrawn() -> None:
    venue, login = _venue()
    venue.order(login, "XAUUSD", "buy", Decimal(10))
    _tick(venue, "XAUUSD", "1274.405", "1274.8")
    with pytest.raises(Conflict):
        venue.balance_operation(login, "p", "payout_hold", -9_500_000)
    assert venue.account(login).balance_minor == 10_000_000 - 5_000


def test_a_disabled_account_and_an_unquoted_symbol_refuse_orders() -> None:
    venue, login = _venue()
    with pytest.raises(Conflict, match="no price"):
        venue.order(login, "USDJPY", "buy", Decimal(1))
    venue.set_trading(login, "off", False)
    with pytest.raises(Conflict, match="disabled"):
        venue.order(login, "XAUUSD", "buy", Decimal(1))


def test_what_was_said_can_be_taken_back() -> None:
    venue, _ = _venue()
    venue.correct(7, bid=Decimal("1284.1"), ask=Decimal("1284.4"), reason="wrong print")
    event = venue.pending[-1].event
    assert isinstance(event, Correction)
    assert (event.corrects_seq, event.bid, event.change_minor) == (7, Decimal("1284.1"), None)

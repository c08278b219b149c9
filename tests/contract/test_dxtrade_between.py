"""What happens at DXtrade between two reads of the feed is told once, with its stops and its money."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ports.platform import BalanceOperation, Correction, Deal, StopsChanged
from sandbox.dxtrade import rest, trading
from sandbox.dxtrade.state import Account, Order
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.contract.dxtrade_watched import Watched, watching

_STOP = Decimal("1.09")


@pytest.fixture
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        running.quote("EURUSD", "1.10000", "1.10010")
        running.quote("USDJPY", "150.000", "150.010")
        running.control.put("/rates/JPY/USD/0.01").raise_for_status()
        yield running


class Trader:
    """Trades inside the venue: all that one call does is there before the next answer is made."""

    def __init__(self, venue: DxtradeThread) -> None:
        self._venue, self.login = venue, venue.open_account()
        self._account = venue.account(self.login)

    def place(self, **asked: Any) -> Order:
        body: dict[str, Any] = {
            "orderCode": f"trader-{self._venue.fake.venue.number()}",
            "type": "MARKET",
            "instrument": "EURUSD",
        }
        body |= {"side": "BUY", "quantity": 10_000, "positionEffect": "OPEN", **asked}
        return trading.place(self._venue.fake.venue, self._account, body)

    def set_stop(self, position: str, stop: Decimal | None) -> None:
        trading.set_stops(self._venue.fake.venue, self._account, position, stop, None)

    def open_with_stop(self) -> str:
        """Opens a position that has its stop from the beginning: one push tells both."""
        inside = self._venue.fake.venue
        push, inside.on_change = inside.on_change, _nobody
        position = self.place().position_code
        inside.on_change = push
        self.set_stop(position, _STOP)
        return position

    def deposit(self) -> None:
        self._venue.fake.venue.book(self._account, "DEPOSIT", Decimal(50), "")
        self._venue.fake.venue.on_change(self._account, "portfolio", None)

    def close_unsettled(self, position: str) -> tuple[Order, dict[str, Any]]:
        """Closes a position. The order does not show its settlement yet, which is returned with it."""
        order = self.place(instrument="USDJPY", side="SELL", positionEffect="CLOSE", positionCode=position)
        return order, order.cash.pop()

    def settle(self, order: Order, settlement: dict[str, Any]) -> None:
        order.cash.append(settlement)
        self._venue.fake.venue.on_change(self._account, "portfolio", None)


def _nobody(account: Account, kind: str, what: Any) -> None:
    """Pushes nothing."""


@pytest.fixture
def trader(venue: DxtradeThread) -> Trader:
    return Trader(venue)


def after(monkeypatch: pytest.MonkeyPatch, place: str, act: Callable[[], Any]) -> None:
    """Acts inside the venue once: right after it has made its next answer of orders, or of a portfolio."""
    owner, name = {"orders": (rest, "_history"), "portfolio": (trading, "shown_portfolio")}[place]
    make, left = getattr(owner, name), [act]

    def answer(*given: Any) -> Any:
        made = make(*given)
        if left:
            left.pop()()
        return made

    monkeypatch.setattr(owner, name, answer)


async def test_a_stop_that_was_removed_while_nobody_read_is_told(
    venue: DxtradeThread, trader: Trader, tmp_path: Path
) -> None:
    async with watching(venue, tmp_path) as first:
        position = venue.inside(trader.open_with_stop)
        await first.until(lambda: first.told(Deal, trader.login))
        assert first.told(Deal, trader.login)[0].stop_loss == _STOP
    venue.inside(trader.set_stop, position, None)
    async with watching(venue, tmp_path) as second:
        assert second.gateway.sequencer.books[trader.login].positions[position].stop_loss is None
        [told] = second.told(StopsChanged, trader.login)
        assert (told.position_id, told.stop_loss) == (position, None)


async def test_an_opening_while_nobody_read_is_told_with_its_stop(
    venue: DxtradeThread, trader: Trader, tmp_path: Path
) -> None:
    async with watching(venue, tmp_path):
        pass
    venue.inside(trader.open_with_stop)
    async with watching(venue, tmp_path) as watched:
        [deal] = watched.told(Deal, trader.login)
        assert deal.stop_loss == _STOP and not watched.told(StopsChanged, trader.login)


@pytest.mark.parametrize("place", ["orders", "portfolio"])
async def test_an_opening_between_two_lists_is_told_with_its_stop(
    venue: DxtradeThread, trader: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    async with watching(venue, tmp_path):
        pass
    after(monkeypatch, place, trader.open_with_stop)
    async with watching(venue, tmp_path) as watched:
        await watched.until(lambda: watched.told(Deal, trader.login))
        [deal] = watched.told(Deal, trader.login)
        assert deal.stop_loss == _STOP and not watched.told(StopsChanged, trader.login)


async def test_an_opening_that_a_sweep_finds_before_its_push_is_told_with_its_stop(
    venue: DxtradeThread, trader: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dxtrade.live._SWEEP", 0.2)
    async with watching(venue, tmp_path) as watched:
        venue.amiss(kind="delay", match="Account(Portfolios|Metrics)", times=99, delay=120)
        venue.inside(trader.open_with_stop)
        await watched.until(lambda: watched.told(Deal, trader.login))
        [deal] = watched.told(Deal, trader.login)
        assert deal.stop_loss == _STOP and not watched.told(StopsChanged, trader.login)


@pytest.mark.parametrize("place", ["orders", "portfolio"])
async def test_a_fresh_journal_begins_with_snapshots_and_tells_what_came_after_them(
    venue: DxtradeThread, trader: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def trade() -> None:
        trader.deposit()
        trader.place()

    venue.inside(trader.place)
    after(monkeypatch, place, trade)
    async with watching(venue, tmp_path) as watched:
        await watched.until(lambda: watched.told(Deal, trader.login))
        book = watched.gateway.sequencer.books[trader.login]
        assert [held.lots for held in book.positions.values()] == [Decimal("0.1"), Decimal("0.1")]
        await watched.until(lambda: watched.told(BalanceOperation, trader.login))
        assert book.differences(await watched.platform.snapshot(trader.login)) == []
        assert len(watched.told(Deal, trader.login)) == len(watched.told(BalanceOperation, trader.login)) == 1


class Unsettled:
    """A position in a symbol of another currency, which is closed for 10.00 before its settlement is there. `shown`:
    how often the venue has listed the closing order without it."""

    def __init__(self, venue: DxtradeThread, trader: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
        self._venue, self._trader, self.shown = venue, trader, 0
        self._order: tuple[Order, dict[str, Any]] | None = None
        made = rest._history

        def history(*given: Any) -> Any:
            found = made(*given)
            orders = [each for each in found["orders"] if self._order and each["orderCode"] == self._order[0].code]
            self.shown += any(not each["cashTransactions"] for each in orders)
            return found

        monkeypatch.setattr(rest, "_history", history)

    async def close(self, watched: Watched) -> None:
        position = self._venue.inside(lambda: self._trader.place(instrument="USDJPY")).position_code
        await watched.until(lambda: watched.told(Deal, self._trader.login))
        self._venue.quote("USDJPY", "150.110", "150.120")

        def close() -> None:
            self._order = self._trader.close_unsettled(position)

        self._venue.inside(close)
        await watched.until(lambda: self.shown)

    def settle(self) -> None:
        assert self._order is not None
        self._venue.inside(self._trader.settle, *self._order)


@pytest.fixture
def unsettled(venue: DxtradeThread, trader: Trader, monkeypatch: pytest.MonkeyPatch) -> Unsettled:
    return Unsettled(venue, trader, monkeypatch)


async def test_a_close_waits_for_its_settlement(
    venue: DxtradeThread, trader: Trader, tmp_path: Path, unsettled: Unsettled
) -> None:
    async with watching(venue, tmp_path) as watched:
        await unsettled.close(watched)
        unsettled.settle()
        await watched.until(lambda: len(watched.told(Deal, trader.login)) == 2)
        await watched.agrees(trader.login)
        assert watched.told(Deal, trader.login)[1].profit_minor == 10_00
        assert not watched.told(Correction)


async def test_a_close_that_waits_is_told_after_a_restart(
    venue: DxtradeThread, trader: Trader, tmp_path: Path, unsettled: Unsettled
) -> None:
    async with watching(venue, tmp_path) as first:
        await unsettled.close(first)
    unsettled.settle()
    async with watching(venue, tmp_path) as second:
        await second.until(lambda: len(second.told(Deal, trader.login)) == 2)
        assert second.told(Deal, trader.login)[1].profit_minor == 10_00
        assert not second.told(Correction)


async def test_a_close_whose_settlement_does_not_come_is_told_without_it(
    venue: DxtradeThread, trader: Trader, tmp_path: Path, unsettled: Unsettled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dxtrade.live._SWEEP", 0.2)
    async with watching(venue, tmp_path) as watched:
        await unsettled.close(watched)
        await watched.until(lambda: len(watched.told(Deal, trader.login)) == 2)
        assert unsettled.shown >= 2
        assert watched.told(Deal, trader.login)[1].profit_minor == 0
        unsettled.settle()
        await watched.until(lambda: watched.told(Correction))
        await watched.agrees(trader.login)

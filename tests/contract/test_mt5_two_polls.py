"""What happens at the MT5 server between two polls, and between two connections, is told as what it was."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.mt5 import names
from ports import platform as port
from ports.platform import Correction, StopsChanged
from sandbox.mt5 import values
from sandbox.mt5.server import FakeServer
from sandbox.mt5.state import Deal
from sandbox.mt5.wire import Reply, Request
from tests.contract.fake_mt5 import RunningFake, running_fake
from tests.contract.mt5_reading import POLLS, Reading, reading

_LIMIT: dict[str, Any] = {"symbol": "EURUSD", "type": 2, "lots": "0.02", "price": "1.1"}


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with running_fake() as running:
        yield running


def after(fake: RunningFake, path: str, happen: Callable[[FakeServer], object]) -> None:
    """Something happens right after the next answer to this poll, once."""
    answer, waiting = fake.fake.api.answer, [path]

    async def answered(request: Request, session: Any) -> Reply:
        reply = await answer(request, session)
        if request.path in waiting:
            waiting.clear()
            happen(fake.fake)
        return reply

    fake.run(lambda it: setattr(it.api, "answer", answered))


async def polled(here: Reading, path: str) -> None:
    """Waits until a round that began later than now has asked for this list, and for those that come after it."""
    asked: list[str] = []
    after(here.fake, path, lambda _: asked.append(path))
    await here.until(lambda: bool(asked))
    after(here.fake, "/api/time/server", lambda _: asked.append("the next round"))
    await here.until(lambda: len(asked) == 2)


@pytest.mark.parametrize("path", POLLS)
async def test_a_pending_order_that_fills_between_two_polls_is_told_as_one(fake: RunningFake, path: str) -> None:
    login = fake.account(enabled=True)

    def fill(it: FakeServer) -> None:
        it.controls.fill_order({"order": it.controls.pending({"login": login, **_LIMIT})["order"]})

    async with reading(fake) as here:
        after(fake, path, fill)
        await here.until(lambda: [each.reason for each in here.events(port.Deal)] == ["pending_fill"])


@pytest.mark.parametrize("path", POLLS)
async def test_a_part_of_a_pending_order_that_fills_between_two_polls_is_told_as_one(
    fake: RunningFake, path: str
) -> None:
    login = fake.account(enabled=True)

    def fill_half(it: FakeServer) -> None:
        order = it.controls.pending({"login": login, **_LIMIT})["order"]
        it.state.open(login, "EURUSD", values.BUY, values.LOTS_EXACT // 100, order=order)

    async with reading(fake) as here:
        after(fake, path, fill_half)
        await here.until(lambda: [each.reason for each in here.events(port.Deal)] == ["pending_fill"])


@pytest.mark.parametrize("path", POLLS)
async def test_a_stop_that_is_taken_away_before_the_next_poll_is_told(fake: RunningFake, path: str) -> None:
    """Else the position would look protected for as long as it is open."""
    login = fake.account(enabled=True)

    def open_and_bare(it: FakeServer) -> None:
        opened = it.state.open(login, "EURUSD", values.BUY, values.LOTS_EXACT, stop_loss=Decimal("1.09"))
        it.controls.stops({"position": opened.position})

    async with reading(fake) as here:
        after(fake, path, open_and_bare)
        await here.until(lambda: len(here.events(port.Deal)) == 1)
        assert here.events(port.Deal)[0].stop_loss == Decimal("1.09")
        await here.until(lambda: [each.stop_loss for each in here.events(StopsChanged)] == [None])


async def test_a_stop_that_is_set_before_the_deal_is_written_down_is_told(fake: RunningFake) -> None:
    login = fake.account(enabled=True)

    def open_late(it: FakeServer) -> Deal:
        """The server lists the position, and its deal later."""
        opened = it.state.open(login, "EURUSD", values.BUY, values.LOTS_EXACT)
        it.controls.stops({"position": opened.position, "stop_loss": "1.09"})
        return it.state.deals.pop(opened.ticket)

    async with reading(fake, compare_every=3600) as here:
        deal = fake.run(open_late)
        await polled(here, "/api/position/get_batch")
        fake.run(lambda it: it.state.deals.setdefault(deal.ticket, deal))
        await here.until(lambda: [each.stop_loss for each in here.events(StopsChanged)] == [Decimal("1.09")])
        assert [each.stop_loss for each in here.events(port.Deal)] == [None]


async def test_a_stop_that_is_taken_away_while_nobody_reads_is_told(fake: RunningFake, tmp_path: Path) -> None:
    login = fake.account(enabled=True)
    async with reading(fake, tmp_path) as here:
        opened = fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.01", stop_loss="1.05")
        await here.settled()
    fake.control("stops", position=opened["position"])
    async with reading(fake, tmp_path) as here:
        await here.until(lambda: [each.stop_loss for each in here.events(StopsChanged)] == [None])


async def test_a_deal_that_is_cancelled_while_nobody_reads_is_taken_back(fake: RunningFake, tmp_path: Path) -> None:
    login = fake.account(enabled=True)
    async with reading(fake, tmp_path) as here:
        position = fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.10")["position"]
        fake.control("quote", quotes={"EURUSD": ["1.10100", "1.10110"]})
        deal = fake.control("close", position=position)["deal"]
        await here.settled()

    def cancel(it: FakeServer) -> None:
        found = it.state.deals[deal]
        found.action = names.DEAL_SELL_CANCELED
        it.state.users[login].balance -= found.effect

    fake.run(cancel)
    async with reading(fake, tmp_path) as here:
        await here.until(lambda: [each.change_minor for each in here.events(Correction)] == [None])
        await here.settled()


async def test_a_withdrawal_that_is_written_down_late_never_looks_like_a_loss(fake: RunningFake) -> None:
    login = fake.account("5000.00", positions=0, enabled=True)

    def withdraw_late(it: FakeServer) -> Deal:
        """The account's state moves, and its deal is listed later."""
        ticket = it.controls.deposit({"login": login, "amount": "-4000"})["deal"]
        return it.state.deals.pop(ticket)

    async with reading(fake, compare_every=3600) as here:
        await here.until(lambda: here.gateway.sequencer.books[login].proven)
        deal = fake.run(withdraw_late)
        await polled(here, "/api/user/account/get_batch")
        fake.run(lambda it: it.state.deals.setdefault(deal.ticket, deal))
        await here.settled()
        await here.until(lambda: "state" in certain(here))
        assert certain(here) == ["balance", "state"]


def certain(here: Reading) -> list[str]:
    """What is told as certain of the money after the withdrawal, by kind."""
    told = [each for each in here.events() if each.kind in ("balance", "state") and each.balance_minor == 1000_00]
    return [each.kind for each in told if each.kind == "balance" or not each.estimated]


@pytest.mark.parametrize("path", POLLS)
async def test_a_fresh_gateway_begins_with_what_is_true(fake: RunningFake, path: str) -> None:
    """A position is opened and another one closed while the first lists are read."""
    login = fake.account(enabled=True)
    fake.control("quote", quotes={"EURUSD": ["1.09000", "1.09010"]})

    def trade(it: FakeServer) -> None:
        first = next(iter(it.state.positions))
        it.controls.close({"position": first})
        it.state.open(login, "EURUSD", values.SELL, values.LOTS_EXACT)

    after(fake, path, trade)
    async with reading(fake) as here:
        await here.settled()
        book = here.gateway.sequencer.books[login]
        await here.until(lambda: book.proven)

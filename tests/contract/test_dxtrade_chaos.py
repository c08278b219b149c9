"""Trading on a fake DXtrade whose sockets and lists fail at random: nothing is lost, nothing is told twice."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest

from ports.platform import BalanceOperation, Deal
from sandbox.dxtrade.faults import CallFault, CallSwitch, PushFault, PushSwitch
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.contract.dxtrade_watched import Watched, watching

_STEPS: Final = 120
_QUESTIONS: Final = "^GET /dxsca-web/accounts"
_ANSWERS: Final[tuple[CallFault, ...]] = ("too_many", "busy", "cut_after", "half_body", "wrong_type", "unknown_enum")


@pytest.fixture
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        running.quote("EURUSD", "1.10000", "1.10010")
        yield running


def _step(venue: DxtradeThread, chance: random.Random, login: int, number: int) -> None:
    """Something that a trader or the market does."""
    account = venue.account(login)
    kind = chance.choice(["open", "open", "close", "part", "quote", "swap"])
    code = chance.choice(sorted(account.positions) or [""])
    if kind == "quote":
        points = chance.randrange(109_000, 111_000)
        venue.quote("EURUSD", f"{points / 100_000:.5f}", f"{(points + 10) / 100_000:.5f}")
    elif kind == "swap":
        venue.control.post(f"/accounts/default:{login}/financing/-0.{chance.randrange(10, 99)}").raise_for_status()
    elif kind == "open" or not code:
        venue.order(
            login, f"trader-{number}", quantity=1000 * chance.randrange(1, 9), side=chance.choice(["BUY", "SELL"])
        )
    else:
        held = account.positions[code]
        quantity = int(held.quantity) if kind == "close" else max(1000, int(held.quantity) // 2000 * 1000)
        side = "SELL" if held.side == "BUY" else "BUY"
        closing = {"positionEffect": "CLOSE", "positionCode": code}
        venue.order(login, f"trader-{number}", quantity=quantity, side=side, **closing)


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_and_nothing_told_twice(
    venue: DxtradeThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("adapters.dxtrade.live._SWEEP", 1.0)
    chance = random.Random(seed)
    logins = [venue.open_account("100000.00") for _ in range(3)]
    async with watching(venue, tmp_path) as watched:
        faults = venue.fake.faults
        for number in range(_STEPS):
            if chance.random() < 0.15:
                kind = chance.choice(get_args(PushFault))
                faults.pushes.append(PushSwitch(kind=kind, delay=chance.random() * 2))
            if chance.random() < 0.03:
                faults.calls.append(CallSwitch(kind=chance.choice(_ANSWERS), match=_QUESTIONS, pause=0))
            await asyncio.to_thread(_step, venue, chance, chance.choice(logins), number)  # the gateway reads meanwhile
        faults.pushes.clear()
        faults.calls.clear()
        for login in logins:
            await _told_once(watched, venue, login)
        assert faults.uses.total() > 0


async def _told_once(watched: Watched, venue: DxtradeThread, login: int) -> None:
    """Waits until everything is told, and checks that nothing is told twice."""
    account = venue.account(login)
    fills = sorted(each["executionCode"] for order in account.orders.values() for each in order.executions)
    swaps = sorted(
        each["transferCode"] for each in account.transfers if each["cashTransactions"][0]["type"] == "FINANCING"
    )
    await watched.until(lambda: len(watched.told(Deal, login)) >= len(fills))
    await watched.until(lambda: len(watched.told(BalanceOperation, login)) >= len(swaps))
    await watched.agrees(login)
    assert sorted(deal.deal_id for deal in watched.told(Deal, login)) == fills
    assert sorted(each.key for each in watched.told(BalanceOperation, login)) == swaps

"""What every trading platform must do, however a call goes wrong. A platform's own test module makes a `PlatformWorld`
and subclasses `PlatformContract`:

from tests.contract.faults import pytest_generate_tests

class TestMyPlatform(PlatformContract):
    calls, reads = tuple(CALLS), tuple(READS)

    @pytest.fixture
    async def world(self) -> AsyncIterator[PlatformWorld]: ...
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import uuid4

import pytest
from pydantic import SecretStr

from domain.errors import Conflict, IdempotencyMismatch, NotFound, RefusedForGood, Unavailable
from ports.credentials import Holder, ResetsCredentials
from ports.platform import TradingPlatform
from ports.stops import CancelsOrders, LimitsToClosing, StopsEverybody
from tests.contract.faults import HAPPENS, RAISES, Fault, Suite, check_class

Step = Callable[[TradingPlatform, int, str], Awaitable[Any]]


class PlatformWorld(ABC):
    """A platform and the other side, which the test controls."""

    platform: TradingPlatform

    @abstractmethod
    async def account(self) -> int:
        """Returns the login of an account with 1,000.00 that may not trade; two positions are open if it can have
        any."""

    @abstractmethod
    def fault(self, fault: Fault, call: str) -> AbstractContextManager[TradingPlatform]:
        """Yields the platform; its next calls of this name end so."""

    @abstractmethod
    def count(self, call: str) -> int:
        """Returns how often the effect of this call has happened so far, by the other side's own record."""

    async def place_order(self, login: int) -> None:
        """The trader places a pending order that is not filled; the account's permission is as before."""
        raise NotImplementedError

    def orders(self, login: int) -> int:
        """Returns how many pending orders the account has."""
        raise NotImplementedError

    def opens(self, login: int) -> bool:
        """The trader tries to open a position; returns whether the other side lets him."""
        raise NotImplementedError

    def signs_in(self, login: int, password: str) -> bool:
        """Returns whether the trader of the account signs in with this password."""
        raise NotImplementedError


async def _nothing(world: PlatformWorld, login: int) -> None:
    """An account as it is made is ready for the call."""


@dataclass(frozen=True)
class Call:
    """`make` calls with a key; `found` says whether its effect is there, by the port's own look-up or by what the
    trader can do. `prepare`: what the account needs before."""

    make: Step
    found: Callable[[PlatformWorld, int, str], Awaitable[bool]]
    prepare: Callable[[PlatformWorld, int], Awaitable[None]] = _nothing


async def _open(platform: TradingPlatform, login: int, key: str) -> int:
    return await platform.create_account(key=key, group="two-step/1", currency="USD", leverage=100)


async def _deposit(platform: TradingPlatform, login: int, key: str) -> None:
    await platform.balance_operation(login, key=key, operation="deposit", amount_minor=500_00)


async def _enable(platform: TradingPlatform, login: int, key: str) -> None:
    await platform.set_trading(login, key=key, enabled=True)


async def _lock(platform: TradingPlatform, login: int, key: str) -> None:
    await platform.lock(login, key=key)


async def _close(platform: TradingPlatform, login: int, key: str) -> None:
    positions = [position.position_id for position in (await platform.snapshot(login)).positions]
    await platform.close_positions(login, key=key, position_ids=positions or [f"{login}-1", f"{login}-2"])


async def _lock_live(platform: TradingPlatform, login: int, key: str) -> None:
    stream = platform.open_stream()
    try:
        await asyncio.to_thread(stream.lock, login, key)
    finally:
        stream.close()


async def _lock_many_live(platform: TradingPlatform, login: int, key: str) -> None:
    stream = platform.open_stream()
    try:
        await asyncio.to_thread(stream.lock_many, [(login, key)])
    finally:
        stream.close()


async def _cancel(platform: TradingPlatform, login: int, key: str) -> None:
    await cast(CancelsOrders, platform).cancel_orders(login, key=key)


async def _only_close(platform: TradingPlatform, login: int, key: str) -> None:
    await cast(LimitsToClosing, platform).set_close_only(login, key=key, close_only=True)


async def _stop(platform: TradingPlatform, login: int, key: str) -> None:
    await cast(StopsEverybody, platform).set_stopped(key=key, symbol=None, stopped=True)


async def _create_credentials(platform: TradingPlatform, login: int, key: str) -> None:
    holder = Holder(f"{login}@example.com", "Jo Doe")
    found = await cast(ResetsCredentials, platform).create_credentials(
        login, key=key, password=password_of(key), holder=holder
    )
    assert found.username and found.new


async def _reset_credentials(platform: TradingPlatform, login: int, key: str) -> None:
    found = await cast(ResetsCredentials, platform).reset_credentials(login, key=key, password=password_of(key))
    assert found.username and found.new


async def _has_account(world: PlatformWorld, login: int, key: str) -> bool:
    return await world.platform.find_account(key) is not None


async def _has_deposit(world: PlatformWorld, login: int, key: str) -> bool:
    found = await world.platform.find_balance_operation(login, key=key, operation="deposit")
    assert found in (None, 500_00)
    return found is not None


async def _trades(world: PlatformWorld, login: int, key: str) -> bool:
    return (await world.platform.snapshot(login)).trading_enabled


async def _does_not_trade(world: PlatformWorld, login: int, key: str) -> bool:
    return not (await world.platform.snapshot(login)).trading_enabled


async def _is_flat(world: PlatformWorld, login: int, key: str) -> bool:
    return not (await world.platform.snapshot(login)).positions


async def _has_no_orders(world: PlatformWorld, login: int, key: str) -> bool:
    return not world.orders(login)


async def _is_stopped(world: PlatformWorld, login: int, key: str) -> bool:
    return None in await cast(StopsEverybody, world.platform).stopped()


async def _signs_in(world: PlatformWorld, login: int, key: str) -> bool:
    return world.signs_in(login, password_of(key).get_secret_value())


async def _has_order(world: PlatformWorld, login: int) -> None:
    await world.place_order(login)
    assert world.orders(login) == 1


async def _may_trade(world: PlatformWorld, login: int) -> None:
    await world.platform.set_trading(login, key=new_key(), enabled=True)


CALLS: Final = {
    "create_account": Call(_open, _has_account),
    "balance_operation": Call(_deposit, _has_deposit),
    "set_trading": Call(_enable, _trades),
    "lock": Call(_lock, _is_flat),
    "close_positions": Call(_close, _is_flat),
    "stream.lock": Call(_lock_live, _is_flat),
    "stream.lock_many": Call(_lock_many_live, _is_flat),
    "cancel_orders": Call(_cancel, _has_no_orders, _has_order),
    "set_close_only": Call(_only_close, _does_not_trade, _may_trade),
    "set_stopped": Call(_stop, _is_stopped),
    "create_credentials": Call(_create_credentials, _signs_in),
    "reset_credentials": Call(_reset_credentials, _signs_in),
}
READS: Final[dict[str, Step]] = {
    "find_account": lambda platform, login, key: platform.find_account(key),
    "find_balance_operation": lambda platform, login, key: platform.find_balance_operation(
        login, key=key, operation="deposit"
    ),
    "snapshot": lambda platform, login, key: platform.snapshot(login),
    "symbols": lambda platform, login, key: platform.symbols(),
    "deals": lambda platform, login, key: platform.deals(login),
    "healthy": lambda platform, login, key: platform.healthy(),
    "stopped": lambda platform, login, key: cast(StopsEverybody, platform).stopped(),
}
OF_ALL: Final = tuple(name for name in READS if name != "stopped")  # the questions that every platform answers


class PlatformContract(Suite):
    """The promises of ports/platform.py and ports/money.py."""

    @pytest.fixture
    async def world(self) -> Any:
        raise NotImplementedError

    async def test_each_outcome_of_each_call_and_the_effect_once(
        self, world: PlatformWorld, call: str, fault: Fault
    ) -> None:
        step, login, key = CALLS[call], await world.account(), new_key()
        await step.prepare(world, login)
        before = world.count(call)
        with world.fault(fault, call) as platform, pytest.raises(RAISES[fault]) as raised:
            await step.make(platform, login, key)
        check_class(raised.value, RAISES[fault])
        assert world.count(call) - before == (fault in HAPPENS)
        assert await step.found(world, login, key) == (fault in HAPPENS)
        if fault == "refused":
            assert isinstance(raised.value, RefusedForGood)
            assert key in raised.value.key
            return
        for _ in range(2):
            await step.make(world.platform, login, key)
        assert world.count(call) - before == 1
        assert await step.found(world, login, key)

    async def test_a_question_without_an_answer_is_unavailable(
        self, world: PlatformWorld, read: str, fault: Fault
    ) -> None:
        login = await world.account()
        with world.fault(fault, read) as platform, pytest.raises(Unavailable) as raised:
            await READS[read](platform, login, new_key())
        check_class(raised.value, Unavailable)
        await READS[read](world.platform, login, new_key())

    async def test_the_same_key_at_the_same_time_has_one_effect(self, world: PlatformWorld, call: str) -> None:
        login, key = await world.account(), new_key()
        await CALLS[call].prepare(world, login)
        before = world.count(call)
        await asyncio.gather(*(CALLS[call].make(world.platform, login, key) for _ in range(4)))
        assert world.count(call) - before == 1

    @pytest.mark.needs("create_account")
    async def test_a_key_opens_one_account(self, world: PlatformWorld) -> None:
        key = new_key()
        login = await _open(world.platform, 0, key)
        assert await world.platform.find_account(key) == login
        assert await world.platform.find_account(new_key()) is None
        assert await _open(world.platform, 0, new_key()) != login
        with pytest.raises(IdempotencyMismatch):
            await world.platform.create_account(key=key, group="two-step/1", currency="EUR", leverage=100)
        new = await world.platform.snapshot(login)
        assert (new.balance_minor, new.trading_enabled, new.positions) == (0, False, ())

    @pytest.mark.needs("balance_operation")
    async def test_a_balance_operation_is_known_by_operation_and_key(self, world: PlatformWorld) -> None:
        platform, login, key = world.platform, await world.account(), new_key()
        for operation, amount in (("payout_hold", -200_00), ("payout_release", 200_00), ("payout_settled", 0)):
            await platform.balance_operation(login, key=key, operation=operation, amount_minor=amount)  # type: ignore[arg-type]
            assert await platform.find_balance_operation(login, key=key, operation=operation) == amount  # type: ignore[arg-type]
        assert await platform.find_balance_operation(login, key=key, operation="adjustment") is None
        with pytest.raises(IdempotencyMismatch):
            await platform.balance_operation(login, key=key, operation="payout_hold", amount_minor=-199_00)
        assert (await platform.snapshot(login)).balance_minor == 1000_00

    @pytest.mark.needs("balance_operation")
    async def test_too_little_money_refuses_one_attempt_and_not_the_key(self, world: PlatformWorld) -> None:
        platform, login, key = world.platform, await world.account(), new_key()
        with pytest.raises(Conflict) as refused:
            await platform.balance_operation(login, key=key, operation="payout_hold", amount_minor=-1000_01)
        assert not isinstance(refused.value, RefusedForGood)
        assert await platform.find_balance_operation(login, key=key, operation="payout_hold") is None
        await platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=1_00)
        await platform.balance_operation(login, key=key, operation="payout_hold", amount_minor=-1000_01)
        assert (await platform.snapshot(login)).balance_minor == 99

    @pytest.mark.needs("lock")
    async def test_a_late_repeat_of_a_lock_does_not_lock_again(self, world: PlatformWorld) -> None:
        platform, login, key = world.platform, await world.account(), new_key()
        await platform.lock(login, key=key)
        await platform.set_trading(login, key=new_key(), enabled=True)
        await platform.lock(login, key=key)
        assert (await platform.snapshot(login)).trading_enabled

    @pytest.mark.needs("cancel_orders")
    async def test_a_lock_cancels_the_pending_orders_too(self, world: PlatformWorld) -> None:
        login = await world.account()
        await _has_order(world, login)
        await world.platform.lock(login, key=new_key())
        assert world.orders(login) == 0

    @pytest.mark.needs("set_close_only")
    async def test_an_account_that_may_only_close_opens_nothing_until_that_is_ended(self, world: PlatformWorld) -> None:
        platform, login, key = cast(LimitsToClosing, world.platform), await world.account(), new_key()
        await _may_trade(world, login)
        assert world.opens(login)
        await platform.set_close_only(login, key=key, close_only=True)
        assert not world.opens(login)
        await _close(world.platform, login, new_key())
        assert await _is_flat(world, login, key)
        await platform.set_close_only(login, key=new_key(), close_only=False)
        await platform.set_close_only(login, key=key, close_only=True)  # a late repeat
        assert world.opens(login)

    @pytest.mark.needs("set_close_only")
    async def test_close_only_neither_ends_nor_loosens_a_lock(self, world: PlatformWorld) -> None:
        platform, login = cast(LimitsToClosing, world.platform), await world.account()
        await _may_trade(world, login)
        await platform.set_close_only(login, key=new_key(), close_only=True)
        await world.platform.lock(login, key=new_key())
        for close_only in (False, True, False):
            await platform.set_close_only(login, key=new_key(), close_only=close_only)
            assert not world.opens(login)
            assert await _does_not_trade(world, login, "")

    @pytest.mark.needs("set_stopped")
    async def test_while_the_venue_is_stopped_nobody_opens_a_position(self, world: PlatformWorld) -> None:
        platform, login, key = cast(StopsEverybody, world.platform), await world.account(), new_key()
        await _may_trade(world, login)
        (symbol,) = {each.symbol for each in (await world.platform.snapshot(login)).positions}
        for what in (None, symbol):
            await platform.set_stopped(key=f"{key}/{what}", symbol=what, stopped=True)
            assert await platform.stopped() == {what}
            assert not world.opens(login)
            await platform.set_stopped(key=new_key(), symbol=what, stopped=False)
            await platform.set_stopped(key=f"{key}/{what}", symbol=what, stopped=True)  # a late repeat
            assert await platform.stopped() == frozenset()
            assert world.opens(login)

    @pytest.mark.needs("reset_credentials")
    async def test_a_late_repeat_of_a_reset_does_not_bring_an_old_password_back(self, world: PlatformWorld) -> None:
        login, first, second = await world.account(), new_key(), new_key()
        await _create_credentials(world.platform, login, first)
        await _reset_credentials(world.platform, login, second)
        await _create_credentials(world.platform, login, first)
        assert not await _signs_in(world, login, first)
        assert await _signs_in(world, login, second)

    async def test_an_unknown_account_is_not_found(self, world: PlatformWorld) -> None:
        with pytest.raises(NotFound):
            await world.platform.snapshot(77)
        for call in sorted(_ON_AN_ACCOUNT & set(self.calls)):
            with pytest.raises(NotFound):
                await CALLS[call].make(world.platform, 77, new_key())

    async def test_it_says_how_it_is(self, world: PlatformWorld) -> None:
        assert await world.platform.healthy()


_ON_AN_ACCOUNT: Final = frozenset(
    {
        *("balance_operation", "set_trading", "lock", "cancel_orders", "set_close_only"),
        *("create_credentials", "reset_credentials"),
    }
)


def password_of(key: str) -> SecretStr:
    """The password that is sent under this key, of the four kinds of characters that venues ask for."""
    return SecretStr(f"aA1-{key[-12:]}")


def new_key() -> str:
    return f"key-{uuid4().hex[:20]}"

"""The checks of calls that only some venues have: the sandbox passes, and an adapter that breaks one fails it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.platforms.sandbox import SandboxPlatform
from cli.adapters import build_one_platform
from cli.platforms.admin import open_account
from cli.platforms.check import result_of
from cli.platforms.parts import PARTS
from cli.platforms.world import Terms, World, account_key
from ports.capabilities import PlatformCapabilities
from ports.credentials import SignIn
from settings import load
from tests.contract.sandbox_process import TOKEN
from tests.contract.sandbox_thread import SandboxThread, sandbox_thread

CHECKS = {each.name: each for each in PARTS}
Patch = pytest.MonkeyPatch
Break = Callable[[Patch, World], None]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxThread]:
    with sandbox_thread(tmp_path_factory.mktemp("sandbox")) as running:
        venue = running.market.venue
        venue.quotes["EURUSD"], venue.quoted_at["EURUSD"] = (Decimal("1.1"), Decimal("1.1")), venue.now_us
        yield running


@pytest.fixture
async def world(sandbox: SandboxThread, monkeypatch: Patch, tmp_path: Path) -> AsyncIterator[World]:
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PROPOS_DATA", str(tmp_path))
    for field, value in {"ADAPTER": "sandbox", "URL": sandbox.url, "TOKEN": TOKEN}.items():
        monkeypatch.setenv(f"PROPOS_PLATFORMS__VENUE__{field}", value)
    one = build_one_platform(load(), "venue")

    async def trade(login: int) -> None:
        sandbox.market.venue.order(login, "EURUSD", "buy", Decimal("0.01"))

    made = World(one, Terms(patience=60), trade)
    made.login = await open_account(made, account_key())
    await one.platform.balance_operation(made.login, key=uuid4().hex, operation="deposit", amount_minor=10_000_00)
    await one.platform.set_trading(made.login, key=uuid4().hex, enabled=True)
    yield made
    sandbox.market.venue.access.set_stopped(uuid4().hex, None, False)
    sandbox.market.venue.access.set_stopped(uuid4().hex, "EURUSD", False)
    await one.aclose()


def _declares(**other: Any) -> Break:
    def declare(patch: Patch, world: World) -> None:
        can = PlatformCapabilities.model_validate(world.one.plugin.capabilities.model_dump() | other)
        world.one = replace(world.one, plugin=replace(world.one.plugin, capabilities=can))

    return declare


def _nothing(call: str, answer: Any = None) -> Break:
    def do_nothing(patch: Patch, world: World) -> None:
        async def done(*_: Any, **__: Any) -> Any:
            return answer

        patch.setattr(world.one.platform, call, done)

    return do_nothing


def _forgets(call: str) -> Break:
    def forget(patch: Patch, world: World) -> None:
        real = getattr(world.one.platform, call)

        async def again(*given: Any, key: str, **more: Any) -> Any:
            return await real(*given, key=f"{key}/{uuid4().hex}", **more)

        patch.setattr(world.one.platform, call, again)

    return forget


def _unlocks(patch: Patch, world: World) -> None:
    real = SandboxPlatform.set_close_only

    async def set_close_only(platform: SandboxPlatform, login: int, *, key: str, close_only: bool) -> None:
        await platform.snapshot(login)
        if close_only:
            await real(platform, login, key=key, close_only=True)
        else:
            await platform.set_trading(login, key=key, enabled=True)

    patch.setattr(SandboxPlatform, "set_close_only", set_close_only)


def _only_says_so(patch: Patch, world: World) -> None:
    """The venue says that it is stopped, and takes orders."""
    assert isinstance(world.one.platform, SandboxPlatform)
    now: set[str | None] = set()

    async def set_stopped(*, key: str, symbol: str | None, stopped: bool) -> None:
        (now.add if stopped else now.discard)(symbol)

    async def stopped() -> frozenset[str | None]:
        return frozenset(now)

    patch.setattr(world.one.platform, "set_stopped", set_stopped)
    patch.setattr(world.one.platform, "stopped", stopped)


FAULTS: dict[str, tuple[str, Break]] = {
    "it declares what it has no call for": ("declared-calls", _declares(cancels_orders=True)),
    "it has calls that it does not declare": ("declared-calls", _declares(close_only=False)),
    "it resets and declares only to create": ("declared-calls", _declares(credentials="create")),
    "close-only does nothing": ("close-only", _nothing("set_close_only")),
    "close-only forgets its keys": ("close-only", _forgets("set_close_only")),
    "the end of close-only ends a lock": ("close-only", _unlocks),
    "a stop does nothing": ("kill-switch", _nothing("set_stopped")),
    "a stop is only said": ("kill-switch", _only_says_so),
    "a stop forgets its keys": ("kill-switch", _forgets("set_stopped")),
    "credentials without a name": ("credentials", _nothing("create_credentials", SignIn(""))),
    "credentials for anybody": ("credentials", _nothing("create_credentials", SignIn("9"))),
    "a reset renames the user": ("credentials", _nothing("reset_credentials", SignIn("other"))),
}


async def test_the_sandbox_passes(world: World) -> None:
    results = [await result_of(check, world) for check in PARTS]
    assert {each.check: each.outcome for each in results} == dict.fromkeys(CHECKS, "pass") | {
        "cancel-orders": "skipped"
    }


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_fails_its_check(fault: str, world: World, monkeypatch: Patch) -> None:
    name, broken = FAULTS[fault]
    broken(monkeypatch, world)
    result = await result_of(CHECKS[name], world)
    assert result.outcome == "fail" and result.remedy, result

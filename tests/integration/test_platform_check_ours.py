"""Adapters of PropOS pass `propos platform check` at the fakes of their venues."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel, SecretStr

from cli.platforms.check import check_platform
from cli.platforms.world import Terms
from settings import load
from tests.contract.ctrader_fake import ctrader_fake
from tests.contract.dxtrade_thread import dxtrade_thread
from tests.contract.fake_mt5 import running_fake
from tests.contract.tradovate_thread import settings, tradovate_thread
from tests.servers import scratch_dir

Venue = tuple[BaseModel, Terms]
_NEW: Final = Terms(group="test/1")
# what cTrader leaves to people at the broker, or does not have
_LEFT: Final = ("account", "money", "payout", "trading", "lock", "close-only", "credentials", "new-account")


@contextmanager
def _mt5() -> Iterator[Venue]:
    with running_fake() as fake:
        fake.account()
        yield fake.settings(gateway_reconcile_seconds="2"), _NEW


@contextmanager
def _dxtrade() -> Iterator[Venue]:
    with dxtrade_thread() as fake:
        fake.quote("EURUSD", "1.1", "1.1")
        yield fake.settings(gateway_reconcile_seconds="2"), _NEW


@contextmanager
def _tradovate() -> Iterator[Venue]:
    with tradovate_thread() as fake:
        yield settings(fake.config, gateway_reconcile_seconds="2"), _NEW


@contextmanager
def _ctrader() -> Iterator[Venue]:
    with scratch_dir("ctrader") as folder, ctrader_fake(folder) as fake:
        login = fake.account(balance=100_000_00)
        fake.grant("grants.json", login)
        fake.price("EURUSD", "1.10000", "1.10010")
        yield fake.settings("grants.json", gateway_reconcile_seconds="2"), Terms(login=login)


VENUES: dict[str, Callable[[], AbstractContextManager[Venue]]] = {
    "mt5": _mt5,
    "dxtrade": _dxtrade,
    "tradovate": _tradovate,
    "ctrader": _ctrader,
}

CANNOT: dict[str, tuple[str, ...]] = {
    "mt5": ("close-only",),
    "dxtrade": (),
    "tradovate": (),
    "ctrader": (*_LEFT, "feed-money", "feed-access"),
}


@pytest.mark.parametrize("adapter", VENUES)
async def test_an_adapter_of_ours_passes(adapter: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PROPOS_DATA", str(tmp_path))
    with VENUES[adapter]() as (values, terms):
        for field, value in values.model_dump(exclude_unset=True).items():
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            monkeypatch.setenv(f"PROPOS_PLATFORMS__VENUE__{field.upper()}", text)
        monkeypatch.setenv("PROPOS_PLATFORMS__VENUE__ADAPTER", adapter)
        report = await check_platform(load(), "venue", terms)
    assert report.of("fail") == []
    cannot = {"kill-switch", *CANNOT[adapter]} | (set() if adapter == "tradovate" else {"limits", "accounts"})
    assert {each.check for each in report.of("skipped")} == {"feed-fills"} | cannot, "the port can open no position"

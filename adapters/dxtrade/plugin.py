"""How DXtrade plugs in."""

from typing import Final

from adapters.dxtrade.config import DxtradeSettings
from adapters.dxtrade.feed import DxtradeFeed
from adapters.dxtrade.platform import Dxtrade
from ports.capabilities import PlatformCapabilities
from ports.platform import TradingPlatform
from ports.plugin import Plugin
from ports.venue import VenueFeed


def _build(name: str, settings: DxtradeSettings) -> TradingPlatform:
    return Dxtrade(name, settings)


def _feed(name: str, settings: DxtradeSettings) -> VenueFeed:
    return DxtradeFeed(name, settings)


PLUGIN: Final = Plugin(
    DxtradeSettings,
    PlatformCapabilities(
        creates_accounts=True,
        sets_trading=True,
        moves_balances=True,
        finds_balance_operations=True,
        cancels_orders=True,
        close_only=True,
        pushes_quotes=True,
        credentials="reset",
    ),
    _build,
    _feed,
)

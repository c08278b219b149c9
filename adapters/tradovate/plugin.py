"""What the entry point `propos.platforms` names."""

from typing import Final

from adapters.tradovate.feed import TradovateFeed
from adapters.tradovate.platform import TradovatePlatform
from adapters.tradovate.settings import TradovateSettings
from ports.capabilities import PlatformCapabilities
from ports.platform import TradingPlatform
from ports.plugin import Plugin
from ports.venue import VenueFeed


def _build(name: str, settings: TradovateSettings) -> TradingPlatform:
    return TradovatePlatform(name, settings)


def _feed(name: str, settings: TradovateSettings) -> VenueFeed:
    return TradovateFeed(name, settings)


PLUGIN: Final = Plugin(
    TradovateSettings,
    PlatformCapabilities(
        creates_accounts=True,
        sets_trading=True,
        moves_balances=True,
        finds_balance_operations=True,
        closes_all_in_one_call=True,
        cancels_orders=True,
        close_only=True,
        holds_floors=True,
        lists_accounts=True,
        pushes_events=True,
        pushes_quotes=True,
        credentials="create",
    ),
    _build,
    _feed,
)

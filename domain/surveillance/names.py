"""What people read in place of keys: the names of patterns, of their families, and of the parts of accounts."""

from collections.abc import Mapping
from typing import Final

PATTERN_NAMES: Final[Mapping[str, str]] = {
    "all_in": "All-in trade",
    "challenge_farming": "Challenge farming",
    "copy_trading": "Copy trading",
    "correction": "Verdict on corrected data",
    "day_padding": "Day padding",
    "gap_exploit": "Gap trading",
    "grid": "Grid",
    "hedging": "Hedging across accounts",
    "latency_arbitrage": "Latency arbitrage",
    "martingale": "Martingale",
    "news_straddle": "News straddle",
    "off_market_fill": "Off-market fills",
    "shared_identity": "Shared identity",
    "style_change": "Change of trading style",
    "tick_scalping": "Tick scalping",
}
_FAMILY_NAMES: Final[Mapping[str, str]] = {
    "copying": "copy trading and hedging",
    "identity": "shared identity and challenge farming",
    "sizing": "position sizing",
    "timing": "trade timing",
    "market_data": "trading on stale or wrong prices",
    "conduct": "trading conduct",
}
_ROLE_NAMES: Final[Mapping[str, str]] = {
    "leader": "copied account",
    "follower": "copying account",
    "leg": "hedged account",
    "farmed": "farmed account",
    "member": "linked account",
    "phase_before": "earlier phase",
    "phase_after": "later phase",
    "passed_phase": "passed phase",
    "own_phase": "next phase",
    "judged": "judged account",
}


def pattern_name(key: str) -> str:
    """Returns the name of a pattern; of one that has none here, its key in words."""
    words = key.replace("_", " ")
    return PATTERN_NAMES.get(key, words[:1].upper() + words[1:])


def family_name(key: str) -> str:
    """Returns the name of a family, as it stands within a sentence. A pattern of no family is its own."""
    return _FAMILY_NAMES.get(key, key.replace("_", " "))


def role_name(key: str) -> str:
    return _ROLE_NAMES.get(key, key.replace("_", " "))

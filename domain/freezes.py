"""When an account can be frozen, and when it can be thawed, as one sentence each."""

from collections.abc import Collection
from typing import Final

FREEZERS: Final = frozenset({"support", "risk", "admin"})
THAWERS: Final = frozenset({"risk", "admin"})


def why_not_freeze(*, status: str, current: bool, frozen: bool, sets_trading: bool, platform: str) -> str:
    """Returns why an account cannot be frozen now; empty when it can. `current`: its challenge has no later account.
    `sets_trading`: its platform disables accounts for programs."""
    if frozen:
        return "The account is frozen already."
    if status == "opening":
        return "The account is still being opened. Freeze it once it is active."
    if status != "active" or not current:
        return "The account has ended. There is no trading to freeze."
    if not sets_trading:
        return f"The platform {platform} does not let us disable an account. Stop its trading at the broker."
    return ""


def why_not_thaw(*, frozen: bool) -> str:
    """Returns why an account cannot be thawed now; empty when it can."""
    return "" if frozen else "The account is not frozen."


def stays_disabled(reasons: Collection[str]) -> str:
    """Returns what a thaw does to the trading, as a sentence. `reasons`: what else keeps the account from trading, each
    as a clause."""
    if reasons:
        return f"The account stays disabled: {'; '.join(sorted(reasons))}."
    return "Trading is enabled again at once."

"""A stop of the trading at a platform, or its end: two persons decide it, and it is carried out account by account
where the venue has no call for all.

A stop is for one platform or for all (`EVERYWHERE`), for one symbol or everything, for the accounts of one product or
of all. `close_only` binds until its end is agreed to. `cancel_orders` and `flatten` are done once, and only while a
`close_only` of that scope or a wider one binds: else traders would open again what was closed. Protective stops of
positions stay in all of them.

What is agreed to need not be done everywhere before its opposite is agreed to: one account that cannot be reached keeps
nobody from that. The earlier one is then overtaken, and nothing more of it is done.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal

from domain.errors import BadInput
from domain.states import StateMachine

STOP: Final = StateMachine(
    noun="stop of a platform",
    initial="proposed",
    table={
        ("proposed", "approval_given"): "approved",
        ("proposed", "time_ran_out"): "expired",
        ("approved", "carried_out"): "done",
        ("approved", "overtaken"): "overtaken",
    },
    transient=frozenset(),
)
Action = Literal["close_only", "cancel_orders", "flatten"]
ACTIONS: Final[tuple[Action, ...]] = ("close_only", "cancel_orders", "flatten")
EVERYWHERE: Final = "*"
AGREED: Final = frozenset({"approved", "done", "overtaken"})
_WAITS: Final = timedelta(hours=1)  # for the second person


def stop_digest(
    *,
    stop_id: str,
    platform: str,
    symbol: str | None,
    lifts: bool,
    product: str | None = None,
    action: Action = "close_only",
) -> str:
    """Returns what an approval is for."""
    parts = [stop_id, platform, symbol or "", "lift" if lifts else "stop"]
    if product is not None or action != "close_only":
        parts += [product or "", action]
    said = "\x1f".join(parts)
    return hashlib.sha256(said.encode()).hexdigest()


def is_too_old(asked_at: datetime, now: datetime) -> bool:
    """Whether a proposal has waited too long to be approved. Wall times."""
    return now - asked_at > _WAITS


def check_possible(
    *,
    platform: str,
    symbol: str | None,
    stops_everybody: str,
    close_only: bool,
    sets_trading: bool,
    cancels_orders: bool = False,
    product: str | None = None,
    action: Action = "close_only",
) -> bool:
    """Returns whether the venue stops everybody in one call; False: each account is reached by itself.
    `stops_everybody`: none, all or symbol. Raises BadInput for what the venue cannot do in any way."""
    if action == "flatten":
        return False
    if action == "cancel_orders":
        _check_cancels(platform, symbol, can=cancels_orders)
        return False
    if symbol is not None and product is not None:
        raise BadInput(
            "The trading of one symbol cannot be stopped for one product.",
            field="product",
            remedy="Stop the symbol for everybody, or the product altogether.",
        )
    if symbol is not None and stops_everybody != "symbol":
        raise BadInput(
            f"The platform {platform!r} cannot stop the trading of one symbol.",
            field="symbol",
            remedy="Stop everything, or stop the symbol at the venue.",
        )
    if stops_everybody != "none" and product is None:
        return True
    if not close_only and not sets_trading:
        raise BadInput(
            f"The platform {platform!r} neither limits accounts to closing nor disables them for programs.",
            field="name",
            remedy="Stop the trading at the broker.",
        )
    return False


def _check_cancels(platform: str, symbol: str | None, *, can: bool) -> None:
    if not can:
        raise BadInput(
            f"The platform {platform!r} cannot cancel pending orders.",
            field="action",
            remedy="Cancel them at the venue.",
        )
    if symbol is not None:
        raise BadInput(
            "Pending orders are cancelled for all symbols of an account.",
            field="symbol",
            remedy="Leave the symbol out.",
        )

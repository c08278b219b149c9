"""What the simulated venue refuses: orders that cannot be traded, and stops on the wrong side of the price."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from domain.errors import BadInput, Conflict
from ports.platform import Side, SymbolSpec
from sandbox.books import VenueAccount

_MAX_LOTS: Final = Decimal(500)
_LOT_STEP: Final = Decimal("0.01")


def check_order(
    account: VenueAccount,
    symbol: str,
    lots: Decimal,
    specs: Mapping[str, SymbolSpec],
    quotes: Mapping[str, tuple[Decimal, Decimal]],
) -> None:
    """Raises BadInput or Conflict if the order cannot be traded now."""
    if symbol not in specs:
        raise BadInput(f"{symbol!r} is not traded here.", field="symbol", remedy=f"Choose among {', '.join(specs)}.")
    if not lots.is_finite() or not 0 < lots <= _MAX_LOTS or lots % _LOT_STEP:
        raise BadInput(
            f"{lots} lots cannot be traded.",
            field="lots",
            remedy=f"Trade between {_LOT_STEP} and {_MAX_LOTS} lots in steps of {_LOT_STEP}.",
        )
    if not account.enabled:
        raise Conflict(f"Trading is disabled on account {account.login}.")
    if symbol not in quotes:
        raise Conflict(f"There is no price for {symbol} yet.")


def check_may_open(account: VenueAccount, symbol: str, stopped: bool) -> None:
    """Raises Conflict if the account may only close, or nobody may open a position in the symbol."""
    if account.close_only:
        raise Conflict(f"Account {account.login} may only close positions.")
    if stopped:
        raise Conflict(f"No position in {symbol} can be opened now: its trading is stopped.")


def check_stops(side: Side, bid: Decimal, ask: Decimal, stop: Decimal | None, target: Decimal | None) -> None:
    """Raises BadInput if the stop loss or the take profit would be hit at once."""
    low, high = (stop, target) if side == "buy" else (target, stop)
    if (low is not None and low >= bid) or (high is not None and high <= ask):
        raise BadInput(
            f"The stop or target is on the wrong side of the price {ask if side == 'buy' else bid}.",
            field="stop_loss",
            remedy="Set the stop loss on the losing side and the take profit on the winning side.",
        )

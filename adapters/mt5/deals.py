"""What a deal of MT5 is: fills, a balance operation, or nothing of either."""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from adapters.mt5 import names, tags
from adapters.mt5.server_time import ServerClock
from adapters.mt5.shapes import Deal, lots_of, minor_of
from ports.platform import FillReason, Side
from ports.venue import Fill, Money

TRADES: Final = (names.DEAL_BUY, names.DEAL_SELL)
CANCELLED: Final = (names.DEAL_BUY_CANCELED, names.DEAL_SELL_CANCELED)
# They change the credit, which is no part of the balance.
CREDITS: Final = (names.DEAL_CREDIT, names.DEAL_SO_COMPENSATION_CREDIT)
_LAST_ACTION: Final = names.DEAL_SO_COMPENSATION_CREDIT
_REASONS: Final[dict[int, FillReason]] = {
    names.DEAL_REASON_CLIENT: "client",
    names.DEAL_REASON_EXTERNAL_CLIENT: "client",
    names.DEAL_REASON_EXPERT: "expert",
    names.DEAL_REASON_SIGNAL: "expert",
    names.DEAL_REASON_MOBILE: "mobile",
    names.DEAL_REASON_WEB: "web",
    names.DEAL_REASON_SL: "stop_loss",
    names.DEAL_REASON_TP: "take_profit",
    names.DEAL_REASON_SO: "stop_out",
}
_BY_TRADER: Final = ("client", "expert", "mobile", "web")


def fills_of(
    deal: Deal, currency: str, clock: ServerClock, now: datetime, *, pending: bool = False
) -> list[Fill | Money]:
    """Returns the facts of a deal: none of one that was cancelled or that moves credit only, two of one that turns a
    position round. `pending`: a pending order brought it about. Raises ValueError for a deal that cannot be read."""
    if deal.Action in CANCELLED or deal.Action in CREDITS:
        return []
    if deal.Action > _LAST_ACTION:
        raise ValueError(f"deal {deal.Deal} has the unknown Action {deal.Action}")
    at = clock.utc(deal.TimeMsc, now)
    if deal.Action not in TRADES:
        return [_money(deal, currency, at)]
    if not deal.Symbol or not deal.PositionID:
        raise ValueError(f"deal {deal.Deal} names no symbol or no position")
    lots = lots_of(deal.Volume, deal.VolumeExt)
    if deal.Entry == names.ENTRY_INOUT:
        closed = lots_of(deal.VolumeClosed, deal.VolumeClosedExt)
        if not 0 < closed < lots:
            raise ValueError(f"deal {deal.Deal} turns a position round and does not say how much of it")
        return [
            _fill(deal, currency, at, "out", closed, pending, whole=True),
            _fill(deal, currency, at, "in", lots - closed, pending, whole=False),
        ]
    if deal.Entry not in (names.ENTRY_IN, names.ENTRY_OUT, names.ENTRY_OUT_BY):
        raise ValueError(f"deal {deal.Deal} has the unknown Entry {deal.Entry}")
    entry: Literal["in", "out"] = "in" if deal.Entry == names.ENTRY_IN else "out"
    return [_fill(deal, currency, at, entry, lots, pending, whole=True)]


def _fill(
    deal: Deal, currency: str, at: datetime, entry: Literal["in", "out"], lots: Decimal, pending: bool, *, whole: bool
) -> Fill:
    """`whole`: the fill bears the money of the deal."""
    if lots <= 0 or deal.Price <= 0:
        raise ValueError(f"deal {deal.Deal} has no volume or no price")
    side: Side = "buy" if deal.Action == names.DEAL_BUY else "sell"
    reason = _REASONS.get(deal.Reason, "dealer")
    profit, commission, swap, fee = (
        minor_of(amount, currency) if whole else 0 for amount in (deal.Profit, deal.Commission, deal.Storage, deal.Fee)
    )
    return Fill(
        fill_id=str(deal.Deal) if whole else f"{deal.Deal}/in",
        login=deal.Login,
        position_id=str(deal.PositionID),
        symbol=deal.Symbol,
        side=side,
        lots=lots,
        price=deal.Price,
        entry=entry,
        at=at,
        profit_minor=profit,
        commission_minor=commission,
        swap_minor=swap,
        fee_minor=fee,
        reason="pending_fill" if pending and reason in _BY_TRADER else reason,
        order_id=str(deal.Order) if deal.Order else "",
        expert_id=str(deal.ExpertID) if deal.ExpertID else "",
        comment=deal.Comment,
        bid=deal.MarketBid or None,
        ask=deal.MarketAsk or None,
        stop_loss=deal.PriceSL or None,
        take_profit=deal.PriceTP or None,
    )


def _money(deal: Deal, currency: str, at: datetime) -> Money:
    ours = tags.read_comment(deal.Comment) if deal.Action == names.DEAL_BALANCE else None
    operation, key = ours or ("adjustment", None)
    amount = minor_of(deal.effect, currency)
    return Money(str(deal.Deal), deal.Login, operation, key or str(deal.Deal), amount, at)

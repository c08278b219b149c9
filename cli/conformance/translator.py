"""Translates the events of a case into events of the engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, RawEvent, Unsupported
from domain.clocks import Clock
from domain.money import to_minor
from domain.rules.base import Context
from domain.rules.events import (
    Action,
    Clocked,
    Closed,
    DayEnded,
    Event,
    Marked,
    News,
    Opened,
    OpenResult,
    OrderPlaced,
    PaidOut,
    PayoutApproved,
    PayoutRequested,
    Rolled,
    Side,
    StopChanged,
)

_ACTIONS: Final[dict[str, Action]] = {
    "open": "open",
    "close": "close",
    "pending_fill": "pending_fill",
    "stop_loss": "stop_loss",
    "take_profit": "take_profit",
}
_SIDES: Final[dict[str, Side]] = {"buy": "buy", "sell": "sell"}
_MIDNIGHT: Final = Clock(zone="UTC", reset="00:00")


def context_of(case: Case, clock: Clock | None = None) -> Context:
    """Returns the context of the case's rule. Every phase except the funded one is an evaluation."""
    return Context(
        initial_minor=case.initial_minor,
        currency=case.currency,
        clock=clock or _MIDNIGHT,
        phase="funded" if case.phase == "funded" else "evaluation",
        account_type=case.account_type,
    )


@dataclass(slots=True)
class Translator:
    """Translates raw events one by one, in order; keeps the money and lots that later events need.

    `as_written`: times are taken as written, without their zones.
    """

    case: Case
    clock: Clock | None = None
    as_written: bool = False
    balance: int = 0
    equity: int = 0
    lots: dict[str, Decimal] = field(default_factory=dict)
    opens: dict[str, Opened] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.balance = self.equity = self.case.initial_minor

    def event(self, raw: RawEvent) -> Event:
        """Returns the engine's event; a fact without effect becomes a mark."""
        self._money(raw)
        base: dict[str, Any] = {
            "seq": raw.index + 1,
            "at": self.at(raw),
            "balance_minor": self.balance,
            "equity_minor": self.equity,
        }
        made = self._makers().get(raw.kind)
        if made is not None:
            return made(raw, base)
        if raw.kind == "payout" and "account" not in raw.data:
            gross = raw.money("gross_amount", self.case.currency) or 0
            return PaidOut(**base, gross_minor=gross, stage="settled", leaves=True)
        return Marked(**base, positions=self._positions(raw))

    def _makers(self) -> Mapping[str, Callable[[RawEvent, Mapping[str, Any]], Event]]:
        return {
            "trade_open": self._open,
            "trade_close": self._close,
            "news": self._news,
            "pending_order_placed": self._order,
            "stop_changed": self._stop,
            "clock": lambda raw, base: Clocked(**base, open_positions=_count(raw.data.get("open_positions"))),
            "rollover": lambda raw, base: Rolled(**base, day=None, positions=self._positions(raw)),
            "rollover_pnl": lambda _, base: Rolled(**base, day=None),
            "day_result": self._day,
            "payout_request": lambda raw, base: PayoutRequested(
                **base, amount_minor=raw.money("amount", self.case.currency)
            ),
            "payout_approved": lambda _, base: PayoutApproved(**base),
        }

    def at(self, raw: RawEvent) -> datetime:
        if self.as_written and raw.has_instant:
            return datetime.fromisoformat(raw.t).replace(tzinfo=UTC)
        return raw.at(self.clock)

    def _money(self, raw: RawEvent) -> None:
        currency = self.case.currency
        floating = self.equity - self.balance
        moved = 0
        if raw.kind == "trade_close":
            moved = self._net(raw)
        elif raw.kind == "day_result":
            moved = self._closed_of_day(raw)
        elif raw.kind == "phase_start":
            floating, moved = 0, self.case.initial_minor - self.balance
        elif raw.kind == "payout" and "account" not in raw.data:
            moved = -(raw.money("gross_amount", currency) or 0)
        elif raw.kind in ("pnl", "rollover_pnl"):
            moved = self.case.initial_minor + (raw.money("value", currency) or 0) - self.balance
        balance, equity = raw.money("balance", currency), raw.money("equity", currency)
        self.balance = self.balance + moved if balance is None else balance
        if equity is None:
            stated = raw.money("floating_pnl", currency)
            moves = balance is None or raw.kind in ("trade_close", "day_result", "payout")
            equity = self.balance + (stated if stated is not None else floating if moves else 0)
        self.equity = equity

    def _net(self, raw: RawEvent) -> int:
        """Returns profit net of commission (a cost with either sign) and swap (a cost if negative)."""
        currency = self.case.currency
        net = raw.money("pnl", currency)
        if net is not None:
            return net
        gross, swap = raw.money("gross_pnl", currency) or 0, raw.money("swap", currency) or 0
        return gross - abs(raw.money("commission", currency) or 0) + swap

    def _closed_of_day(self, raw: RawEvent) -> int:
        net = raw.money("net_pnl", self.case.currency)
        return (raw.money("closed_pnl", self.case.currency) or 0) if net is None else net

    def _open(self, raw: RawEvent, base: Mapping[str, Any]) -> Opened:
        identity, lots = str(raw.data.get("id", f"#{raw.index}")), _decimal(raw, "lots") or Decimal(1)
        adds, first = identity in self.lots, self.opens.get(identity)
        self.lots[identity] = self.lots.get(identity, Decimal(0)) + lots
        opened = Opened(
            **base,
            position_id=identity,
            symbol=raw.data.get("symbol", first.symbol if first else ""),
            side=first.side if first and "side" not in raw.data else _side(raw),
            lots=lots,
            value_minor=raw.money("trade_value", self.case.currency),
            adds=adds,
            action=_ACTIONS.get(raw.data.get("reason", "open"), "open"),
            price=_decimal(raw, "price"),
            stop_price=_decimal(raw, "stop"),
            risk_minor=raw.money("risk", self.case.currency),
        )
        self.opens.setdefault(identity, opened)
        return opened

    def _close(self, raw: RawEvent, base: Mapping[str, Any]) -> Closed:
        identity, lots = self._closes(raw), _decimal(raw, "lots")
        held = self.lots.pop(identity, lots or Decimal(1))
        opened = self.opens.get(identity)
        left = Decimal(0) if lots is None else max(held - lots, Decimal(0))
        if left:
            self.lots[identity] = left
        else:
            self.opens.pop(identity, None)
        return Closed(
            **base,
            position_id=identity,
            symbol=raw.data.get("symbol", opened.symbol if opened else ""),
            side=opened.side if opened and "side" not in raw.data else _side(raw),
            lots=held - left,
            lots_left=left,
            opened_at=opened.at if opened else None,
            pnl_minor=self._net(raw),
            gross_minor=raw.money("gross_pnl", self.case.currency),
            value_minor=raw.money("trade_value", self.case.currency),
            action=_ACTIONS.get(raw.data.get("reason", "close"), "close"),
        )

    def _closes(self, raw: RawEvent) -> str:
        """Returns the id of the position that is closed; without an id, the oldest in its symbol."""
        if "id" in raw.data:
            return str(raw.data["id"])
        symbol = raw.data.get("symbol")
        same = (identity for identity, opened in self.opens.items() if symbol in (None, opened.symbol))
        return next(same, f"#{raw.index}")

    def _news(self, raw: RawEvent, base: Mapping[str, Any]) -> News:
        # the release is known before the first event
        known = min(self.at(event) for event in self.case.events)
        targets = raw.data.get("targets", ())
        return News(
            **{**base, "at": known},
            news_id=f"{raw.data.get('name', 'news')} #{raw.index}",
            released_at=self.at(raw),
            ends_at=self._ends(raw),
            symbols=(targets,) if isinstance(targets, str) else tuple(targets),
        )

    def _ends(self, raw: RawEvent) -> datetime | None:
        ends = raw.data.get("ends")
        return None if ends is None else self.at(RawEvent(raw.index, raw.kind, ends, {}))

    def _order(self, raw: RawEvent, base: Mapping[str, Any]) -> OrderPlaced:
        return OrderPlaced(
            **base,
            order_id=str(raw.data.get("id", f"#{raw.index}")),
            symbol=raw.data.get("symbol", ""),
            side=_side(raw) if "side" in raw.data else None,
            lots=_decimal(raw, "lots"),
        )

    def _stop(self, raw: RawEvent, base: Mapping[str, Any]) -> StopChanged:
        return StopChanged(
            **base,
            position_id=str(needed(raw, "id")),
            stop_price=_decimal(raw, "stop"),
            risk_minor=raw.money("risk", self.case.currency),
        )

    def _positions(self, raw: RawEvent) -> tuple[OpenResult, ...] | None:
        listed = raw.data.get("positions")
        if listed is None:
            return None
        return tuple(
            OpenResult(
                position_id=str(one["id"]),
                symbol=str(one.get("symbol", self._symbol(str(one["id"])))),
                pnl_minor=to_minor(Decimal(one["pnl"]), self.case.currency),
            )
            for one in listed
        )

    def _symbol(self, identity: str) -> str:
        opened = self.opens.get(identity)
        return opened.symbol if opened else ""

    def _day(self, raw: RawEvent, base: Mapping[str, Any]) -> DayEnded:
        floating = raw.money("floating_pnl", self.case.currency)
        return DayEnded(**base, day=raw.day(self.clock), closed_minor=self._closed_of_day(raw), floating_minor=floating)


def needed(raw: RawEvent, name: str) -> Any:
    """Returns a field of an event. Raises Unsupported if it is missing."""
    if name not in raw.data:
        raise Unsupported(f"{raw.kind}: {name} is missing", name)
    return raw.data[name]


def _side(raw: RawEvent) -> Side:
    return _SIDES[raw.data.get("side", "buy")]


def _decimal(raw: RawEvent, name: str) -> Decimal | None:
    value = raw.data.get(name)
    return None if value is None else Decimal(value)


def _count(positions: Any) -> int | None:
    """Returns a number of positions, given as a number or a list."""
    return len(positions) if isinstance(positions, list) else positions

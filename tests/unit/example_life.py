"""One account of an example product: its events in dollars and local time, and what the engine finds in them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from adapters.calendars import known_venues
from adapters.calendars.exchange import ExchangeCalendars
from domain.clocks import zone_of
from domain.histories.replay import replay
from domain.histories.results import Replay
from domain.payouts import GateFact, PayoutFacts
from domain.payouts.amounts import PayoutAmount, payout_amount
from domain.payouts.eligibility import refusals_of_any_amount
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.events import (
    Clocked,
    Closed,
    Event,
    Marked,
    News,
    Opened,
    OpenResult,
    PaidOut,
    PayoutRequested,
    Rolled,
    StopChanged,
)
from firm.products.shelf import SHELF, load_products

EXAMPLES: Final = {product.product: product for product in load_products(SHELF / "examples", known_venues)}


def minor(amount: object) -> int:
    """Returns dollars as cents."""
    return int(Decimal(str(amount)) * 100)


class Life:
    """The events of one account in phase `phase` (from 1; by default the funded one), written with the local time of
    `zone` (by default that of the product's clock) on the days of June 2025. The resets come by themselves."""

    def __init__(self, product: str, phase: int | None = None, *, zone: str = "", balance: object = None) -> None:
        self.product: Product = EXAMPLES[product]
        self.terms = phase_terms(self.product, phase or self.product.funded_index, ExchangeCalendars())
        self.zone = zone_of(zone or self.product.clock.zone)
        self.events: list[Event] = []
        self.initial_minor = self.terms.context.initial_minor
        self.balance = self.initial_minor if balance is None else minor(balance)
        self.floating = 0
        self.open_positions: dict[str, dict[str, Any]] = {}
        self._now: datetime | None = None
        if balance is not None:
            self.events.append(Marked(**self._money(datetime(2025, 6, 1, tzinfo=UTC))))

    def instant(self, when: str) -> datetime:
        """Returns "2 10:00" or "2 10:00:30" of June 2025 as UTC."""
        day, clock = when.split()
        local = datetime.fromisoformat(f"2025-06-{int(day):02d}T{clock}")
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def mark(self, when: str, equity: object, **results: object) -> "Life":
        """`results`: the floating result of each position by id."""
        at = self._until(when)
        self.floating = minor(equity) - self.balance
        opened = self.open_positions
        found = tuple(
            OpenResult(position_id=name, symbol=opened[name]["symbol"], pnl_minor=minor(result))
            for name, result in results.items()
        )
        self.events.append(Marked(**self._money(at), positions=found or None))
        return self

    def open(
        self, when: str, name: str, symbol: str = "EURUSD", side: Literal["buy", "sell"] = "buy", **more: Any
    ) -> "Life":
        """`more`: lots, price, stop_price, and risk and value in dollars."""
        at = self._until(when)
        about: dict[str, Any] = {
            "position_id": name,
            "symbol": symbol,
            "side": side,
            "lots": Decimal(str(more.pop("lots", 1))),
        }
        self.open_positions[name] = {**about, "opened_at": at}
        amounts: dict[str, Any] = {
            f"{field}_minor": minor(more.pop(field)) for field in ("risk", "value") if field in more
        }
        self.events.append(Opened(**self._money(at), **about, **amounts, **more))
        return self

    def close(self, when: str, name: str, pnl: object, **more: Any) -> "Life":
        """`more`: action, and value in dollars."""
        at = self._until(when)
        self.balance += minor(pnl)
        self.floating = 0
        about = self.open_positions.pop(name)
        amounts: dict[str, Any] = {f"{field}_minor": minor(more.pop(field)) for field in ("value",) if field in more}
        self.events.append(Closed(**self._money(at), **about, **amounts, **more, pnl_minor=minor(pnl)))
        return self

    def trade(self, when: str, pnl: object, *, name: str = "", minutes: float = 30, **more: Any) -> "Life":
        """A position that is opened at `when` and closed half an hour later."""
        known = name or f"t{len(self.events)}"
        self.open(when, known, **{field: more[field] for field in more if field in ("symbol", "lots")})
        closed = (self.instant(when) + timedelta(minutes=minutes)).astimezone(self.zone)
        value = {"value": more["value"]} if "value" in more else {}
        return self.close(f"{closed.day} {closed:%H:%M:%S}", known, pnl, **value)

    def stop(self, when: str, name: str, risk: object) -> "Life":
        at = self._until(when)
        self.events.append(
            StopChanged(**self._money(at), position_id=name, stop_price=Decimal(1), risk_minor=minor(risk))
        )
        return self

    def release(self, when: str, *, ends: str = "", symbols: tuple[str, ...] = ("USD",)) -> "Life":
        """A release at `when`, which is known at the start of the account."""
        about: dict[str, Any] = {"symbols": symbols, "ends_at": self.instant(ends) if ends else None}
        at, news_id = self.instant("1 00:00"), f"n{len(self.events)}"
        self.events.append(News(**self._money(at), news_id=news_id, released_at=self.instant(when), **about))
        return self

    def request(self, when: str, amount: object) -> "Life":
        at = self._until(when)
        self.events.append(PayoutRequested(**self._money(at), amount_minor=minor(amount)))
        return self

    def pay(self, when: str, gross: object) -> "Life":
        at = self._until(when)
        self.balance -= minor(gross)
        self.events.append(PaidOut(**self._money(at), gross_minor=minor(gross), stage="settled", leaves=True))
        return self

    def wait(self, when: str) -> "Life":
        at = self._until(when)
        self.events.append(Clocked(**self._money(at), open_positions=len(self.open_positions)))
        return self

    def judged(self) -> Replay:
        return replay(self.events, self.terms, self.terms.context)

    def floor(self, rule_id: str) -> Decimal:
        """Returns the floor of a rule after the last event, in dollars."""
        level = next(level for level in self.judged().days[-1].levels if level.key == rule_id)
        assert level.level_is == "exact"
        return Decimal(level.level_minor) / 100

    def offences(self) -> list[tuple[str, str]]:
        """Returns (rule, consequence) of every offence so far."""
        return [(breach.rule_id, breach.consequence.kind) for breach in self.judged().breaches]

    def ends(self) -> str:
        """Returns the rule that ended the account, "pass", or "" while it goes on."""
        result = self.judged()
        failed = next((breach.rule_id for breach in result.breaches if breach.fails), "")
        return "pass" if result.outcome == "pass" else failed

    def gate(self, rule_id: str) -> bool:
        return next(status.met for gate, status in self.judged().gates if gate.id == rule_id)

    def facts(self, when: str, **more: Any) -> PayoutFacts:
        """The facts of a request at `when`, on an account that was funded on 2 June at 08:00."""
        result = self.judged()
        gates = tuple(
            GateFact(rule_id=gate.id, met=status.met, sentence=status.sentence)
            for gate, status in result.gates
            if "payout" in gate.blocks
        )
        first = next((event.at for event in self.events if isinstance(event, Opened)), None)
        given = {
            "now": self.instant(when),
            "challenge_state": "funded",
            "funded_at": self.instant("2 08:00"),
            "last_payout_at": None,
            "balance_minor": self.balance,
            "initial_minor": self.initial_minor,
            "open_positions": len(self.open_positions),
            "open_payout_id": None,
            "beneficiary_known": True,
            "first_trade_at": first,
            "deducted_minor": result.deducted_minor,
            "gates": gates,
            "trading_days": len(result.trading_days),
            "lowered_split_pct": result.lowered_split_pct,
            "clock": self.product.clock,
            "last_fee_minor": self.product.fee_minor,
        }
        return PayoutFacts.model_validate({**given, **more})

    def refused(self, when: str, **more: Any) -> list[str]:
        """Returns the codes of the reasons against a payout at `when`."""
        found = refusals_of_any_amount(self.facts(when, **more), self.product.payout, self.product.currency)
        return [refusal.code for refusal in found]

    def payout(self, when: str, **more: Any) -> PayoutAmount:
        """Returns the payout of everything available at `when`."""
        return payout_amount(self.facts(when, **more), self.product.payout, self.product.currency)

    def _until(self, when: str) -> datetime:
        """Adds the resets that are due, and returns the instant."""
        at = self.instant(when)
        product, now = self.product, self._now
        while now is not None:
            dues = {"trading_day": product.clock.next_reset(now)}
            if product.loss_clock is not None:
                dues["loss_snapshot"] = product.loss_clock.next_reset(now)
            due = min(dues.values())
            if due > at:
                break
            self._roll(due, [purpose for purpose, instant in dues.items() if instant == due])
            now = due
        self._now = at
        return at

    def _roll(self, at: datetime, purposes: list[str]) -> None:
        product = self.product
        day: date = product.clock.trading_day(at - timedelta(microseconds=1))
        both = product.loss_clock is None or len(purposes) == 2
        purpose: Any = "both" if both else purposes[0]
        self.events.append(Rolled(**self._money(at), day=day, purpose=purpose))

    def _money(self, at: datetime) -> dict[str, Any]:
        equity = self.balance + self.floating
        return {"seq": len(self.events) + 1, "at": at, "balance_minor": self.balance, "equity_minor": equity}


def paid(amount: PayoutAmount) -> tuple[str, str, str]:
    """Returns (leaves the account, the trader's share, the firm's share) in dollars."""
    gross, trader, firm = (Decimal(each) / 100 for each in (amount.gross, amount.trader, amount.firm))
    return f"{gross:.2f}", f"{trader:.2f}", f"{firm:.2f}"

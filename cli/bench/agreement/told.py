"""The events of a venue as the rules take them, and the offences that a shard and a replay find in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from domain.errors import RateMissing
from domain.histories.replay import Fold
from domain.histories.results import Replay
from domain.pnl import conversion_rate, position_profit_minor, position_value_minor
from domain.products.phase_terms import PhaseTerms
from domain.rules.events import (
    CLOSED_BY,
    OPENED_BY,
    Clocked,
    Closed,
    Marked,
    News,
    Opened,
    OpenResult,
    OrderGone,
    OrderPlaced,
    PaidOut,
    Rolled,
    Side,
    StopChanged,
    TakeProfitChanged,
)
from domain.rules.events import Event as Told
from domain.rules.marking import Instrument, Position, QuoteBoard, profit_minor
from monitor.facts import BreachFact, OffenceFact, VerdictFact
from ports.platform import AccountChanged, BalanceOperation, Deal, Event, PendingOrder, StopsChanged, Tick
from store.news import ScheduledRelease

# (consequence, rule, number, sequence number, instant) of each offence; those of one event by rule
Found = list[tuple[str, str, int, int, datetime]]
Purpose = Literal["trading_day", "loss_snapshot", "both"]

_MINUTE: Final = timedelta(minutes=1)
_STAGES: Final[dict[str, Literal["held", "released", "settled"]]] = {
    "payout_hold": "held",
    "payout_release": "released",
    "payout_settled": "settled",
}


def live_offences(verdicts: Iterable[VerdictFact]) -> Found:
    """Returns what a shard found."""
    found = [
        (
            fact.consequence if isinstance(fact, OffenceFact) else "fail",
            fact.rule_id,
            fact.offence,
            fact.seq,
            fact.at,
        )
        for fact in verdicts
        if isinstance(fact, BreachFact | OffenceFact)
    ]
    return sorted(found, key=_by_event)


def replayed_offences(result: Replay) -> Found:
    """Returns what a replay found until the account ended: a shard does not judge it after that event."""
    passed = result.passed if result.outcome == "pass" else None
    last: tuple[datetime, int, str] | None = None
    found = Found()
    for breach in result.breaches:
        moment = (breach.at, breach.seq, breach.event)
        if (last or moment) != moment or (passed and (breach.seq, breach.at) > (passed.seq, passed.at)):
            break
        last = moment if breach.fails else last
        found.append((breach.consequence.kind, breach.rule_id, breach.offence, breach.seq, breach.at))
    return sorted(found, key=_by_event)


def _by_event(offence: tuple[str, str, int, int, datetime]) -> tuple[int, datetime, str, int]:
    _, rule_id, number, seq, at = offence
    return seq, at, rule_id, number


def take(fold: Fold, told: Told) -> None:
    """Has a replay judge an event. While only time passes it looks at what is due, as a shard does."""
    if isinstance(told, Clocked) and fold.taken:
        fold.pass_time(told)
    else:
        fold.take(told)


class EventTeller:
    """Tells the events of account `login` one by one; resets come right before the event that is not before them, and
    releases right before the first event of a minute, as a shard announces them. `releases` grows from outside."""

    def __init__(
        self,
        terms: PhaseTerms,
        login: int,
        instruments: Mapping[str, Instrument],
        releases: Sequence[ScheduledRelease] = (),
    ) -> None:
        self.terms, self.login, self.instruments, self.releases = terms, login, instruments, releases
        self.board = QuoteBoard()
        self.balance = 0
        self.positions: dict[str, Position] = {}
        self.begun = False
        self.resets: dict[Purpose, datetime] = {}
        self._announced = 0
        self._minute_ends = datetime.min.replace(tzinfo=UTC)

    def tell(self, event: Event) -> Iterator[Told]:
        yield from self._resets(event)
        yield from self._news(event)
        mine = getattr(event, "login", self.login) == self.login
        told: list[Told] = []
        if isinstance(event, Tick):
            stamp = self.board.stamps.get(event.symbol)
            if stamp is not None and event.at < stamp[1]:
                return  # there is a newer quote
            self.board.put(event.symbol, event.bid, event.ask, event.seq, event.at)
            told = [Marked(**self._money(event.seq, event.at))] if self.begun else []
        elif isinstance(event, AccountChanged) and mine and event.change == "enabled":
            self.begin(event.at)
            told = [Clocked(**self._money(event.seq, event.at))]
        elif isinstance(event, Deal) and mine:
            told = [self._deal(event)]
        elif isinstance(event, BalanceOperation) and mine:
            told = [self._operation(event)]
        elif isinstance(event, StopsChanged) and mine:
            told = list(self._stops(event))
        elif isinstance(event, PendingOrder) and mine:
            told = [self._order(event)]
        else:  # only time passes
            told = [Clocked(**self._money(event.seq, event.at))]
        if self.begun:
            yield from told

    def begin(self, at: datetime) -> None:
        """The account is under the clocks of its terms from `at` on."""
        product = self.terms.product
        self.begun = True
        self.resets = {"trading_day": product.clock.next_reset(at)}
        if product.loss_clock is not None:
            self.resets["loss_snapshot"] = product.loss_clock.next_reset(at)

    def rebind(self, terms: PhaseTerms, at: datetime) -> None:
        """The account changed to other terms at `at`."""
        self.terms = terms
        self.begin(at)

    def _resets(self, event: Event) -> Iterator[Told]:
        while self.resets and (at := min(self.resets.values())) <= event.at:
            product = self.terms.product
            due = [purpose for purpose, instant in self.resets.items() if instant == at]
            both = product.loss_clock is None or len(due) == 2
            day = product.clock.trading_day(at - timedelta(microseconds=1))
            for purpose in due:
                clock = product.loss_clock if purpose == "loss_snapshot" else product.clock
                assert clock is not None
                self.resets[purpose] = clock.next_reset(at)
            yield Rolled(**self._money(event.seq, at), day=day, purpose="both" if both else due[0])

    def _news(self, event: Event) -> Iterator[Told]:
        if event.at < self._minute_ends:
            return
        self._minute_ends = event.at.replace(second=0, microsecond=0) + _MINUTE
        for release in self.releases:
            if release.id > self._announced and self.begun:
                self._announced = release.id
                yield News(
                    **self._money(event.seq, event.at),
                    news_id=release.key,
                    released_at=release.released_at,
                    ends_at=release.ends_at,
                    symbols=release.names,
                    impact=release.impact,
                )

    def _money(self, seq: int, at: datetime) -> dict[str, Any]:
        currency = self.terms.product.currency
        try:
            results = tuple(
                OpenResult(
                    position_id=position.position_id,
                    symbol=position.symbol,
                    pnl_minor=profit_minor(position, self.board, self.instruments, currency),
                )
                for position in self.positions.values()
            )
        except RateMissing:
            return {"seq": seq, "at": at, "balance_minor": self.balance}
        equity = self.balance + sum(result.pnl_minor for result in results)
        return {"seq": seq, "at": at, "balance_minor": self.balance, "equity_minor": equity, "positions": results}

    def _rate(self, symbol: str) -> Decimal | None:
        try:
            return conversion_rate(
                self.instruments[symbol].quote_currency, self.terms.product.currency, self.board.prices
            )
        except RateMissing:
            return None

    def _value(self, symbol: str, lots: Decimal, price: Decimal) -> int | None:
        rate, size = self._rate(symbol), self.instruments[symbol].contract_size
        return None if rate is None else position_value_minor(lots, size, price, rate, self.terms.product.currency)

    def _risk(self, symbol: str, side: Side, lots: Decimal, price: Decimal, stop: Decimal | None) -> int | None:
        rate, size = self._rate(symbol), self.instruments[symbol].contract_size
        if rate is None or stop is None:
            return None
        return -position_profit_minor(side, lots, size, price, stop, rate, self.terms.product.currency)

    def _deal(self, deal: Deal) -> Told:
        self.balance = deal.balance_minor
        held = self.positions.pop(deal.position_id, None)
        common: dict[str, Any] = {
            "position_id": deal.position_id,
            "symbol": deal.symbol,
            "lots": deal.lots,
            "commission_minor": deal.commission_minor,
            "fee_minor": deal.fee_minor,
        }
        if deal.entry == "in":
            return self._opened(deal, held, common)
        assert held is not None
        left = max(held.lots - deal.lots, Decimal(0))
        if left:
            self.positions[deal.position_id] = replace(held, lots=left)
        return Closed(
            **self._money(deal.seq, deal.at),
            **common,
            side=held.side,
            lots_left=left,
            opened_at=held.opened_at,
            pnl_minor=deal.profit_minor + deal.commission_minor + deal.swap_minor + deal.fee_minor,
            gross_minor=deal.profit_minor,
            swap_minor=deal.swap_minor,
            value_minor=self._value(deal.symbol, deal.lots, held.open_price),
            action=CLOSED_BY.get(deal.reason, "close"),
        )

    def _opened(self, deal: Deal, held: Position | None, common: dict[str, Any]) -> Told:
        position = Position(deal.position_id, deal.symbol, deal.side, deal.lots, deal.price, deal.at)
        if held is not None:
            lots = held.lots + deal.lots
            price = (held.open_price * held.lots + deal.price * deal.lots) / lots
            position = replace(held, lots=lots, open_price=price)
        self.positions[deal.position_id] = position
        return Opened(
            **self._money(deal.seq, deal.at),
            **common,
            side=deal.side,
            price=deal.price,
            stop_price=deal.stop_loss,
            take_profit=deal.take_profit,
            risk_minor=self._risk(deal.symbol, deal.side, deal.lots, deal.price, deal.stop_loss),
            value_minor=self._value(deal.symbol, deal.lots, deal.price),
            adds=held is not None,
            action=OPENED_BY.get(deal.reason, "open"),
        )

    def _stops(self, change: StopsChanged) -> Iterator[Told]:
        held = self.positions.get(change.position_id)
        if held is None:
            return
        money = self._money(change.seq, change.at)
        risk = self._risk(held.symbol, held.side, held.lots, held.open_price, change.stop_loss)
        yield StopChanged(**money, position_id=held.position_id, stop_price=change.stop_loss, risk_minor=risk)
        yield TakeProfitChanged(**money, position_id=held.position_id, take_profit=change.take_profit)

    def _order(self, order: PendingOrder) -> Told:
        money = self._money(order.seq, order.at)
        if order.change != "placed":
            return OrderGone(**money, order_id=order.order_id)
        return OrderPlaced(**money, order_id=order.order_id, symbol=order.symbol, side=order.side, lots=order.lots)

    def _operation(self, operation: BalanceOperation) -> Told:
        self.balance = operation.balance_minor
        money, stage = self._money(operation.seq, operation.at), _STAGES.get(operation.operation)
        if stage is None:
            return Marked(**money)
        return PaidOut(**money, gross_minor=abs(operation.amount_minor), stage=stage)

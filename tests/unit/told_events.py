"""The events of a venue as the rules take them, and the offences that a shard and a replay find in them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from domain.histories.results import Replay
from domain.products.phase_terms import PhaseTerms
from domain.rules.events import CLOSED_BY, Clocked, Closed, Marked, Opened, OpenResult, PaidOut, Rolled
from domain.rules.events import Event as Told
from domain.rules.marking import Instrument, Position, QuoteBoard, equity_minor, profit_minor
from monitor.facts import BreachFact, OffenceFact, VerdictFact
from ports.platform import AccountChanged, BalanceOperation, Deal, Event, Tick

# (consequence, rule, number, sequence number, instant) of each offence; those of one event by rule
Found = list[tuple[str, str, int, int, datetime]]
Purpose = Literal["trading_day", "loss_snapshot", "both"]


_STAGES: Final[dict[str, Literal["held", "released", "settled"]]] = {
    "payout_hold": "held",
    "payout_release": "released",
    "payout_settled": "settled",
}


def live_offences(verdicts: Iterable[VerdictFact]) -> Found:
    """What a shard found."""
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
    """What a replay found until the account ended: a shard does not judge it after that."""
    ends = next(((breach.at, breach.seq) for breach in result.breaches if breach.fails), None)
    if result.outcome == "pass" and result.passed is not None:
        ends = (result.passed.at, result.passed.seq)
    found = Found()
    for breach in result.breaches:
        if ends is not None and (breach.seq > ends[1] or (breach.seq == ends[1] and breach.at > ends[0])):
            break
        found.append((breach.consequence.kind, breach.rule_id, breach.offence, breach.seq, breach.at))
    return sorted(found, key=_by_event)


def _by_event(offence: tuple[str, str, int, int, datetime]) -> tuple[int, datetime, str, int]:
    _, rule_id, number, seq, at = offence
    return seq, at, rule_id, number


class EventTeller:
    """Tells the events of account `login` one by one; resets come right before the event that is not before them."""

    def __init__(self, terms: PhaseTerms, login: int, instruments: dict[str, Instrument]) -> None:
        self.terms, self.login, self.instruments = terms, login, instruments
        self.board = QuoteBoard()
        self.balance = 0
        self.positions: dict[str, Position] = {}
        self.begun = False
        self.resets: dict[Purpose, datetime] = {}

    def tell(self, event: Event) -> Iterator[Told]:
        yield from self._resets(event)
        mine = getattr(event, "login", self.login) == self.login
        told: Told | None = None
        if isinstance(event, Tick):
            stamp = self.board.stamps.get(event.symbol)
            if stamp is not None and event.at < stamp[1]:
                return  # there is a newer quote
            self.board.put(event.symbol, event.bid, event.ask, event.seq, event.at)
            told = Marked(**self._money(event.seq, event.at)) if self.begun else None
        elif isinstance(event, AccountChanged) and mine and event.change == "enabled":
            self._begin(event.at)
            told = Clocked(**self._money(event.seq, event.at))
        elif isinstance(event, Deal) and mine:
            told = self._deal(event)
        elif isinstance(event, BalanceOperation) and mine:
            told = self._operation(event)
        else:  # only time passes
            told = Clocked(**self._money(event.seq, event.at))
        if told is not None and self.begun:
            yield told

    def _begin(self, at: datetime) -> None:
        product = self.terms.product
        self.begun = True
        self.resets = {"trading_day": product.clock.next_reset(at)}
        if product.loss_clock is not None:
            self.resets["loss_snapshot"] = product.loss_clock.next_reset(at)

    def _resets(self, event: Event) -> Iterator[Told]:
        product = self.terms.product
        while self.resets and (at := min(self.resets.values())) <= event.at:
            due = [purpose for purpose, instant in self.resets.items() if instant == at]
            both = product.loss_clock is None or len(due) == 2
            day = product.clock.trading_day(at - timedelta(microseconds=1))
            yield Rolled(**self._money(event.seq, at), day=day, purpose="both" if both else due[0])
            for purpose in due:
                clock = product.loss_clock if purpose == "loss_snapshot" else product.clock
                assert clock is not None
                self.resets[purpose] = clock.next_reset(at)

    def _money(self, seq: int, at: datetime) -> dict[str, Any]:
        equity = equity_minor(self.balance, self.positions.values(), self.board, self.instruments, "USD")
        results = tuple(
            OpenResult(
                position_id=position.position_id,
                symbol=position.symbol,
                pnl_minor=profit_minor(position, self.board, self.instruments, "USD"),
            )
            for position in self.positions.values()
        )
        return {"seq": seq, "at": at, "balance_minor": self.balance, "equity_minor": equity, "positions": results}

    def _deal(self, deal: Deal) -> Told:
        self.balance = deal.balance_minor
        held = self.positions.pop(deal.position_id, None)
        common: dict[str, Any] = {
            "position_id": deal.position_id,
            "symbol": deal.symbol,
            "lots": deal.lots,
            "commission_minor": deal.commission_minor,
        }
        if deal.entry == "in":
            assert held is None
            position = Position(deal.position_id, deal.symbol, deal.side, deal.lots, deal.price, deal.at)
            self.positions[deal.position_id] = position
            return Opened(**self._money(deal.seq, deal.at), **common, side=deal.side, price=deal.price)
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
            action=CLOSED_BY.get(deal.reason, "close"),
        )

    def _operation(self, operation: BalanceOperation) -> Told:
        self.balance = operation.balance_minor
        money, stage = self._money(operation.seq, operation.at), _STAGES.get(operation.operation)
        if stage is None:
            return Marked(**money)
        return PaidOut(**money, gross_minor=abs(operation.amount_minor), stage=stage)

"""One account judged by the exact evaluator at every event, without columns or batches."""

from dataclasses import replace
from datetime import date, datetime

from domain.clocks import begun_with
from domain.products.phase_terms import PhaseTerms
from domain.products.target import target_reached
from domain.rules.evaluate import LevelBreach, judge, judge_rollover
from domain.rules.events import Moment, OpenResult
from domain.rules.floors import Costs, Mark
from domain.rules.marking import Instrument, Position, QuoteBoard, equity_minor, profit_minor
from domain.rules.state import fresh, on_payout_hold, on_payout_release, on_payout_settled
from ports.platform import BalanceOperation, Deal, Event, Tick


def _money(mark: Mark) -> Moment:
    return Moment(seq=mark.seq, at=mark.at, balance_minor=mark.balance_minor, equity_minor=mark.equity_minor)


class ExactPath:
    """`finding` becomes (kind, seq, floors of the broken rules) at the first verdict."""

    def __init__(self, terms: PhaseTerms, login: int, instruments: dict[str, Instrument]) -> None:
        self.terms, self.login, self.instruments = terms, login, instruments
        self.rules = fresh(terms.specs)
        self.board = QuoteBoard()
        self.balance = self.commission = self.swap = 0
        self.positions: dict[str, Position] = {}
        self.days: list[date] = []
        self.live = False
        self.reset: datetime | None = None
        self.finding: tuple[str, int, dict[str, int]] | None = None

    def event(self, event: Event) -> None:
        clock = self.terms.product.loss_clock or self.terms.product.clock
        while self.live and self.reset is not None and self.reset <= event.at and self.finding is None:
            mark = self.mark(event.seq, self.reset)
            day = clock.trading_day(self.reset)
            self.rules, found = judge_rollover(self.rules, mark, begun_with(None, day))
            self.conclude(event.seq, found)
            self.reset = clock.next_reset(self.reset)
        if self.finding is not None:
            return
        if isinstance(event, Tick):
            stamp = self.board.stamps.get(event.symbol)
            if stamp is not None and event.at < stamp[1]:
                return  # there is a newer quote
            self.board.put(event.symbol, event.bid, event.ask, event.seq, event.at)
        elif event.kind == "account" and event.login == self.login:
            self.live, self.reset = True, clock.next_reset(event.at)
        elif isinstance(event, Deal) and event.login == self.login:
            self.deal(event)
        elif isinstance(event, BalanceOperation) and event.login == self.login:
            self.operation(event)
        if self.live:
            mark = self.mark(event.seq, event.at)
            self.rules, found = judge(self.rules, mark)
            closed = isinstance(event, Deal | BalanceOperation) and event.login == self.login
            if found:
                self.conclude(event.seq, found)
            elif closed and target_reached(self.terms, _money(mark), len(self.positions), len(self.days)):
                self.finding = ("pass", event.seq, {})

    def mark(self, seq: int, at: datetime) -> Mark:
        equity = equity_minor(self.balance, self.positions.values(), self.board, self.instruments, "USD")
        results = tuple(
            OpenResult(
                position_id=position.position_id,
                symbol=position.symbol,
                pnl_minor=profit_minor(position, self.board, self.instruments, "USD"),
            )
            for position in self.positions.values()
        )
        return Mark(self.balance, equity, seq, at, Costs(self.commission, self.swap), results)

    def conclude(self, seq: int, found: list[LevelBreach]) -> None:
        if found:
            self.finding = ("breach", seq, {v.spec.key: v.floor_minor for v in found})

    def deal(self, deal: Deal) -> None:
        self.balance = deal.balance_minor
        self.commission += deal.commission_minor
        self.swap += deal.swap_minor
        if deal.entry == "in":
            self.positions[deal.position_id] = Position(
                deal.position_id, deal.symbol, deal.side, deal.lots, deal.price, deal.at
            )
            day = self.terms.product.clock.trading_day(deal.at)
            if day not in self.days:
                self.days.append(day)
            return
        held = self.positions.pop(deal.position_id)
        if held.lots > deal.lots:
            self.positions[deal.position_id] = replace(held, lots=held.lots - deal.lots)

    def operation(self, operation: BalanceOperation) -> None:
        self.balance = operation.balance_minor
        amount = abs(operation.amount_minor)
        if operation.operation == "payout_hold":
            self.rules = on_payout_hold(self.rules, amount)
        elif operation.operation == "payout_release":
            self.rules = on_payout_release(self.rules, amount)
        elif operation.operation == "payout_settled":
            self.rules = on_payout_settled(self.rules)

"""Conduct rules, gates and everything that time alone decides, for the accounts whose terms have such rules.

Deals, resets, payouts and news are rare compared with ticks, so these rules run on exact objects, account by account.
Instants at which time alone decides something wait in a heap.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from domain.errors import RateMissing
from domain.pnl import conversion_rate, position_profit_minor, position_value_minor
from domain.products.phase_terms import PhaseTerms
from domain.proofs.points import PointSubject, TermsChange
from domain.rules import history, limits
from domain.rules.base import Violation
from domain.rules.carry import carried_history
from domain.rules.events import (
    CLOSED_BY,
    OPENED_BY,
    Clocked,
    Closed,
    Event,
    Marked,
    News,
    Opened,
    OrderGone,
    OrderPlaced,
    PaidOut,
    Rolled,
    Side,
    StopChanged,
    TakeProfitChanged,
)
from domain.rules.floors import Mark
from domain.rules.marking import Position
from monitor.columns.conduct_state import ConductState, ToldRelease, fresh_conduct_state, needs_conduct_state
from monitor.columns.roster import AccountRow
from monitor.state import ShardState
from ports.platform import BalanceOperation, Deal, PendingOrder, StopsChanged

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_REMEMBERED: Final = timedelta(days=14)  # longer than any window around a release
_STAGES: Final[Mapping[str, Literal["held", "released", "settled"]]] = {
    "payout_hold": "held",
    "payout_release": "released",
    "payout_settled": "settled",
}


class Conduct:
    """Feeds the events of the stream to the conduct rules of each account and returns the violations."""

    def __init__(self, state: ShardState) -> None:
        self._state = state
        self._states = state.accounts.conduct_states
        self._heap: list[tuple[datetime, int]] = []
        self._planned: dict[int, datetime] = {}
        self._tried: dict[int, datetime] = {}  # row -> the last instant at which time alone was tried
        self._news: dict[str, News] = {}

    def admit(self, account: AccountRow, kept: ConductState | None) -> None:
        """Takes an account up. `kept`: its state in the checkpoint, None at its very start."""
        if kept is None and not needs_conduct_state(account.terms):
            return
        self._states[account.row] = kept or fresh_conduct_state(account.terms)
        self._catch_up_news(account, self._state.now)
        self.plan(account)

    def rebind(self, account: AccountRow, before: PhaseTerms, mark: Mark) -> None:
        """Moves an account from the terms `before` to its new terms. Rules in both continue, new rules begin at
        `mark`."""
        kept, terms = self._states.pop(account.row, None), account.terms
        self._planned.pop(account.row, None)
        self._tried.pop(account.row, None)
        unfinished = kept is not None and kept.waits_for_venue
        if not needs_conduct_state(terms) and not unfinished:
            return
        conduct = kept or fresh_conduct_state(terms)
        carried = carried_history(
            kept.history if kept else None, before.history_rules, terms.history_rules, terms.context, mark
        )
        # proofs fold the events from here on under the new terms, not those that were judged under the old ones
        now = Marked(seq=mark.seq, at=mark.at, balance_minor=mark.balance_minor, equity_minor=mark.equity_minor)
        old = PointSubject(account.account_id, before)
        if conduct.behind:
            self._state.facts.points += conduct.catch_up(old, now)
        change = TermsChange(
            product=before.product.product,
            version=before.product.version,
            initial_minor=before.context.initial_minor,
            kept=kept is not None,
            balance_minor=mark.balance_minor,
            equity_minor=mark.equity_minor,
        )
        new = PointSubject(account.account_id, terms)
        self._state.facts.points.append(conduct.change_terms(carried, new, change, now))
        conduct.told = {}  # a rule that is new has heard of no release
        conduct.keep_limits_of(terms)
        self._states[account.row] = conduct
        self._catch_up_news(account, mark.at, mark.seq)
        self.plan(account)

    def begin(self, account: AccountRow, seq: int, at: datetime) -> None:
        """The account may trade from now on: rules that count from its start count from here."""
        if account.row in self._states:
            self._step(account, Clocked(seq=seq, at=at, **self._money(account)))
            self.plan(account)

    def deal(self, account: AccountRow, deal: Deal, before: Position | None) -> tuple[Violation, ...]:
        """Returns the violations of a fill. `before`: its position before the fill."""
        if account.row not in self._states:
            return ()
        opens = deal.entry == "in"
        return self._step(
            account, self._opened(account, deal, before) if opens else self._closed(account, deal, before)
        )

    def stops_changed(self, account: AccountRow, change: StopsChanged) -> tuple[Violation, ...]:
        """Returns the violations of a new stop loss or take profit of an open position."""
        position = account.positions_by_id().get(change.position_id) if account.row in self._states else None
        if position is None:
            return ()
        moment: dict[str, Any] = {"seq": change.seq, "at": change.at, "position_id": change.position_id}
        risk = self._risk(account, position.symbol, position.side, position.lots, position.open_price, change.stop_loss)
        stop = StopChanged(stop_price=change.stop_loss, risk_minor=risk, **moment, **self._money(account))
        target = TakeProfitChanged(take_profit=change.take_profit, **moment, **self._money(account))
        return self._step(account, stop) + self._step(account, target)

    def order(self, account: AccountRow, order: PendingOrder) -> tuple[Violation, ...]:
        """Returns the violations of a pending order that was placed, or is gone. A changed one stays what it was."""
        if account.row not in self._states or order.change == "changed":
            return ()
        moment = {"seq": order.seq, "at": order.at, **self._money(account)}
        if order.change != "placed":
            return self._step(account, OrderGone(**moment, order_id=order.order_id))
        placed = OrderPlaced(**moment, order_id=order.order_id, symbol=order.symbol, side=order.side, lots=order.lots)
        return self._step(account, placed)

    def operation(self, account: AccountRow, operation: BalanceOperation) -> tuple[Violation, ...]:
        """Returns the violations of a balance operation."""
        if account.row not in self._states:
            return ()
        stage = _STAGES.get(operation.operation)
        if stage is None and not account.judged:
            return ()  # the first deposit comes before the account's first event
        if stage is None:
            return self._step(account, Marked(seq=operation.seq, at=operation.at, **self._money(account)))
        amount = abs(operation.amount_minor)
        return self._step(
            account,
            PaidOut(seq=operation.seq, at=operation.at, gross_minor=amount, stage=stage, **self._money(account)),
        )

    def marked(self, account: AccountRow, seq: int, at: datetime) -> tuple[Violation, ...]:
        """Returns the violations of the rules that follow the equity, when a price has changed it."""
        if account.row not in self._states or not history.follows_equity(account.terms.history_rules):
            return ()
        return self._step(account, Marked(seq=seq, at=at, **self._money(account)))

    def end_day(
        self, account: AccountRow, now: Marked, day: date, purpose: Literal["trading_day", "both"]
    ) -> tuple[Violation, ...]:
        """Returns the violations at the end of trading day `day`. `now`: the account's money then."""
        rolled = Rolled(
            seq=now.seq,
            at=now.at,
            balance_minor=now.balance_minor,
            equity_minor=now.equity_minor,
            day=day,
            purpose=purpose,
        )
        return self._step(account, rolled)

    # news

    def announce(self, releases: Iterable[News]) -> Iterator[tuple[AccountRow, tuple[Violation, ...]]]:
        """Passes newly known or moved releases to every account with such rules. Yields the violations."""
        for release in releases:
            known = self._news.get(release.news_id)
            if known is not None and ToldRelease.of(known) == ToldRelease.of(release):
                continue
            self._news[release.news_id] = release
            for row in list(self._states):
                account = self._state.accounts[row]
                yield account, self._announce_to(account, release)
        self._news = {key: news for key, news in self._news.items() if not self._forgotten(ToldRelease.of(news))}

    def _catch_up_news(self, account: AccountRow, at: datetime, seq: int | None = None) -> None:
        """Tells an account at `at` of all known releases. Told as of their announcement, a window that has passed would
        be judged again."""
        for release in self._news.values():
            self._announce_to(account, replace(release, at=at, seq=release.seq if seq is None else seq))

    def _announce_to(self, account: AccountRow, release: News) -> tuple[Violation, ...]:
        """Passes a release to an account that does not have it yet as it is now. A checkpoint keeps the releases that
        it has."""
        told, now = self._states[account.row].told, ToldRelease.of(release)
        if told.get(release.news_id) == now or self._forgotten(now):
            return ()
        return self._step(account, replace(release, **self._money(account)))

    def _forgotten(self, release: ToldRelease) -> bool:
        """Whether a release was over so long ago that no rule asks for it."""
        return release.over_at < self._state.now - _REMEMBERED

    # what time alone decides

    @property
    def next_at(self) -> datetime:
        """The next instant at which time alone may decide something."""
        return self._heap[0][0] if self._heap else _NEVER

    def due(self, until: datetime, seq: int) -> Iterator[tuple[AccountRow, datetime, tuple[Violation, ...]]]:
        """Yields (account, instant, violations) for every planned instant up to `until`, oldest first."""
        while self._heap and self._heap[0][0] <= until:
            at, row = heapq.heappop(self._heap)
            if self._planned.get(row) != at:
                continue  # planned anew meanwhile
            del self._planned[row]
            if row not in self._states:
                continue  # another shard has it by now
            account = self._state.accounts[row]
            if not account.judged:
                continue  # it has ended: nobody would record a violation. It is planned again when it begins anew
            yield account, at, self._step(account, Clocked(seq=seq, at=at, **self._money(account)))
            if row in self._states:
                self._tried[row] = at  # what was not decided now would not be the next time either
                self.plan(account)

    def plan(self, account: AccountRow) -> None:
        """Notes the next instant at which time alone may decide something for `account`."""
        conduct, terms = self._states[account.row], account.terms
        tried = self._tried.get(account.row)
        ends = [end for state in conduct.limits.values() if (end := limits.due(state)) is not None]
        instants = [end for end in ends if tried is None or end > tried]
        of_history = history.due(conduct.history, terms.history_rules, terms.context)
        if of_history is not None and of_history != tried:
            instants.append(of_history)
        at = min(instants, default=None)
        if at is None:
            self._planned.pop(account.row, None)
        elif self._planned.get(account.row) != at:
            self._planned[account.row] = at
            heapq.heappush(self._heap, (at, account.row))

    def _step(self, account: AccountRow, event: Event) -> tuple[Violation, ...]:
        conduct, terms = self._states[account.row], account.terms
        after, violations = history.step(conduct.history, event, terms.history_rules, terms.context)
        if after is not conduct.history or violations:
            subject = PointSubject(account.account_id, terms)
            if conduct.behind:
                self._state.facts.points += conduct.catch_up(subject, event)
            point = conduct.take(event, after, subject)
            if point is not None:
                self._state.facts.points.append(point)
            if isinstance(event, News):
                told = {key: one for key, one in conduct.told.items() if not self._forgotten(one)}
                conduct.told = {**told, event.news_id: ToldRelease.of(event)}
            account.mark_changed()
            self._tried.pop(account.row, None)
            self.plan(account)
            if history.follows_equity(terms.history_rules):
                self._state.set_alarms(account)
        return violations

    # events of the stream as rules take them

    def _money(self, account: AccountRow) -> dict[str, Any]:
        try:
            equity = self._state.exact_equity(account)
        except RateMissing:
            equity = None
        return {"balance_minor": account.balance_minor, "equity_minor": equity}

    def _conversion(self, account: AccountRow, symbol: str) -> tuple[Decimal, Decimal] | None:
        """(contract size, rate into the account's currency) of a symbol; None while it cannot be converted."""
        instrument, currency = self._state.instruments.get(symbol), account.terms.product.currency
        if instrument is None:
            return None
        try:
            rate = conversion_rate(instrument.quote_currency, currency, self._state.board.prices)
        except RateMissing:
            return None
        return instrument.contract_size, rate

    def _value(self, account: AccountRow, symbol: str, lots: Decimal, price: Decimal) -> int | None:
        """The value of a position in minor units; None while it cannot be converted."""
        conversion = self._conversion(account, symbol)
        if conversion is None:
            return None
        size, rate = conversion
        return position_value_minor(lots, size, price, rate, account.terms.product.currency)

    def _risk(
        self, account: AccountRow, symbol: str, side: Side, lots: Decimal, price: Decimal, stop: Decimal | None
    ) -> int | None:
        """The loss if the stop is hit; None without a stop, or while it cannot be converted."""
        conversion = self._conversion(account, symbol)
        if conversion is None or stop is None:
            return None
        (size, rate), currency = conversion, account.terms.product.currency
        return -position_profit_minor(side, lots, size, price, stop, rate, currency)

    def _opened(self, account: AccountRow, deal: Deal, before: Position | None) -> Opened:
        return Opened(
            seq=deal.seq,
            at=deal.at,
            position_id=deal.position_id,
            symbol=deal.symbol,
            side=deal.side,
            lots=deal.lots,
            price=deal.price,
            stop_price=deal.stop_loss,
            take_profit=deal.take_profit,
            risk_minor=self._risk(account, deal.symbol, deal.side, deal.lots, deal.price, deal.stop_loss),
            value_minor=self._value(account, deal.symbol, deal.lots, deal.price),
            commission_minor=deal.commission_minor,
            fee_minor=deal.fee_minor,
            adds=before is not None,
            action=OPENED_BY.get(deal.reason, "open"),
            **self._money(account),
        )

    def _closed(self, account: AccountRow, deal: Deal, before: Position | None) -> Closed:
        left = Decimal(0) if before is None else max(before.lots - deal.lots, Decimal(0))
        price = deal.price if before is None else before.open_price
        return Closed(
            seq=deal.seq,
            at=deal.at,
            position_id=deal.position_id,
            symbol=deal.symbol,
            side="sell" if deal.side == "buy" else "buy",
            lots=deal.lots,
            lots_left=left,
            opened_at=before.opened_at if before else None,
            pnl_minor=deal.profit_minor + deal.commission_minor + deal.swap_minor + deal.fee_minor,
            gross_minor=deal.profit_minor,
            commission_minor=deal.commission_minor,
            swap_minor=deal.swap_minor,
            fee_minor=deal.fee_minor,
            value_minor=self._value(account, deal.symbol, deal.lots, price),
            action=CLOSED_BY.get(deal.reason, "close"),
            **self._money(account),
        )

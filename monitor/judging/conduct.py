"""Conduct rules, gates and everything that time alone decides, for the accounts whose terms have such rules.

Deals, resets, payouts and news are rare beside ticks, so that these rules run on the exact objects, account by account;
what falls due without any event waits in a heap.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from domain.pnl import RateMissing, conversion_rate, position_profit_minor, position_value_minor
from domain.rules import history
from domain.rules.base import Violation
from domain.rules.carry import carried_history
from domain.rules.events import CLOSED_BY, Clocked, Closed, Event, Marked, News, Opened, PaidOut, Rolled
from domain.rules.floors import Mark
from domain.rules.marking import Position
from domain.rules.state import PhaseTerms
from monitor.columns.conduct_state import Standing, fresh_standing, needs_standing
from monitor.judging.offences import cure_ends
from ports.platform import BalanceOperation, Deal

if TYPE_CHECKING:
    from monitor.columns.roster import Account
    from monitor.shard import Shard

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_NEXT: Final = timedelta(microseconds=1)
_STAGES: Final[Mapping[str, Literal["held", "released", "settled"]]] = {
    "payout_hold": "held",
    "payout_release": "released",
    "payout_settled": "settled",
}


class Conduct:
    """`standings` by row, as the roster keeps them."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard
        self.standings = shard.accounts.standings
        self._heap: list[tuple[datetime, int]] = []
        self._planned: dict[int, datetime] = {}
        self._news: dict[str, News] = {}
        shard.judge.curing = self.plan

    def admit(self, account: "Account", kept: Standing | None) -> None:
        """Take an account up, as its checkpoint has it or at its very start."""
        if kept is None and not needs_standing(account.terms):
            return
        self.standings[account.row] = kept or fresh_standing(account.terms)
        for release in self._news.values():
            self._tell(account, release)
        self.plan(account)

    def rebind(self, account: "Account", before: PhaseTerms, mark: Mark) -> None:
        """The account has come from the terms `before` under others: what both have goes on, the rest begins at `mark`."""
        kept, terms = self.standings.pop(account.row, None), account.terms
        self._planned.pop(account.row, None)
        if not needs_standing(terms):
            return
        standing = kept or fresh_standing(terms)
        standing.history = carried_history(
            kept.history if kept else None, before.history_rules, terms.history_rules, terms.context, mark
        )
        # proofs fold what comes from here on under the new terms, not what was judged under the old ones
        standing.began, standing.events = standing.history, []
        self.standings[account.row] = standing
        for release in self._news.values():
            self._tell(account, release)
        self.plan(account)

    def begin(self, account: "Account", seq: int, at: datetime) -> None:
        """The account may trade from now on: what counts from its start counts from here."""
        if account.row in self.standings:
            self._step(account, Clocked(seq=seq, at=at, **self._money(account)))
            self.plan(account)

    def deal(self, account: "Account", deal: Deal, before: Position | None) -> tuple[Violation, ...]:
        """The offences that a fill is; `before` is its position as it was until then."""
        if account.row not in self.standings:
            return ()
        opens = deal.entry == "in"
        return self._step(
            account, self._opened(account, deal, before) if opens else self._closed(account, deal, before)
        )

    def operation(self, account: "Account", operation: BalanceOperation) -> tuple[Violation, ...]:
        stage = _STAGES.get(operation.operation)
        if stage is None or account.row not in self.standings:
            return ()
        amount = abs(operation.amount_minor)
        return self._step(
            account,
            PaidOut(seq=operation.seq, at=operation.at, gross_minor=amount, stage=stage, **self._money(account)),
        )

    def rolled(
        self, account: "Account", now: Marked, day: date, purpose: Literal["trading_day", "both"]
    ) -> tuple[Violation, ...]:
        """The trading day `day` has ended, with the account's money `now`."""
        rolled = Rolled(
            seq=now.seq,
            at=now.at,
            balance_minor=now.balance_minor,
            equity_minor=now.equity_minor,
            day=day,
            purpose=purpose,
        )
        return self._step(account, rolled)

    def announce(self, releases: Iterable[News]) -> Iterator[tuple["Account", tuple[Violation, ...]]]:
        """News became known: every account with such rules hears of it."""
        for release in releases:
            if release.news_id in self._news:
                continue
            self._news[release.news_id] = release
            for row in list(self.standings):
                account = self._shard.accounts[row]
                yield account, self._tell(account, release)

    def _tell(self, account: "Account", release: News) -> tuple[Violation, ...]:
        """Let an account hear of a release, unless it has: a checkpoint keeps what it was told."""
        heard = (event.news_id for event in self.standings[account.row].events if isinstance(event, News))
        if release.news_id in heard:
            return ()
        return self._step(account, replace(release, **self._money(account)))

    # what time alone decides

    @property
    def next_at(self) -> datetime:
        return self._heap[0][0] if self._heap else _NEVER

    def due(self, until: datetime, seq: int) -> Iterator[tuple["Account", datetime, tuple[Violation, ...]]]:
        """Every account for which an instant up to `until` decides something, oldest first, and the offences it is."""
        while self._heap and self._heap[0][0] <= until:
            at, row = heapq.heappop(self._heap)
            if self._planned.get(row) != at:
                continue  # planned anew meanwhile
            del self._planned[row]
            if row not in self.standings:
                continue  # another shard's by now
            account = self._shard.accounts[row]
            if not self._shard.columns.judged[row]:
                continue  # it has ended: what would be found now nobody would record; planned again when it begins anew
            yield account, at, self._step(account, Clocked(seq=seq, at=at, **self._money(account)))
            if self._planned.get(row) == at:  # it has decided nothing, and would not the next time either
                del self._planned[row]

    def plan(self, account: "Account") -> None:
        """Note when time alone may decide something for `account` next."""
        standing, terms = self.standings[account.row], account.terms
        cure = cure_ends(standing)
        instants = [history.due(standing.history, terms.history_rules, terms.context), cure and cure + _NEXT]
        at = min((instant for instant in instants if instant is not None), default=None)
        if at is None:
            self._planned.pop(account.row, None)
        elif self._planned.get(account.row) != at:
            self._planned[account.row] = at
            heapq.heappush(self._heap, (at, account.row))

    def _step(self, account: "Account", event: Event) -> tuple[Violation, ...]:
        standing, terms = self.standings[account.row], account.terms
        after, violations = history.step(standing.history, event, terms.history_rules, terms.context)
        if after is not standing.history or violations:
            standing.history = after
            standing.events.append(event)
            self._shard.columns.dirty[account.row] = True
            self.plan(account)
        return violations

    # events out of the stream

    def _money(self, account: "Account") -> dict[str, Any]:
        try:
            equity = self._shard.marks.exact(account)
        except RateMissing:
            equity = None
        return {"balance_minor": int(self._shard.columns.balance[account.row]), "equity_minor": equity}

    def _value(self, account: "Account", symbol: str, lots: Decimal, price: Decimal) -> int | None:
        instrument, currency = self._shard.instruments.get(symbol), account.terms.product.currency
        if instrument is None:
            return None
        try:
            rate = conversion_rate(instrument.quote_currency, currency, self._shard.board.prices)
        except RateMissing:
            return None
        return position_value_minor(lots, instrument.contract_size, price, rate, currency)

    def _risk(self, account: "Account", deal: Deal) -> int | None:
        """The loss if the stop is hit; None without a stop, or while it cannot be converted."""
        instrument, currency = self._shard.instruments.get(deal.symbol), account.terms.product.currency
        if instrument is None or deal.stop_loss is None:
            return None
        try:
            rate = conversion_rate(instrument.quote_currency, currency, self._shard.board.prices)
        except RateMissing:
            return None
        return -position_profit_minor(
            deal.side, deal.lots, instrument.contract_size, deal.price, deal.stop_loss, rate, currency
        )

    def _opened(self, account: "Account", deal: Deal, before: Position | None) -> Opened:
        return Opened(
            seq=deal.seq,
            at=deal.at,
            position_id=deal.position_id,
            symbol=deal.symbol,
            side=deal.side,
            lots=deal.lots,
            price=deal.price,
            stop_price=deal.stop_loss,
            risk_minor=self._risk(account, deal),
            value_minor=self._value(account, deal.symbol, deal.lots, deal.price),
            commission_minor=deal.commission_minor,
            adds=before is not None,
            **self._money(account),
        )

    def _closed(self, account: "Account", deal: Deal, before: Position | None) -> Closed:
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
            value_minor=self._value(account, deal.symbol, deal.lots, price),
            action=CLOSED_BY.get(deal.reason, "close"),
            **self._money(account),
        )

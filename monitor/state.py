"""The state of a shard: its accounts, their money, positions and rules, at the quotes of the moment.

Judging and record read and change accounts through this and through `AccountRow`. Operations on many accounts at once
take rows of the columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from domain.clocks import Begins, begun_with
from domain.products.phase_terms import PhaseTerms
from domain.rules import history
from domain.rules.floors import FloorSpec, Mark
from domain.rules.marking import Instrument, QuoteBoard
from monitor.columns import kernels
from monitor.columns.account_columns import AccountColumns, Bools, Ints, microseconds
from monitor.columns.minute_bars import MinuteBars
from monitor.columns.reset_clock import ResetClock
from monitor.columns.roster import AccountRow, Roster
from monitor.columns.rule_columns import LevelMoney, RuleColumns
from monitor.columns.stated_marks import StatedMarks
from monitor.facts import ReviewKind, ReviewNote, UnstoredFacts
from monitor.loaded import Checkpoint

Instruments = Callable[[], Mapping[str, Instrument]]


class ShardState:
    """`instruments` asks the venue for its symbols; it is asked again when an unknown symbol occurs. `now`: market
    time."""

    def __init__(
        self, instruments: Instruments, board: QuoteBoard, now: datetime, last_tick_at: datetime | None
    ) -> None:
        kernels.ready()
        self._fetch_instruments = instruments
        self.instruments = dict(instruments())
        self.board, self.now, self.last_tick_at = board, now, last_tick_at
        self.columns = AccountColumns()
        self.rules = RuleColumns(self.columns)
        self.bars = MinuteBars(self.columns)
        self.bars.advance(now)
        self.marks = StatedMarks(self.columns, board, self.instruments)
        self.accounts = Roster(self.columns, self.rules, self.marks.positions)
        self.clock = ResetClock()
        self.facts = UnstoredFacts()
        self.arriving: set[int] = set()  # rows of accounts from another platform that have not joined the resets yet
        self._unknown_symbols: set[str] = set()

    def reserve(self, capacity: int) -> None:
        """Makes room for `capacity` accounts in all."""
        self.accounts.reserve(capacity)
        self.rules.reserve(capacity)

    def knows_symbol(self, symbol: str, at: datetime) -> bool:
        """Returns whether the venue has described `symbol`. An unknown one is asked for once, then opens a review."""
        if symbol not in self.instruments and symbol not in self._unknown_symbols:
            self.instruments.update(self._fetch_instruments())
            if symbol not in self.instruments:
                self._unknown_symbols.add(symbol)
                self.review(ReviewKind.UNKNOWN_SYMBOL, symbol, at, {"symbol": symbol})
        return symbol in self.instruments

    def review(
        self, kind: ReviewKind, key: str, at: datetime, detail: Mapping[str, object], account: AccountRow | None = None
    ) -> None:
        """Opens a review, or adds to the open one with this key."""
        account_id = account.account_id if account else None
        self.facts.reviews.append(ReviewNote(f"{kind.value}/{key}", kind, at, dict(detail), account_id))

    @contextmanager
    def with_quote(self, symbol: str, bid: Decimal, ask: Decimal, seq: int, at: datetime) -> Iterator[list[AccountRow]]:
        """Puts a quote on the board for the length of a `with` block, and yields the accounts that it brings beyond an
        alarm. Bars and alarms stay as they were. Yields none for a symbol without an earlier quote."""
        board = self.board
        if symbol not in board.prices:
            yield []
            return
        quote, stamp, hot = board.prices[symbol], board.stamps[symbol], self.columns.hot.copy()
        board.put(symbol, bid, ask, seq, at)
        found = self.marks.tick(symbol)
        try:
            beyond = set() if found is None else set(found.tolist())
            yield self.accounts.in_order_of_login(beyond | self._losing(symbol))
        finally:
            board.put(symbol, *quote, *stamp)
            self.marks.tick(symbol)
            self.columns.hot[:] = hot

    # one account

    def exact_equity(self, account: AccountRow) -> int:
        """Returns the equity in minor units as the exact evaluator computes it. Raises RateMissing while it is not
        known."""
        return self.marks.exact(account)

    def mark(
        self, account: AccountRow, equity: int, seq: int, at: datetime, specs: Sequence[FloorSpec] | None = None
    ) -> Mark:
        """Returns the money of an account at an event, and what each position makes where a rule asks. `equity`: its
        exact equity, which is known. `specs`: the levels that it is compared with, if not its own."""
        asked = account.terms.specs if specs is None and self.rules.watches_losses else specs or ()
        asks = any(spec.per != "account" for spec in asked)
        results = self.marks.results(account) if asks and not self.marks.stated(account.row) else None
        return Mark(account.balance_minor, equity, seq, at, account.costs, results)

    def revalue(self, account: AccountRow) -> None:
        """Sets the equity from balance and profits, after either changed."""
        self.marks.resync(account)

    def trading_day(self, account: AccountRow) -> date:
        """The running trading day of an account."""
        return self.clock.groups[int(self.columns.group[account.row])].day

    def restarts_limits_with_day(self, account: AccountRow) -> bool:
        """Returns whether the account's limits count anew at the reset that ends its trading day."""
        return bool(self.columns.loss_group[account.row] == self.columns.group[account.row])

    def join_clocks(self, account: AccountRow, terms: PhaseTerms, at: datetime) -> None:
        """Puts an account under the clocks of `terms`: its next resets are the first after `at`."""
        product, columns, row = terms.product, self.columns, account.row
        columns.group[row] = self.clock.group(product.clock, at).index
        columns.loss_group[row] = self.clock.group(product.loss_clock or product.clock, at).index

    def restore(self, account: AccountRow, checkpoint: Checkpoint) -> None:
        """Sets money, rules and positions of an account that was just admitted; not its alarms."""
        account.balance_minor = checkpoint.balance_minor
        account.opening = (checkpoint.opening_minor, checkpoint.opening_at, checkpoint.opening_seq)
        account.synced = checkpoint.synced
        account.judged, account.ended = checkpoint.judged, checkpoint.ended
        for movement in checkpoint.movements:
            account.add_movement(movement)
        account.trading_days = checkpoint.trading_days
        account.offences = checkpoint.offences
        account.costs = checkpoint.costs
        account.rules = checkpoint.rules
        if checkpoint.place is not None:
            account.place = checkpoint.place
            if not checkpoint.place.arrived:
                self.arriving.add(account.row)
        self.marks.load(account, (p for p in checkpoint.positions if self.knows_symbol(p.symbol, p.opened_at)))
        for position_id, exits in checkpoint.exits.items():
            self.marks.set_exits(account, position_id, *(Decimal(repr(each)) if each else None for each in exits))

    def clear_positions(self, account: AccountRow) -> None:
        for position_id in account.positions_by_id():
            self.marks.drop(account, position_id)

    def silence(self, account: AccountRow) -> None:
        """Stops judging an account, for example because it was disabled."""
        account.judged = False
        self.set_alarms(account)

    def set_alarms(self, account: AccountRow) -> None:
        """Sets the equity at which an account becomes a candidate for the judge."""
        self.set_alarms_of(np.array([account.row]))

    # many accounts

    def set_alarms_of(self, rows: Ints) -> None:
        """Sets the alarms of many accounts."""
        accounts = self.accounts
        extra: Ints | None = None
        muted: Ints | None = None
        if accounts.costs:
            extra = np.zeros((max(map(len, self.rules.specs)), len(rows)), np.int64)
            for place, row in enumerate(rows.tolist()):
                if row in accounts.costs:
                    extra[: len(self.rules.symbol_specs(row)), place] = self._uncounted(row)
        if accounts.conduct_states:
            masks = [self._muted(row) if row in accounts.conduct_states else 0 for row in rows.tolist()]
            muted = np.array(masks, np.int64)
        self.rules.set_alarms(rows, extra, muted)
        for row in rows.tolist() if accounts.conduct_states else ():
            self._narrow_alarms(row)

    def _narrow_alarms(self, row: int) -> None:
        """Makes an account a candidate where its equity may break a rule of conduct, too."""
        columns, conduct = self.columns, self.accounts.conduct_states.get(row)
        if conduct is None or not columns.judged[row]:
            return
        terms = self.accounts[row].terms
        if history.follows_equity(terms.history_rules):
            least, most = history.equity_range(conduct.history, terms.history_rules, terms.context)
            columns.low_alarm[row] = max(int(columns.low_alarm[row]), least - 1)
            columns.high_alarm[row] = min(int(columns.high_alarm[row]), most)

    def candidates(self, symbol: str, seq: int, at: datetime) -> set[int]:
        """Marks what the board's new quote of `symbol` affects, moves the peaks that follow equity, and returns the
        rows that the exact evaluator must judge."""
        found = self.marks.tick(symbol)
        beyond = set[int]() if found is None else set(self.rules.follow(found, seq, at).tolist())
        return beyond | self._losing(symbol) if self.rules.watches_losses else beyond

    def _losing(self, symbol: str) -> set[int]:
        """The rows of accounts that limit the loss of a symbol or a position, and may be beyond that."""
        if not self.rules.watches_losses:
            return set()
        return set(self.marks.losing(self.rules.loss_alarm, symbol).tolist())

    def may_lose_too_much(self, account: AccountRow) -> bool:
        """Whether a symbol or a position of the account may be beyond its limit."""
        alarms = self.rules.loss_alarm
        return account.row < len(alarms) and any(
            profit is not None and profit < alarms[account.row] for _, _, profit in self.marks.valued(account)
        )

    def take_peaks(self, peaks: bytes) -> None:
        """Takes over peaks that a checkpoint stored apart from their accounts."""

        def row_of(login: int) -> int | None:
            account = self.accounts.find(login)
            return account.row if account else None

        for row in self.rules.take_peaks(peaks, row_of):
            self.columns.peaked[row] = True
            self.set_alarms(self.accounts[row])

    def _uncounted(self, row: int) -> list[int]:
        """By level, the costs of an account that the level does not count."""
        return [
            0 if spec.holds.everything else spec.uncounted(self.accounts.costs[row])
            for spec in self.rules.symbol_specs(row)
        ]

    def _muted(self, row: int) -> int:
        """A mask of the levels of an account that are not compared until its next reset."""
        conduct = self.accounts.conduct_states[row]
        if conduct.curing:
            return kernels.EVERY_MARK  # every mark may be the one that cures
        if not any(limit.counted for limit in conduct.limits.values()):
            return 0
        account, mask = self.accounts[row], 0
        for index, spec in enumerate(self.rules.symbol_specs(row)):
            keys = [spec.key]
            if spec.per != "account":  # each symbol or position is a limit of its own
                by_symbol = spec.per == "symbol"
                subjects = {each.symbol if by_symbol else each.position_id for each in account.positions()}
                keys = [f"{spec.key}/{subject}" for subject in subjects]
            if all(conduct.counted(spec.rule_id, key) for key in keys):
                mask |= 1 << index
        return mask

    def judged_under_clock(self, group: int) -> Ints:
        """The judged rows to which a reset of clock group `group` does something."""
        columns, size = self.columns, self.columns.size
        concerned = (columns.group[:size] == group) | (columns.loss_group[:size] == group)
        rows = np.flatnonzero(columns.judged[:size] & concerned)
        return rows[~np.isin(rows, list(self.arriving))] if self.arriving else rows

    def days_under(self, rows: Ints, group: int) -> Ints:
        """Those of `rows` whose trading day ends with the resets of clock group `group`."""
        mine: Ints = rows[self.columns.group[rows] == group]
        return mine

    def limits_under(self, rows: Ints, group: int) -> Ints:
        """Those of `rows` whose anchors and end-of-day peaks move with the resets of clock group `group`."""
        mine: Ints = rows[self.columns.loss_group[rows] == group]
        return mine

    def money(self, rows: Ints) -> tuple[list[int], list[int]]:
        """(balances, equities) of `rows` in minor units."""
        balances: list[int] = self.columns.balance[rows].tolist()
        equities: list[int] = self.columns.equity[rows].tolist()
        return balances, equities

    def value_known(self, rows: Ints) -> Bools:
        """Which of `rows` have a known equity."""
        return np.asarray(self.columns.unknown[rows] == 0, np.bool_)

    def contain(self, rows: Ints, seq: int) -> Ints:
        """Those of `rows` in which event `seq` is already contained."""
        return rows[self.columns.synced[rows] >= seq]

    def move_anchors(self, rows: Ints, at: datetime, seq: int, begins: Begins, *, on_balance: bool = False) -> None:
        """The daily reset of the levels of `rows`, with their money of the moment. `begins`: the periods that begin
        with it. `on_balance`: only of the levels that leave open profit and loss out, because the equity is unknown."""
        columns = self.columns
        columns.dirty[rows] = True
        for specs, mine in self._by_terms(rows):
            for index, spec in enumerate(specs):
                if on_balance and spec.holds.floating:
                    continue
                self.rules.roll(spec, index, mine, self._money_for(spec, mine, at, seq), begins)
        self.set_alarms_of(rows)

    def open_day(self, rows: Ints, at: datetime, seq: int) -> None:
        """A trading day begins: proof sheets count from here."""
        columns = self.columns
        columns.opening[rows], columns.opening_seq[rows] = columns.balance[rows], seq
        columns.opening_at[rows] = microseconds(at)
        columns.dirty[rows] = True
        for row in rows.tolist():
            self.accounts.movements.pop(row, None)

    def broken(self, rows: Ints) -> set[int]:
        """Those of `rows` that are beyond a level, or may be."""
        broken = set[int]()
        for specs, mine in self._by_terms(rows):
            for index, spec in enumerate(specs):
                _, worth = self._counted(spec, mine)
                broken.update(mine[self.rules.breached(spec, index, mine, worth)].tolist())
        if self.rules.watches_losses:
            broken |= set(self.marks.losing(self.rules.loss_alarm).tolist()) & set(rows.tolist())
        return broken

    def broken_at_close(self, rows: Ints) -> set[int]:
        """Those of `rows` that are beyond a level which only resets compare, or may be, before the reset moves it."""
        broken = set[int]()
        for specs, mine in self._by_terms(rows):
            for index, spec in enumerate(specs):
                if spec.judged_at == "eod" and spec.per != "account":
                    broken.update(mine[self.columns.positions[mine] > 0].tolist())
                elif spec.judged_at == "eod":
                    _, worth = self._counted(spec, mine)
                    broken.update(mine[self.rules.broken_at_close(spec, index, mine, worth)].tolist())
        return broken

    def broken_by_next_reset(self, group: int, terms: int) -> list[AccountRow]:
        """Accounts under terms number `terms` that the next reset of their clock would break with no price move. Only
        those with open positions: equity and balance of the others are equal."""
        columns, size = self.columns, self.columns.size
        mine = columns.judged[:size] & (columns.group[:size] == group) & (columns.terms[:size] == terms)
        rows = np.flatnonzero(mine & (columns.positions[:size] > 0) & (columns.unknown[:size] == 0))
        found = np.zeros(rows.shape, np.bool_)
        ended = self.clock.groups[group].day
        begun = begun_with(ended, ended + timedelta(1))
        for index, spec in enumerate(self.rules.specs[terms]):
            money = self._money_for(spec, rows, self.now, 0)
            found |= self.rules.broken_after_reset(spec, index, rows, money, begun)
        return [self.accounts[row] for row in rows[found].tolist()]

    def _by_terms(self, rows: Ints) -> list[tuple[tuple[FloorSpec, ...], Ints]]:
        """(levels, rows) for all terms of `rows`."""
        terms = self.columns.terms[rows]
        return [(self.rules.specs[number], rows[terms == number]) for number in np.unique(terms).tolist()]

    def _money_for(self, spec: FloorSpec, rows: Ints, at: datetime, seq: int) -> LevelMoney:
        balance, worth = self._counted(spec, rows)
        return LevelMoney(balance, worth, seq, at)

    def _counted(self, spec: FloorSpec, rows: Ints) -> tuple[Ints, Ints]:
        """(balance, worth) of `rows` as a level counts them."""
        balance = self.columns.balance[rows]
        worth = self.columns.equity[rows] if spec.holds.floating else balance
        if spec.holds.everything:
            return balance, worth
        costs = (self.accounts[row].costs for row in rows.tolist())
        extra = np.fromiter((spec.uncounted(each) for each in costs), np.int64, len(rows))
        return balance + extra, worth + extra

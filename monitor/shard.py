"""A shard: applies the venue's events one by one, in sequence, and judges what each of them touches."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.pnl import RateMissing
from domain.rules.events import News
from domain.rules.floors import Mark
from domain.rules.marking import Instrument, QuoteBoard
from domain.rules.state import AccountRules, PhaseTerms
from monitor.columns import kernels
from monitor.columns.account_columns import Columns
from monitor.columns.minute_bars import MinuteBars
from monitor.columns.reset_clock import ResetClock
from monitor.columns.roster import Account, Logins, Roster
from monitor.columns.rule_columns import RuleColumns, microseconds
from monitor.columns.stated_marks import StatedMarks
from monitor.facts import Harvest
from monitor.judging.conduct import Conduct
from monitor.judging.feed_quality import Doubt, FeedQuality, ReviewNote
from monitor.judging.judge import Happening, Judge
from monitor.judging.money_events import MoneyEvents
from monitor.judging.rollover import Rollover
from monitor.judging.version_changes import VersionMoves
from monitor.judging.warnings import ResetsAhead
from monitor.record.checkpoints import AccountSource, Checkpoint, Loaded
from ports.platform import AccountChanged, AccountState, BalanceOperation, Batch, ClockMark, Correction, Deal, Tick
from store.news import Scheduled

NewsSource = Callable[[int, datetime], Sequence[Scheduled]]  # after which number, not before when

_NEWS_BEFORE: Final = timedelta(days=7)  # longer than any window around a release
_START: Final = datetime.min.replace(tzinfo=UTC)
# A price far off for a moment makes the venue's own equity doubtful too; a stable one must agree to the minor unit.
DRIFT_PER_POSITION: Final = 1

Instruments = Callable[[], Mapping[str, Instrument]]


class Shard:
    """`instruments` asks the venue for its symbols; it is asked again when an unknown one turns up.

    Not thread-safe; one thread applies batches and takes what `harvest` holds.
    """

    def __init__(
        self,
        source: AccountSource,
        instruments: Instruments,
        *,
        quality: FeedQuality | None = None,
        board: QuoteBoard | None = None,
        now: datetime = _START,
        last_tick_at: datetime | None = None,
        news: NewsSource | None = None,
    ) -> None:
        self._news, self._heard = news, 0
        self._source, self._fetch_instruments = source, instruments
        self.instruments = dict(instruments())
        self.quality = quality or FeedQuality()
        self.board = board or QuoteBoard()
        kernels.ready()
        self.columns, self.rules, self.harvest = Columns(), RuleColumns(), Harvest()
        self.bars = MinuteBars(self.columns)
        self.bars.advance(now)
        self.marks = StatedMarks(self.columns, self.board, self.instruments)
        self.accounts = Roster(self.columns, self.marks.positions, self.rules.bind)
        self.by_login = Logins(self.accounts)
        self.judge = Judge(self.accounts, self.rules, self.marks, self.harvest, self.quality)
        self.ahead = ResetsAhead(self)
        self.last_seq = 0  # of the last batch; 0 before the first
        self.clock = ResetClock()
        self.versions = VersionMoves(self)
        self.now, self.last_tick_at = now, last_tick_at
        self.ticks = 0
        self.refreshed = -1  # the last row whose turn it was to be stored without a need
        self.conduct = Conduct(self)
        self._money = MoneyEvents(self)
        self._rollover = Rollover(self)
        self._foreign: set[int] = set()  # logins that the stream named and another shard judges
        self._unknown_symbols: set[str] = set()
        self._drift_days: set[str] = set()

    def apply(self, batch: Batch) -> None:
        """Apply every event of a batch in sequence. Verdicts and rows to store wait in `harvest`."""
        for event in batch.events:
            at = event.at
            begins = at >= self.bars.ends
            if begins:
                self._next_minute(at, event.seq)
            if at >= self.conduct.next_at or at >= self.clock.next_at:
                self._time_alone(at, event.seq)
            if begins:
                self._hear(at, event.seq)
            self.now = max(self.now, at)
            if isinstance(event, Tick):
                self._tick(event)
            elif isinstance(event, Deal):
                self._money.deal(event)
            elif isinstance(event, BalanceOperation):
                self._money.operation(event)
            elif isinstance(event, AccountChanged):
                self._changed(event)
            elif isinstance(event, AccountState):
                self._stated(event)
            elif isinstance(event, Correction):
                self.quality.revoke(event.corrects_seq)
                self.harvest.corrections.append(event)
            else:
                assert isinstance(event, ClockMark)
        self.last_seq = batch.events[-1].seq
        self.harvest.reviews += self.quality.notes
        self.quality.notes.clear()

    def _time_alone(self, at: datetime, seq: int) -> None:
        """Resets and what falls due between them, up to and at `at`, in the order of time."""
        self._fall_due(at, seq)
        while self.clock.next_at <= at:
            self._rollover.run(self.clock.next_at, seq)
            self._fall_due(at, seq)

    def _fall_due(self, at: datetime, seq: int) -> None:
        """What time alone decides, up to `at` but not past a reset that has yet to come."""
        until = min(at, self.clock.next_at)
        for account, due, violations in self.conduct.due(until, seq):
            event = Happening("clocked", seq, due)
            if self.columns.judged[account.row]:
                self.judge.account(account, event)
                self.judge.conduct(account, event, violations)

    def _hear(self, at: datetime, seq: int) -> None:
        """Tell accounts with rules on it of the news that became known."""
        if self._news is None or not self.accounts.standings:
            return
        known = self._news(self._heard, at - _NEWS_BEFORE)
        self._heard = max([self._heard, *(release.id for release in known)])
        releases = (
            News(
                seq=seq,
                at=at,
                balance_minor=0,
                news_id=release.key,
                released_at=release.released_at,
                symbols=release.names,
                impact=release.impact,
            )
            for release in known
        )
        for account, violations in self.conduct.announce(releases):
            self.judge.conduct(account, Happening("clocked", seq, at), violations)

    def misses(self, batch: Batch) -> bool:
        """Whether sequence numbers are missing in or before `batch`: the venue said something that never came."""
        first, last = batch.events[0].seq, batch.events[-1].seq
        return (self.last_seq > 0 and first > self.last_seq + 1) or last - first + 1 > len(batch.events)

    def _next_minute(self, at: datetime, seq: int) -> None:
        bars = self.bars.advance(at)
        if bars is not None:
            self.harvest.bars.append(bars)
        self.quality.check_stale(at, self.marks.held_symbols())
        self.ahead.run(at, seq)
        self.judge.look_again(at)

    def _tick(self, tick: Tick) -> None:
        if tick.symbol not in self.instruments and not self.knows(tick.symbol, tick.at):
            return
        bid, ask = float(tick.bid), float(tick.ask)
        self.last_tick_at = tick.at
        if not self.quality.accepts(tick, bid, ask):
            if self.quality.suspect is not None:
                self._suspect(tick, self.quality.suspect)
            return
        self.ticks += 1
        self.board.put(tick.symbol, tick.bid, tick.ask, tick.seq, tick.at)
        found = self.marks.tick(tick.symbol)
        if found is None:
            return
        candidates = self.rules.follow(self.columns, found, tick.seq, tick.at)
        if candidates.size:
            event = Happening("tick", tick.seq, tick.at, tick.symbol)
            accounts = [self.accounts[row] for row in set(candidates.tolist())]
            for account in sorted(accounts, key=lambda a: a.login):
                self.judge.account(account, event)

    def _suspect(self, tick: Tick, doubt: Doubt) -> None:
        """Ask what a quote that was set aside would have broken: it stands on the board for this question only."""
        symbol, board = tick.symbol, self.board
        if symbol not in board.prices:
            return
        quote, stamp, hot = board.prices[symbol], board.stamps[symbol], self.columns.hot.copy()
        board.put(symbol, tick.bid, tick.ask, tick.seq, tick.at)
        found = self.marks.tick(symbol)
        rows = set() if found is None else set(found.tolist())
        event = Happening("tick", tick.seq, tick.at, symbol)
        for account in sorted((self.accounts[row] for row in rows), key=lambda a: a.login):
            if not self.columns.unknown[account.row]:
                self.judge.suspect(account, event, doubt)
        board.put(symbol, *quote, *stamp)
        self.marks.tick(symbol)
        self.columns.hot[:] = hot  # bars and alarms were touched on the way

    def knows(self, symbol: str, at: datetime) -> bool:
        """Whether the venue has told us about `symbol`; if not, ask once more, then note it."""
        if symbol not in self.instruments and symbol not in self._unknown_symbols:
            self.instruments.update(self._fetch_instruments())
            if symbol not in self.instruments:
                self._unknown_symbols.add(symbol)
                self.note("unknown_symbol", symbol, at, {"symbol": symbol})
        return symbol in self.instruments

    def note(
        self, kind: str, key: str, at: datetime, detail: Mapping[str, object], account_id: str | None = None
    ) -> None:
        self.harvest.reviews.append(ReviewNote(f"{kind}/{key}", kind, at, dict(detail), account_id))

    def account(self, login: int, at: datetime) -> Account | None:
        """The account of a login, loaded when the stream names it for the first time; None: not one of ours."""
        account = self.by_login.get(login)
        if account is None and login not in self._foreign:
            loaded = self._source.load(login)
            account = self.admit(loaded, at) if loaded else None
            if account is None:
                self._foreign.add(login)  # its row, with its shard, is committed before money comes to it
        return account

    def admit(self, loaded: Loaded, at: datetime) -> Account:
        """Give an account its row, as its checkpoint has it or at its very start. `at`: market time now."""
        self._foreign.discard(loaded.login)
        account = self.accounts.admit(loaded.account_id, loaded.challenge_id, loaded.login, loaded.terms)
        self._join(account.row, loaded.terms, at)
        if loaded.marks == "states":
            self.marks.expect(account.row)
        self._restore(account, loaded.checkpoint or loaded.at_the_start())
        self.versions.expect(account.account_id, loaded.pending)
        return account

    def _join(self, row: int, terms: PhaseTerms, at: datetime) -> None:
        """The clock groups of a row, whose next resets are the first after `at`."""
        product, columns = terms.product, self.columns
        columns.group[row] = self.clock.group(product.clock, at).index
        columns.loss_group[row] = self.clock.group(product.loss_clock or product.clock, at).index

    def rebind(self, account: Account, terms: PhaseTerms, rules: AccountRules, mark: Mark) -> None:
        """From `mark` on the account is under `terms`, whose floors stand at `rules`, and resets by their clocks."""
        row, before = account.row, account.terms
        self.columns.terms[row] = self.accounts.number_of(terms)
        self._join(row, terms, mark.at)
        self.columns.dirty[row] = True
        self.rules.put(row, rules)
        self.conduct.rebind(account, before, mark)
        self.judge.set_alarms(account, rules)

    def dismiss(self, account: Account) -> None:
        """Another shard judges this account from here on: its row goes quiet, its events are not ours any more."""
        for position_id in list(account.holdings):
            self.marks.drop(account, position_id)
        row = account.row
        self.columns.judged[row] = self.columns.dirty[row] = self.bars.touched[row] = False
        self.judge.set_alarms(account, self.rules.get(row, account.terms.specs))
        del self.by_login[account.login]
        self._foreign.add(account.login)

    def forget_foreign(self) -> None:
        """Look again whose the accounts are that were another shard's so far."""
        self._foreign.clear()

    def _restore(self, account: Account, checkpoint: Checkpoint) -> None:
        columns, row = self.columns, account.row
        columns.balance[row] = checkpoint.balance_minor
        columns.opening[row] = checkpoint.opening_minor
        columns.opening_at[row] = microseconds(checkpoint.opening_at)
        columns.opening_seq[row] = checkpoint.opening_seq
        columns.synced[row] = checkpoint.synced
        columns.judged[row] = checkpoint.judged
        for movement in checkpoint.movements:
            account.moved(movement)
        account.trading_days = checkpoint.trading_days
        account.offences = checkpoint.offences
        account.costs = checkpoint.costs
        account.ended = checkpoint.ended
        self.rules.put(row, checkpoint.rules)
        self.marks.load(account, (p for p in checkpoint.positions if self.knows(p.symbol, p.opened_at)))
        self.conduct.admit(account, checkpoint.standing)
        if checkpoint.stated is not None:
            self.marks.take(account, checkpoint.stated)
        self.bars.restart(row)
        self.judge.set_alarms(account, checkpoint.rules)

    def _changed(self, event: AccountChanged) -> None:
        known = self.by_login.get(event.login)
        quiet = known is not None and not self.columns.judged[known.row]
        if event.change == "opened" or (event.change == "disabled" and quiet):
            return  # nothing to judge before money is on it, nothing more after it has ended
        loaded = self._source.load(event.login)
        if loaded is None:
            return
        account = known or self.admit(loaded, event.at)
        if event.seq <= self.columns.synced[account.row]:
            return
        # The record decides, the venue's flag only says that it is time to look: rows change before the venue does.
        if not loaded.trades_at(event.seq):
            self.columns.judged[account.row] = False
            self.judge.set_alarms(account, self.rules.get(account.row, account.terms.specs))
        elif event.change == "enabled" and not self.columns.judged[account.row]:
            self._money.begin(account, event, loaded.offences_before(event.seq))
        self.columns.dirty[account.row] = True

    def _stated(self, state: AccountState) -> None:
        """The venue's own figures: while it is not sure of them a breach is doubtful, then it is judged again."""
        account = self.by_login.get(state.login)
        if account is None or state.seq <= self.columns.synced[account.row]:
            return
        was_estimated = self.quality.estimated(account.account_id)
        self.quality.states(account.account_id, state)
        if self.marks.stated(account.row):
            self._value(account, state)
        elif not state.estimated:
            self._compare(account, state)
        if was_estimated and not state.estimated and self.columns.judged[account.row]:
            self.judge.account(account, Happening("account", state.seq, state.at))

    def _value(self, account: Account, state: AccountState) -> None:
        """Take the venue's figures for the account's own, and judge it where they lie beyond an alarm."""
        columns, row = self.columns, account.row
        self._money.state_balance(account, state)
        self.marks.take(account, state)
        columns.dirty[row] = True
        self.bars.touch_row(row)
        if columns.judged[row] and not columns.low_alarm[row] < columns.equity[row] <= columns.high_alarm[row]:
            self.judge.account(account, Happening("account", state.seq, state.at))

    def _compare(self, account: Account, state: AccountState) -> None:
        """The venue's figures against ours: a difference is a review, never a verdict."""
        if any(self.quality.doubtful(position.symbol) for position in account.positions()):
            return
        try:
            equity = self.marks.exact(account)
        except RateMissing:
            return
        if abs(equity - state.equity_minor) <= DRIFT_PER_POSITION * int(self.columns.positions[account.row]):
            return
        day = self.clock.groups[int(self.columns.group[account.row])].day
        key = f"{account.account_id}/{day}"
        if key not in self._drift_days:
            self._drift_days.add(key)
            detail = {"seq": state.seq, "ours_minor": equity, "venue_minor": state.equity_minor}
            self.note("equity_drift", key, state.at, detail, account.account_id)

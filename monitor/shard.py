"""A shard: applies the venue's events one by one, in sequence, and judges the accounts that each of them affects."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.rules.events import News
from domain.rules.marking import QuoteBoard
from monitor.admission import Admission, LeftSource
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind, ReviewNote, StrayFact
from monitor.judging.arrivals import Arrivals, named
from monitor.judging.conduct import Conduct
from monitor.judging.evidence import Trigger
from monitor.judging.feed_quality import Doubt, FeedQuality
from monitor.judging.judge import Judge
from monitor.judging.money_events import MoneyEvents, recorded
from monitor.judging.rollover import Rollover
from monitor.judging.venue_locks import VenueLocks
from monitor.judging.venue_states import VenueStates
from monitor.judging.version_changes import VersionChanges
from monitor.judging.warnings import ResetWarnings
from monitor.loaded import AccountSource
from monitor.state import Instruments, ShardState
from ports.platform import (
    AccountChanged,
    AccountState,
    BalanceOperation,
    Batch,
    ClockMark,
    Correction,
    Deal,
    Event,
    PendingOrder,
    StopsChanged,
    SymbolHalt,
    Tick,
)
from store.news import ScheduledRelease

NewsSource = Callable[[int, datetime], Sequence[ScheduledRelease]]  # (number of the last known release, earliest time)

_NEWS_BEFORE: Final = timedelta(days=7)  # longer than any window around a release
_START: Final = datetime.min.replace(tzinfo=UTC)


class Shard:
    """`instruments` asks the venue for its symbols; `now`: market time. `left`: the accounts that went from a login to
    another platform.

    Not thread-safe: one thread applies batches and takes the facts of `state`.
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
        left: LeftSource | None = None,
    ) -> None:
        self.state = ShardState(instruments, board or QuoteBoard(), now, last_tick_at)
        self.quality = quality or FeedQuality()
        self.quality.start_from(self.state.board)
        self._conduct = Conduct(self.state)
        self._judge = Judge(self.state, self.quality, self._conduct)
        self.versions = VersionChanges(self.state, self._judge, self._conduct)
        self._money = MoneyEvents(self.state, self._judge, self._conduct)
        self._venue_states = VenueStates(self.state, self.quality, self._judge, self._money)
        self._venue_locks = VenueLocks(self.state)
        self._rollover = Rollover(self.state, self._judge, self._conduct, self.versions)
        self._arrivals = Arrivals(self.state, self._rollover)
        self._reset_warnings = ResetWarnings(self.state)
        self.admission = Admission(self.state, source, self._conduct, self.versions, self._judge, left)
        self._news, self._last_release = news, 0
        self.last_seq = 0  # of the last batch; 0 before the first

    def apply(self, batch: Batch) -> None:
        """Applies every event of a batch in sequence. Verdicts and rows to store wait in the facts of `state`."""
        for event in batch.events:
            self._advance(event.at, event.seq)
            self._apply_event(event)
        self.last_seq = batch.events[-1].seq
        self.state.facts.reviews += self.quality.notes
        self.quality.notes.clear()

    def lacks_events(self, batch: Batch) -> bool:
        """Returns whether sequence numbers are missing in `batch` or between it and the last one."""
        first, last = batch.events[0].seq, batch.events[-1].seq
        return (self.last_seq > 0 and first > self.last_seq + 1) or last - first + 1 > len(batch.events)

    # time

    def _advance(self, at: datetime, seq: int) -> None:
        """Moves market time on to the event `seq`, before the event itself counts."""
        state = self.state
        new_minute = at >= state.bars.ends
        if new_minute:
            self._next_minute(at, seq)
        if at >= self._conduct.next_at or at >= state.clock.next_at:
            self._pass_time(at, seq)
        if new_minute:
            self._announce_news(at, seq)
        state.now = max(state.now, at)
        if state.arriving:
            self._arrivals.join(seq)

    def _next_minute(self, at: datetime, seq: int) -> None:
        state = self.state
        bars = state.bars.advance(at)
        if bars is not None:
            state.facts.bars.append(bars)
        self.quality.check_stale(at, state.marks.held_symbols())
        self._reset_warnings.run(at, seq)
        self._venue_locks.check(at)
        self._judge.recheck_doubtful(at)

    def _pass_time(self, at: datetime, seq: int) -> None:
        """Does resets, and what is due between them, up to and at `at`, in the order of time."""
        self._judge_due(at, seq)
        while self.state.clock.next_at <= at:
            self._rollover.run(self.state.clock.next_at, seq)
            self._judge_due(at, seq)

    def _judge_due(self, at: datetime, seq: int) -> None:
        """Judges what time alone decides, up to `at` but not beyond the next reset."""
        until = min(at, self.state.clock.next_at)
        for account, due, violations in self._conduct.due(until, seq):
            if account.judged:
                trigger = Trigger("clocked", seq, due)
                self._judge.both(account, trigger, violations)

    def _announce_news(self, at: datetime, seq: int) -> None:
        """Passes newly known releases to the accounts that have rules about news."""
        if self._news is None or not self.state.accounts.conduct_states:
            return
        known = self._news(self._last_release, at - _NEWS_BEFORE)
        self._last_release = max([self._last_release, *(release.id for release in known)])
        releases = (
            News(
                seq=seq,
                at=at,
                balance_minor=0,
                news_id=release.key,
                released_at=release.released_at,
                ends_at=release.ends_at,
                symbols=release.names,
                impact=release.impact,
            )
            for release in known
        )
        for account, violations in self._conduct.announce(releases):
            self._judge.conduct(account, Trigger("clocked", seq, at), violations)

    # events

    def _apply_event(self, event: Event) -> None:
        if isinstance(event, Tick):
            self._tick(event)
        elif isinstance(event, Deal | BalanceOperation):
            self._money_event(event)
        elif isinstance(event, StopsChanged):
            self._stops_changed(event)
        elif isinstance(event, PendingOrder):
            self._order_event(event)
        elif isinstance(event, AccountState):
            account = self.state.accounts.find(event.login)
            if account is not None and not account.contains(event.seq):
                self._venue_states.apply(account, event)
        elif isinstance(event, AccountChanged):
            self._account_changed(event)
        elif isinstance(event, SymbolHalt):
            self.quality.halt(event.symbol, halted=event.halted)
        elif isinstance(event, Correction):
            self.quality.revoke(event.corrects_seq)
            self.state.facts.corrections.append(event)
        else:
            assert isinstance(event, ClockMark)

    # quotes

    def _tick(self, tick: Tick) -> None:
        state = self.state
        if tick.symbol not in state.instruments and not state.knows_symbol(tick.symbol, tick.at):
            return
        bid, ask = float(tick.bid), float(tick.ask)
        state.last_tick_at = tick.at
        if not self.quality.accepts(tick, bid, ask):
            if self.quality.suspect is not None:
                self._check_rejected(tick, self.quality.suspect)
            return
        state.board.put(tick.symbol, tick.bid, tick.ask, tick.seq, tick.at)
        candidates = state.candidates(tick.symbol, tick.seq, tick.at)
        if candidates:
            trigger = Trigger("tick", tick.seq, tick.at, tick.symbol)
            for account in state.accounts.in_order_of_login(candidates):
                self._judge.mark(account, trigger)

    def _check_rejected(self, tick: Tick, doubt: Doubt) -> None:
        """Opens reviews of the accounts that a rejected quote would break."""
        with self.state.with_quote(tick.symbol, tick.bid, tick.ask, tick.seq, tick.at) as found:
            trigger = Trigger("tick", tick.seq, tick.at, tick.symbol)
            for account in found:
                if account.value_known:
                    self._judge.suspect(account, trigger, doubt)

    # accounts

    def _money_event(self, event: Deal | BalanceOperation) -> None:
        account = self.admission.account(event.login, event.at)
        if account is None:
            self._after_departure(event)
            return
        if account.contains(event.seq):
            return
        if isinstance(event, Deal):
            deal = named(account, event)
            if deal.entry == "in" and not account.judged:
                self._close_stray(account, deal)
            self._money.deal(account, deal)
        else:
            self._money.operation(account, event)

    def _close_stray(self, account: AccountRow, deal: Deal) -> None:
        """Has a position closed that is opened after the account's end. The record decides whether it has ended: it
        changes before the venue lets a reinstated account trade."""
        loaded = self.admission.load(account.login)
        if loaded is not None and loaded.has_ended_before(deal.seq):
            stray = StrayFact(account.account_id, account.login, deal.deal_id, deal.position_id)
            self.state.facts.strays.append(stray)

    def _after_departure(self, event: Deal | BalanceOperation) -> None:
        """Opens a review of money that moves at a place which its account has left."""
        left = self.admission.left(event.login)
        if left is not None and event.at > left.at:
            detail = {"seq": event.seq, "login": event.login, "event": event.kind, "at": event.at.isoformat()}
            key = f"{ReviewKind.LEFT_PLACE.value}/{left.account_id}/{event.seq}"
            self.state.facts.reviews.append(ReviewNote(key, ReviewKind.LEFT_PLACE, event.at, detail, left.account_id))

    def _stops_changed(self, event: StopsChanged) -> None:
        account = self.admission.account(event.login, event.at)
        if account is not None and not account.contains(event.seq):
            change = named(account, event)
            self.state.facts.stop_changes.append((account.account_id, recorded(account, change)))
            self.state.marks.set_exits(account, change.position_id, change.stop_loss, change.take_profit)
            account.mark_changed()
            violations = self._conduct.stops_changed(account, change)
            self._judge.conduct(account, Trigger("stop_changed", event.seq, event.at), violations)

    def _order_event(self, order: PendingOrder) -> None:
        """A pending order moves no money: only rules of conduct may ask for it."""
        account = self.admission.account(order.login, order.at)
        if account is None or account.contains(order.seq):
            return
        order = named(account, order)
        self.state.facts.order_events.append((account.account_id, recorded(account, order)))
        violations = self._conduct.order(account, order)
        self._judge.conduct(account, Trigger("account", order.seq, order.at), violations)

    def _account_changed(self, event: AccountChanged) -> None:
        known = self.state.accounts.find(event.login)
        quiet = known is not None and not known.judged
        if event.change == "opened" or (event.change == "disabled" and quiet):
            return  # nothing to judge before money is on it, nothing more after it has ended
        loaded = self.admission.load(event.login)
        if loaded is None:
            return
        account = known or self.admission.admit(loaded, event.at)
        if account.contains(event.seq):
            return
        self._venue_locks.take(account, event)
        # The record decides; the venue's flag only says when to look: rows change before the venue does.
        if not loaded.trades_at(event.seq):
            self.state.silence(account)
        elif event.change == "enabled" and not account.judged:
            self._money.begin(account, event, loaded.offences_before(event.seq))
        account.mark_changed()

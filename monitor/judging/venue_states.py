"""The venue's own figures of an account: taken for its money, or compared with ours."""

from typing import Final

from domain.errors import RateMissing
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind
from monitor.judging.evidence import Trigger
from monitor.judging.feed_quality import FeedQuality
from monitor.judging.judge import Judge
from monitor.judging.money_events import MoneyEvents
from monitor.state import ShardState
from ports.platform import AccountState

DRIFT_PER_POSITION: Final = 1  # minor units by which the venue's rounding of a position may differ


class VenueStates:
    def __init__(self, state: ShardState, quality: FeedQuality, judge: Judge, money: MoneyEvents) -> None:
        self._state, self._quality, self._judge, self._money = state, quality, judge, money
        self._drift_days: set[str] = set()  # accounts and days whose drift is in a review

    def apply(self, account: AccountRow, event: AccountState) -> None:
        """While the venue's figures are uncertain a breach is doubtful; then the account is judged again."""
        was_estimated = self._quality.estimated(account.account_id)
        self._quality.states(account.account_id, event)
        if self._state.marks.stated(account.row):
            self._take(account, event)
        elif not event.estimated:
            self._compare(account, event)
        if was_estimated and not event.estimated and account.judged:
            self._judge.account(account, Trigger("account", event.seq, event.at))

    def _take(self, account: AccountRow, event: AccountState) -> None:
        """Takes the venue's figures as the account's money, and judges it where they are beyond an alarm."""
        self._money.state_balance(account, event)
        self._state.marks.take(account, event)
        account.mark_changed()
        self._state.bars.touch_row(account.row)
        if account.judged and account.beyond_alarm:
            self._judge.mark(account, Trigger("account", event.seq, event.at))

    def _compare(self, account: AccountRow, event: AccountState) -> None:
        """Compares the venue's equity with ours. A difference opens a review once a day; it is never a verdict."""
        if any(self._quality.doubtful(position.symbol) for position in account.positions()):
            return
        try:
            equity = self._state.exact_equity(account)
        except RateMissing:
            return
        if abs(equity - event.equity_minor) <= DRIFT_PER_POSITION * account.open_positions:
            return
        key = f"{account.account_id}/{self._state.trading_day(account)}"
        if key not in self._drift_days:
            self._drift_days.add(key)
            detail = {"seq": event.seq, "ours_minor": equity, "venue_minor": event.equity_minor}
            self._state.review(ReviewKind.EQUITY_DRIFT, key, event.at, detail, account)

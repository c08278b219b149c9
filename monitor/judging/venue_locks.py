"""Accounts that their venue locked by a loss limit of its own: a person looks at one that our rules do not end too.

The venue tells of the lock before it tells of the fills, and its prices may come before ours. So an account has a
minute of market time to be ended by our own judging.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.errors import RateMissing
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind
from monitor.state import ShardState
from ports.platform import AccountChanged

_PATIENCE: Final = timedelta(minutes=1)
_WORDS: Final = (
    "The venue has locked this account by a loss limit that it holds for us, and our rules do not end the account."
)


class _Lock(NamedTuple):
    account: AccountRow
    seq: int
    at: datetime


class VenueLocks:
    def __init__(self, state: ShardState) -> None:
        self._state = state
        self._seen: dict[str, _Lock] = {}  # by account id

    def take(self, account: AccountRow, event: AccountChanged) -> None:
        """An account that may trade by our rules was enabled, or disabled."""
        if event.change == "enabled":
            self._seen.pop(account.account_id, None)
        elif event.by_limit and account.judged:
            self._seen[account.account_id] = _Lock(account, event.seq, event.at)

    def check(self, at: datetime) -> None:
        """Opens a review for each account that has been locked for long enough. `at`: market time now."""
        for account_id, lock in list(self._seen.items()):
            here = self._state.accounts.find(lock.account.login)
            # else it has ended, or another shard judges it
            still = here is not None and here.row == lock.account.row and here.judged
            if still and lock.at + _PATIENCE > at:
                continue
            del self._seen[account_id]
            if still:
                self._review(lock)

    def _review(self, lock: _Lock) -> None:
        account = lock.account
        try:
            equity: int | None = self._state.exact_equity(account)
        except RateMissing:
            equity = None
        pairs = zip(account.rules.specs, account.rules.states, strict=True)
        detail = {
            "seq": lock.seq,
            "words": _WORDS,
            "equity_minor": equity,
            "balance_minor": account.balance_minor,
            "floors": {spec.key: state.floor_minor for spec, state in pairs},
            "remedy": "docs/runbooks/platform-breaks.md",
        }
        self._state.review(ReviewKind.VENUE_LOCKED, f"{account.account_id}/{lock.seq}", lock.at, detail, account)

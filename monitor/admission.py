"""The accounts of a shard: loaded when the stream names them, admitted from a checkpoint, released to another shard."""

from collections.abc import Callable
from datetime import datetime

from monitor.columns.roster import AccountRow
from monitor.judging.conduct import Conduct
from monitor.judging.judge import Judge
from monitor.judging.version_changes import VersionChanges
from monitor.loaded import AccountSource, Left, Loaded
from monitor.state import ShardState

LeftSource = Callable[[int], Left | None]


class Admission:
    def __init__(
        self,
        state: ShardState,
        source: AccountSource,
        conduct: Conduct,
        versions: VersionChanges,
        judge: Judge,
        left: LeftSource | None = None,
    ) -> None:
        self._state, self._source = state, source
        self._conduct, self._versions, self._judge = conduct, versions, judge
        self._foreign: set[int] = set()  # logins that the stream named and another shard judges
        self._find_left = left
        self._left: dict[int, Left | None] = {}  # by login, the account that was there and went to another platform

    def load(self, login: int) -> Loaded | None:
        """What the record says of a login now; None when it is no account of this shard."""
        return self._source.load(login)

    def account(self, login: int, at: datetime) -> AccountRow | None:
        """The account of a login, loaded when the stream names it for the first time. None when it is no account of
        this shard. `at`: market time now."""
        account = self._state.accounts.find(login)
        if account is None and login not in self._foreign:
            loaded = self.load(login)
            account = self.admit(loaded, at) if loaded else None
            if account is None:
                self._foreign.add(login)  # an account's row and shard are committed before money comes to it
        return account

    def admit(self, loaded: Loaded, at: datetime) -> AccountRow:
        """Adds an account in the state of its checkpoint, or at its very start. `at`: market time now."""
        state = self._state
        self._foreign.discard(loaded.login)
        account = state.accounts.admit(
            loaded.account_id, loaded.challenge_id, loaded.login, loaded.terms, loaded.trader_id
        )
        state.join_clocks(account, loaded.terms, at)
        if loaded.marks == "states":
            state.marks.expect(account.row)
        checkpoint = loaded.checkpoint or loaded.at_the_start()
        state.restore(account, checkpoint)
        self._conduct.admit(account, checkpoint.conduct)
        if checkpoint.stated is not None:
            state.marks.take(account, checkpoint.stated)
        state.bars.restart(account.row)
        state.set_alarms(account)
        self._versions.expect(account.account_id, loaded.pending)
        self._judge.take_up_doubtful(account, loaded.doubtful)
        return account

    def left(self, login: int) -> Left | None:
        """The account that was at this login and went to another platform; None when there is none."""
        if login not in self._left:
            self._left[login] = self._find_left(login) if self._find_left is not None else None
        return self._left[login]

    def release(self, account: AccountRow) -> None:
        """Another shard judges this account from here on: its events are ignored."""
        self._left.pop(account.login, None)
        self._state.clear_positions(account)
        self._state.accounts.remove(account)
        self._state.set_alarms(account)
        self._foreign.add(account.login)

    def forget_foreign(self) -> None:
        """Asks the record again about logins that belonged to another shard so far."""
        self._foreign.clear()

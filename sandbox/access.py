"""Who may open positions at the simulated venue, and with which password a trader signs in."""

import hashlib
from collections.abc import Callable, Collection
from typing import Final

from domain.errors import BadInput
from sandbox.answers import Answers
from sandbox.books import VenueAccount

_STOPPED: Final = "stopped"


class Access:
    """`find` returns an account or raises NotFound. `changed` hears of an account whose permission changed or not.
    Methods with a key take effect once per key."""

    def __init__(
        self,
        answers: Answers,
        symbols: Collection[str],
        find: Callable[[int], VenueAccount],
        changed: Callable[[VenueAccount, bool], None],
    ) -> None:
        self._answers, self._symbols, self._find, self._changed = answers, symbols, find, changed

    def set_trading(self, login: int, key: str, enabled: bool) -> None:
        account = self._find(login)
        scope = f"trading:{login}:{key}"
        if self._answers.stored(scope, key, [enabled]) is None:
            self.put(account, enabled=enabled)
            self._answers.store(scope, [enabled], True)

    def set_close_only(self, login: int, key: str, close_only: bool) -> None:
        """An account that is disabled stays so."""
        account = self._find(login)
        scope = f"close-only:{login}:{key}"
        if self._answers.stored(scope, key, [close_only]) is None:
            self.put(account, enabled=account.enabled, close_only=account.enabled and close_only)
            self._answers.store(scope, [close_only], True)

    def put(self, account: VenueAccount, *, enabled: bool, close_only: bool = False) -> None:
        before = account.may_trade
        account.enabled, account.close_only = enabled, close_only
        self._changed(account, before)

    def set_stopped(self, key: str, symbol: str | None, stopped: bool) -> None:
        """Stops the opening of positions by all accounts, in one symbol or in everything, or lifts that stop."""
        if symbol is not None and symbol not in self._symbols:
            raise BadInput(f"{symbol!r} is not traded here.", field="symbol")
        scope = f"stop:{symbol or '*'}:{key}"
        if self._answers.stored(scope, key, [stopped]) is None:
            now = self.stopped() | {symbol} if stopped else self.stopped() - {symbol}
            self._answers.store(_STOPPED, [], sorted(now, key=lambda each: each or ""))
            self._answers.store(scope, [stopped], True)

    def stopped(self) -> frozenset[str | None]:
        known = self._answers.get(_STOPPED)
        return frozenset() if known is None else frozenset(known[1])

    def is_stopped(self, symbol: str) -> bool:
        stopped = self.stopped()
        return None in stopped or symbol in stopped

    def set_password(self, login: int, key: str, password: str) -> None:
        account = self._find(login)
        scope, given = f"password:{login}:{key}", [_digest(password)]
        if self._answers.stored(scope, key, given) is None:
            account.password_digest = _digest(password)
            self._changed(account, account.may_trade)
            self._answers.store(scope, given, True)

    def is_password(self, login: int, password: str) -> bool:
        return self._find(login).password_digest == _digest(password)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()

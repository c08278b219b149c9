"""Compares the live columns with the exact engine: every account's equity, rules and verdict."""

from dataclasses import dataclass

from domain.rules.evaluate import judge, level_breaches
from domain.rules.floors import Mark
from domain.rules.marking import QuoteBoard, conversion_symbol, equity_minor
from domain.rules.state import AccountRules
from monitor.facts import BreachFact
from monitor.loaded import Loaded
from monitor.shard import Shard
from ports.platform import Tick


def broken_at(shard: Shard, account: Loaded) -> bool:
    """Returns whether the exact engine finds an account, as loaded, broken at the shard's quotes."""
    held = account.checkpoint
    assert held is not None
    equity = equity_minor(
        held.balance_minor, held.positions, shard.state.board, shard.state.instruments, account.terms.product.currency
    )
    return bool(level_breaches(held.rules, Mark(held.balance_minor, equity, 0, shard.state.now)))


@dataclass(slots=True)
class Followed:
    """An account that only the exact engine judges, at every tick that can change it."""

    account: Loaded
    rules: AccountRules
    quotes: frozenset[str]  # the symbols that its equity depends on
    ended_at: int | None = None


class Followers:
    """A sample of the accounts, judged tick by tick independently of the shard."""

    def __init__(self, accounts: list[Loaded], board: QuoteBoard, shard: Shard) -> None:
        self._board = QuoteBoard(dict(board.prices), dict(board.stamps))
        self._instruments = shard.state.instruments
        self.all = [Followed(a, a.checkpoint.rules, self._quotes(a)) for a in accounts if a.checkpoint is not None]

    def _quotes(self, account: Loaded) -> frozenset[str]:
        assert account.checkpoint is not None
        found, currency = set[str](), account.terms.product.currency
        for position in account.checkpoint.positions:
            quoted = self._instruments[position.symbol].quote_currency
            found |= {position.symbol, conversion_symbol(quoted, currency, self._board.prices) or position.symbol}
        return frozenset(found)

    def tick(self, tick: Tick) -> None:
        self._board.put(tick.symbol, tick.bid, tick.ask, tick.seq, tick.at)
        for each in self.all:
            if each.ended_at is None and tick.symbol in each.quotes:
                each.rules, found = judge(each.rules, self._mark(each, tick))
                each.ended_at = tick.seq if found else None

    def _mark(self, each: Followed, tick: Tick) -> Mark:
        held = each.account.checkpoint
        assert held is not None
        currency = each.account.terms.product.currency
        equity = equity_minor(held.balance_minor, held.positions, self._board, self._instruments, currency)
        return Mark(held.balance_minor, equity, tick.seq, tick.at)

    def wrong(self, shard: Shard, found: list[BreachFact]) -> int:
        """Returns how many the shard judged differently: by verdict, event, floor or peak."""
        ended = {fact.login: fact for fact in reversed(found) if fact.cause}
        wrong = 0
        for each in self.all:
            account = shard.state.accounts.by_login(each.account.login)
            fact = ended.get(each.account.login)
            verdict = (fact.seq if fact else None) != each.ended_at
            moved = each.ended_at is None and shard.state.rules.get(account.row) != each.rules
            wrong += verdict or moved
        return wrong


def wrong_equities(shard: Shard) -> int:
    """Returns how many rows have another equity than the exact engine computes."""
    wrong = 0
    for account in shard.state.accounts:
        wrong += int(shard.state.columns.equity[account.row]) != shard.state.marks.exact(account)
    return wrong

"""Tick scalping: much of what an account wins, and many of its trades, last only seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
from pydantic import Field

from domain.surveillance.base import Thresholds
from domain.surveillance.findings import Finding
from surveillance.book import NEVER, REASONS, SECOND, Book, Flags, Floats, Ints
from surveillance.measures import shown
from surveillance.pattern import Judged, Pattern

_STOPPED: Final = (REASONS.index("stop"), REASONS.index("stop_out"))
_AT_STOP: Final = 0.1  # of the distance to the stop: a loser that closed within it was stopped out


class TickScalpingThresholds(Thresholds):
    """`tick_…`: FundedNext Futures, 40 % of the profit within 10 seconds. `minute_…`: E8 and Maven, half of the trades
    under a minute. Within ten seconds one of the two shares must reach its threshold and the other half of its own;
    under a minute both, as many an ordinary trade ends there. Within half a minute one of them is enough."""

    near_line: ClassVar[Mapping[str, float]] = {
        "min_tick_profit_pct": 0.85,
        "min_tick_trades_pct": 0.85,
        "min_half_minute_profit_pct": 0.9,
        "min_half_minute_trades_pct": 0.9,
        "min_minute_profit_pct": 0.85,
        "min_minute_trades_pct": 0.85,
    }

    tick_seconds: float = Field(default=10, gt=0)
    min_tick_profit_pct: float = Field(default=40, gt=0, le=100)
    min_tick_trades_pct: float = Field(default=50, gt=0, le=100)
    half_minute_seconds: float = Field(default=30, gt=0)
    min_half_minute_profit_pct: float = Field(default=80, gt=0, le=100)
    min_half_minute_trades_pct: float = Field(default=70, gt=0, le=100)
    minute_seconds: float = Field(default=60, gt=0)
    min_minute_profit_pct: float = Field(default=50, gt=0, le=100)
    min_minute_trades_pct: float = Field(default=50, gt=0, le=100)
    min_brief_trades: int = Field(default=10, ge=1)


class Rule(NamedTuple):
    """`least`: of its threshold, what the smaller of the two shares must reach."""

    seconds: float
    profit_pct: float
    trades_pct: float
    least: float


@dataclass(frozen=True)
class Shares:
    """Per account: what its brief trades won and how many they were, beside all. `trades` are positions, weighted by
    lots: one counts as brief as far as its lots were closed in time. Losers that were stopped out count nowhere."""

    brief_won: Floats
    won: Floats
    brief_trades: Floats
    trades: Floats

    @property
    def profit_pct(self) -> Floats:
        """Returns the share of gross winnings: the net may be near zero, and a share of it says nothing."""
        return 100 * self.brief_won / np.maximum(self.won, 1.0)

    @property
    def trades_pct(self) -> Floats:
        return 100 * self.brief_trades / np.maximum(self.trades, 1.0)


class TickScalping(Pattern[TickScalpingThresholds]):
    """A part of a position that is left open for long does not make the rest of it long."""

    name = "tick_scalping"
    version = 2
    thresholds = TickScalpingThresholds

    def find(self, book: Book) -> Judged:
        return Judged(tuple(finding for limits, part in self.by_limits(book) for finding in self._of(part, limits)))

    def _of(self, book: Book, limits: TickScalpingThresholds) -> list[Finding]:
        counted = _counted(book)
        position_lots = np.bincount(book.trades.position, weights=np.where(counted, book.trades.lots, 0.0))
        best: dict[int, tuple[float, Rule, Shares]] = {}
        for rule in (
            Rule(limits.tick_seconds, limits.min_tick_profit_pct, limits.min_tick_trades_pct, 0.5),
            Rule(limits.half_minute_seconds, limits.min_half_minute_profit_pct, limits.min_half_minute_trades_pct, 0.0),
            Rule(limits.minute_seconds, limits.min_minute_profit_pct, limits.min_minute_trades_pct, 1.0),
        ):
            shares = _shares(book, counted, position_lots.astype(np.float64), rule.seconds)
            of_profit, of_trades = shares.profit_pct / rule.profit_pct, shares.trades_pct / rule.trades_pct
            over = (np.maximum(of_profit, of_trades) >= 1) & (np.minimum(of_profit, of_trades) >= rule.least)
            for account in np.flatnonzero(over & (shares.brief_trades >= limits.min_brief_trades)).tolist():
                parts = (shares.profit_pct[account], rule.profit_pct), (shares.trades_pct[account], rule.trades_pct)
                score = max(0.5, sum(shown.rising(share, line, 100.0) for share, line in parts) / 2)
                if account not in best or score > best[account][0]:
                    best[account] = score, rule, shares
        return [self._finding(book, limits, counted, account, *best[account]) for account in sorted(best)]

    def _finding(
        self,
        book: Book,
        limits: TickScalpingThresholds,
        counted: Flags,
        account: int,
        score: float,
        rule: Rule,
        shares: Shares,
    ) -> Finding:
        mine = counted & (book.trades.account == account)
        lasted = (book.trades.closed - book.trades.opened) / SECOND
        brief = np.flatnonzero(mine & (lasted <= rule.seconds))
        profit, trades = float(shares.profit_pct[account]), float(shares.trades_pct[account])
        won, brief_won = float(shares.won[account]), float(shares.brief_won[account])
        net, brief_net = (int(book.trades.profit_minor[rows].sum()) for rows in (mine, brief))
        firm = book.firm.trades
        usual = float(np.median((firm.closed - firm.opened)[firm.closed != NEVER])) / SECOND
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(np.max(book.trades.closed[brief])),
            score=score,
            sentence=(
                f"{trades:.0f} % of the trades were held for at most {rule.seconds:g} seconds and made {profit:.0f} % "
                "of the gross profit."
            ),
            roles=[(account, "trader")],
            blamed=[account],
            trades=brief,
            evidence=[
                shown.figures(
                    ("Share of the gross profit from short trades", profit, rule.profit_pct, "at_least", "%"),
                    ("Share of short trades", trades, rule.trades_pct, "at_least", "%"),
                    ("Short trades", float(shares.brief_trades[account]), limits.min_brief_trades, "at_least", ""),
                ),
                shown.trade_table("Short trades", book, brief, [("Held, s", [f"{lasted[row]:.1f}" for row in brief])]),
            ],
            chance=(
                f"Short trades made {shown.amount(book, account, brief_won)} of {shown.amount(book, account, won)} "
                f"gross profit, and {shown.amount(book, account, brief_net)} of {shown.amount(book, account, net)} net "
                f"profit. The median holding time is {float(np.median(lasted[mine])):.0f} seconds on this account and "
                f"{usual:,.0f} seconds at the firm."
            ),
            ruled_out=(
                "Trades that a stop loss closed within seconds: losing trades closed by a stop loss are not counted.",
                "A net profit near zero, which makes any share large: the share is measured on gross profit.",
            ),
        )


def _counted(book: Book) -> Flags:
    """Returns the trades that count: closed, and no losers that were stopped out."""
    trades = book.trades
    distance = np.abs(trades.open_price - trades.stop)
    at_stop = trades.side * (trades.close_price - trades.stop) <= _AT_STOP * distance  # False when no stop is told
    stopped = (trades.profit_minor < 0) & (np.isin(trades.reason, _STOPPED) | ((trades.reason == 0) & at_stop))
    return np.asarray((trades.closed != NEVER) & ~stopped)


def _shares(book: Book, counted: Flags, position_lots: Floats, seconds: float) -> Shares:
    trades, many = book.trades.rows(counted), len(book.accounts)
    brief = trades.closed - trades.opened <= seconds * SECOND
    won = np.maximum(trades.profit_minor, 0)
    part = trades.lots / np.maximum(position_lots[trades.position], 1e-12) if len(trades) else np.zeros(0)

    def summed(values: Floats | Ints, rows: Flags) -> Floats:
        return np.bincount(trades.account[rows], weights=values[rows], minlength=many).astype(np.float64)

    every = np.ones(len(trades), dtype=bool)
    return Shares(summed(won, brief), summed(won, every), summed(part, brief), summed(part, every))

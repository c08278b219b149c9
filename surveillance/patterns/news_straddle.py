"""News straddle: stops on both sides of the price before a release; the move fills one, the other is cancelled.

Without orders only its traces are seen: openings in the first seconds after releases, time after time, or both sides
filled in the same release. They score lower, as a bet on one side leaves the same traces.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from pydantic import Field
from scipy.stats import poisson

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding
from surveillance.book import DAY, MINUTE, SECOND, Book, Flags, Ints
from surveillance.market import judging
from surveillance.market.clock import in_our_time
from surveillance.market.fills import references
from surveillance.market.first_fills import (
    FirstFills,
    NewsTrades,
    first_fills,
    news_trades,
    usual_brief,
    usual_shares,
    whipsaws,
    with_holding,
)
from surveillance.market.releases import (
    Straddle,
    pairs_of_stops,
    releases_of_symbols,
    stop_orders,
    straddles,
    title_at,
    traders,
    trades_of_order,
)
from surveillance.measures.shown import amount
from surveillance.pattern import Judged, Pattern

_HIGHEST_WITHOUT_ORDERS: Final = 0.7
_NO_ORDERS: Final = "only openings in the first seconds after releases could be judged"


class NewsStraddleThresholds(Thresholds):
    """Orders are placed at most `placed_minutes` before a release of at least `min_impact` (1 low, 3 high), one is
    filled at most `filled_seconds` after it, the other ends at most `cancelled_minutes` after the fill. `min_straddles`
    are asked, or a single one placed within `single_minutes` by who places few such pairs at other times. Without
    orders `min_first_fills` releases with openings in the first `first_seconds`, or `min_whipsaws` with both sides;
    the former are at least `min_first_share_pct` of the account's openings in these symbols, and `min_brief_pct` of
    them are closed within `brief_minutes`: who waits on both sides takes the spike, who bets on one side waits for the
    move."""

    near_line: ClassVar[Mapping[str, float]] = {"max_chance": 2.0, "max_chance_first_fills": 5.0}

    min_impact: int = Field(default=3, ge=1, le=3)
    placed_minutes: int = Field(default=20, ge=1)
    filled_seconds: int = Field(default=120, ge=1)
    cancelled_minutes: int = Field(default=30, ge=1)
    min_straddles: int = Field(default=2, ge=1)
    single_minutes: int = Field(default=5, ge=1)
    max_chance: float = Field(default=0.05, gt=0, le=0.5)
    first_seconds: int = Field(default=3, ge=1, le=30)
    min_first_fills: int = Field(default=3, ge=2)
    min_whipsaws: int = Field(default=2, ge=1)
    min_first_share_pct: float = Field(default=15, ge=0, le=100)
    brief_minutes: int = Field(default=12, ge=1)
    min_brief_pct: float = Field(default=60, ge=0, le=100)
    max_chance_first_fills: float = Field(default=2e-3, gt=0, le=0.5)


class Straddles(Table):
    """The releases, with the orders before them. `orders`: ids of both orders of each."""

    type: str = "straddles"
    orders: tuple[tuple[str, str], ...]


class FirstFillTable(Table):
    """Openings in the first seconds after releases. `trades`: their ids."""

    type: str = "first_fills"
    trades: tuple[str, ...]


class NewsStraddle(Pattern[NewsStraddleThresholds]):
    name = "news_straddle"
    version = 2
    scope = "firm"
    needs = ("events",)
    thresholds = NewsStraddleThresholds

    def find(self, book: Book) -> Judged:
        findings = []
        book = in_our_time(book)
        told = np.zeros(len(book.accounts), dtype=bool)  # whose orders are known
        if book.orders is not None:
            told[book.orders.account] = True
        for limits, accounts in judging.accounts_by_limits(self, book):
            releases = releases_of_symbols(book, limits.min_impact)
            findings += self._by_orders(book, limits, accounts, releases)
            findings += self._by_fills(book, limits, accounts & ~told & book.clock_known, releases)
        traded = np.bincount(book.trades.account, minlength=len(book.accounts)) > 0
        return Judged(tuple(findings), _cannot_judge(book, traded & ~told))

    def _by_orders(
        self, book: Book, limits: NewsStraddleThresholds, accounts: Flags, releases: dict[int, Ints]
    ) -> list[Finding]:
        orders = book.orders
        if orders is None:
            return []
        rows = stop_orders(orders)
        rows = rows[accounts[orders.account[rows]]]
        who = traders(book.accounts)
        found = straddles(
            orders,
            rows,
            who,
            releases,
            limits.placed_minutes * MINUTE,
            limits.filled_seconds * SECOND,
            limits.cancelled_minutes * MINUTE,
        )
        findings = []
        for trader, made in found.items():
            own = rows[who[orders.account[rows]] == trader]
            pairs = max(pairs_of_stops(orders, own), len(made))
            span = max(int(np.ptp(orders.placed[own])), DAY)
            due = max(len(releases[each.symbol]) for each in made)
            expected = pairs * min(due * limits.placed_minutes * MINUTE / max(span, _whole(book)), 0.5)
            chance = float(poisson.sf(len(made) - 1, expected))
            quick = [each for each in made if each.waited <= limits.single_minutes * MINUTE and not each.whipsaw]
            if chance <= limits.max_chance and (len(made) >= limits.min_straddles or quick):
                findings.append(self._straddled(book, limits, made, pairs, expected, chance))
        return findings

    def _straddled(
        self,
        book: Book,
        limits: NewsStraddleThresholds,
        made: list[Straddle],
        pairs: int,
        expected: float,
        chance: float,
    ) -> Finding:
        orders = book.orders
        assert orders is not None
        legs = np.array([[each.bought, each.sold] for each in made])
        accounts = np.unique(orders.account[legs]).tolist()
        filled = [trades_of_order(book, leg) for leg in _filled_legs(made)]
        waited = float(np.median([each.waited for each in made])) / SECOND
        after = float(np.median([each.filled_after for each in made])) / SECOND
        figures = Figures(
            figures=(
                judging.figure("News releases with an order pair", len(made), limits.min_straddles),
                judging.figure(
                    "Orders placed before the release by", waited, limits.placed_minutes * 60, at_most=True, unit="s"
                ),
                judging.figure("Filled after the release by", after, limits.filled_seconds, at_most=True, unit="s"),
            )
        )
        score = judging.score(
            (0.6, judging.beyond(len(made), 1, 2 * limits.min_straddles)),
            (0.2, judging.beyond(waited, limits.placed_minutes * 60, 0)),
            (0.2, judging.beyond(after, limits.filled_seconds, 0)),
        )
        releases = "1 news release" if len(made) == 1 else f"{len(made)} news releases"
        return self.finding(
            book,
            _name(book, accounts[0]),
            limits=limits,
            at=max(int(orders.done[each.filled]) for each in made),
            score=score,
            sentence=f"Placed a buy stop and a sell stop around the price {waited:.0f} seconds before {releases}; one "
            "order was filled, the other ended.",
            roles=[(account, "trader") for account in accounts],
            blamed=accounts,
            trades=np.concatenate(filled) if filled else [],
            evidence=[figures, _straddle_table(book, limits, made)],
            chance=f"If {pairs} such pairs of orders were placed at random times, {expected:.2g} would meet a release. "
            f"The probability of {len(made)} by chance is {judging.one_in(chance)}.",
            ruled_out=(
                "A bet on one direction: there was an order on each side of the price.",
                f"An older breakout order: no order was older than {limits.placed_minutes} minutes at the release.",
                "An unrelated release: each release is about a currency of the traded symbol.",
            ),
            relation="one_account" if len(accounts) == 1 else "same_owner",
            severity="hold" if len(made) >= limits.min_straddles else "review",
        )

    def _by_fills(
        self, book: Book, limits: NewsStraddleThresholds, accounts: Flags, releases: dict[int, Ints]
    ) -> list[Finding]:
        news = news_trades(book, releases, references(book))
        first = limits.first_seconds * SECOND
        usual = usual_shares(news, len(book.accounts), first, limits.min_first_fills)
        in_first = np.bincount(news.account[news.after <= first], minlength=len(book.accounts))
        chosen = np.flatnonzero(accounts & (in_first >= 2)).tolist()
        mine = {row: np.flatnonzero(book.trades.account == row) for row in chosen}
        trades = book.trades
        is_brief = (trades.closed - trades.opened)[news.trade] <= limits.brief_minutes * MINUTE
        held = usual_brief(news, is_brief)
        findings = []
        for row in chosen:
            own = np.flatnonzero(news.account == row)
            found = with_holding(first_fills(news, own, usual), is_brief, held)
            both = whipsaws(book, news, own[news.after[own] <= first])
            repeated = found.hit >= limits.min_first_fills and found.chance <= limits.max_chance_first_fills
            # Who trades every move of the price, with stale prices for instance, trades those of releases, too.
            traded = np.unique(book.trades.symbol[news.trade[found.early]])
            openings = int(np.isin(book.trades.symbol[mine[row]], traded).sum())
            repeated &= 100 * found.hit >= limits.min_first_share_pct * openings
            repeated &= 100 * found.brief >= limits.min_brief_pct * len(found.early)
            if repeated or both >= limits.min_whipsaws:
                findings.append(self._filled_first(book, limits, row, news, found, both))
        return findings

    def _filled_first(
        self,
        book: Book,
        limits: NewsStraddleThresholds,
        account: int,
        news: NewsTrades,
        found: FirstFills,
        both: int,
    ) -> Finding:
        hit, due, early = found.hit, found.due, found.early
        score = judging.score(
            (0.5, judging.beyond(hit, limits.min_first_fills - 1, 3 * limits.min_first_fills)),
            (0.5, judging.beyond(both, 0, 2 * limits.min_whipsaws)),
        )
        figures = Figures(
            figures=(
                judging.figure("News releases with a trade in the first seconds", hit, limits.min_first_fills),
                judging.figure("News releases with trades in both directions", both, limits.min_whipsaws),
            )
        )
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(book.trades.opened[news.trade[early]].max()),
            score=min(score, _HIGHEST_WITHOUT_ORDERS),
            sentence=f"Opened trades within {found.within / SECOND:g} seconds of {hit} of {due} news releases, as "
            f"fast as waiting stop orders; in both directions at {both} of these releases.",
            roles=[(account, "trader")],
            blamed=[account],
            trades=news.trade[early],
            evidence=[figures, _first_fill_table(book, limits, news, early)],
            chance=f"Of the trades opened in the minute after a release, {100 * found.usual:.0f} % are expected this "
            f"early and {100 * found.usual_brief:.0f} % are expected to close within {limits.brief_minutes} minutes. "
            f"The probability of {hit} of {due} releases, with {found.brief} trades closed as soon, by chance is "
            f"{judging.one_in(found.chance)}.",
            ruled_out=("Manual trading on the news: a person takes longer than these trades did.",),
            exculpatory=(
                Table(
                    title="Missing data",
                    columns=("Missing", "Why this matters"),
                    rows=(("Orders", "A stop order in one direction only looks the same and is not a straddle."),),
                ),
            ),
            severity="review",
        )


def _cannot_judge(book: Book, without_orders: Flags) -> str | None:
    """`without_orders`: accounts that traded and whose orders are not known."""
    found = []
    if unknown := int((without_orders & book.clock_known).sum()):
        why = book.missing.get("orders", "orders are not known") if book.orders is None else ""
        found.append(f"{why or f'{unknown} accounts have no orders'}: {_NO_ORDERS}")
    if late := int((without_orders & ~book.clock_known).sum()):
        found.append(
            f"{late} accounts have no orders and are at a venue whose clock is not estimated: seconds after a release "
            "could not be judged"
        )
    return "; ".join(found) or None


def _whole(book: Book) -> int:
    """Returns how long the calendar lasts."""
    assert book.events is not None
    return int(np.ptp(book.events.at)) if len(book.events) else 0


def _filled_legs(made: list[Straddle]) -> list[int]:
    legs = []
    for each in made:
        legs += [each.bought, each.sold] if each.whipsaw else [each.filled]
    return legs


def _name(book: Book, account: int) -> str:
    owner = book.accounts.owners[book.accounts.owner[account]]
    return owner or str(book.accounts.id[account])


def _straddle_table(book: Book, limits: NewsStraddleThresholds, made: list[Straddle]) -> Straddles:
    orders, events = book.orders, book.events
    assert orders is not None and events is not None
    rows = []
    for each in sorted(made, key=lambda one: one.release)[: judging.SHOWN]:
        point = float(book.symbols.point[each.symbol])
        end = "both filled" if each.whipsaw else "cancelled"
        rows.append(
            (
                f"{judging.when(each.release)} {title_at(events, each.release, limits.min_impact)}",
                str(book.symbols.name[each.symbol]),
                judging.price(float(orders.price[each.bought]), point),
                judging.price(float(orders.price[each.sold]), point),
                judging.lasted(each.waited),
                f"{judging.side_word(int(orders.side[each.filled]))} after {judging.lasted(each.filled_after)}",
                end if each.ended_after is None else f"{end}, {judging.lasted(each.ended_after)} after the fill",
            )
        )
    return Straddles(
        title="Order pairs before news releases",
        columns=(
            "News release, UTC",
            "Symbol",
            "Buy stop",
            "Sell stop",
            "Placed before the release",
            "Filled",
            "Other order",
        ),
        rows=tuple(rows),
        orders=tuple((str(orders.id[each.bought]), str(orders.id[each.sold])) for each in made),
    )


def _first_fill_table(book: Book, limits: NewsStraddleThresholds, news: NewsTrades, early: Ints) -> FirstFillTable:
    events, trades = book.events, book.trades
    assert events is not None
    return FirstFillTable(
        title="Trades opened in the first seconds after news releases",
        columns=("Trade", "News release, UTC", "Symbol", "Side", "Opened after", "Net profit"),
        rows=tuple(
            (
                str(trades.id[trade]),
                f"{judging.when(release)} {title_at(events, release, limits.min_impact)}",
                book.listed(trade),
                judging.side_word(int(trades.side[trade])),
                judging.lasted(after),
                amount(book, int(trades.account[trade]), float(trades.profit_minor[trade])),
            )
            for trade, release, after in zip(
                news.trade[early].tolist(), news.release[early].tolist(), news.after[early].tolist(), strict=True
            )
        )[: judging.SHOWN],
        trades=tuple(str(trades.id[trade]) for trade in news.trade[early]),
    )

"""Challenge farming: one hand buys challenge after challenge and bets each on its first trades.

Who fails and buys again trades for days in between; who buys one account of each product trades them as usual. A farmer
risks most of a day's limit at once, often on both sides in two accounts, and the accounts last for hours or days.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan
from typing import ClassVar, Final

import numpy as np
from pydantic import Field as Setting

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding, Relation, Severity
from surveillance.book import DAY, MINUTE, NEVER, OUTCOMES, SECOND, UNKNOWN, Book, Flags, Floats, Ints
from surveillance.groups import Edge, groups
from surveillance.links import Links, links_of
from surveillance.pair_evidence import figure, moment, score_of, weakest, words
from surveillance.pattern import Judged, Pattern
from surveillance.positions import ideas

_MOST_POINTS: Final = 100.0
_FIRST_DAY: Final = DAY
_BREACHED: Final = OUTCOMES.index("breached")
_ONE_BET: Final = 2  # decisions: an account that breached after so many, within a day, was bet, stop or no stop
# "phase 2" and "step_3" are later; "2-step phase 1", "phase 1 of 2" and "evaluation 50k 2024" are purchases
_LATER_PHASE: Final = re.compile(
    r"fund|live|master|verif|(phase|step|stage)[\s_-]*([23]|iii?|two|three)(?![0-9a-z])|^\s*p?[23]\s*$", re.IGNORECASE
)


class ChallengeFarmingThresholds(Thresholds):
    """Points: purchases up to 20 (all at twice the least), accounts that were bet 30, first trades opposite to each
    other 30, accounts that ended soon or hardly traded 20, and 20 more for those that ended within a day, or within
    `brief_life_days` after at most `brief_ideas` decisions, from `min_brief_accounts` on. An account was bet when its
    first trade, or all that it lost when it ended within a day after at most `few_ideas` decisions, was at least
    `bet_pct_of_daily_loss`; or when it breached within a day after two decisions or fewer."""

    near_line: ClassVar[Mapping[str, float]] = {"min_points": 0.85}

    window_days: int = Setting(default=10, ge=1)
    min_purchases: int = Setting(default=4, ge=2)
    split_seconds: int = Setting(default=20, ge=0)
    bet_pct_of_daily_loss: int = Setting(default=40, ge=1)
    opposite_within_minutes: int = Setting(default=60, ge=1)
    short_life_days: int = Setting(default=4, ge=1)
    few_ideas: int = Setting(default=6, ge=1)
    brief_life_days: int = Setting(default=2, ge=1)
    brief_ideas: int = Setting(default=3, ge=1)
    min_brief_accounts: int = Setting(default=5, ge=2)
    min_link_pct: int = Setting(default=50, ge=1, le=100)
    min_points: int = Setting(default=50, ge=1, le=100)
    hold_points: int = Setting(default=80, ge=1, le=100)


@dataclass(frozen=True)
class Firsts:
    """By account: the first idea it opened and how many there are. `bought`: when it was opened, or its first trade
    where that is not told, UNKNOWN without both. `lived`: microseconds until it ended, NEVER while it is open. `risk`:
    what the first idea put at risk over the daily loss limit; `lost`: what all trades lost over it; NaN when it cannot
    be said. `row`: its first trade, UNKNOWN without trades."""

    row: Ints
    symbol: Ints
    side: Ints
    opened: Ints
    bought: Ints
    lived: Ints
    risk: Floats
    lost: Floats
    ideas: Ints


@dataclass(frozen=True)
class Farm:
    """The purchases of one hand within the window. `bets`, `opposite`, `short`: flags, one for each account."""

    accounts: tuple[int, ...]
    bets: tuple[bool, ...]
    opposite: tuple[bool, ...]
    short: tuple[bool, ...]
    judged: int
    points: float


class ChallengeFarming(Pattern[ChallengeFarmingThresholds]):
    name = "challenge_farming"
    version = 2
    scope = "firm"
    thresholds = ChallengeFarmingThresholds

    def find(self, book: Book) -> Judged:
        limits = self.limits.default
        links, firsts = links_of(book), _firsts(book, limits.split_seconds * SECOND)
        hands = list(_hands(book, links, firsts.bought, limits))
        farms = [self._busiest(book, hand, firsts) for hand in hands]
        found = [
            self._finding(book, farm, firsts, links, [len(each.accounts) for each in farms if each])
            for farm in farms
            if farm is not None and farm.points >= self.limits_of(book, farm.accounts[0]).min_points
        ]
        return Judged(tuple(found), _not_told(book, firsts))

    def _busiest(self, book: Book, hand: Sequence[int], firsts: Firsts) -> Farm | None:
        """The window with most points among those that begin with a purchase."""
        limits = self.limits_of(book, hand[0])
        best: Farm | None = None
        bought = firsts.bought[list(hand)]
        for start in range(len(hand)):
            end = int(np.searchsorted(bought, bought[start] + limits.window_days * DAY, side="right"))
            if end - start < limits.min_purchases:
                continue
            farm = _farm(book, tuple(hand[start:end]), firsts, limits)
            if best is None or farm.points > best.points:
                best = farm
        return best

    def _finding(self, book: Book, farm: Farm, firsts: Firsts, links: Links, others: Sequence[int]) -> Finding:
        accounts, limits = farm.accounts, self.limits_of(book, farm.accounts[0])
        relation, strength = _relation(links, accounts)
        days = max(ceil((int(firsts.bought[accounts[-1]]) - int(firsts.bought[accounts[0]])) / DAY), 1)
        bets, opposite, short = sum(farm.bets), sum(farm.opposite), sum(farm.short)
        rows = [int(firsts.row[each]) for each in accounts if firsts.row[each] != UNKNOWN]
        severity: Severity = "hold" if farm.points >= limits.hold_points else "review"
        as_many = sum(each >= len(accounts) for each in others)
        return self.finding(
            book,
            str(book.accounts.id[accounts[0]]),
            limits=limits,
            at=max([int(firsts.opened[each]) for each in accounts if firsts.row[each] != UNKNOWN], default=0),
            score=score_of(farm.points, limits.min_points, _MOST_POINTS),
            sentence=f"Bought {len(accounts)} challenges within {days} {'day' if days == 1 else 'days'}: {bets} risked "
            f"at least {limits.bet_pct_of_daily_loss} % of the daily loss limit on the first trade or day, {opposite} "
            f"opened opposite to another of these accounts, and {short} ended within {limits.short_life_days} days or "
            f"made at most {limits.few_ideas} trades.",
            roles=[(each, "farmed") for each in accounts],
            blamed=accounts,
            trades=rows,
            evidence=[_figures(farm, limits), _table(book, farm, firsts, limits)],
            chance=f"{as_many} of {len(book.accounts.owners):,} traders, counted together with linked traders, bought "
            f"{len(accounts)} or more challenges within {limits.window_days} days.",
            ruled_out=_ruled_out(farm),
            relation=relation,
            severity=severity,
            link_strength=strength,
        )


def _not_told(book: Book, firsts: Firsts) -> str | None:
    """Returns what the accounts lack, in words."""
    accounts = book.accounts
    undated = accounts.opened == UNKNOWN
    counts = (
        (undated & (firsts.bought != UNKNOWN), "no time of opening: their first trade stands for it"),
        (undated & (firsts.bought == UNKNOWN), "neither a time of opening nor a trade, and are left out"),
        (accounts.daily_loss_minor <= 0, "no daily loss limit to compare their bets with"),
    )
    told = [f"{int(which.sum()):,} of {len(accounts):,} accounts have {what}" for which, what in counts if which.any()]
    return "; ".join(told) or None


def _hands(book: Book, links: Links, opened: Ints, limits: ChallengeFarmingThresholds) -> Iterator[list[int]]:
    """Yields the purchases of each owner, or of owners who are tied, by time: enough of them to be judged."""
    bought = defaultdict(list)
    passed = OUTCOMES.index("passed")
    grown = set(book.accounts.challenge[book.accounts.outcome == passed].tolist())
    first: dict[int, int] = {}
    dated = np.argsort(opened, kind="stable")
    for row in dated[opened[dated] != UNKNOWN].tolist():
        challenge = int(book.accounts.challenge[row])
        goes_on = challenge in first and challenge in grown
        first.setdefault(challenge, row)
        if not goes_on and not _LATER_PHASE.search(book.accounts.phases[book.accounts.phase[row]]):
            bought[int(book.accounts.owner[row])].append(row)
    tied = [link for link in links.all() if link.strength * 100 >= limits.min_link_pct]
    hands = [list(group.members) for group in groups(Edge(each.one, each.other, each.strength) for each in tied)]
    alone = set(bought) - {owner for hand in hands for owner in hand}
    for owners in [*hands, *([owner] for owner in sorted(alone))]:
        known = [owner for owner in owners if book.accounts.owners[owner]]
        rows = [row for owner in known for row in bought.get(owner, ())]
        if len(rows) >= limits.min_purchases:
            yield sorted(rows, key=lambda row: (int(opened[row]), str(book.accounts.id[row])))


def _firsts(book: Book, split: int) -> Firsts:
    found, _ = ideas(book.trades, split)
    count = len(book.accounts)
    idea = np.full(count, UNKNOWN, dtype=np.int64)
    idea[found.account[::-1]] = np.arange(len(found))[::-1]
    has = idea != UNKNOWN
    at = idea[has]

    def of(values: np.ndarray[tuple[int], np.dtype[np.generic]]) -> Ints:
        result = np.full(count, UNKNOWN, dtype=np.int64)
        result[has] = values[at]
        return result

    limit = np.where(book.accounts.daily_loss_minor > 0, book.accounts.daily_loss_minor, np.nan)
    risk = np.full(count, np.nan)
    if has.any():
        risk[has] = _risk(book, found.first[at].astype(np.int64), found.lots[at], found.profit_minor[at]) / limit[has]
    profit = np.bincount(found.account, weights=found.profit_minor, minlength=count)
    many = np.bincount(found.account, minlength=count).astype(np.int64)
    opened, ended = of(found.opened), book.accounts.ended
    bought = np.where(book.accounts.opened == UNKNOWN, opened, book.accounts.opened)
    lived = np.where(ended == NEVER, NEVER, ended - bought)
    first, symbol, side = of(found.first), of(found.symbol), of(found.side)
    return Firsts(first, symbol, side, opened, bought, lived, risk, np.maximum(-profit, 0.0) / limit, many)


def _risk(book: Book, rows: Ints, lots: Floats, profit_minor: Ints) -> Floats:
    """The loss at the stop, in minor units; without a stop, what was lost. What a lot is worth comes from the trade's
    own profit, so it is in the account's currency."""
    trades = book.trades
    moved = (trades.close_price[rows] - trades.open_price[rows]) * trades.lots[rows]
    told = (trades.closed[rows] != NEVER) & (np.abs(moved) > 0)
    worth = np.abs(trades.profit_minor[rows]) / np.where(told, np.abs(moved), np.nan)
    at_stop = np.abs(trades.open_price[rows] - trades.stop[rows]) * lots * worth
    lost = np.where(profit_minor < 0, -profit_minor.astype(np.float64), np.nan)
    return np.asarray(np.fmax(at_stop, lost))


def _farm(book: Book, accounts: tuple[int, ...], firsts: Firsts, limits: ChallengeFarmingThresholds) -> Farm:
    chosen = np.array(accounts)
    count, lived, many = len(accounts), firsts.lived[chosen], firsts.ideas[chosen]
    first_day = lived <= _FIRST_DAY
    risk = _staked(firsts, limits)[chosen]
    at_once = first_day & (many <= _ONE_BET) & (many > 0) & (book.accounts.outcome[chosen] == _BREACHED)
    bets = (np.nan_to_num(risk) * 100 >= limits.bet_pct_of_daily_loss) | at_once
    judged = int((~np.isnan(risk) | at_once).sum())
    opposite = _opposite(book, chosen, firsts, limits.opposite_within_minutes * MINUTE)
    short = ((lived <= limits.short_life_days * DAY) | (many <= limits.few_ideas)) & (many > 0)
    few = (lived <= limits.brief_life_days * DAY) & (many <= limits.brief_ideas)
    brief = (first_day | few) & short
    points = (
        20 * min(count / (2 * limits.min_purchases), 1.0)
        + (30 * float(bets.sum()) / judged if judged >= 0.5 * count else 0.0)
        + 30 * float(opposite.mean())
        + 20 * float(short.mean())
        + (20 * float(brief.mean()) if brief.sum() >= limits.min_brief_accounts else 0.0)
    )
    return Farm(accounts, _flags(bets), _flags(opposite), _flags(short), judged, min(points, _MOST_POINTS))


def _staked(firsts: Firsts, limits: ChallengeFarmingThresholds) -> Floats:
    """Returns what each account put at risk over its daily limit: by its first idea, or by all that it lost when few
    decisions ended it within a day."""
    ended_at_once = (firsts.lived <= _FIRST_DAY) & (firsts.ideas <= limits.few_ideas)
    return np.asarray(np.where(ended_at_once, np.fmax(firsts.risk, firsts.lost), firsts.risk))


def _flags(values: Flags) -> tuple[bool, ...]:
    return tuple(bool(each) for each in values)


def _opposite(book: Book, chosen: Ints, firsts: Firsts, within: int) -> Flags:
    group = book.symbols.group
    symbol = firsts.symbol[chosen]
    moves = np.where((symbol >= 0) & (group[symbol] != UNKNOWN), len(group) + group[symbol], symbol)
    traded = firsts.row[chosen] != UNKNOWN
    close = np.abs(firsts.opened[chosen][:, None] - firsts.opened[chosen][None, :]) <= within
    against = firsts.side[chosen][:, None] == -firsts.side[chosen][None, :]
    same = moves[:, None] == moves[None, :]
    both = traded[:, None] & traded[None, :]
    return np.asarray((close & against & same & both).any(axis=1))


def _relation(links: Links, accounts: Sequence[int]) -> tuple[Relation, float]:
    found = [links.relation(accounts[0], each) for each in accounts[1:]]
    return weakest([("linked" if name == "stranger" else name, sure) for name, sure in found])


def _figures(farm: Farm, limits: ChallengeFarmingThresholds) -> Figures:
    count = len(farm.accounts)
    return Figures(
        figures=(
            figure(f"Challenges bought within {limits.window_days} days", count, limits.min_purchases),
            figure("Accounts with a large bet on the first trade or day", sum(farm.bets), 0),
            figure("Accounts that opened opposite to another of these accounts", sum(farm.opposite), 0),
            figure("Accounts that ended soon or made few trades", sum(farm.short), 0),
            figure("Evidence points", farm.points, limits.min_points),
        )
    )


def _table(book: Book, farm: Farm, firsts: Firsts, limits: ChallengeFarmingThresholds) -> Table:
    rows, staked = [], _staked(firsts, limits)
    for each in farm.accounts:
        traded = firsts.row[each] != UNKNOWN
        risk = float(staked[each])
        lived = "open" if firsts.lived[each] == NEVER else words(int(firsts.lived[each]) / DAY)
        side = "buy" if firsts.side[each] > 0 else "sell"
        rows.append(
            (
                str(book.accounts.id[each]),
                book.accounts.owners[book.accounts.owner[each]],
                moment(int(firsts.bought[each])),
                lived,
                f"{side} {book.listed(int(firsts.row[each]))}" if traded else "none",
                "unknown" if isnan(risk) else f"{100 * risk:.0f} %",
                OUTCOMES[book.accounts.outcome[each]],
            )
        )
    columns = (
        "Account",
        "Trader",
        "Bought, UTC",
        "Lifetime, days",
        "First trade",
        "Risk, share of the daily limit",
        "Outcome",
    )
    return Table(title="Challenges bought", columns=columns, rows=tuple(rows))


def _ruled_out(farm: Farm) -> list[str]:
    told = []
    if sum(farm.short) >= 0.5 * len(farm.accounts):
        told.append("An unlucky trader who buys again: most of these accounts made few trades before they ended.")
    if sum(farm.bets) >= 0.5 * max(farm.judged, 1):
        told.append("A trader who tries several products: most of these accounts made a large bet at once.")
    return told

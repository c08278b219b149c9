"""Reports in words, and their plots: what `static/plots.js` draws. The tables beside the plots have every number."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from console.formats import duration, percent
from domain.money import Money, exponent, from_minor
from domain.reports.months import Months
from domain.reports.shares import share
from firm.liability import LiabilityView
from store.read.decided import KINDS, Kind
from store.read.decision_times import DecisionTimeRow, DecisionTimes
from store.read.owed import OwedDay
from store.read.pass_rates import PassRates, RateRow
from store.read.revenue import Revenue, RevenueRow

_TWO_DAYS: Final = 48 * 3600
KIND_WORDS: Final[dict[Kind, str]] = {
    "payout": "Payouts",
    "dispute": "Disputes of breaches",
    "appeal": "Appeals",
    "case": "Cases",
}


@dataclass(frozen=True)
class Series:
    """`values`: one for each place on the axis, None for none. `early`: those that may still change."""

    label: str
    tone: str
    values: tuple[float | None, ...]
    early: tuple[bool, ...]


@dataclass(frozen=True)
class Plot:
    title: str
    unit: str
    digits: int
    x: tuple[str, ...]
    series: tuple[Series, ...]

    @property
    def spec(self) -> str:
        """What the script draws, as JSON."""
        series = [{"label": s.label, "tone": s.tone, "values": s.values, "early": s.early} for s in self.series]
        return json.dumps({"x": self.x, "unit": self.unit, "digits": self.digits, "series": series})

    @property
    def hollow(self) -> bool:
        """Whether a number of it may still change."""
        return any(any(each.early) for each in self.series)


def of_whole(part: int, whole: int) -> str:
    """ "of 120, 25.8 %", which stands behind the part; empty for a share of nothing."""
    found = share(part, whole)
    return "" if found is None else f"of {whole:,}, {percent(found * 100, 1)}"


def took(seconds: int | None) -> str:
    """ "45 s", "3 h 20 min", "3 d 4 h"."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds} s"
    if seconds < _TWO_DAYS:
        return duration(seconds // 60)
    days, rest = divmod(seconds // 3600, 24)
    return f"{days} d {rest} h" if rest else f"{days} d"


def purchases_href(asked: Months, row: RateRow, only: str, outcome: str = "") -> str:
    """The list of the purchases that a number of a row counts. `only`: the product that the report is limited to;
    `outcome`: what became of them; empty for all that were bought."""
    given = {"paid_purchase": "yes", **_moments(asked, row.month, "bought"), "sold_product": row.product or only}
    version = "" if row.version is None else str(row.version)
    return list_of("/challenges", {**given, "sold_version": version, "outcome": outcome})


def decisions_href(asked: Months, row: DecisionTimeRow, outcome: str) -> str:
    """The list of the decisions that a number of a row counts."""
    return list_of("/decisions", {"kind": row.kind, **_moments(asked, row.month, "decided"), "outcome": outcome})


def _moments(asked: Months, month: str | None, what: str) -> dict[str, str]:
    """When a month begins and is over; None: all months of the report."""
    begins, over = (asked.since, asked.until) if month is None else asked.bounds(month)
    return {f"{what}_since": f"{begins:%Y-%m-%dT%H:%M:%SZ}", f"{what}_before": f"{over:%Y-%m-%dT%H:%M:%SZ}"}


def list_of(path: str, given: Mapping[str, str]) -> str:
    """The address of a list with these filters; empty ones are left out."""
    return f"{path}?{urlencode({name: value for name, value in given.items() if value})}"


def still_open(row: RateRow) -> str:
    """Which rate of a cohort is too young to judge, and how much of it is open; empty when none is."""
    if row.pass_rate_early:
        return f"both rates: {row.in_evaluation:,} of {row.bought:,} open"
    if row.payout_rate_early:
        return f"payout rate: {row.in_evaluation + row.unpaid_yet:,} of {row.bought:,} open"
    return ""


def rates_plot(found: PassRates, names: Iterable[str]) -> Plot:
    months, x = {row.month: row for row in found.months}, tuple(names)
    rows = [months.get(name) for name in x]
    return Plot(
        "Pass and payout rates by month of purchase",
        "% of purchases",
        1,
        x,
        (
            Series(
                "funded",
                "accent",
                tuple(None if row is None else _percent(row.funded_share) for row in rows),
                tuple(row is not None and row.pass_rate_early for row in rows),
            ),
            Series(
                "paid",
                "ok",
                tuple(None if row is None else _percent(row.paid_share) for row in rows),
                tuple(row is not None and row.payout_rate_early for row in rows),
            ),
        ),
    )


def revenue_plots(found: Revenue, names: Iterable[str]) -> list[Plot]:
    """One plot a currency: fees less what was given back, the traders' shares, and the result."""
    x, plots = tuple(names), list[Plot]()
    for currency in (row.currency for row in found.totals):
        months = {row.month: row for row in found.items if row.currency == currency}
        rows = [months.get(name) for name in x]
        lines = (
            ("fees", "accent", [_net_fees(row) for row in rows]),
            ("profit shares", "warn", [None if row is None else row.profit_shares_minor for row in rows]),
            ("result", "ok", [None if row is None else row.result_minor for row in rows]),
        )
        nothing = (False,) * len(x)
        series = tuple(
            Series(label, tone, tuple(_major(0 if minor is None else minor, currency) for minor in values), nothing)
            for label, tone, values in lines
        )
        plots.append(Plot("Revenue and profit shares by month", currency, exponent(currency), x, series))
    return plots


def _net_fees(row: RevenueRow | None) -> int | None:
    if row is None:
        return None
    return row.fees_minor - row.discounts_minor - row.refunds_minor - row.fees_returned_minor


def times_plot(found: DecisionTimes, names: Iterable[str]) -> Plot | None:
    """The median hours of each kind; None without decisions."""
    x, series = tuple(names), list[Series]()
    tones = dict(zip(KINDS, ("accent", "warn", "bad", "ok"), strict=True))
    for kind in KINDS:
        months = {row.month: row.median_seconds for row in found.items if row.kind == kind}
        values = tuple(None if months.get(name) is None else round((months[name] or 0) / 3600, 2) for name in x)
        if any(value is not None for value in values):
            series.append(Series(KIND_WORDS[kind].lower(), tones[kind], values, (False,) * len(x)))
    return Plot("Median time to decision by month", "hours", 1, x, tuple(series)) if series else None


def owed_plot(days: tuple[OwedDay, ...]) -> Plot | None:
    """None without days that are kept."""
    if not days:
        return None
    currency, nothing = days[0].currency, (False,) * len(days)
    lines = (
        ("without open profit", "accent", [day.owed_minor for day in days]),
        ("if all positions closed", "warn", [day.closed_minor for day in days]),
    )
    series = tuple(
        Series(label, tone, tuple(_major(minor, currency) for minor in values), nothing)
        for label, tone, values in lines
    )
    x = tuple(f"{day.at:%Y-%m-%d}" for day in days)
    return Plot("What the firm would owe at the end of each day", currency, exponent(currency), x, series)


def bars(found: LiabilityView) -> list[dict[str, Any]]:
    """What each product would cost if every eligible trader asked now, the largest first, each with its part of the
    largest one in its currency."""
    most: dict[str, int] = {}
    for row in found.would_owe:
        most[row.currency] = max(most.get(row.currency, 0), row.all_minor)
    rows = sorted(found.would_owe, key=lambda row: (row.currency, -row.all_minor, row.product, row.version))
    return [
        {
            "row": row,
            "all": Money(minor=row.all_minor, currency=row.currency),
            "part": row.all_minor / most[row.currency] if most[row.currency] else 0.0,
        }
        for row in rows
    ]


def _percent(share: Decimal | None) -> float | None:
    return None if share is None else float(share * 100)


def _major(minor: int, currency: str) -> float:
    """For the place of a point only: amounts in words come from the table."""
    return float(from_minor(minor, currency))

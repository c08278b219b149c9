"""An account at its venue against the record: what differs, in words for people.

A trade that one side shows a moment before the other is no difference: the venue's answer may agree with the record as
it was before the question, or as it is after it. What still differs may be on its way; so a difference counts when it
is seen twice, and the record has moved on in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from domain.money import Money
from domain.products.second_wall import NO_FLOORS, VenueFloors, differences
from domain.wording import listing, number

VenueBreak = Literal[
    "venue_account_unknown",
    "venue_account_missing",
    "venue_balance_differs",
    "venue_positions_differ",
    "venue_still_trades",
    "venue_trade_disabled",
    "venue_limits_differ",
]
# Open lots by symbol and side.
Lots = Mapping[tuple[str, str], Decimal]

_NOTHING: Final = "nothing"
LIMIT_WORDS: Final[Mapping[str, str]] = {
    "daily_loss_minor": "daily loss",
    "trailing_loss_minor": "trailing loss",
    "trailing_stop_minor": "highest floor",
}


@dataclass(frozen=True, slots=True)
class OnRecord:
    """An account of ours. `active`: it may trade; else it has ended, and must be disabled and flat. `before` and
    `after` the question: its balance and open lots; None: not known. `pauses`: why it may not trade for now although it
    is active; empty if nothing is known. `limits`: what its venue was sent and what it shall hold; None: it holds none,
    or something is on its way."""

    active: bool
    currency: str
    before: tuple[int, Lots] | None
    after: tuple[int, Lots] | None
    pauses: str = ""
    limits: "SentLimits | None" = None


@dataclass(frozen=True, slots=True)
class SentLimits:
    """`sent` None: nothing was ever sent."""

    sent: VenueFloors | None
    wanted: VenueFloors


@dataclass(frozen=True, slots=True)
class AtVenue:
    """An account as its venue shows it. `floors` None: it was not asked, or holds none."""

    trading_enabled: bool
    balance_minor: int
    lots: Lots
    floors: VenueFloors | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`amount_minor`: what the venue has more than the record; 0 where it is not about money. `difference`: what
    differs, so that the same one is known again."""

    kind: VenueBreak
    ours: str
    shown: str
    amount_minor: int = 0
    difference: list[Any] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def detail(self) -> dict[str, Any]:
        return {"ours": self.ours, "theirs": self.shown, "difference": self.difference, **self.figures}


def findings(record: OnRecord, venue: AtVenue | None) -> list[Finding]:
    """Returns what differs. `venue` None: it has no such account."""
    if venue is None:
        missing = Finding("venue_account_missing", "an account that may trade", "no such account")
        return [missing] if record.active else []
    if not record.active:
        return [*_still_trades(venue), *_positions(({},), venue.lots)]
    held = [each for each in (record.before, record.after) if each is not None]
    return [
        *_balance(record.currency, [balance for balance, _ in held], venue.balance_minor),
        *_positions([lots for _, lots in held], venue.lots),
        *_disabled(record, venue),
        *_limits(record, venue),
    ]


def _still_trades(venue: AtVenue) -> Iterable[Finding]:
    if venue.trading_enabled:
        yield Finding("venue_still_trades", "locked", "may trade")


def _disabled(record: OnRecord, venue: AtVenue) -> Iterable[Finding]:
    if not venue.trading_enabled and not record.pauses:
        yield Finding("venue_trade_disabled", "may trade", "may not trade")


def _balance(currency: str, ours: Sequence[int], shown: int) -> Iterable[Finding]:
    """`ours`: as the record had it, the newest last; empty: not known."""
    if not ours or shown in ours:
        return
    yield Finding(
        "venue_balance_differs",
        str(Money(minor=ours[-1], currency=currency)),
        str(Money(minor=shown, currency=currency)),
        amount_minor=shown - ours[-1],
        figures={"shown": shown, "expected": ours[-1]},
    )


def _positions(ours: Sequence[Lots], shown: Lots) -> Iterable[Finding]:
    """`ours`: as in `_balance`."""
    if not ours or shown in ours:
        return
    newest = ours[-1]
    names = sorted({name for name in (*newest, *shown) if newest.get(name, 0) != shown.get(name, 0)})
    difference = [
        [symbol, side, str(shown.get((symbol, side), Decimal(0)) - newest.get((symbol, side), Decimal(0)))]
        for symbol, side in names
    ]
    yield Finding("venue_positions_differ", lots_words(newest), lots_words(shown), difference=difference)


def total(positions: Iterable[tuple[str, str, Decimal]]) -> Lots:
    """Returns the open lots of positions (symbol, side, lots)."""
    found: dict[tuple[str, str], Decimal] = {}
    for symbol, side, lots in positions:
        found[symbol, side] = found.get((symbol, side), Decimal(0)) + lots
    return {name: lots for name, lots in found.items() if lots}


def lots_words(lots: Lots) -> str:
    """Returns open lots for people: "buy 2 ESZ6 and sell 0.1 EURUSD"."""
    parts = [f"{side} {number(size)} {symbol}" for (symbol, side), size in sorted(lots.items()) if size]
    return listing(parts) or _NOTHING


def _limits(record: OnRecord, venue: AtVenue) -> Iterable[Finding]:
    if record.limits is None or venue.floors is None:
        return
    expected = record.limits.wanted if record.limits.sent is None else record.limits.sent
    found = differences(expected, venue.floors)
    if not found:
        return
    never = "" if record.limits.sent is not None else "never sent; "
    yield Finding(
        "venue_limits_differ",
        never + floors_words(expected, record.currency),
        floors_words(venue.floors, record.currency),
        difference=[[each.name, each.ours_minor, each.shown_minor] for each in found],
    )


def floors_words(floors: VenueFloors, currency: str) -> str:
    """Returns limits for people: "daily loss 500.00 USD and trailing loss 900.00 USD at once"."""
    if floors == NO_FLOORS:
        return _NOTHING
    parts = []
    for each, words in LIMIT_WORDS.items():
        minor = getattr(floors, each)
        if minor is not None:
            when = {"live": "at once", "end_of_day": "at the end of a day"}[floors.trail]
            follows = f", which rises {when}" if each == "trailing_loss_minor" else ""
            parts.append(f"{words} {Money(minor=minor, currency=currency)}{follows}")
    return listing(parts) or _NOTHING

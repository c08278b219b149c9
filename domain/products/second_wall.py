"""Which loss limits a venue may hold for us: a second wall, for the time that we cannot judge.

The venue must never lock an account that we would let trade. So it is given a limit only where its floor is never above
ours at the same figures, from the moment that the limit is sent until it is sent again. What the venue means otherwise
is given looser, or not at all, and a sentence says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

from domain.clocks import Clock
from domain.products.phase_terms import PhaseTerms
from domain.rules.base import EquityRule
from domain.rules.floors import FloorSpec, RuleState
from domain.rules.state import AccountRules, on_payout_hold, on_payout_settled
from domain.rules.terms import NO_LIMIT
from domain.wording import capital, money, name

# When a trailing floor follows the account: at the end of each trading day, or at once.
Trail = Literal["end_of_day", "live"]
# What a venue measures a day from. either: nobody knows which of the two.
DayStart = Literal["balance", "equity", "either"]
Holds = Literal["exact", "looser", "no"]

_NEVER_FALL: Final = ("never", "peak", "rollover_peak")
_BEGIN_EACH_DAY: Final = ("rollover", "peak_since_rollover")
_SMALLEST_SIZE: Final = 10_000_000  # minor units; an account may start at zero
_FAR: Final = 100  # times the size of the account: no account loses so much


@dataclass(frozen=True, slots=True)
class VenueFloors:
    """Loss limits of one account, in minor units of its currency and above zero; None: no such limit.

    `daily_loss_minor`: loss since the start of the venue's day. `trailing_loss_minor`: loss from the highest equity,
    which `trail` says when to take. `trailing_stop_minor`: the floor stops rising at this equity. When a limit is
    reached, the venue closes everything and locks the account until the firm unlocks it.
    """

    daily_loss_minor: int | None = None
    trailing_loss_minor: int | None = None
    trailing_stop_minor: int | None = None
    trail: Trail = "live"


NO_FLOORS: Final = VenueFloors()


@dataclass(frozen=True, slots=True)
class VenueMeaning:
    """How a venue understands the limits. `day`: when its day begins. `day_start`: the figure at that moment that a
    daily loss is measured from, and that a trailing floor takes at the end of a day. A limit is reached when the equity
    is at its floor or below."""

    day: Clock
    day_start: DayStart = "either"


@dataclass(frozen=True, slots=True)
class MoneyMoves:
    """Money that comes or goes without a trade: a venue may move its own figures with it, in a way of its own.

    `ever`: since the account was opened, without the deposit of its start. `today`: since the last reset. Both count
    what is about to move. `holds_minor`: payouts whose money is to be taken off the account. `settles`: whether an open
    payout may be settled."""

    ever: bool = False
    today: bool = False
    holds_minor: tuple[int, ...] = ()
    settles: bool = False


NO_MOVES: Final = MoneyMoves()


@dataclass(frozen=True, slots=True)
class HeldLevel:
    """What the venue holds of one of our limits. `sentence`: for people."""

    rule_id: str
    holds: Holds
    sentence: str


@dataclass(frozen=True, slots=True)
class Wall:
    """`floors`: what the venue shall hold. `levels`: one for each of our limits, in the order of the product."""

    floors: VenueFloors
    levels: tuple[HeldLevel, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A way in which the venue can hold a limit. `daily`: as its daily loss; else as its trailing loss. `floor_minor`:
    where it is now."""

    floors: VenueFloors
    floor_minor: int
    holds: Holds
    words: str

    @property
    def daily(self) -> bool:
        return self.floors.daily_loss_minor is not None

    @property
    def closeness(self) -> tuple[int, bool]:
        return self.floor_minor, self.holds == "exact"


def wall(
    terms: PhaseTerms,
    rules: AccountRules,
    venue: VenueMeaning,
    moves: MoneyMoves = NO_MOVES,
    *,
    terms_change: bool = False,
) -> Wall:
    """Returns what the venue shall hold of the limits of an account, from its rules as they are now. `terms_change`:
    another version of the terms begins at the next reset."""
    if terms_change:
        why = "not held: other terms begin at the next reset"
        return Wall(NO_FLOORS, tuple(_level(spec, "no", why) for spec in rules.specs))
    after = _after_payouts(rules, moves)
    ways = [
        _way(terms, spec, state, venue, moves, min(each.states[place].floor_minor for each in after))
        for place, (spec, state) in enumerate(zip(rules.specs, rules.states, strict=True))
    ]
    candidates = [way for way in ways if isinstance(way, _Candidate)]
    daily = max((each for each in candidates if each.daily), key=lambda each: each.closeness, default=None)
    floor = max((each for each in candidates if not each.daily), key=lambda each: each.closeness, default=None)
    floors = NO_FLOORS if floor is None else floor.floors
    if daily is not None:
        floors = replace(floors, daily_loss_minor=daily.floors.daily_loss_minor)
    pairs = zip(rules.specs, ways, strict=True)
    return Wall(floors, tuple(_in_words(spec, way, chosen=way in (daily, floor)) for spec, way in pairs))


def _way(
    terms: PhaseTerms,
    spec: FloorSpec,
    state: RuleState,
    venue: VenueMeaning,
    moves: MoneyMoves,
    least_minor: int,
) -> _Candidate | str:
    """How the venue can hold a limit, or why it cannot. `least_minor`: the lowest floor that it may have until the
    limits are sent again."""
    if why := _never_held(terms, spec, state):
        return why
    if spec.moves in _BEGIN_EACH_DAY:
        return _no_daily(terms, spec, state, venue, moves) or _daily(terms, spec, state, venue)
    if spec.moves in _NEVER_FALL:
        found = _trailing(terms, spec, state, venue, moves) or _standing(terms, spec, state, least_minor)
        return found or "its floor is at zero or below, which the venue cannot hold"
    return "the venue has no such limit"


def _in_words(spec: FloorSpec, way: _Candidate | str, *, chosen: bool) -> HeldLevel:
    if isinstance(way, str):
        return _level(spec, "no", f"not held: {way}")
    if chosen:
        return _level(spec, way.holds, way.words)
    return _level(spec, "no", "not held: the venue holds one limit of this kind, and another one is closer")


def _after_payouts(rules: AccountRules, moves: MoneyMoves) -> list[AccountRules]:
    """Every state that open payouts may lead to before the limits are sent again."""
    states = [rules]
    for amount in moves.holds_minor:
        states += [on_payout_hold(each, amount) for each in states]
    if moves.settles:
        states += [on_payout_settled(each) for each in states]
    return states


def _never_held(terms: PhaseTerms, spec: FloorSpec, state: RuleState) -> str:
    """Why no venue can hold this limit; empty when one may."""
    rule = terms.rule(spec.rule_id)
    assert isinstance(rule, EquityRule)
    reasons = (
        (spec.is_ceiling, "it limits a gain"),
        (spec.per != "account", "it counts each symbol or position by itself"),
        (spec.judged_at == "eod", "it is compared at the daily reset only"),
        (rule.consequence(1).kind != "fail" or rule.cure is not None, "breaking it does not end the account at once"),
        (not spec.counts_everything, "it leaves a part of the equity out"),
        (spec.figured, "its size moves with the account"),
        (abs(state.floor_minor) > NO_LIMIT // 2, "there is no limit now"),
    )
    return next((why for applies, why in reasons if applies), "")


def _no_daily(terms: PhaseTerms, spec: FloorSpec, state: RuleState, venue: VenueMeaning, moves: MoneyMoves) -> str:
    """Why the venue cannot hold a limit that begins anew with each period; empty when it can."""
    clock = _clock(terms)
    reset = state.at is None or clock.day_start(clock.trading_day(state.at)) == state.at
    reasons = (
        (spec.period != "day", f"the venue has no loss of a {spec.period}"),
        (spec.allowance_minor is None, "its size is a share of a figure that moves"),
        (clock != venue.day, f"the venue's day begins at {venue.day.words}, ours at {clock.words}"),
        (
            spec.source not in (venue.day_start, "max(balance,equity)"),
            "the venue may measure its day from another figure",
        ),
        (moves.today or bool(moves.holds_minor), "money came or went today; it is held again from the next reset"),
        (not reset, "it was measured anew within the day; it is held again from the next reset"),
    )
    return next((why for applies, why in reasons if applies), "")


def _daily(terms: PhaseTerms, spec: FloorSpec, state: RuleState, venue: VenueMeaning) -> _Candidate:
    assert spec.allowance_minor is not None
    loss = spec.allowance_minor + _beyond(spec)
    holds: Holds = "exact" if spec.source == venue.day_start and spec.moves == "rollover" else "looser"
    words = f"held as a daily loss of {_money(terms, loss)}"
    if holds == "looser":
        words += "; the venue may measure it from a lower figure"
    return _Candidate(VenueFloors(daily_loss_minor=loss), state.floor_minor, holds, words)


def _trailing(
    terms: PhaseTerms, spec: FloorSpec, state: RuleState, venue: VenueMeaning, moves: MoneyMoves
) -> _Candidate | None:
    """A floor that the venue lets rise exactly as we do; None where it would not."""
    changes = moves.settles and spec.settles != "unchanged"
    if spec.allowance_minor is None or state.locked or moves.ever or moves.holds_minor or changes:
        return None
    trail: Trail
    if spec.moves == "peak" and spec.source == "equity":
        trail = "live"
    elif spec.moves == "rollover_peak" and spec.source == venue.day_start and _clock(terms) == venue.day:
        trail = "end_of_day"
    else:
        return None
    loss, stop = spec.allowance_minor + _beyond(spec), None
    if spec.ceiling_minor is not None:
        stop = spec.ceiling_minor - _beyond(spec)
        if stop <= 0:
            return None
    words = f"held as a trailing loss of {_money(terms, loss)}"
    if stop is not None:
        words += f", up to a floor of {_money(terms, stop)}"
    floors = VenueFloors(trailing_loss_minor=loss, trailing_stop_minor=stop, trail=trail)
    return _Candidate(floors, state.floor_minor, "exact", words)


def _standing(terms: PhaseTerms, spec: FloorSpec, state: RuleState, least_minor: int) -> _Candidate | None:
    """Our floor as it stands, `least_minor`: a trailing loss whose floor has stopped there. A floor that rises is above
    it until it is sent again. None when it is not above zero."""
    stop = least_minor - _beyond(spec)
    if stop <= 0:
        return None
    loss = max(1, max(state.basis_minor, spec.initial_minor) - stop)
    stands = (spec.moves == "never" or state.locked) and least_minor == state.floor_minor
    words = f"held as a floor of {_money(terms, stop)}"
    if not stands:
        words += ", the lowest that it may have until the limits are sent again: after each reset"
    floors = VenueFloors(trailing_loss_minor=loss, trailing_stop_minor=stop)
    return _Candidate(floors, least_minor, "exact" if stands else "looser", words)


def _beyond(spec: FloorSpec) -> int:
    """A venue's limit is reached at its floor. Ours may be broken below it only: one minor unit lower."""
    return 0 if spec.inclusive else 1


def _clock(terms: PhaseTerms) -> Clock:
    return terms.context.loss_clock or terms.context.clock


def _money(terms: PhaseTerms, minor: int) -> str:
    return money(minor, terms.context.currency)


def _level(spec: FloorSpec, holds: Holds, words: str) -> HeldLevel:
    return HeldLevel(spec.key, holds, f"{capital(name(spec.rule_id))}: {words}.")


# what is sent, and what is compared

_AMOUNTS: Final = ("daily_loss_minor", "trailing_loss_minor", "trailing_stop_minor")


def to_send(wanted: VenueFloors, sent: VenueFloors, initial_minor: int) -> VenueFloors:
    """Returns what is sent to a venue that was sent `sent` before. A venue keeps a limit that it is not sent, so a
    limit that shall be gone is set so far away that no account reaches it."""
    far = _FAR * max(initial_minor, _SMALLEST_SIZE)
    changes: dict[str, Any] = {
        each: far for each in _AMOUNTS if getattr(wanted, each) is None and getattr(sent, each) is not None
    }
    return replace(wanted, **changes)


@dataclass(frozen=True, slots=True)
class LimitDifference:
    """`ours_minor`: what we sent; `shown_minor`: what the venue shows. None: no such limit."""

    name: str
    ours_minor: int | None
    shown_minor: int | None


def differences(sent: VenueFloors, shown: VenueFloors) -> tuple[LimitDifference, ...]:
    """Returns the limits that the venue holds otherwise than they were sent."""
    return tuple(_differences(sent, shown))


def _differences(sent: VenueFloors, shown: VenueFloors) -> Iterator[LimitDifference]:
    for limit in _AMOUNTS:
        ours, theirs = getattr(sent, limit), getattr(shown, limit)
        other_trail = limit == "trailing_loss_minor" and ours is not None and sent.trail != shown.trail
        if ours != theirs or other_trail:
            yield LimitDifference(limit, ours, theirs)


def floors_json(floors: VenueFloors) -> dict[str, int | str | None]:
    return {each.name: getattr(floors, each.name) for each in fields(floors)}

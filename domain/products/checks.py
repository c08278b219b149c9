"""Contradictions in the rules of a product: each with the place of the field, the problem and the remedy."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from domain.clocks import Clock
from domain.fees import FeeTerms
from domain.money import price_step, to_minor
from domain.payouts import PayoutTerms
from domain.payouts.scaling import Scaling
from domain.products.phase import Phase
from domain.rules.base import Consequence, Context, EquityRule, Gate, RuleBase
from domain.rules.conduct.news_window import NewsWindow
from domain.rules.floors import FloorSpec
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount
from domain.rules.terms import Size, Terms, Where
from domain.selling.price import NO_PRICE

Problem = tuple[Where, str]

# profits, which may be larger than the account
_UNBOUNDED: Final = frozenset({"below", "profit_target"})

# (part, field) that the schema knows and nothing applies to a running account -> why, and the remedy. A version that
# was sold with one of them still loads; no new version may promise it.
NOT_APPLIED: Final[dict[tuple[type[Terms], str], str]] = {
    (Scaling, "profit_stays"): "a grown account starts at its size; remove it, and have the profit paid out before",
    (PayoutTerms, "bands"): "the firm's payout policy says how many people approve a payout; remove it",
    (PayoutTerms, "goodwill_pct"): "nothing is paid after a soft breach yet, so that it cannot be promised; remove it",
    (FeeTerms, "extension"): "an extension cannot be charged yet, so that its price cannot be promised; remove it",
    (FeeTerms, "monthly"): "nothing is charged monthly yet, so that its price cannot be promised; remove it",
    (FeeTerms, "add_ons"): "an add-on also says what it changes; remove it, and write it in add_ons of the product",
    (
        NewsWindow,
        "account_types",
    ): "all accounts of a product are of one type; remove it, and sell each type as a product of its own",
}

# Terms of versions that are still on a shelf: their files are read, and only a new version is refused.
EARLIER: Final = frozenset({(PayoutTerms, "bands")})


def in_phase(phase: Phase, context: Context) -> Iterator[Problem]:
    """Yields contradictions of `phase` with the account's size, the clock or another field."""
    for number, rule in enumerate(phase.rules):
        place: Where = ("rules", number, rule.type)
        for name, problem in rule.problems(context):
            yield (*place, name), problem
        for where, problem in (*_consequences(rule), *_out_of_range(rule, context), *_gate(rule, phase, context)):
            yield (*place, *where), problem
    if not phase.equity_rules:
        yield ("rules",), f"no rule of {phase.name!r} limits the loss; add one of the loss limits"
    yield from _time(phase)
    if phase.target is not None:
        yield from ((("target",), problem) for problem in _beyond_reach(phase, context))


def in_clocks(clock: Clock, loss_clock: Clock | None, specs: Iterable[FloorSpec]) -> Iterator[Problem]:
    """Yields problems of the clocks: two for one purpose, or one without a purpose. `specs`: the levels of all
    phases."""
    if loss_clock is None:
        return
    if loss_clock == clock:
        yield ("loss_clock",), "it is the same as the clock of the trading day; remove it"
        return
    if not any(_uses_resets(spec) for spec in specs):
        problem = "no rule uses an anchor or an end-of-day peak, so this clock has no effect; remove it"
        yield ("loss_clock",), problem


def _uses_resets(spec: FloorSpec) -> bool:
    """Whether a reset of the anchors moves this level, or compares it."""
    return spec.moves.startswith("rollover") or spec.begins_anew or spec.figured or spec.judged_at == "eod"


def not_applied(terms: Terms, *, new: bool = True) -> Iterator[Problem]:
    """Returns every field that is set in this part and that nothing applies to a running account. `new`: it is to be
    sold; the file of an earlier version may have what `EARLIER` names."""
    for name, field in type(terms).model_fields.items():
        value = getattr(terms, name)
        remedy = NOT_APPLIED.get((type(terms), name))
        allowed = not new and (type(terms), name) in EARLIER
        if remedy is not None and not allowed and value != field.default:
            yield (name,), remedy
        parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for number, part in parts:
            if isinstance(part, Terms):
                where: Where = (name,) if number is None else (name, number, *part.path)
                yield from (((*where, *inner), problem) for inner, problem in not_applied(part, new=new))


def floors_not_sold(places: Iterable[tuple[Where, Phase]], initial_minors: Iterable[int]) -> Iterator[Problem]:
    """Yields what a floor cannot promise. Like `not_applied`, it is refused in new versions only. `places`: each phase
    with its place; `initial_minors`: the size of its accounts.

    A payout that sets the floor of an account to zero that does not start there leaves no limit. A floor deducts no
    profit: nothing was made that way.
    """
    for (place, phase), initial_minor in zip(places, initial_minors, strict=True):
        for number, rule in enumerate(phase.rules):
            where: Where = (*place, "rules", number, rule.type)
            if initial_minor and getattr(rule, "payout_effect", None) == "floor_set_to_zero":
                problem = "only the floor of an account that starts at zero can be set to zero; use locks_at_initial"
                yield (*where, "payout_effect"), problem
            if not isinstance(rule, EquityRule) or "up" in getattr(rule, "directions", ()):
                continue
            if any(consequence.kind == "deduct_profit" for consequence in rule.consequences):
                yield (*where, "consequences"), "a loss limit has no profit to deduct; choose another consequence"


def prices_not_sold(amounts: Iterable[tuple[Where, Decimal]], currency: str) -> Iterator[Problem]:
    """Yields the prices that no card can pay. Like `not_applied`, they are refused in new versions only. `amounts`:
    each price in major units, with its place."""
    for where, amount in amounts:
        if to_minor(amount, currency) % price_step(currency):
            yield where, f"{NO_PRICE.format(currency=currency)}; write 0 as the last digit"


def venues(phases: Iterable[tuple[Where, Phase]]) -> Iterator[tuple[Where, str]]:
    """Yields (place of the field, name) for every venue calendar that a rule names. `phases`: each with its place."""
    for place, phase in phases:
        for number, rule in enumerate(phase.rules):
            name = getattr(rule, "calendar", None)
            if isinstance(name, str):
                yield (*place, "rules", number, rule.type, "calendar"), name


def _consequences(rule: RuleBase) -> Iterator[Problem]:
    named: tuple[Consequence, ...] = getattr(rule, "consequences", ())
    if any(consequence.kind == "fail" for consequence in named[:-1]):
        yield ("consequences",), "nothing can follow the end of a phase; make fail the last one"


def _out_of_range(rule: RuleBase, context: Context) -> Iterator[Problem]:
    """Yields sizes above the whole account. Loss limits have a tighter check of their own. In an account that starts
    at zero, yields percentages of that zero."""
    if not context.initial_minor:
        own = rule.size_field if isinstance(rule, EquityRule) else None
        yield from ((where, problem) for where, problem in from_zero(rule) if where[0] != own)
        return
    if isinstance(rule, EquityRule):
        return
    for where, size in _sizes(rule):
        most = size.minor(initial=context.initial_minor, basis=context.initial_minor, currency=context.currency)
        if where[-1] not in _UNBOUNDED and most > context.initial_minor:
            yield (*where, "value"), "it is more than the whole account; use a smaller amount, or at most 100 percent"


def from_zero(terms: Terms) -> Iterator[Problem]:
    """Yields every percentage of the initial balance, and the growth of the size, in the terms of an account that
    starts at zero."""
    for name in type(terms).model_fields:
        value = getattr(terms, name)
        if name == "type" and value == "pct_of_initial":
            yield ("type",), "the account starts at zero, so that this percentage is zero; use an amount"
        if name == "scaling" and value is not None:
            yield ("scaling",), "an account that starts at zero has no size that could grow; remove it"
            continue
        parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for number, part in parts:
            if isinstance(part, Terms):
                where: Where = (name,) if number is None else (name, number, *part.path)
                yield from (((*where, *inner), problem) for inner, problem in from_zero(part))


def _sizes(terms: Terms) -> Iterator[tuple[Where, Size]]:
    for name in type(terms).model_fields:
        value = getattr(terms, name)
        parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for number, part in parts:
            where: Where = (name,) if number is None else (name, number)
            if isinstance(part, Size):
                yield where, part
            elif isinstance(part, Terms):
                yield from (((*where, *inner), size) for inner, size in _sizes(part))


def _gate(rule: RuleBase, phase: Phase, context: Context) -> Iterator[Problem]:
    if not isinstance(rule, Gate):
        return
    held, other = ("pass", "payout") if context.phase == "evaluation" else ("payout", "pass")
    if held not in rule.blocks:
        problem = f"{phase.name!r} has no {other}, so the gate blocks nothing; write blocks: [{held}]"
        yield ("blocks",), problem
    if not isinstance(rule, TradingDayCount | ProfitableDayCount):
        return
    if phase.time_limit_days is not None and rule.required > phase.time_limit_days:
        yield ("required",), f"more days than the time limit of {phase.time_limit_days}; lower it"
    if isinstance(rule, TradingDayCount) and phase.min_trading_days:
        yield ("required",), "min_trading_days already counts the days; set that to 0, or remove this rule"


def _time(phase: Phase) -> Iterator[Problem]:
    limit = phase.time_limit_days
    if limit is not None and phase.min_trading_days > limit:
        yield ("min_trading_days",), f"more days than the time limit of {limit}; lower it"
    if limit is None and phase.extension is not None:
        yield ("extension",), "there is no time limit to extend; add time_limit_days, or remove the extension"
    if limit is None and phase.free_retake:
        yield ("free_retake",), "a retake follows the end of the time; add time_limit_days, or remove the retake"


def _beyond_reach(phase: Phase, context: Context) -> Iterator[str]:
    wanted = phase.target.over(context.initial_minor, context.currency) if phase.target else 0
    if not wanted:
        yield "the target is zero; use an amount, or a percentage of an account that does not start at zero"
    if context.initial_minor and wanted > 10 * context.initial_minor:
        yield "the target is more than ten times the initial balance; lower it"
    if phase.time_limit_days is None:
        return
    for rule in phase.equity_rules:
        for spec in rule.compile(context.initial_minor, context.currency):
            if spec.direction == "ceiling" and not _within(spec, phase.time_limit_days, wanted):
                yield f"{rule.id} caps the gains within the time limit below it; lower it or raise the cap"


def _within(cap: FloorSpec, days: int, wanted_minor: int) -> bool:
    """Whether the profit is possible in so many days, each at its cap. A cap in percent of its anchor compounds."""
    most = cap.initial_minor
    for _ in range(days):
        if most >= cap.initial_minor + wanted_minor:
            break
        most += cap.allowance(most)
    return most >= cap.initial_minor + wanted_minor

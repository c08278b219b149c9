"""Payout terms as data. Firms set each field on its own; the defaults are the simplest terms.

The effect of a payout on floors and peaks is a field of the equity rules (`payout_effect`); its effect on day counts
and consistency is a field of the gates (`window`).
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import from_minor, to_minor
from domain.payouts.live_account import LiveAccountStart
from domain.payouts.parts import (
    AfterFirstTrade,
    Amount,
    ApprovalBand,
    Cap,
    Days,
    DaysAre,
    DaysSplit,
    FeeRefund,
    Least,
    PayoutNumber,
    PayoutSplit,
    Percent,
    RequestDays,
    Share,
    SplitTier,
)
from domain.payouts.scaling import Scaling
from domain.rules.terms import LATER, RuleId, Terms, Where

CycleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{1,30}$")]
Base = Literal[
    "balance_minus_initial",
    "profit",
    "profit_above_safety_net",
    "profit_within_safety_net",
    "profit_target",
    "min(profit,profit_target)",
]
Comparison = Literal[">=", ">"]
Compared = Literal["min_balance_above_initial", "min_profit", "min_request", "min_trader_share"]
Compare = Comparison | dict[Compared, Comparison]
Excess = Literal["kept_in_account", "deducted_from_account"]
ProfitSince = Literal["initial", "last_payout"]
Removable = Literal[
    "after_first_trade",
    "request_days",
    "min_balance_above_initial",
    "min_profit",
    "min_trader_share",
    "unlock_when_total_withdrawn",
    "cap_per_request",
    "cap_total",
    "cap_trader_share",
    "in_blocks_of",
]
EveryDays = Annotated[int, Field(ge=0, le=3650)]
Gates = tuple[RuleId, ...]
_AMOUNTS: Final = (
    *("min_request", "cap_per_request", "min_trader_share", "unlock_when_total_withdrawn"),
    *("cap_total", "cap_trader_share", "in_blocks_of"),
)
_NO_NET: Final = "safety_net: a base that names it needs it, and no other base has it"
_NO_TARGET: Final = "profit_target: a base that names it needs it, and no other base has it"


class Replacing(Terms):
    """Terms that replace those of the product. None: as in the product. `gates`: the gates that must be met. A split
    replaces tiers, and tiers replace a split by trading days."""

    first_after_days: Days | None = None
    every_days: EveryDays | None = None
    split_pct: Share | None = None
    gates: Gates | None = None
    caps: tuple[Cap, ...] | None = None
    after_first_trade: Annotated[AfterFirstTrade | None, LATER] = None
    days_are: Annotated[DaysAre | None, LATER] = None
    request_days: Annotated[RequestDays | None, LATER] = None
    requires_flat: Annotated[bool | None, LATER] = None
    requires_no_pending_orders: Annotated[bool | None, LATER] = None
    min_balance_above_initial: Annotated[Least | None, LATER] = None
    min_profit: Annotated[Least | None, LATER] = None
    profit_since: Annotated[ProfitSince | None, LATER] = None
    compare: Annotated[Compare | None, LATER] = None
    min_request: Annotated[Amount | None, LATER] = None
    min_trader_share: Annotated[Amount | None, LATER] = None
    unlock_when_total_withdrawn: Annotated[Amount | None, LATER] = None
    cap_per_request: Annotated[Amount | None, LATER] = None
    cap_total: Annotated[Amount | None, LATER] = None
    cap_trader_share: Annotated[Amount | None, LATER] = None
    in_blocks_of: Annotated[Amount | None, LATER] = None
    excess: Annotated[Excess | None, LATER] = None
    base: Annotated[Base | None, LATER] = None
    safety_net: Annotated[Least | None, LATER] = None
    profit_target: Annotated[Least | None, LATER] = None
    split_by_trading_days: Annotated[tuple[DaysSplit, ...] | None, LATER] = None
    split_tiers: Annotated[tuple[SplitTier, ...] | None, LATER] = None

    def replaced(self) -> dict[str, Any]:
        """Returns the fields that are replaced, with their values."""
        values = {name: getattr(self, name) for name in Replacing.model_fields}
        values = {name: value for name, value in values.items() if value is not None}
        if self.split_tiers:
            return {**values, "split_by_trading_days": ()}
        if self.split_by_trading_days or self.split_pct is not None:
            return {**values, "split_tiers": ()}
        return values

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        yield from _plain_amounts(self)
        yield from super().amounts()


class Cycle(Replacing):
    """A payout cycle that the trader may choose. `closes_account`: it pays a last time, and the account is closed."""

    name: CycleName
    closes_account: Annotated[bool, LATER] = False


class FromPayout(Replacing):
    """From payout number `from_payout` on, these terms replace those of the product. `without`: terms that no longer
    apply."""

    from_payout: PayoutNumber
    without: Annotated[tuple[Removable, ...], LATER] = ()


class PayoutTerms(Terms):
    """When a payout may be requested, the amount, and the shares.

    Time: `first_after_days` from `first_after`, then `every_days` from the last payout, or (`cycle` fixed) every
    `every_days` counted from the first date; for every payout, `after_first_trade` of the account, or since
    the last payout. `days_are`: full days of 24 hours, dates, or dates from Monday to Friday.

    A condition is met at equality unless `compare`, one for all or one for each, is ">". `profit_since`: what
    `min_profit` is counted from: the initial balance, or what the last payout left. `gates`: the gates of the funded
    phase that must be met; None: all that block payouts.

    `caps`: every cap that applies limits the request; `cap_total`: together with everything ever paid;
    `cap_trader_share`: after the split. `totals_over`: whether totals are those of the account or of all accounts of
    the trader. `in_blocks_of`: a payout is a multiple of it. `excess`: whether profit above the caps stays in the
    account. The firm's share always leaves the account with the trader's.

    After `max_payouts` none is made any more; a live account may follow. `by_payout`: terms that replace these from a
    payout number on. `cycles`: terms that replace all of these where the trader chooses them. Plain amounts are in
    major units. `bands`: in versions that were sold before approvals became the firm's policy; nothing reads them.
    """

    first_after_days: Days
    every_days: EveryDays
    first_after: Literal["funded", "first_trade"] = "funded"
    cycle: Literal["since_last_payout", "fixed"] = "since_last_payout"
    after_first_trade: Annotated[AfterFirstTrade | None, LATER] = None
    days_are: Annotated[DaysAre, LATER] = "full"
    request_days: Annotated[RequestDays | None, LATER] = None
    requires_flat: bool = True
    requires_no_pending_orders: bool = False
    gates: Gates | None = None
    min_balance_above_initial: Least | None = None
    min_profit: Least | None = None
    profit_since: Annotated[ProfitSince, LATER] = "initial"
    compare: Compare = ">="
    min_request: Amount
    min_trader_share: Amount | None = None
    unlock_when_total_withdrawn: Amount | None = None
    max_payouts: Annotated[PayoutNumber | None, LATER] = None
    live_account: Annotated[LiveAccountStart | None, LATER] = None
    cap_per_request: Amount | None = None
    caps: tuple[Cap, ...] = ()
    cap_total: Annotated[Amount | None, LATER] = None
    cap_trader_share: Annotated[Amount | None, LATER] = None
    totals_over: Annotated[Literal["account", "trader"], LATER] = "account"
    in_blocks_of: Annotated[Amount | None, LATER] = None
    excess: Excess = "kept_in_account"
    base: Base = "balance_minus_initial"
    safety_net: Least | None = None
    profit_target: Least | None = None
    split_pct: Share
    split_by_payout: tuple[PayoutSplit, ...] = ()
    split_by_trading_days: Annotated[tuple[DaysSplit, ...], LATER] = ()
    split_tiers: tuple[SplitTier, ...] = ()
    fee_refund: FeeRefund | None = None
    goodwill_pct: Percent | None = None
    by_payout: Annotated[tuple[FromPayout, ...], LATER] = ()
    cycles: tuple[Cycle, ...] = ()
    scaling: Scaling | None = None
    decision_days: Annotated[int, Field(ge=1, le=60)] = 5
    bands: Annotated[tuple[ApprovalBand, ...], LATER] = ()

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        yield from _plain_amounts(self)
        yield from super().amounts()
        for number, band in enumerate(self.bands):
            if band.up_to is not None:
                yield ("bands", number, "up_to"), band.up_to

    def chosen(self, cycle: str | None, payout_number: int) -> "PayoutTerms":
        """Returns the terms of this payout number, in the cycle that the trader chose (None: no choice). Raises
        KeyError for an unknown cycle. The result of the result is itself. A share that the cycle names counts before
        every share by payout number."""
        own, share_from = dict[str, Any](), 0
        for step in self.by_payout:
            if step.from_payout <= payout_number:
                own |= dict.fromkeys(step.without) | step.replaced()
                share_from = share_from if step.split_pct is None else step.from_payout
        for split in self.split_by_payout:  # of two shares, the one of the later payout number counts
            if share_from < split.from_payout <= payout_number:
                own["split_pct"] = split.pct
        if cycle is not None:
            own |= {each.name: each for each in self.cycles}[cycle].replaced()
        return self.model_copy(update=own) if own else self

    def closes(self, cycle: str | None) -> bool:
        """Whether a payout in this cycle closes the account."""
        return any(each.closes_account for each in self.cycles if each.name == cycle)

    def is_strict(self, name: Compared) -> bool:
        """Whether a condition is not met at equality."""
        compare = self.compare.get(name, ">=") if isinstance(self.compare, Mapping) else self.compare
        return compare == ">"

    def variants(self) -> Iterator[tuple[Where, "PayoutTerms"]]:
        """Yields (place, terms) of these terms, from each payout number on, and in each cycle."""
        yield (), self
        for place, step in enumerate(self.by_payout):
            yield ("by_payout", place), self.chosen(None, step.from_payout)
        for place, cycle in enumerate(self.cycles):
            for number in (1, *(step.from_payout for step in self.by_payout)):
                yield ("cycles", place), self.chosen(cycle.name, number)

    def problems(self, initial_minor: int, currency: str, gates: frozenset[str]) -> Iterator[tuple[Where, str]]:
        """Yields contradictions with the account's size or the funded phase. `gates`: the gates that block payouts."""
        parts: list[tuple[Where, PayoutTerms | Replacing]] = [((), self)]
        parts += [(("cycles", place), cycle) for place, cycle in enumerate(self.cycles)]
        parts += [(("by_payout", place), step) for place, step in enumerate(self.by_payout)]
        caps: list[tuple[Where, Cap]] = []
        named: list[tuple[Where, str]] = []
        for where, part in parts:
            caps += [((*where, "caps", number), cap) for number, cap in enumerate(part.caps or ())]
            named += [((*where, "gates"), gate) for gate in part.gates or ()]
        named += [((*where, "until"), cap.until) for where, cap in caps if cap.until is not None]
        for where, gate in named:
            if gate not in gates:
                yield (
                    where,
                    f"the funded phase has no gate {gate!r} that blocks payouts; name one of the phase, or add it",
                )
        initial, least = from_minor(initial_minor, currency), to_minor(self.min_request, currency)
        for where, cap in caps:
            most = {"amount": cap.value, "pct_of_initial": initial * cap.value / 100}.get(cap.type)
            if most is not None and not cap.steps and to_minor(max(most, cap.at_least or most), currency) < least:
                yield where, "it is below min_request, so nothing can be requested; raise it"
        largest = None if self.scaling is None else self.scaling.cap
        if largest is not None and to_minor(largest, currency) <= initial_minor:
            yield ("scaling", "cap"), "the account is already larger than the cap; raise the cap"

    @model_validator(mode="after")
    def _bands_cover_everything(self) -> Self:
        if not self.bands:
            return self
        limits = [band.up_to for band in self.bands]
        if limits[-1] is not None or any(limit is None for limit in limits[:-1]):
            raise ValueError("bands: the last band, and only it, has up_to: null, so that every amount has a policy")
        numbers = [limit for limit in limits if limit is not None]
        if numbers != sorted(set(numbers)):
            raise ValueError("bands: up_to must rise from band to band")
        approvers = [band.approvers for band in self.bands]
        if approvers != sorted(approvers):
            raise ValueError("bands: a larger amount may not need fewer approvers")
        return self

    @model_validator(mode="after")
    def _steps_are_clear(self) -> Self:
        names = [cycle.name for cycle in self.cycles]
        if len(set(names)) != len(names):
            raise ValueError("cycles: two cycles share a name; give each its own")
        for field, steps in (("split_by_payout", self.split_by_payout), ("by_payout", self.by_payout)):
            numbers = [step.from_payout for step in steps]
            if numbers != sorted(set(numbers)):
                raise ValueError(f"{field}: from_payout must rise from step to step")
        if self.split_by_payout and self.split_tiers:
            raise ValueError("split_tiers: a split depends on the payout number or on tiers; remove one of the two")
        if self.live_account is not None and self.max_payouts is None:
            raise ValueError("live_account: it follows the last of max_payouts; set max_payouts")
        return self

    @model_validator(mode="after")
    def _every_variant_is_possible(self) -> Self:
        for where, own in self.variants():
            problem = next(_contradictions(own), None)
            if problem is not None:
                place = "".join(f"{part}." for part in where)
                raise ValueError(f"{place}{problem}")
        return self

    @model_validator(mode="after")
    def _nothing_is_unused(self) -> Self:
        every = [own for _, own in self.variants()]
        if self.safety_net is not None and not any("safety_net" in own.base for own in every):
            raise ValueError(_NO_NET)
        if self.profit_target is not None and not any("profit_target" in own.base for own in every):
            raise ValueError(_NO_TARGET)
        if self.excess == "deducted_from_account" and not any(_is_capped(own) for own in every):
            raise ValueError("excess: there is no cap to exceed; add caps or keep the excess")
        since = (self.profit_since != "initial", *(part.profit_since for part in (*self.by_payout, *self.cycles)))
        if any(since) and not any(own.min_profit for own in every):
            raise ValueError("profit_since: there is no min_profit that it counts for; add it, or leave this out")
        if self.totals_over == "trader" and not any(_has_total(own) for own in every):
            raise ValueError("totals_over: the terms have no total; leave it out")
        for step in self.by_payout:
            before = self.chosen(None, step.from_payout - 1)
            unset = next((name for name in step.without if getattr(before, name) is None), None)
            if unset is not None:
                raise ValueError(f"by_payout: without {unset}: the payouts before have none; leave it out")
        parts: tuple[PayoutTerms | Replacing, ...] = (self, *self.by_payout, *self.cycles)
        if any(part.split_tiers and part.split_by_trading_days for part in parts):
            raise ValueError("split_tiers: a split depends on trading days or on tiers; remove one of the two")
        return self


def _plain_amounts(part: Terms) -> Iterator[tuple[Where, Decimal]]:
    """Yields the amounts in major units that are fields of their own."""
    for name in _AMOUNTS:
        amount = getattr(part, name)
        if amount is not None:
            yield (name,), amount


def _contradictions(own: PayoutTerms) -> Iterator[str]:
    """Yields what is impossible in the terms of one payout, as "field: problem; remedy"."""
    if "safety_net" in own.base and own.safety_net is None:
        yield _NO_NET
    if "profit_target" in own.base and own.profit_target is None:
        yield _NO_TARGET
    limits = [tier.up_to for tier in own.split_tiers]
    if limits and (limits[-1] is not None or None in limits[:-1]):
        yield "split_tiers: the last tier, and only it, has up_to: null, so that every amount is shared"
    rising = [limit for limit in limits if limit is not None]
    if rising != sorted(set(rising)):
        yield "split_tiers: up_to must rise from tier to tier"
    bounds = [split.below for split in own.split_by_trading_days]
    known = [bound for bound in bounds if bound is not None]
    if None in bounds[:-1] or known != sorted(set(known)):
        yield "split_by_trading_days: below must rise from step to step, and only the last may leave it out"
    if own.cap_per_request is not None and own.cap_per_request < own.min_request:
        yield "min_request: no request can be that large; lower it below the cap"
    if own.cap_per_request is not None and own.in_blocks_of is not None and own.cap_per_request < own.in_blocks_of:
        yield "in_blocks_of: no request can be that large; lower it below the cap"
    if own.cycle == "fixed" and (own.days_are != "full" or not own.every_days):
        yield "cycle: a fixed cycle is a number of full days; set every_days, and leave days_are out"


def _has_total(own: PayoutTerms) -> bool:
    within_days = any(cap.per_days for cap in own.caps)
    return bool(within_days or own.cap_total or own.split_tiers or own.unlock_when_total_withdrawn)


def _is_capped(own: PayoutTerms) -> bool:
    return bool(own.caps or own.cap_per_request or own.cap_total or own.cap_trader_share)

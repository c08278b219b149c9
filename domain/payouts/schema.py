"""Payout terms as data. Firms set each field on its own; the defaults are the simplest terms.

The effect of a payout on floors and peaks is a field of the equity rules (`payout_effect`); its effect on day counts
and consistency is a field of the gates (`window`).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up, to_minor
from domain.payouts.scaling import Scaling
from domain.rules.terms import RuleId, Size, Terms, Where

Percent = Annotated[ExactDecimal, Field(gt=0, le=100)]
Amount = Annotated[ExactDecimal, Field(gt=0)]
PayoutNumber = Annotated[int, Field(ge=1, le=1000)]
Days = Annotated[int, Field(ge=0, le=365)]
CycleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{1,30}$")]
Base = Literal[
    "balance_minus_initial", "profit", "profit_above_safety_net", "profit_target", "min(profit,profit_target)"
]


class ApprovalBand(Terms):
    """Payouts up to and including `up_to` (major units, trader's share; None = any) need so many distinct approvers."""

    up_to: Amount | None
    approvers: Annotated[int, Field(ge=0, le=2)]


class Least(Size):
    """A minimum: an amount or a percentage of the initial balance; zero is allowed."""

    type: Literal["amount", "pct_of_initial"]
    value: Annotated[ExactDecimal, Field(ge=0)]

    def of(self, initial_minor: int, currency: str) -> int:
        return self.minor(initial=initial_minor, basis=initial_minor, currency=currency)


class Cap(Terms):
    """The largest request (before the split), from payout number `from_payout` to `to_payout` (None: no end).
    `until`: the cap no longer applies once this gate is met."""

    type: Literal["amount", "pct_of_initial", "pct_of_balance", "pct_of_profit"]
    value: Amount
    from_payout: PayoutNumber = 1
    to_payout: PayoutNumber | None = None
    until: RuleId | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to_payout is not None and self.to_payout < self.from_payout:
            raise ValueError("to_payout: it is before from_payout; set the last payout that the cap applies to")
        if self.type in ("pct_of_balance", "pct_of_profit") and self.value > 100:
            raise ValueError("value: a cap above 100 percent has no effect; use at most 100")
        return self

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.type == "amount":
            yield ("value",), self.value

    def minor(self, *, initial: int, balance: int, profit: int, currency: str) -> int:
        """Returns the cap in minor units, rounded half up."""
        if self.type == "amount":
            return to_minor(self.value, currency)
        of = {"pct_of_initial": initial, "pct_of_balance": balance, "pct_of_profit": profit}[self.type]
        return half_up(Decimal(of) * self.value / 100)


class PayoutSplit(Terms):
    """From payout number `from_payout` on, the trader's share is `pct`."""

    from_payout: Annotated[int, Field(ge=2, le=1000)]
    pct: Percent


class SplitTier(Terms):
    """The trader receives `pct` of the total profit paid out up to `up_to` (major units, before the split; None = the
    rest)."""

    up_to: Amount | None
    pct: Percent

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.up_to is not None:
            yield ("up_to",), self.up_to


class FeeRefund(Terms):
    """The part of the fee that is refunded, and with which payout."""

    amount: Literal["last_fee_paid"] = "last_fee_paid"
    paid_with: Literal["first_payout"] = "first_payout"
    pct: Percent = Decimal(100)


class Cycle(Terms):
    """A payout cycle that the trader may choose. None: as in the terms. `gates`: the gates that apply in it."""

    name: CycleName
    first_after_days: Days | None = None
    every_days: Annotated[int, Field(ge=1, le=365)] | None = None
    split_pct: Percent | None = None
    gates: tuple[RuleId, ...] | None = None
    caps: tuple[Cap, ...] | None = None


class PayoutTerms(Terms):
    """When a payout may be requested, the amount, and the shares.

    Time: `first_after_days` from `first_after`, then `every_days` from the last payout, or (`cycle` fixed) every
    `every_days` counted from the first date. A condition is met at equality unless `compare` is ">". `gates`: the
    gates of the funded phase that must be met; None: all that block payouts. `caps`: every cap that applies limits
    the request; `excess`: whether profit above the cap stays in the account. The firm's share always leaves the
    account with the trader's. `min_request`, `cap_per_request`, `min_trader_share`, `unlock_when_total_withdrawn`
    are in major units.
    """

    first_after_days: Days
    every_days: Annotated[int, Field(ge=1, le=365)]
    first_after: Literal["funded", "first_trade"] = "funded"
    cycle: Literal["since_last_payout", "fixed"] = "since_last_payout"
    requires_flat: bool = True
    requires_no_pending_orders: bool = False
    gates: tuple[RuleId, ...] | None = None
    min_balance_above_initial: Least | None = None
    min_profit: Least | None = None
    compare: Literal[">=", ">"] = ">="
    min_request: Amount
    min_trader_share: Amount | None = None
    unlock_when_total_withdrawn: Amount | None = None
    cap_per_request: Amount | None = None
    caps: tuple[Cap, ...] = ()
    excess: Literal["kept_in_account", "deducted_from_account"] = "kept_in_account"
    base: Base = "balance_minus_initial"
    safety_net: Least | None = None
    profit_target: Least | None = None
    split_pct: Percent
    split_by_payout: tuple[PayoutSplit, ...] = ()
    split_tiers: tuple[SplitTier, ...] = ()
    fee_refund: FeeRefund | None = None
    goodwill_pct: Percent | None = None
    cycles: tuple[Cycle, ...] = ()
    scaling: Scaling | None = None
    decision_days: Annotated[int, Field(ge=1, le=60)] = 5
    bands: Annotated[tuple[ApprovalBand, ...], Field(min_length=1)]

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        for name in ("min_request", "cap_per_request", "min_trader_share", "unlock_when_total_withdrawn"):
            amount = getattr(self, name)
            if amount is not None:
                yield (name,), amount
        yield from super().amounts()
        for number, band in enumerate(self.bands):
            if band.up_to is not None:
                yield ("bands", number, "up_to"), band.up_to

    def chosen(self, cycle: str | None) -> "PayoutTerms":
        """Returns the terms of the cycle that a trader chose; the terms themselves without a choice. Raises
        KeyError."""
        if cycle is None:
            return self
        choice = {each.name: each for each in self.cycles}[cycle]
        own = {name: getattr(choice, name) for name in Cycle.model_fields if name != "name"}
        return self.model_copy(update={name: value for name, value in own.items() if value is not None})

    def problems(self, initial_minor: int, currency: str, gates: frozenset[str]) -> Iterator[tuple[Where, str]]:
        """Yields contradictions with the account's size or the funded phase. `gates`: the gates that block payouts."""
        named: list[tuple[Where, str]] = [(("gates",), gate) for gate in self.gates or ()]
        caps: list[tuple[Where, Cap]] = [(("caps", number), cap) for number, cap in enumerate(self.caps)]
        for place, cycle in enumerate(self.cycles):
            named += [(("cycles", place, "gates"), gate) for gate in cycle.gates or ()]
            caps += [(("cycles", place, "caps", number), cap) for number, cap in enumerate(cycle.caps or ())]
        named += [((*where, "until"), cap.until) for where, cap in caps if cap.until is not None]
        for where, gate in named:
            if gate not in gates:
                yield (
                    where,
                    f"the funded phase has no gate {gate!r} that blocks payouts; name one of the phase, or add it",
                )
        least = to_minor(self.min_request, currency)
        for where, cap in caps:
            fixed = cap.type in ("amount", "pct_of_initial")
            if fixed and cap.minor(initial=initial_minor, balance=0, profit=0, currency=currency) < least:
                yield where, "it is below min_request, so nothing can be requested; raise it"
        largest = None if self.scaling is None else self.scaling.cap
        if largest is not None and to_minor(largest, currency) <= initial_minor:
            yield ("scaling", "cap"), "the account is already larger than the cap; raise the cap"

    @model_validator(mode="after")
    def _bands_cover_everything(self) -> Self:
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
    def _base_is_known(self) -> Self:
        if (self.base == "profit_above_safety_net") != (self.safety_net is not None):
            raise ValueError("safety_net: base profit_above_safety_net needs it, and no other base has it")
        if ("profit_target" in self.base) != (self.profit_target is not None):
            raise ValueError("profit_target: a base that names it needs it, and no other base has it")
        return self

    @model_validator(mode="after")
    def _split_is_clear(self) -> Self:
        if self.split_by_payout and self.split_tiers:
            raise ValueError("split_tiers: a split depends on the payout number or on tiers; remove one of the two")
        numbers = [step.from_payout for step in self.split_by_payout]
        if numbers != sorted(set(numbers)):
            raise ValueError("split_by_payout: from_payout must rise from step to step")
        limits = [tier.up_to for tier in self.split_tiers]
        if limits and (limits[-1] is not None or None in limits[:-1]):
            raise ValueError("split_tiers: the last tier, and only it, has up_to: null, so that every amount is shared")
        rising = [limit for limit in limits if limit is not None]
        if rising != sorted(set(rising)):
            raise ValueError("split_tiers: up_to must rise from tier to tier")
        return self

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.excess == "deducted_from_account" and not self.caps and self.cap_per_request is None:
            raise ValueError("excess: there is no cap to exceed; add caps or keep the excess")
        if self.cap_per_request is not None and self.cap_per_request < self.min_request:
            raise ValueError("min_request: no request can be that large; lower it below the cap")
        names = [cycle.name for cycle in self.cycles]
        if len(set(names)) != len(names):
            raise ValueError("cycles: two cycles share a name; give each its own")
        return self

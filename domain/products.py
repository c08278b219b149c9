"""What the firm sells: product definitions as validated, hashable data.

A product is immutable once sold; `content_hash` identifies a version's terms. Every axis that firms set
differently is a field of its own: nothing is assumed from the family of the product.
"""

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.clocks import Clock
from domain.money import Currency, ExactDecimal, exponent, half_up, is_exact, to_minor

Percent = Annotated[ExactDecimal, Field(gt=0, le=100)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
Operator = Literal["equity < floor", "equity <= floor"]
Where = tuple[str | int, ...]


class _Terms(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Size(_Terms):
    """An amount of money: fixed, or a percentage of what `type` names."""

    type: Literal["amount", "pct_of_initial", "pct_of_anchor", "pct_of_peak"]
    value: Annotated[ExactDecimal, Field(gt=0)]

    @model_validator(mode="after")
    def _percentage_below_100(self) -> Self:
        if self.type != "amount" and self.value >= 100:
            raise ValueError("a percentage must lie below 100, or the limit can never be reached")
        return self

    def minor(self, *, initial: int, basis: int, currency: str) -> int:
        """The size in minor units, rounded half up. `basis` is the anchor or peak in minor units."""
        if self.type == "amount":
            return to_minor(self.value, currency)
        base = initial if self.type == "pct_of_initial" else basis
        return half_up(Decimal(base) * self.value / 100)


class DailyLoss(_Terms):
    """Equity may not fall the allowance below the anchor taken at the daily reset (the initial balance before the first)."""

    type: Literal["daily_loss"]
    id: RuleId = "daily_loss"
    anchor: Literal["balance", "equity", "max(balance,equity)"]
    allowance: Size
    breach_when: Operator

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.allowance.type == "pct_of_peak":
            raise ValueError("allowance: a daily loss has an anchor, no peak; use pct_of_anchor or pct_of_initial")
        return self


class MaxLossStatic(_Terms):
    """Equity may not fall the allowance below the initial balance."""

    type: Literal["max_loss_static"]
    id: RuleId = "max_loss"
    allowance: Size
    breach_when: Operator

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.allowance.type not in ("amount", "pct_of_initial"):
            raise ValueError("allowance: a static limit is an amount or pct_of_initial")
        return self


class Lock(_Terms):
    """The trailing floor rises no further than initial + offset (major units)."""

    offset: ExactDecimal = Decimal(0)


class MaxLossTrailing(_Terms):
    """Equity may not fall the allowance below the peak."""

    type: Literal["max_loss_trailing"]
    id: RuleId = "trailing_loss"
    peak_basis: Literal[
        "eod_balance_peak", "eod_max_balance_equity_peak", "intraday_balance_peak", "intraday_equity_peak"
    ]
    allowance: Size
    lock: Lock | None = None
    payout_effect: Literal["unchanged", "peak_falls_by_payout", "locks_at_initial"] = "unchanged"
    breach_when: Operator

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.allowance.type == "pct_of_anchor":
            raise ValueError("allowance: a trailing limit has a peak, no anchor; use pct_of_peak or pct_of_initial")
        return self


EquityRule = Annotated[DailyLoss | MaxLossStatic | MaxLossTrailing, Field(discriminator="type")]


class Target(_Terms):
    """Reached when closed balance >= initial + value with no position open."""

    type: Literal["amount", "pct_of_initial"]
    value: Annotated[ExactDecimal, Field(gt=0)]

    def minor(self, *, initial: int, currency: str) -> int:
        return Size(type=self.type, value=self.value).minor(initial=initial, basis=initial, currency=currency)


class Phase(_Terms):
    """One account's life: its rules, and what moves it up (no target in the funded phase)."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    target: Target | None = None
    min_trading_days: Annotated[int, Field(ge=0, le=365)] = 0
    time_limit_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    rules: Annotated[tuple[EquityRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rule_ids_differ(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError(f"rules: two rules of phase {self.name!r} share an id; give each its own")
        return self


class ApprovalBand(_Terms):
    """Payouts up to and including `up_to` (major units, trader's share; None = any) need so many distinct approvers."""

    up_to: Annotated[ExactDecimal, Field(gt=0)] | None
    approvers: Annotated[int, Field(ge=0, le=2)]


class PayoutTerms(_Terms):
    first_after_days: Annotated[int, Field(ge=0, le=365)]
    every_days: Annotated[int, Field(ge=1, le=365)]
    split_pct: Percent
    min_request: Annotated[ExactDecimal, Field(gt=0)]
    cap_per_request: Annotated[ExactDecimal, Field(gt=0)] | None = None
    decision_days: Annotated[int, Field(ge=1, le=60)] = 5
    bands: Annotated[tuple[ApprovalBand, ...], Field(min_length=1)]

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


class Product(_Terms):
    """One version of one product. `phases` are the evaluation in order; `funded` follows the last."""

    product: Slug
    version: Annotated[int, Field(ge=1)]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    family: Literal["two-step", "one-step", "instant"]
    currency: Currency
    initial_balance: Annotated[ExactDecimal, Field(gt=0)]
    fee: Annotated[ExactDecimal, Field(gt=0)]
    leverage: Annotated[int, Field(ge=1, le=2000)]
    clock: Clock
    dispute_days: Annotated[int, Field(ge=1, le=90)] = 14
    phases: tuple[Phase, ...]
    funded: Phase
    payout: PayoutTerms

    @model_validator(mode="after")
    def _amounts_are_exact(self) -> Self:
        """Each field that could only be kept rounded gets an error of its own."""
        limits = f"at most {exponent(self.currency)} digits after the point and 15 before it"
        problem = ValueError(f"not an amount in {self.currency}: use {limits}")
        inexact = [(where, amount) for where, amount in self._amounts() if not is_exact(amount, self.currency)]
        if inexact:
            raise ValidationError.from_exception_data(
                "Product",
                [
                    {"type": "value_error", "loc": where, "input": amount, "ctx": {"error": problem}}
                    for where, amount in inexact
                ],
            )
        return self

    def _amounts(self) -> Iterator[tuple[Where, Decimal]]:
        """(where it stands, the amount in major units) of everything that is money."""
        yield ("initial_balance",), self.initial_balance
        yield ("fee",), self.fee
        phases: list[tuple[Where, Phase]] = [(("phases", n), phase) for n, phase in enumerate(self.phases)]
        for where, phase in [*phases, (("funded",), self.funded)]:
            if phase.target is not None and phase.target.type == "amount":
                yield (*where, "target", "value"), phase.target.value
            for n, rule in enumerate(phase.rules):
                if rule.allowance.type == "amount":
                    yield (*where, "rules", n, rule.type, "allowance", "value"), rule.allowance.value
                if isinstance(rule, MaxLossTrailing) and rule.lock is not None:
                    yield (*where, "rules", n, rule.type, "lock", "offset"), rule.lock.offset
        yield ("payout", "min_request"), self.payout.min_request
        if self.payout.cap_per_request is not None:
            yield ("payout", "cap_per_request"), self.payout.cap_per_request
        for n, band in enumerate(self.payout.bands):
            if band.up_to is not None:
                yield ("payout", "bands", n, "up_to"), band.up_to

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        wanted = {"two-step": 2, "one-step": 1, "instant": 0}[self.family]
        if len(self.phases) != wanted:
            raise ValueError(
                f"phases: a {self.family} product has {wanted} evaluation phase(s), not {len(self.phases)}"
            )
        for phase in self.phases:
            if phase.target is None:
                raise ValueError(f"phases: {phase.name!r} needs a target, or nobody can pass it")
        if self.funded.target is not None:
            raise ValueError("funded: a funded phase has no target; remove it")
        for phase in (*self.phases, self.funded):
            for rule in phase.rules:
                room = rule.allowance.minor(
                    initial=self.initial_minor, basis=self.initial_minor, currency=self.currency
                )
                if not 0 < room < self.initial_minor:
                    raise ValueError(
                        f"{phase.name}.{rule.id}: the allowance must lie between zero and the initial balance"
                    )
                if (
                    isinstance(rule, MaxLossTrailing)
                    and rule.lock
                    and to_minor(rule.lock.offset, self.currency) <= -room
                ):
                    raise ValueError(
                        f"{phase.name}.{rule.id}.lock: the lock lies below the first floor; raise the offset"
                    )
        return self

    @property
    def initial_minor(self) -> int:
        return to_minor(self.initial_balance, self.currency)

    @property
    def fee_minor(self) -> int:
        return to_minor(self.fee, self.currency)

    @property
    def ref(self) -> str:
        return f"{self.product}@{self.version}"

    def phase(self, index: int) -> Phase:
        """Phase `index`, 1-based; the one after the last evaluation phase is the funded one."""
        return self.phases[index - 1] if index <= len(self.phases) else self.funded

    @property
    def funded_index(self) -> int:
        return len(self.phases) + 1

    def canonical(self) -> str:
        """The terms as canonical JSON: what is hashed, stored and proven against."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()

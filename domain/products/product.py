"""Product definitions as validated, hashable data.

A product is immutable once sold; `content_hash` identifies the terms of a version. Everything that firms set
differently is a field of its own: nothing is assumed from the family of the product.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from domain.clocks import Clock
from domain.fees import FeeTerms, OrderKind
from domain.file_errors import ProductInvalid
from domain.money import Currency, ExactDecimal, exponent, is_exact, to_minor
from domain.payouts import PayoutTerms
from domain.products import checks as product_checks
from domain.products.add_ons import LONGEST_NAME, AddOn, with_changes
from domain.products.phase import Phase
from domain.rules.base import Context, Gate, VenueCalendar
from domain.rules.floors import WARN_AT_PCT, FloorSpec
from domain.rules.terms import LATER, WHOLE, Terms, Where
from domain.surveillance.product_terms import PatternTerms
from domain.wording import count

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
Family = Literal[
    "one-step", "two-step", "three-step", "instant", "futures-end-of-day", "futures-intraday", "swing", "crypto"
]
# the number of evaluation phases that the name of a family states
_EVALUATIONS: Final[dict[Family, int]] = {"one-step": 1, "two-step": 2, "three-step": 3, "instant": 0}


class Product(Terms):
    """One version of one product. `phases`: the evaluation phases in order. `funded` follows the last.

    `clock` ends the trading day. `loss_clock`: the clock of anchors and end-of-day peaks, if it is another one. `fee`
    is the price of the purchase; `fees`: what costs money later; `add_ons`: what can be bought with it. `warn_at_pct`:
    the share of a limit that is used when the trader is warned; 0: no such warning. `surveillance`: thresholds and
    choices of patterns of abuse that differ for this version.
    """

    product: Slug
    version: Annotated[int, Field(ge=1)]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    family: Family
    currency: Currency
    initial_balance: Annotated[ExactDecimal, Field(gt=0)]
    fee: Annotated[ExactDecimal, Field(gt=0)]
    leverage: Annotated[int, Field(ge=1, le=2000)]
    clock: Clock
    loss_clock: Clock | None = None
    dispute_days: Annotated[int, Field(ge=1, le=90)] = 14
    warn_before_reset_minutes: Annotated[int, Field(ge=0, le=720)] = 60
    warn_at_pct: Annotated[int, Field(ge=0, le=99), LATER] = WARN_AT_PCT
    phases: tuple[Phase, ...]
    funded: Phase
    payout: PayoutTerms
    fees: Annotated[FeeTerms | None, LATER] = None
    add_ons: Annotated[tuple[AddOn, ...], LATER, Field(max_length=20)] = ()
    surveillance: Annotated[PatternTerms, LATER] = Field(default={})

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        """Every field that contradicts another, or cannot be stored exactly, has an error of its own."""
        problems = list(self._inexact()) or list(self._contradictions())
        if problems:
            raise ValidationError.from_exception_data(
                "Product",
                [
                    {"type": "value_error", "loc": where, "input": None, "ctx": {"error": ValueError(problem)}}
                    for where, problem in problems
                ],
            )
        return self

    def _inexact(self) -> Iterator[tuple[Where, str]]:
        limits = f"at most {exponent(self.currency)} digits after the point and 15 before it"
        for where, amount in self.amounts():
            if not is_exact(amount, self.currency):
                yield where, f"not an amount in {self.currency}: use {limits}"

    def _contradictions(self) -> Iterator[tuple[Where, str]]:
        wanted = _EVALUATIONS.get(self.family)
        if wanted is not None and len(self.phases) != wanted:
            problem = (
                f"the family {self.family} has {count(wanted, 'evaluation phase')}, and here are {len(self.phases)}"
            )
            yield ("phases",), f"{problem}; add or remove phases, or choose another family"
        yield from product_checks.in_clocks(self.clock, self.loss_clock, self._specs())
        for number, phase in enumerate(self.phases):
            if phase.target is None:
                yield ("phases", number, "target"), f"{phase.name!r} needs a target, or nobody can pass it"
        if self.funded.target is not None:
            yield ("funded", "target"), "a funded phase has no target; remove it"
        if self.funded.free_retake:
            yield ("funded", "free_retake"), "only an evaluation phase can be taken again; remove it"
        yield from self._in_phases()
        yield from self._in_payouts()
        if self.fees is not None and self.fees.activation is not None and not self.phases:
            yield ("fees", "activation"), "the account is funded when it is bought; add the price to the fee"
        if self.fees is not None:
            yield from (
                (("fees", *where), problem) for where, problem in self.fees.problems(self.fee_minor, self.currency)
            )
        yield from self._in_add_ons()

    def _in_phases(self) -> Iterator[tuple[Where, str]]:
        for index, (place, phase) in enumerate(self.places(), start=1):
            for where, problem in product_checks.in_phase(phase, self.context(index)):
                yield (*place, *where), problem
            if phase.initial_balance == self.initial_balance:
                yield (*place, "initial_balance"), "the product already has this size; leave it out here"

    def _in_payouts(self) -> Iterator[tuple[Where, str]]:
        gates = (rule for rule in self.funded.history_rules if isinstance(rule, Gate))
        blocking = frozenset(gate.id for gate in gates if "payout" in gate.blocks)
        initial = self.initial_of(self.funded_index)
        found = [] if initial else list(product_checks.from_zero(self.payout))
        found += self.payout.problems(initial, self.currency, blocking)
        if self.payout.scaling is not None:
            found += [(("scaling", *where), problem) for where, problem in self.payout.scaling.problems()]
        yield from ((("payout", *where), problem) for where, problem in found)

    def _in_add_ons(self) -> Iterator[tuple[Where, str]]:
        if self.add_ons and len(self.product) > LONGEST_NAME:
            yield ("product",), f"a product with add-ons has a name of at most {LONGEST_NAME} characters; shorten it"
        ids = [add_on.id for add_on in self.add_ons]
        for number, add_on in enumerate(self.add_ons):
            if add_on.id in ids[:number]:
                yield ("add_ons", number, "id"), "another add-on has this id; choose another"
            if add_on.line(self.fee_minor, self.currency).amount_minor <= 0:
                yield ("add_ons", number, "price"), "nobody can pay nothing; set a price"
            try:
                self.with_add_ons((add_on,))
            except ProductInvalid as invalid:
                yield ("add_ons", number, "changes"), f"{invalid.message} {invalid.remedy or ''}".strip()
            except ValidationError as invalid:
                first = invalid.errors(include_input=False, include_url=False)[0]
                place = ".".join(str(step) for step in first["loc"])
                yield ("add_ons", number, "changes"), f"the terms with it are no product: {place}: {first['msg']}"

    def with_add_ons(self, add_ons: Sequence[AddOn]) -> "Product":
        """Returns the terms with these add-ons: a product with a name and a content hash of its own. Returns this
        product without any. Raises ProductInvalid, ValidationError."""
        if not add_ons:
            return self
        return Product.model_validate(with_changes(self.model_dump(mode="json", context=WHOLE), add_ons))

    def _specs(self) -> Iterator[FloorSpec]:
        for index, (_, phase) in enumerate(self.places(), start=1):
            for rule in phase.equity_rules:
                yield from rule.compile(self.initial_of(index), self.currency)

    def places(self) -> list[tuple[Where, Phase]]:
        """Returns every phase with the place of its definition; the funded phase is last."""
        return [*((("phases", number), phase) for number, phase in enumerate(self.phases)), (("funded",), self.funded)]

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        yield ("initial_balance",), self.initial_balance
        yield ("fee",), self.fee
        yield from super().amounts()

    def prices(self) -> Iterator[tuple[Where, Decimal]]:
        """Yields every price in major units, with its place; not those that are a percentage of the fee."""
        yield ("fee",), self.fee
        parts = [(("fees",), self.fees), *((("add_ons", number), part) for number, part in enumerate(self.add_ons))]
        for place, part in parts:
            if part is not None:
                yield from (((*place, *where), amount) for where, amount in part.amounts())

    @property
    def initial_minor(self) -> int:
        return to_minor(self.initial_balance, self.currency)

    @property
    def fee_minor(self) -> int:
        return to_minor(self.fee, self.currency)

    def order_minor(self, kind: OrderKind) -> int | None:
        """Returns the price of an order in minor units; None: it is not sold."""
        return None if self.fees is None else self.fees.order_minor(kind, self.fee_minor, self.currency)

    @property
    def ref(self) -> str:
        return f"{self.product}@{self.version}"

    def phase(self, index: int) -> Phase:
        """Returns phase `index` (from 1); the phase after the last evaluation phase is the funded phase."""
        return self.phases[index - 1] if index <= len(self.phases) else self.funded

    def initial_of(self, index: int) -> int:
        """Returns the balance with which an account of phase `index` starts, in minor units."""
        own = self.phase(index).initial_balance
        return self.initial_minor if own is None else to_minor(own, self.currency)

    @property
    def initial_minors(self) -> tuple[int, ...]:
        """The balances with which the accounts of the phases start, in minor units; the funded phase is last."""
        return tuple(self.initial_of(index) for index in range(1, self.funded_index + 1))

    @property
    def sizes(self) -> str:
        """The balances with which the accounts of the phases start: one figure if all are the same."""
        own = [phase.initial_balance for _, phase in self.places()]
        if not any(size is not None for size in own):
            return str(self.initial_balance)
        return ", ".join(str(self.initial_balance if size is None else size) for size in own)

    def has_size(self, index: int, initial_minor: int) -> bool:
        """Whether an account of phase `index` may have this size: that of the phase, or one that it grew to."""
        first, plan = self.initial_of(index), self.payout.scaling
        if initial_minor == first:
            return True
        return index == self.funded_index and plan is not None and plan.reaches(first, initial_minor, self.currency)

    def context(
        self, index: int, calendars: Mapping[str, VenueCalendar] | None = None, initial_minor: int | None = None
    ) -> Context:
        """Returns the context for the rules of phase `index`. `initial_minor`: the size of the account, if it is not
        that of the phase."""
        target, initial = self.phase(index).target, self.initial_of(index) if initial_minor is None else initial_minor
        return Context(
            initial_minor=initial,
            currency=self.currency,
            clock=self.clock,
            phase="evaluation" if index <= len(self.phases) else "funded",
            loss_clock=self.loss_clock,
            calendars=calendars or {},
            target_minor=None if target is None else target.over(initial, self.currency),
        )

    @property
    def funded_index(self) -> int:
        return len(self.phases) + 1

    def canonical(self) -> str:
        """Returns the terms as canonical JSON: this text is hashed and stored."""
        return self._text

    @cached_property
    def _text(self) -> str:
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @cached_property
    def content_hash(self) -> str:
        """Returns the hash of the terms. It is computed once: a product never changes."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def __copy__(self) -> Self:
        """Returns a copy without text and hash: `model_copy` may change its terms."""
        made = super().__copy__()
        for name in ("_text", "content_hash"):
            made.__dict__.pop(name, None)
        return made

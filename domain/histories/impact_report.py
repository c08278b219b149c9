"""What other terms would have made of recorded challenges: in words, as a report to keep, and as one JSON object."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from domain.histories.impact import FATES, Comparison, Ending, Totals
from domain.money import Money, exponent
from domain.products.diff import differences
from domain.products.product import Product

Sums = tuple[Totals, Totals]
Count = Annotated[int, Field(description="How many.")]
_MOST: Final = 200  # challenges that a report lists


class FateCount(BaseModel):
    """How many challenges end so under both versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fate: str
    before: Count
    after: Count


class Effect(BaseModel):
    """A sum of money under both versions, in minor units of the report's currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    before_minor: int
    after_minor: int


class ChangedEnding(BaseModel):
    """A challenge that ends otherwise: `account` is where it ends under the other terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    before: str
    after: str


class ImpactReport(BaseModel):
    """All recorded challenges of version `product` under the terms of `against`. Money is in minor units of `currency`.

    `by_the_hour`: judged with hour bars in part. `left_out`: part of their record is no longer kept. `differs`:
    accounts that the replay judges differently than the live monitor did. `changed` counts, `endings` has the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: str
    against: str
    currency: str
    challenges: Count
    changed: Count
    by_the_hour: Count
    left_out: Count
    differs: Count
    fates: tuple[FateCount, ...]
    payouts_before: Count
    payouts_after: Count
    money: tuple[Effect, ...]
    money_effect_minor: int
    endings: tuple[ChangedEnding, ...]


def report(a: Product, b: Product, found: Sequence[Comparison], sums: Sums, left_out: int) -> ImpactReport:
    """Returns the report of a comparison; the first challenges that end otherwise are listed."""
    old, new = sums
    changed = [one for one in found if one.changed]
    return ImpactReport(
        product=a.ref,
        against=b.ref,
        currency=b.currency,
        challenges=len(found),
        changed=len(changed),
        by_the_hour=sum(one.by_the_hour for one in found),
        left_out=left_out,
        differs=sum(len(one.differs_from_live) for one in found),
        fates=tuple(FateCount(fate=fate, before=old.fates[fate], after=new.fates[fate]) for fate in FATES),
        payouts_before=old.payouts,
        payouts_after=new.payouts,
        money=(
            Effect(name="fees", before_minor=old.fees_minor, after_minor=new.fees_minor),
            Effect(name="paid to traders", before_minor=old.paid_minor, after_minor=new.paid_minor),
            Effect(name="fees less payouts", before_minor=old.net_minor, after_minor=new.net_minor),
        ),
        money_effect_minor=new.net_minor - old.net_minor,
        endings=tuple(
            ChangedEnding(account=one.b.number, before=words_of(one.a, a), after=words_of(one.b, b))
            for one in changed[:_MOST]
        ),
    )


def words_of(end: Ending, product: Product) -> str:
    """Returns how a challenge ends, for a table."""
    words = f"{end.fate.replace('_', ' ')} in {product.phase(end.phase_index).name}"
    if end.rule_id:
        words += f" by {end.rule_id.replace('_', ' ')}"
    if end.at:
        words += f", {end.at:%Y-%m-%d %H:%M} UTC"
    if end.payouts:
        words += f", {end.payouts} payouts of {Money(minor=end.paid_minor, currency=product.currency)}"
    return words


def as_object(a: Product, b: Product, found: Sequence[Comparison], sums: Sums, left_out: int = 0) -> dict[str, Any]:
    """Returns the comparison of every challenge. Money is in minor units of `currency`, times are UTC."""
    return {
        "product": a.ref,
        "against": b.ref,
        "currency": a.currency,
        "minor_unit_digits": exponent(a.currency),
        "resolution": "one-minute equity bars",
        "changes": [change.model_dump() for change in differences(a, b)],
        "challenges": len(found),
        "by_the_hour": sum(one.by_the_hour for one in found),
        "left_out": left_out,
        "changed": sum(1 for one in found if one.changed),
        "under": {product.ref: _totals(total) for product, total in zip((a, b), sums, strict=True)}
        if a.ref != b.ref
        else {"a": _totals(sums[0]), "b": _totals(sums[1])},
        "money_effect_minor": sums[1].net_minor - sums[0].net_minor,
        "each": [
            {
                "challenge_id": one.challenge_id,
                "changed": one.changed,
                "by_the_hour": one.by_the_hour,
                "a": _ending(one.a),
                "b": _ending(one.b),
                "differs_from_live": list(one.differs_from_live),
            }
            for one in found
        ],
    }


def _totals(total: Totals) -> dict[str, Any]:
    return {
        **{str(fate): number for fate, number in total.fates.items()},
        "payouts": total.payouts,
        "fees_minor": total.fees_minor,
        "paid_minor": total.paid_minor,
        "net_minor": total.net_minor,
    }


def _ending(end: Ending) -> dict[str, Any]:
    return {
        "fate": end.fate,
        "account": end.number,
        "phase": end.phase_index,
        "at": end.at.isoformat() if end.at else None,
        "rule_id": end.rule_id,
        "payouts": end.payouts,
        "paid_minor": end.paid_minor,
    }

"""Coupons: their terms, who may use them, and the discounts of several together.

Coupons are for purchases, not for resets, buybacks and activations. The discount is on the fee and the add-ons before
taxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from domain.errors import BadInput, CouponRefused
from domain.money import Currency, ExactDecimal, is_exact, price_step, to_minor, to_price
from domain.selling.price import NO_PRICE, PriceLine
from domain.wording import instant, listing, money, percent, times

CODE: Final = r"^[A-Z0-9][A-Z0-9-]{2,29}$"
MOST_TOGETHER: Final = 3


class Coupon(BaseModel):
    """The terms of a coupon. Either `pct`, or `amount` in major units of `currency`.

    `until`: the end of its time, in market time. `uses`: how often it can be used, by everybody; `uses_per_trader`: by
    one trader. `minimum`: the least price before discounts, in major units of `currency`. `products`: empty for all.
    `first_purchase`: only for a trader who has paid for nothing yet. `stacks`: whether it can be used with others that
    stack. `trader`: the id of the only trader who may use it; None for everybody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Annotated[str, Field(pattern=CODE)]
    pct: Annotated[ExactDecimal, Field(gt=0, lt=100)] | None = None
    amount: Annotated[ExactDecimal, Field(gt=0)] | None = None
    currency: Currency | None = None
    until: AwareDatetime | None = None
    uses: Annotated[int, Field(ge=1)] | None = None
    uses_per_trader: Annotated[int, Field(ge=1)] | None = None
    minimum: Annotated[ExactDecimal, Field(gt=0)] | None = None
    products: tuple[str, ...] = ()
    first_purchase: bool = False
    stacks: bool = False
    trader: str | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (self.pct is None) == (self.amount is None):
            raise ValueError("a coupon has either a percentage or an amount")
        amounts = [each for each in (self.amount, self.minimum) if each is not None]
        if amounts and self.currency is None:
            raise ValueError("an amount needs a currency")
        if any(not is_exact(each, self.currency or "") for each in amounts):
            raise ValueError(f"an amount has more digits than {self.currency} has")
        return self

    @property
    def words(self) -> str:
        """Returns the terms for a person."""
        parts = [self._discount]
        if self.minimum is not None and self.currency is not None:
            parts.append(f"from {money(to_minor(self.minimum, self.currency), self.currency)} on")
        if self.products:
            parts.append(f"for {listing(self.products)}")
        if self.first_purchase:
            parts.append("for a first purchase")
        if self.trader is not None:
            parts.append("for one trader")
        if self.uses is not None:
            parts.append(f"{times(self.uses)} in total")
        if self.uses_per_trader is not None:
            parts.append(f"{times(self.uses_per_trader)} per trader")
        if self.until is not None:
            parts.append(f"until {instant(self.until)}")
        parts.append("with other coupons" if self.stacks else "alone")
        return ", ".join(parts)

    @property
    def _discount(self) -> str:
        if self.pct is not None:
            return f"{percent(self.pct)} off"
        assert self.amount is not None and self.currency is not None
        return f"{money(to_minor(self.amount, self.currency), self.currency)} off"


@dataclass(frozen=True, slots=True)
class Use:
    """What a coupon is to be used for, and by which trader. `ended`: people ended it. `used`, `used_by_trader`: earlier
    uses, open orders included. `bought_before`: the trader has paid for a challenge. `charged_back`: so has, and took a
    payment back."""

    now: datetime
    trader: str
    product: str
    currency: str
    gross_minor: int
    ended: bool
    used: int
    used_by_trader: int
    bought_before: bool
    charged_back: bool


def check_new(coupon: Coupon) -> None:
    """Refuses an amount that no price can be lowered by. Coupons that were added before stay readable. Raises
    BadInput."""
    if coupon.amount is None or coupon.currency is None:
        return
    if to_minor(coupon.amount, coupon.currency) % price_step(coupon.currency):
        why = NO_PRICE.format(currency=coupon.currency)
        raise BadInput(f"amount: {why}.", field="amount", remedy="Write 0 as the last digit.")


def check_use(coupon: Coupon, use: Use) -> None:
    """Raises CouponRefused with the reason."""
    why = _refusal(coupon, use)
    if why:
        raise _refused(coupon, why)


def _refused(coupon: Coupon, why: str) -> CouponRefused:
    return CouponRefused(f"The coupon {coupon.code} {why}.", field="coupons", remedy="Order without it.")


def _refusal(coupon: Coupon, use: Use) -> str:
    if coupon.trader not in (None, use.trader):
        return "is for another trader"
    if use.charged_back:
        return "cannot be used: a payment of yours was charged back"
    if use.ended or (coupon.until is not None and use.now >= coupon.until):
        return "has ended"
    if coupon.products and use.product not in coupon.products:
        return f"is for {listing(coupon.products)} only"
    if coupon.currency not in (None, use.currency):
        return f"is for prices in {coupon.currency} only"
    if coupon.minimum is not None and use.gross_minor < to_minor(coupon.minimum, use.currency):
        return f"is for orders from {money(to_minor(coupon.minimum, use.currency), use.currency)} on"
    if coupon.first_purchase and use.bought_before:
        return "is for a first purchase only"
    if coupon.uses is not None and use.used >= coupon.uses:
        return "is used up"
    if coupon.uses_per_trader is not None and use.used_by_trader >= coupon.uses_per_trader:
        return f"can be used {times(coupon.uses_per_trader)} by each trader"
    return ""


def check_together(coupons: Sequence[Coupon]) -> None:
    """Checks that these coupons can be used in one order. Raises CouponRefused."""
    codes = [coupon.code for coupon in coupons]
    if len(set(codes)) < len(codes):
        raise CouponRefused("A coupon is named twice.", field="coupons", remedy="Name each coupon once.")
    if len(codes) > MOST_TOGETHER:
        raise CouponRefused(f"An order takes at most {MOST_TOGETHER} coupons.", field="coupons", remedy="Use fewer.")
    alone = [coupon.code for coupon in coupons if not coupon.stacks]
    if len(codes) > 1 and alone:
        raise CouponRefused(
            f"The coupon {alone[0]} cannot be used with another.", field="coupons", remedy="Use one of them."
        )


def discounts(coupons: Sequence[Coupon], gross_minor: int, currency: str) -> tuple[PriceLine, ...]:
    """Returns the discounts: percentages first, each of what the one before it has left, then amounts; within each by
    code. Raises CouponRefused when nothing would be left to pay."""
    left, lines = gross_minor, []
    for coupon in sorted(coupons, key=lambda each: (each.pct is None, each.code)):
        if coupon.pct is not None:
            off = to_price(Decimal(left) * coupon.pct / 100, currency)
        else:
            assert coupon.amount is not None
            if coupon.currency != currency:
                raise _refused(coupon, f"is for prices in {coupon.currency} only")
            off = to_minor(coupon.amount, currency)
        left -= off
        lines.append(PriceLine(kind="discount", code=coupon.code, label=f"Coupon {coupon.code}", amount_minor=-off))
    if left <= 0:
        raise CouponRefused(
            "Nothing would be left to pay.", field="coupons", remedy="Use a smaller coupon, or order more."
        )
    return tuple(lines)

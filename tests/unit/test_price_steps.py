"""Prices in currencies of three digits: cards take them in steps of ten minor units."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.stripe.amounts import to_stripe
from adapters.taxes.flat import FlatTaxes, TaxTable
from domain.errors import BadInput
from domain.fees import ShareOfPurchase, price_minor
from domain.file_errors import ProductInvalid
from domain.lifecycle import check_part
from domain.money import Money, price_step, to_price
from domain.products.product import Product
from domain.products.publishing import check_applied
from domain.selling.coupons import Coupon, check_new, discounts
from firm.products.shelf import SHELF, load_product

ADD_ON = {"id": "split_90", "name": "90% split", "price": "49", "changes": {"payout.split_pct": "90"}}


def product(**changes: Any) -> Product:
    body = load_product(SHELF / "swing.v2.yaml").model_dump(mode="json")
    body["payout"].pop("bands", None)
    return Product.model_validate(body | {"currency": "KWD"} | changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fee": "99.001"}, "fee"),
        ({"fees": {"reset": "10.005"}}, "fees.reset"),
        ({"add_ons": [ADD_ON, ADD_ON | {"id": "odd", "price": "4.999"}]}, "add_ons.1.price"),
    ],
)
def test_a_product_with_a_price_that_no_card_pays_is_not_sold(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ProductInvalid, match="third digit is 0") as refused:
        check_applied(product(**changes))
    assert refused.value.field == field and refused.value.remedy


def test_prices_of_whole_steps_and_of_other_currencies_are_sold() -> None:
    check_applied(product(fee="99.010", fees={"reset": "10.5"}, add_ons=[ADD_ON]))
    check_applied(product(currency="USD", fee="99.01"))


def test_a_coupon_and_a_part_of_a_fee_end_in_0_as_well() -> None:
    check_new(Coupon(code="FINE", amount=Decimal("1.230"), currency="KWD"))
    check_part("active", 1_230, 5_000, "KWD")
    check_part("active", 1_234, 5_000, "USD")
    with pytest.raises(BadInput) as coupon:
        check_new(Coupon(code="ODD", amount=Decimal("1.234"), currency="KWD"))
    with pytest.raises(BadInput) as part:
        check_part("active", 1_234, 5_000, "KWD")
    assert coupon.value.field == part.value.field == "amount" and coupon.value.remedy and part.value.remedy


@given(
    steps=some.integers(1, 10**9),
    pct=some.decimals("0.01", "99.99", places=2),
    currency=some.sampled_from(["KWD", "BHD", "USD", "JPY"]),
)
async def test_every_percentage_of_a_price_is_a_price(steps: int, pct: Decimal, currency: str) -> None:
    fee = steps * price_step(currency)
    line = price_minor(ShareOfPurchase(type="pct_of_purchase", value=pct), fee, currency)
    assert to_stripe(line, currency) == line and abs(line - fee * pct / 100) <= Decimal(price_step(currency)) / 2
    left = fee
    if (off := to_price(fee * pct / 100, currency)) < fee:
        (discount,) = discounts([Coupon(code="OFF", pct=pct)], fee, currency)
        assert discount.amount_minor == -off
        left -= off
    seller = {"name": "Firm", "address": ["Street 1"], "tax_id": "X1"}
    rates = {"countries": {"DE": [{"name": "VAT", "pct": str(pct)}]}, "seller": seller}
    taxes = await FlatTaxes(TaxTable.model_validate(rates)).quote(
        "DE", "two-step", Money(minor=left, currency=currency)
    )
    assert to_stripe(left + sum(tax.amount_minor for tax in taxes), currency)

"""The arithmetic of prices: fee + add-ons - discounts + taxes, in integer minor units."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from domain.errors import BadInput, CouponRefused, OrderRefused
from domain.ledger import fee_paid, fee_refunded, in_parts
from domain.money import Money
from domain.products.add_ons import chosen
from domain.products.product import Product
from domain.selling.coupons import Coupon, check_together, discounts
from domain.selling.price import Parts, PriceLine, Quote, TaxLine, plain
from firm.products.shelf import SHELF, load_product

SPLIT = {
    "id": "split_90",
    "name": "90% split",
    "price": {"type": "pct_of_purchase", "value": "20"},
    "changes": {"payout.split_pct": "90"},
}
WEEKLY = {"id": "weekly", "name": "Weekly payouts", "price": "49", "changes": {"payout.every_days": 7}}


def product(*add_ons: dict[str, Any]) -> Product:
    body = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")
    return Product.model_validate(body | {"add_ons": list(add_ons)})


def coupon(code: str, **terms: Any) -> Coupon:
    return Coupon.model_validate({"code": code, **terms})


def test_percentages_come_first_and_then_amounts() -> None:
    both = [coupon("FIVE", amount="5", currency="USD", stacks=True), coupon("TEN", pct="10", stacks=True)]
    lines = discounts(both, 54_005, "USD")
    assert [(line.code, line.amount_minor) for line in lines] == [("TEN", -5_401), ("FIVE", -500)], "5400.5 rounds up"


def test_a_second_percentage_is_of_what_the_first_left() -> None:
    both = [coupon("HALF", pct="50", stacks=True), coupon("TEN", pct="10", stacks=True)]
    assert [line.amount_minor for line in discounts(both, 10_000, "USD")] == [-5_000, -500]


def test_a_coupon_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(CouponRefused, match="Nothing would be left"):
        discounts([coupon("BIG", amount="100", currency="USD")], 10_000, "USD")
    with pytest.raises(CouponRefused, match="prices in EUR"):
        discounts([coupon("EURO", amount="1", currency="EUR")], 10_000, "USD")


def test_a_coupon_is_used_alone_unless_all_stack() -> None:
    alone, stacking = coupon("ALONE", pct="10"), coupon("STACKS", pct="10", stacks=True)
    with pytest.raises(CouponRefused, match="ALONE cannot be used with another"):
        check_together([stacking, alone])
    with pytest.raises(CouponRefused, match="named twice"):
        check_together([stacking, stacking])
    check_together([alone])


@pytest.mark.parametrize(
    "terms",
    [{}, {"pct": "10", "amount": "5", "currency": "USD"}, {"amount": "5"}, {"amount": "1.5", "currency": "JPY"}],
)
def test_a_coupon_without_sense_is_refused(terms: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        coupon("ODD", **terms)


def test_taxes_are_on_top_and_the_digest_is_of_every_line() -> None:
    quote = plain("purchase", "Two-step", 54_000, "USD")
    taxed = quote.with_taxes([TaxLine(name="VAT", pct=Decimal("19.0"), amount_minor=10_260)])
    assert (taxed.net_minor, taxed.tax_minor, taxed.total_minor) == (54_000, 10_260, 64_260)
    assert taxed.lines[-1].label == "VAT 19%"
    assert taxed.digest != quote.digest and taxed.with_taxes([]).digest == quote.digest


def test_no_price_is_zero_and_only_a_discount_is_negative() -> None:
    for amount, kind in ((0, "fee"), (-5, "fee"), (5, "discount")):
        with pytest.raises(ValidationError):
            Quote(
                currency="USD",
                lines=(PriceLine.model_validate({"kind": kind, "code": "x", "label": "x", "amount_minor": amount}),),
            )


@given(
    some.integers(1, 10**9),
    some.integers(0, 99),
    some.integers(0, 30),
    some.lists(some.integers(0, 10**9), max_size=6),
)
def test_the_parts_of_refunds_add_up_to_what_was_paid(gross: int, off: int, tax: int, cuts: list[int]) -> None:
    discount = gross * off // 100
    parts = Parts(gross, discount, (gross - discount) * tax // 100)
    points = sorted({0, parts.total_minor, *(cut % (parts.total_minor + 1) for cut in cuts)}, reverse=True)
    back = [parts.between(since, until) for since, until in pairwise(points)]
    assert tuple(sum(column) for column in zip(*back, strict=True)) == tuple(-part for part in parts)
    assert all(each.total_minor == until - since for each, (since, until) in zip(back, pairwise(points), strict=True))


def test_the_books_show_price_discount_and_tax_apart() -> None:
    parts, paid = Parts(54_000, 5_400, 9_234), Money(minor=57_834, currency="USD")
    entry = in_parts(fee_paid("chl", paid, "stripe"), parts)
    assert {line.account: line.amount_minor for line in entry.lines} == {
        "provider:stripe": 57_834,
        "fees": -54_000,
        "discounts": 5_400,
        "taxes-payable": -9_234,
    }
    back = in_parts(fee_refunded("chl", paid, "stripe"), parts.between(57_834, 0))
    assert {line.account: line.amount_minor for line in back.lines} == {
        line.account: -line.amount_minor for line in entry.lines
    }
    with pytest.raises(ValueError, match="the parts of"):
        in_parts(fee_paid("chl", paid, "stripe"), Parts(54_000, 0, 0))


def test_add_ons_change_the_terms_and_their_hash_alone() -> None:
    sold = product(SPLIT, WEEKLY)
    both = sold.with_add_ons(chosen(sold.add_ons, ["weekly", "split_90"]))
    assert (str(both.payout.split_pct), both.payout.every_days) == ("90", 7)
    assert both.content_hash not in (sold.content_hash, product().content_hash)
    assert both.fee_minor == sold.fee_minor, "a reset in percent of the purchase costs what it did"
    assert both == sold.with_add_ons(chosen(sold.add_ons, ["split_90", "weekly"])), "in any order"
    assert sold.add_ons[0].line(sold.fee_minor, "USD").amount_minor == 10_800


def test_a_product_without_add_ons_keeps_its_hash() -> None:
    assert "add_ons" not in product().model_dump(mode="json")


def test_an_add_on_can_remove_a_rule_and_change_one() -> None:
    loss = {
        "id": "free",
        "name": "No daily limit",
        "price": "90",
        "changes": {"funded.rules.daily_loss": None, "funded.rules.max_loss.allowance.value": "9"},
    }
    changed = product(loss)
    found = changed.with_add_ons(chosen(changed.add_ons, ["free"]))
    assert [rule.id for rule in found.funded.rules] == ["max_loss"]
    assert len(changed.funded.rules) == 2, "the product itself is unchanged"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"changes": {"payout.split": "90"}}, "there is no 'split'"),
        ({"changes": {"fee": "1"}}, "cannot be changed by an add-on"),
        ({"changes": {"payout.split_pct": "900"}}, "no product"),
        ({"changes": {"payout.split_pct": 0.9}}, "no product"),
        ({"price": "0"}, "nobody can pay nothing"),
        ({"price": "1.234"}, "not an amount in USD"),
    ],
)
def test_an_add_on_that_cannot_be_sold_is_refused_with_its_place(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        product(SPLIT | change)
    assert refused.value.errors()[0]["loc"][:2] == ("add_ons", 0)


def test_two_add_ons_that_change_the_same_exclude_each_other() -> None:
    sold = product(SPLIT, SPLIT | {"id": "split_95", "name": "95% split", "changes": {"payout.split_pct": "95"}})
    with pytest.raises(OrderRefused, match="change the same terms"):
        chosen(sold.add_ons, ["split_90", "split_95"])
    with pytest.raises(BadInput, match="no add-on 'pony'"):
        chosen(sold.add_ons, ["pony"])

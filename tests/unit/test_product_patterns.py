"""What a product says of patterns of abuse: read, checked, hashed, said, and put before the firm's policy."""

from decimal import Decimal

import pytest

from activities.patterns_in_force import with_policy
from domain.file_errors import ProductInvalid
from domain.products.product import Product
from domain.products.words import describe
from domain.surveillance.policy import SurveillancePolicy
from firm.products.pattern_terms import check_pattern_terms
from firm.products.shelf import EXAMPLES, load_product

EXAMPLE = load_product(EXAMPLES / "two-step-no-correlated-hedge.v1.yaml")


def product(**surveillance: dict[str, object]) -> Product:
    return Product.model_validate({**EXAMPLE.model_dump(mode="json"), "surveillance": surveillance})


def test_an_example_reads_and_is_the_same_product_when_it_is_read_back() -> None:
    assert EXAMPLE.surveillance["tick_scalping"] == {"tick_seconds": Decimal(15)}
    check_pattern_terms(EXAMPLE)
    again = Product.model_validate(EXAMPLE.model_dump(mode="json"))
    assert (again, again.content_hash) == (EXAMPLE, EXAMPLE.content_hash)
    assert product().content_hash != EXAMPLE.content_hash
    assert (
        "For the pattern hedging, trading in this product is judged by: own hedging scored." in describe(EXAMPLE).text
    )


def test_a_product_that_says_nothing_keeps_the_hash_that_it_had() -> None:
    assert "surveillance" not in product().model_dump(mode="json")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"witchcraft": {"power": 1}}, "surveillance.witchcraft: there is no such pattern"),
        ({"hedging": {"min_match": 1}}, "surveillance.hedging.min_match: there is no such threshold"),
        ({"hedging": {"own_hedging": "praised"}}, "surveillance.hedging.own_hedging: Input should be"),
        ({"tick_scalping": {"tick_seconds": "-1"}}, "surveillance.tick_scalping.tick_seconds: Input should be"),
    ],
)
def test_what_cannot_be_is_named(section: dict[str, dict[str, object]], said: str) -> None:
    with pytest.raises(ProductInvalid, match=said):
        check_pattern_terms(product(**section))


def test_each_goes_before_the_one_above_it() -> None:
    numbers = {"*": {"tick_seconds": Decimal(5), "minute_seconds": Decimal(50)}, "mine": {"tick_seconds": Decimal(20)}}
    policy = SurveillancePolicy(thresholds={"tick_scalping": numbers})
    sections = {"mine@1": {"tick_scalping": {"tick_seconds": Decimal(8), "minute_seconds": Decimal(40)}}}
    sections["other@2"] = {"tick_scalping": {"tick_seconds": Decimal(8)}}
    limits = with_policy(policy, sections)["tick_scalping"].limits
    told = {name: limits.of(name) for name in ("mine@1", "mine@2", "other@2", "other@1")}
    assert {name: (each.tick_seconds, each.minute_seconds) for name, each in told.items()} == {
        "mine@1": (20, 40),
        "mine@2": (20, 50),
        "other@2": (8, 50),
        "other@1": (5, 50),
    }


def test_what_a_later_release_does_not_know_is_left_out() -> None:
    sections = {"mine@1": {"tick_scalping": {"long_gone": Decimal(1)}}}
    limits = with_policy(SurveillancePolicy(), sections)["tick_scalping"].limits
    assert limits.of("mine@1") == limits.default

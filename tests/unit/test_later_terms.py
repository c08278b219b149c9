"""A field that came later does not change the hash of terms that were sold without it."""

from typing import Annotated

import pytest

from domain.products.product import Product
from domain.rules.terms import LATER, Terms
from tests.shelf import shipped


class Limit(Terms):
    amount: int
    period: Annotated[str, LATER] = "day"


class Rules(Terms):
    name: str = "plain"
    limits: tuple[Limit, ...]


def test_a_later_field_at_its_default_is_left_out() -> None:
    rules = Rules(limits=(Limit(amount=1), Limit(amount=2, period="week")))
    assert rules.model_dump(mode="json") == {
        "name": "plain",
        "limits": [{"amount": 1}, {"amount": 2, "period": "week"}],
    }


def test_what_was_left_out_is_read_back() -> None:
    rules = Rules(limits=(Limit(amount=1),))
    assert Rules.model_validate_json(rules.model_dump_json()) == rules


SOLD = {
    "crypto@1": "40f0f80cdb57f1f238512f16d0d6470b408f0286c5c83524ca24b61b16f54669",
    "futures-eod@1": "4ef9daf169e771318e4787e5eaf718c056f19c8c3fb27d7831350ed536af8173",
    "futures-intraday@1": "97c6875a57c9d33703b92466c805a17ff65e37635e7107d204f48d8039551769",
    "instant@1": "f38adcf70d93e96dfcfa26a3d8b8526317e0ab37b131fc1ce5b08cd161d51a0f",
    "one-step@2": "7a8da82c2b28afceccd5f192d4ad581caee610f0333c9424f240817f598720bb",
    "one-step-futures@1": "467bca68d03aaa8c79ce63ab7a7359f28f13bf519be4492141330cad3b26adab",
    "swing@2": "6f6d27bf059498cf521ef572867c5f1e614426d8983447a217413755a030a4ad",
    "three-step@2": "62546c6a899dbee2f00be2f3346aab95c3a7a3faade41cb6df243e61b1903a1b",
    "two-step@1": "ae8e4f86250806cce43b8fe57e84364262bf48c222278a11f9a40c9bc779a7d3",
}


@pytest.mark.parametrize("product", shipped(), ids=lambda product: product.ref)
def test_the_hash_of_a_shipped_product_never_changes(product: Product) -> None:
    assert product.content_hash == SOLD[product.ref], "running accounts are bound to this hash: raise the version"

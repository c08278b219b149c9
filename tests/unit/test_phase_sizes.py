"""Phases that have an account size of their own, and accounts that start at zero."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import BadInput
from domain.histories.impact import check_comparable
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.products.publishing import check_applied, check_movable
from domain.products.target import target_reached
from domain.products.words import describe
from domain.rules.events import Moment
from tests.shelf import shipped

SHIPPED = {product.product: product for product in shipped()}
AT = datetime(2025, 6, 2, 9, tzinfo=UTC)


def changed(product: str, *, phases: dict[int, dict[str, Any]] | None = None, **funded: Any) -> Product:
    """A shipped product with other fields of its evaluation phases (by number) and of its funded phase."""
    body = SHIPPED[product].model_dump(mode="json")
    for number, fields in (phases or {}).items():
        body["phases"][number] |= fields
    body["funded"] |= funded
    body["payout"].pop("bands")  # no new version may have them
    return Product.model_validate(body)


def from_zero(**rule: Any) -> Product:
    """A futures product that has a funded account which starts at zero and may lose 2,000."""
    floor = {
        "type": "max_loss_static",
        "id": "max_loss",
        "breach_when": "equity <= floor",
        "allowance": {"type": "amount", "value": "2000"},
    }
    body = SHIPPED["futures-eod"].model_dump(mode="json")
    body["funded"] |= {"initial_balance": "0", "rules": [{**floor, **rule}]}
    body["payout"] |= {"min_balance_above_initial": {"type": "amount", "value": "100"}}
    body["payout"] |= {"base": "balance_minus_initial", "caps": [], "safety_net": None, "gates": None}
    body["payout"].pop("bands")
    return Product.model_validate(body)


def _problems(make: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        make()
    return {".".join(str(step) for step in error["loc"]): error["msg"] for error in caught.value.errors()}


def test_every_figure_of_a_phase_follows_its_own_size() -> None:
    product = changed("two-step", phases={1: {"initial_balance": "50000"}}, initial_balance="200000")
    assert product.initial_minors == (10_000_000, 5_000_000, 20_000_000)
    second, funded = phase_terms(product, 2), phase_terms(product, 3)
    assert (second.initial_minor, second.context.target_minor) == (5_000_000, 250_000)
    assert {spec.initial_minor for spec in funded.specs} == {20_000_000}
    moment = Moment(seq=1, at=AT, balance_minor=5_250_000, equity_minor=5_250_000)
    assert target_reached(second, moment, 0, 30)
    assert not target_reached(second, replace(moment, balance_minor=5_249_999), 0, 30)


def test_the_size_is_said_and_left_out_of_sold_terms() -> None:
    product = changed("two-step", initial_balance="200000")
    sections = {section.title: section.words for section in describe(product).sections}
    assert "Account. The account starts with a balance of 200,000.00 USD." in sections["Funded"]
    assert any("a starting balance of its own" in line for line in sections["What you buy"])
    assert "initial_balance" not in SHIPPED["two-step"].funded.model_dump(mode="json")
    assert product.funded.model_dump(mode="json")["initial_balance"] == "200000"
    check_applied(product)


def test_an_account_that_starts_at_zero_has_amounts_alone() -> None:
    product = from_zero()
    check_applied(product)
    terms = phase_terms(product, product.funded_index)
    assert (terms.initial_minor, terms.specs[0].initial_minor, terms.specs[0].allowance(0)) == (0, 0, 200_000)
    found = _problems(lambda: from_zero(allowance={"type": "pct_of_initial", "value": "4"}))
    assert "the account starts at zero" in found["funded.rules.0.max_loss_static.allowance"]
    cap = {"type": "pct_of_initial", "value": "3"}
    body = product.model_dump(mode="json")
    body["payout"] |= {"caps": [cap], "scaling": {"increase_pct": "25"}}
    found = _problems(lambda: Product.model_validate(body))
    assert "use an amount" in found["payout.caps.0.type"]
    assert "no size that could grow" in found["payout.scaling"]
    found = _problems(lambda: changed("two-step", phases={0: {"initial_balance": "0"}}))
    assert "the target is zero" in found["phases.0.target"]


def test_a_floor_is_set_to_zero_only_where_the_account_starts_there() -> None:
    check_applied(from_zero(payout_effect="floor_set_to_zero"))


def test_the_size_of_the_product_is_not_repeated() -> None:
    found = _problems(lambda: changed("two-step", initial_balance="100000"))
    assert "leave it out here" in found["funded.initial_balance"]


def test_accounts_move_and_are_compared_only_between_the_same_sizes() -> None:
    old = SHIPPED["two-step"]
    new = changed("two-step", initial_balance="200000").model_copy(update={"version": 2})
    with pytest.raises(BadInput) as refused:
        check_movable(old, new)
    assert refused.value.field == "initial_balance"
    with pytest.raises(BadInput) as refused:
        check_comparable(old, new)
    assert refused.value.field == "initial_balance"

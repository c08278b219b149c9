"""Terms of floors and floating losses: what a new version may promise, how they read, how results are stored."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.file_errors import ProductInvalid
from domain.products.product import Product
from domain.products.publishing import check_applied
from domain.rules import events_json
from domain.rules.events import Marked, OpenResult
from firm.products.shelf import SHELF, load_product

AT = datetime(2025, 6, 2, 9, tzinfo=UTC)
OPEN_LOSS: dict[str, Any] = {
    "type": "floating_loss",
    "limit": {"type": "pct_of_anchor_profit", "value": "30", "at_least": "750"},
    "per": "position",
}


def with_rule(rule: dict[str, Any]) -> Product:
    terms = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")
    terms["funded"]["rules"] = [*terms["funded"]["rules"], rule]
    terms["payout"].pop("bands")  # no new version may have them
    return Product.model_validate(terms)


def static(**more: Any) -> dict[str, Any]:
    size = {"type": "amount", "value": "1000"}
    return {"type": "max_loss_static", "id": "another", "allowance": size, "breach_when": "equity < floor", **more}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (static(payout_effect="floor_set_to_zero"), "payout_effect"),
        (static(consequences=[{"kind": "deduct_profit"}]), "consequences"),
    ],
)
def test_what_a_floor_cannot_do_still_loads_and_is_not_sold(rule: dict[str, Any], field: str) -> None:
    with pytest.raises(ProductInvalid, match=field):
        check_applied(with_rule(rule))


@pytest.mark.parametrize(
    "more",
    [
        {"steps": [{"when": "balance", "reaches": {"type": "amount", "value": "0"}, "allowance": OPEN_LOSS["limit"]}]},
        {"allowance": {"type": "pct_of_anchor_profit", "value": "30"}},
        {"judged_at": "eod", "cure": {"minutes": 5}},
    ],
)
def test_a_contradiction_of_a_floor_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"another|max_loss_static"):
        with_rule(static(**more))


def test_a_limit_of_open_losses_reads_as_it_binds() -> None:
    product = with_rule(OPEN_LOSS)
    words = product.funded.rules[-1].words(product.context(product.funded_index))
    assert words == (
        "Open loss. At any moment, one open position may lose at most 30 % of the amount by which the balance at the"
        " last daily reset exceeds the initial balance (never less than 750.00 EUR). Each position that loses more is"
        " an offence of its own. Consequence: the account is closed."
    ).replace("EUR", product.currency)


def test_the_results_of_positions_are_stored_without_loss() -> None:
    result = OpenResult(position_id="a", symbol="ES", pnl_minor=-120_001)
    event = Marked(seq=1, at=AT, balance_minor=5_400_000, equity_minor=5_279_999, positions=(result,))
    assert events_json.from_json(events_json.to_json(event)) == event

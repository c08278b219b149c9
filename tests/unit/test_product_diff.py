"""What a reviewer reads of two versions: each field that differs, in words, and the sentences of changed rules."""

from typing import Any

from domain.products.diff import differences, sentences
from domain.products.product import Product
from firm.products.shelf import SHELF, load_product


def two_step() -> dict[str, Any]:
    return load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")


def product(terms: dict[str, Any]) -> Product:
    return Product.model_validate(terms)


def test_the_same_terms_differ_in_nothing_but_their_number() -> None:
    old, new = two_step(), two_step() | {"version": 2}
    assert differences(product(old), product(new)) == sentences(product(old), product(new)) == ()


def test_a_changed_field_is_named_as_people_name_it() -> None:
    new = two_step() | {"version": 2, "clock": {"zone": "UTC", "reset": "17:00"}}
    new["phases"][0]["rules"][0]["allowance"] = {"type": "amount", "value": "4000"}
    new["payout"]["split_pct"] = "85.5"
    told = [change.sentence for change in differences(product(two_step()), product(new))]
    assert told == [
        "clock: 00:00 Europe/Prague becomes 17:00 UTC",
        "Challenge · daily loss · allowance: 5 % of the initial balance becomes 4,000.00 USD",
        "payout · split pct: 80 % becomes 85.5 %",
    ]


def test_a_field_that_came_later_is_compared_with_its_default() -> None:
    for share, told in ((50, "warn at pct: 80 % becomes 50 %"), (0, "warn at pct: 80 % becomes 0 %")):
        new = two_step() | {"version": 2, "warn_at_pct": share}
        (change,) = differences(product(two_step()), product(new))
        assert change.sentence == told


def test_a_rule_that_comes_or_goes_is_said_to() -> None:
    new = two_step() | {"version": 2}
    gone = new["funded"]["rules"].pop()
    new["phases"][1]["rules"].insert(0, gone | {"id": "floor_of_all"})
    told = {change.field: change for change in differences(product(two_step()), product(new))}
    assert told["phases.Verification.rules.floor_of_all.allowance"].was is None
    assert told["funded.rules.max_loss.allowance"].becomes is None
    assert (
        told["funded.rules.max_loss.allowance"].sentence
        == "funded · max loss · allowance: gone, was 10 % of the initial balance"
    )


def test_a_changed_rule_is_shown_as_the_trader_reads_it() -> None:
    new = two_step() | {"version": 2}
    new["funded"]["rules"][0]["allowance"]["value"] = "4"
    (change,) = sentences(product(two_step()), product(new))
    assert change.field == "Funded.daily_loss.words"
    assert "5,000.00 USD" in (change.was or "") and "4,000.00 USD" in (change.becomes or "")


def test_a_first_version_is_all_new() -> None:
    told = differences(None, product(two_step()))
    assert all(change.was is None for change in told) and len(told) > 20

"""Accounts that change version at a reset with something that is still to be undone at the venue."""

from typing import Any

from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from monitor.loaded import Pending
from tests.unit.conduct_venue import Venue

_TIGHT: dict[str, Any] = {
    "type": "max_loss_static",
    "id": "tight",
    "allowance": {"type": "pct_of_initial", "value": "5"},
    "breach_when": "equity < floor",
    "consequences": [{"kind": "pause_until_reset"}],
}


def test_a_pause_from_before_a_change_of_version_ends_at_the_next_reset() -> None:
    venue = Venue(_TIGHT, target="90000")
    venue.open("a", "10")
    venue.quote("1.09400", minutes=1)
    venue.close("a")
    plain = venue.terms.product.model_dump(mode="json")
    plain["version"] += 1
    plain["phases"][0]["rules"] = plain["phases"][0]["rules"][:1]
    venue.shard.versions.expect("acc_1", Pending("mv_1", phase_terms(Product.model_validate(plain), 1)))
    venue.wait(hours=16)
    assert venue.found == [("pause_until_reset", "tight", 1), ("pause_until_reset", "tight", 2)]
    (moved,) = venue.shard.state.facts.version_moves
    assert moved.why == ""
    venue.wait(hours=24)
    assert [resume.at.day for resume in venue.shard.state.facts.resumes] == [3, 4]


def test_an_account_whose_position_loses_too_much_for_the_new_version_is_not_moved() -> None:
    limit = {"type": "floating_loss", "per": "position", "limit": {"type": "pct_of_initial", "value": "1"}}
    venue = Venue(target="90000")
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    stricter = venue.terms.product.model_dump(mode="json")
    stricter["version"] += 1
    stricter["phases"][0]["rules"].append(limit)
    venue.shard.versions.expect("acc_1", Pending("mv_1", phase_terms(Product.model_validate(stricter), 1)))
    venue.wait(hours=16)
    assert venue.found == []
    (refused,) = venue.shard.state.facts.version_moves
    assert refused.why.startswith("floating_loss would be broken at once")


def test_a_limit_of_the_new_version_warns_although_another_one_did() -> None:
    venue = Venue(target="90000")
    venue.open("a", "10")
    venue.quote("1.09100", minutes=1)
    wider = venue.terms.product.model_dump(mode="json")
    wider["version"] += 1
    wider["phases"][0]["rules"] = [
        _TIGHT
        | {"id": "wide", "allowance": {"type": "pct_of_initial", "value": "12"}, "consequences": [{"kind": "fail"}]}
    ]
    venue.shard.versions.expect("acc_1", Pending("mv_1", phase_terms(Product.model_validate(wider), 1)))
    venue.wait(hours=16)
    venue.quote("1.08950", minutes=1)
    assert [warning.rule_id for warning in venue.shard.state.facts.warnings] == ["max_loss", "wide"]

"""One event that breaks a limit and a conduct rule: the rule that the product lists first ends the account."""

from decimal import Decimal
from typing import Any

import pytest

from cli.bench.agreement.told import replayed_offences
from monitor.facts import BreachFact
from tests.unit.conduct_venue import DAILY
from tests.unit.two_ways import TwoWays

IDEA = {"type": "max_loss_per_trade_idea", "id": "idea", "limit": {"type": "amount", "value": "500"}}
EXPOSURE = {"type": "exposure_multiple", "id": "exposure", "measure": "notional", "multiple": "1.2", "basis": "equity"}


def cause(venue: TwoWays) -> str:
    """Returns the rule that ended the account, of which live and replay say the same."""
    assert venue.live() == replayed_offences(venue.replay())
    facts = [fact for fact in venue.shard.state.facts.verdicts if isinstance(fact, BreachFact)]
    (first,) = [fact for fact in facts if fact.cause]
    assert facts[0] is first
    assert next(breach for breach in venue.replay().breaches if breach.fails).rule_id == first.rule_id
    return first.rule_id


@pytest.mark.parametrize(("rules", "first"), [([IDEA, DAILY], "idea"), ([DAILY, IDEA], "daily_loss")])
def test_a_close_that_breaks_both(rules: list[dict[str, Any]], first: str) -> None:
    """At 1.09000 the loss of 1000.00 is the whole allowance; a lower price at the close breaks both at once."""
    venue = TwoWays(*rules)
    venue.open("a")
    venue.bid = Decimal("1.08900")
    venue.close("a")
    assert cause(venue) == first
    assert [rule for _, rule, *_ in venue.live()] == ["daily_loss", "idea"]


@pytest.mark.parametrize("first", ["daily_loss", "idea"])
def test_a_warning_at_the_event_that_ends_the_account_is_kept(first: str) -> None:
    warns = IDEA | {"consequences": [{"kind": "warn"}]}
    rules: list[dict[str, Any]] = [warns, DAILY] if first == "idea" else [DAILY, warns]
    venue = TwoWays(*rules)
    venue.open("a")
    venue.bid = Decimal("1.08900")
    venue.close("a")
    assert cause(venue) == "daily_loss"
    assert [found[:3] for found in venue.live()] == [("fail", "daily_loss", 1), ("warn", "idea", 1)]


@pytest.mark.parametrize(("rules", "first"), [([EXPOSURE, DAILY], "exposure"), ([DAILY, EXPOSURE], "daily_loss")])
def test_a_price_that_breaks_both(rules: list[dict[str, Any]], first: str) -> None:
    """A notional of 110,000.00 above 1.2 times an equity of 90,000.00 that has lost more than 1 percent."""
    venue = TwoWays(*rules)
    venue.open("a")
    venue.quote("1.00500", minutes=1)
    assert cause(venue) == first

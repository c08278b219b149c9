"""A reinstated account whose day is over has a fresh day: nothing of a limit from before the wrong end binds it."""

from decimal import Decimal
from typing import Any

from ports.platform import AccountChanged, BalanceOperation, Deal
from tests.unit.conduct_venue import DAILY, Venue


def _end_and_reinstate(venue: Venue, bid: str, **away: float) -> None:
    """The account falls below its last limit, is flattened at the venue, and may trade again later with the
    lost money credited."""
    venue.quote(bid, minutes=1)
    assert venue.found[-1] == ("breach", "max_loss", 1)
    venue.close("a")
    venue.send(AccountChanged(seq=venue.next, at=venue.now, login=1, change="disabled"))
    venue.wait(**away)
    venue.quote(bid)
    lost, venue.balance = 10_000_000 - venue.balance, 10_000_000
    venue.send(
        BalanceOperation(
            seq=venue.next, at=venue.now, login=1, operation="adjustment", key="credit", amount_minor=lost,
            balance_minor=venue.balance,
        ),
        AccountChanged(seq=venue.next, at=venue.now, login=1, change="enabled"),
    )  # fmt: skip


def _paused() -> dict[str, Any]:
    return DAILY | {"consequences": [{"kind": "pause_until_reset"}]}


def test_a_limit_that_was_an_offence_before_counts_again() -> None:
    venue = Venue(_paused(), target="90000")
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    _end_and_reinstate(venue, "1.08900", hours=60)
    venue.open("b", "10")
    venue.quote("1.08790", minutes=1)
    assert [found[:2] for found in venue.found[2:]] == [("pause_until_reset", "daily_loss")]


def test_a_cure_that_ran_out_while_the_account_was_closed_is_no_offence() -> None:
    venue = Venue(_paused() | {"cure": {"minutes": 30}}, target="90000")
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    _end_and_reinstate(venue, "1.08900", hours=3)
    venue.quote("1.08901", minutes=1)
    reviews = [note.detail for note in venue.shard.state.facts.reviews if note.key.startswith("unseen_cure")]
    assert reviews == []


def test_an_account_passes_although_its_balance_was_never_brought_back() -> None:
    """The account ended at the event that asked for the initial balance, so the venue never did it."""
    reset = DAILY | {"consequences": [{"kind": "reset_balance"}]}
    venue = Venue(reset, target="500")
    venue.open("a", "10")
    _end_and_reinstate(venue, "1.08900", hours=3)
    venue.open("b", "1")
    venue.quote("1.09500", minutes=1)
    venue.close("b")
    assert venue.found[-1] == ("pass", "", 0)


def test_costs_that_do_not_count_are_added_to_the_fresh_day_too() -> None:
    venue = Venue(_paused() | {"holds": {"commissions": False}}, target="90000")
    venue.balance -= 50_000
    venue.send(
        Deal(
            seq=venue.next, at=venue.now, deal_id="c", login=1, position_id="a", symbol="EURUSD", side="buy",
            lots=Decimal(10), price=venue.bid, entry="in", profit_minor=0, commission_minor=-50_000, swap_minor=0,
            balance_minor=venue.balance, reason="client",
        )
    )  # fmt: skip
    venue.lots["a"] = ("buy", Decimal(10), venue.bid)
    _end_and_reinstate(venue, "1.08900", hours=60)
    levels = venue.shard.state.accounts[0].rules
    floors = {spec.rule_id: state.floor_minor for spec, state in zip(levels.specs, levels.states, strict=True)}
    assert floors["daily_loss"] == 10_000_000 + 50_000 - 100_000

"""An account at its venue against the record: what counts as a difference."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.products.second_wall import NO_FLOORS, VenueFloors
from domain.reconciliation import AGAIN, NOT_MONEY, WORDS, resolutions
from domain.venue_accounts import AtVenue, Finding, Lots, OnRecord, SentLimits, findings, floors_words, total

LOTS: Lots = {("EURUSD", "buy"): Decimal("0.5"), ("ESZ6", "sell"): Decimal(2)}
RECORD = OnRecord(active=True, currency="USD", before=(100, {}), after=(90, LOTS))
VENUE = AtVenue(trading_enabled=True, balance_minor=90, lots=LOTS)
ENDED = replace(RECORD, active=False)
LIMITS = VenueFloors(daily_loss_minor=500_00)


def kinds(record: OnRecord, venue: AtVenue | None) -> list[str]:
    return [each.kind for each in findings(record, venue)]


@pytest.mark.parametrize(
    ("record", "venue", "found"),
    [
        (RECORD, VENUE, []),
        (RECORD, replace(VENUE, balance_minor=100, lots={}), []),  # as it was before the question
        (RECORD, replace(VENUE, balance_minor=95), ["venue_balance_differs"]),
        (RECORD, replace(VENUE, lots={("EURUSD", "sell"): Decimal("0.5")}), ["venue_positions_differ"]),
        (RECORD, replace(VENUE, trading_enabled=False), ["venue_trade_disabled"]),
        (replace(RECORD, pauses="it is suspended"), replace(VENUE, trading_enabled=False), []),
        (RECORD, None, ["venue_account_missing"]),
        (replace(RECORD, before=None, after=None), replace(VENUE, balance_minor=1), []),  # no checkpoint yet
        (ENDED, replace(VENUE, trading_enabled=False, lots={}, balance_minor=1), []),
        (ENDED, replace(VENUE, lots={}), ["venue_still_trades"]),
        (ENDED, replace(VENUE, trading_enabled=False), ["venue_positions_differ"]),
        (ENDED, None, []),  # the venue no longer keeps it
    ],
)
def test_what_differs(record: OnRecord, venue: AtVenue | None, found: list[str]) -> None:
    assert kinds(record, venue) == found


def test_limits_that_were_changed_are_gone_or_were_never_sent_differ() -> None:
    sent = replace(RECORD, limits=SentLimits(LIMITS, LIMITS))
    assert kinds(sent, replace(VENUE, floors=LIMITS)) == []
    assert kinds(sent, VENUE) == [], "the venue was not asked"
    assert kinds(RECORD, replace(VENUE, floors=LIMITS)) == [], "something is on its way"
    (changed,) = findings(sent, replace(VENUE, floors=VenueFloors(daily_loss_minor=400_00)))
    assert (changed.ours, changed.shown) == ("daily loss 500.00 USD", "daily loss 400.00 USD")
    assert changed.difference == [["daily_loss_minor", 50_000, 40_000]]
    (gone,) = findings(sent, replace(VENUE, floors=NO_FLOORS))
    assert gone.shown == "nothing"
    never = replace(RECORD, limits=SentLimits(None, LIMITS))
    (unsent,) = findings(never, replace(VENUE, floors=NO_FLOORS))
    assert unsent.ours == "never sent; daily loss 500.00 USD"
    assert kinds(replace(RECORD, limits=SentLimits(None, NO_FLOORS)), replace(VENUE, floors=NO_FLOORS)) == []


def test_both_sides_are_said_in_words() -> None:
    found = findings(replace(RECORD, before=None), replace(VENUE, lots={}, balance_minor=91))
    assert [(each.ours, each.shown) for each in found] == [
        ("0.90 USD", "0.91 USD"),
        ("sell 2 ESZ6 and buy 0.5 EURUSD", "nothing"),
    ]
    assert found[1].difference == [["ESZ6", "sell", "-2"], ["EURUSD", "buy", "-0.5"]]
    trailing = VenueFloors(trailing_loss_minor=900_00, trailing_stop_minor=1_000_00, trail="end_of_day")
    assert floors_words(trailing, "USD") == (
        "trailing loss 900.00 USD, which rises at the end of a day and highest floor 1,000.00 USD"
    )


def test_lots_of_one_symbol_and_side_are_added_and_nothing_is_no_lot() -> None:
    parts = [("ESZ6", "buy", Decimal(1)), ("ESZ6", "buy", Decimal(2)), ("ESZ6", "sell", Decimal(0))]
    assert total(parts) == {("ESZ6", "buy"): Decimal(3)}


def test_every_kind_has_words_and_a_remedy() -> None:
    for kind in NOT_MONEY:
        assert WORDS[kind] and (kind in AGAIN or resolutions(kind, can_match=False)), kind
    assert resolutions("venue_still_trades", can_match=False) == (), "it cannot be accepted"
    assert Finding("venue_still_trades", "a", "b").detail["difference"] == []

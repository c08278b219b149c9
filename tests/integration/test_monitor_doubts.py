"""A breach on doubtful data ends no account: a person sees it, good data judge it. Warnings come before harm."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.products.product import Product
from domain.proofs.check import check
from ports.platform import AccountSnapshot, AccountState, Batch, Correction, Tick
from tests.integration.recorded_feed import START, Script, opened, record_one, silent_then_gold_falls, two_step
from tests.integration.scripted_venue import ScriptedVenue, judge, on_record, rows

REVIEWS = (
    "SELECT status, outcome, detail->>'rule_id', (detail->>'floor_minor')::int, (detail->>'equity_minor')::int,"
    " detail->'doubts'->0->>'kind', (detail->'doubts'->0->>'seq')::int FROM reviews WHERE kind = 'doubtful_breach'"
    " ORDER BY occurred_at"
)
BREACHES = "SELECT rule_id, seq, equity_minor FROM breaches"
TRAILING = {
    "type": "max_loss_trailing",
    "peak_basis": "intraday_equity_peak",
    "allowance": {"type": "amount", "value": "5000"},
    "breach_when": "equity < floor",
}
WARNINGS = "SELECT kind, rule_id, period, at, figures FROM warnings ORDER BY id"


def estimated(script: Script, equity: int, *, sure: bool = False) -> None:
    state = AccountState(seq=script.next(), at=script.at, login=1, balance_minor=script.balance, equity_minor=equity)
    script.events.append(state.model_copy(update={"estimated": not sure}))


def test_a_breach_that_rests_on_a_silent_symbol_is_reviewed_once_and_judged_when_it_is_quoted(
    database_url: str,
) -> None:
    record_one(database_url)
    script = silent_then_gold_falls()
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == []
    assert rows(database_url, REVIEWS) == [("open", None, "daily_loss", 9_500_000, 9_400_000, "stale", 1)]
    assert rows(database_url, "SELECT status FROM accounts") == [("active",)]
    [(sheet,)] = rows(database_url, "SELECT detail->'sheet' FROM reviews WHERE kind = 'doubtful_breach'")
    assert isinstance(sheet, dict)
    assert check(sheet) == []

    script.tick("1.38000")  # good data now, and the account is still below its floor
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert [row[:1] + row[2:] for row in rows(database_url, BREACHES)] == [("daily_loss", 9_300_000)]
    assert [row[:2] for row in rows(database_url, REVIEWS)] == [("closed", "settled")]


def test_good_data_that_do_not_confirm_are_said_in_the_review_and_the_account_goes_on(database_url: str) -> None:
    record_one(database_url)
    script = silent_then_gold_falls()
    script.tick("1.39000")  # what EURUSD has gained meanwhile outweighs the loss
    script.at += timedelta(minutes=1)
    script.tick("1.39000")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == []
    found = rows(database_url, "SELECT status, detail->'good_data'->>'equity_minor' FROM reviews WHERE outcome IS NULL"
                 " AND kind = 'doubtful_breach'")  # fmt: skip
    assert found == [("open", "10300000")]


def test_figures_that_the_venue_calls_estimated_breach_nobody_until_it_is_sure(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    estimated(script, 10_000_000)
    script.tick("1.37000")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert [row[5] for row in rows(database_url, REVIEWS)] == ["estimated"]
    assert rows(database_url, BREACHES) == []
    estimated(script, 9_000_000, sure=True)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == [("daily_loss", script.seq - 1, 9_000_000)]


def test_a_quote_from_the_past_neither_moves_prices_nor_breaches(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    late = Tick(seq=script.next(), at=START, symbol="EURUSD", bid=Decimal("1.37"), ask=Decimal("1.37"))
    script.events.append(late)
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, BREACHES) == []
    assert rows(database_url, "SELECT kind, (detail->>'seq')::int FROM reviews") == [("out_of_order", late.seq)]
    assert rows(database_url, "SELECT equity_minor FROM account_live") == [(10_000_000,)]


def test_missing_sequence_numbers_send_the_shard_to_the_venues_snapshot(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.seq += 3  # said by the venue, never heard
    script.tick("1.37000")
    script.batch(flush=True)
    venue = ScriptedVenue(script.batches)
    venue.snapshots[1] = AccountSnapshot(
        login=1, currency="USD", balance_minor=10_000_000, equity_minor=10_000_000, trading_enabled=True, positions=(),
        seq=script.seq,
    )  # fmt: skip
    judge(database_url, venue)
    assert venue.asked == [1]
    assert rows(database_url, BREACHES) == []
    assert ("gap",) in rows(database_url, "SELECT kind FROM reviews WHERE account_id IS NULL")


def test_four_fifths_of_a_limit_are_told_once_a_day_with_exact_figures(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.tick("1.37601")  # 79.8 %
    script.tick("1.37600")  # 80 %
    script.tick("1.37700")
    script.tick("1.37590")  # told already
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    [(kind, rule, period, at, figures)] = rows(database_url, WARNINGS)
    assert (kind, rule, period) == ("limit_used", "daily_loss", "2014-05-02")
    assert at == START + timedelta(seconds=3)
    assert isinstance(figures, dict)
    expected: dict[str, Any] = {
        "equity_minor": 9_600_000, "floor_minor": 9_500_000, "room_minor": 100_000, "allowance_minor": 500_000,
        "used_pct": "80.00", "operator": "equity < floor", "direction": "floor", "seq": 7,
    }  # fmt: skip
    assert figures == expected
    script.at += timedelta(days=1)
    script.tick("1.37590")  # a new day: the floor follows the balance, and is as near
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert [row[2] for row in rows(database_url, WARNINGS) if row[0] == "limit_used"] == ["2014-05-02", "2014-05-03"]


@pytest.mark.parametrize(("share", "told"), [(50, ["50.00"]), (99, []), (0, [])])
def test_the_product_says_at_which_share_the_trader_is_warned(database_url: str, share: int, told: list[str]) -> None:
    on_record(database_url, {1: (two_step().model_copy(update={"warn_at_pct": share}), 1)})
    script = opened()
    script.tick("1.37751")  # 49.8 %
    script.tick("1.37750")  # 50 %
    script.tick("1.37510")  # 98 %
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    found = rows(database_url, "SELECT figures->>'used_pct' FROM warnings WHERE kind = 'limit_used'")
    assert [used for (used,) in found] == told
    assert rows(database_url, BREACHES) == []


@pytest.mark.parametrize(("share", "told"), [(25, ["25.00"]), (0, [])])
def test_a_level_that_follows_its_peak_warns_at_the_same_share(database_url: str, share: int, told: list[str]) -> None:
    made = two_step().model_dump(mode="json") | {"warn_at_pct": share}
    made["phases"][0]["rules"] = [TRAILING]
    on_record(database_url, {1: (Product.model_validate(made), 1)})
    script = opened()
    script.tick("1.38400")  # a peak of 104,000.00, and a floor of 99,000.00
    script.tick("1.38276")  # 24.8 %
    script.tick("1.38275")  # 25 %
    script.tick("1.37910")  # 98 %
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    found = rows(database_url, "SELECT figures->>'used_pct' FROM warnings WHERE kind = 'limit_used'")
    assert [used for (used,) in found] == told
    assert rows(database_url, BREACHES) == []


def test_a_reset_that_will_breach_with_no_price_move_is_told_an_hour_before(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.tick("1.39000")
    script.deal(1, "p3", "10", "1.39000", "in")
    script.deal(1, "p1", "10", "1.39000", "out", profit=1_000_000)  # booked; what is open now is a loss
    script.tick("1.38350")  # equity 103,500: room today, none under tomorrow's floor of 105,000
    script.at = START.replace(hour=20, minute=59)
    script.tick("1.38350")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert rows(database_url, WARNINGS) == []
    script.at = START.replace(hour=21, minute=0)
    script.tick("1.38350")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    [(kind, rule, period, _at, figures)] = rows(database_url, WARNINGS)
    assert (kind, rule, period) == ("reset_would_breach", "daily_loss", "2014-05-02T22:00:00+00:00")
    assert isinstance(figures, dict)
    assert (figures["floor_minor"], figures["equity_minor"]) == (10_500_000, 10_350_000)
    script.at = START.replace(hour=22, minute=0)
    script.tick("1.38350")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert [row[0] for row in rows(database_url, BREACHES)] == ["daily_loss"]


def test_a_correction_is_kept_with_what_it_takes_back(database_url: str) -> None:
    record_one(database_url)
    script = opened()
    script.events.append(
        Correction(seq=script.next(), at=script.at, corrects_seq=1, bid=Decimal("1.381"), ask=Decimal("1.381"))
    )
    script.batch(flush=True)
    assert isinstance(script.batches[-1], Batch)
    judge(database_url, ScriptedVenue(script.batches))
    found = rows(database_url, "SELECT corrects_seq, body->>'bid', handled_at FROM corrections")
    assert found == [(1, "1.381", None)]

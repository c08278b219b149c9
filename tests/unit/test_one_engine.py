"""Where a live shard, the replay, a statement and the proof sheets once judged one life differently."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.histories.statement_events import MarketData, Quote
from domain.histories.statements import BalanceRow, Statement, StatementDeal, StatementSummary
from domain.histories.what_if import judge
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.proofs.document import document
from domain.proofs.sheets import read
from domain.rules import history
from domain.rules.events import Clocked, Event, Opened, Rolled
from domain.rules.marking import QuoteBoard
from monitor.facts import OffenceFact
from monitor.loaded import Pending
from monitor.shard import Shard
from ports.platform import BalanceOperation, Batch, ClockMark, Deal, Tick
from store.news import ScheduledRelease
from tests.unit.conduct_story import CONTEXT, clocked, opened, rule
from tests.unit.conduct_venue import DAILY, START
from tests.unit.market_story import Shelf, instruments
from tests.unit.two_ways import CAP, TwoWays, agreed

WARN: dict[str, Any] = {"consequences": [{"kind": "warn"}]}


def test_a_price_alone_breaks_a_multiple_of_the_equity() -> None:
    multiple = {"type": "exposure_multiple", "id": "multiple", "measure": "notional", "multiple": 11, "basis": "equity"}
    venue = TwoWays(multiple | WARN)
    venue.open("a", "10")  # 1,100,000.00, which is 11 times the equity
    assert agreed(venue) == []
    venue.quote("1.09990", minutes=1)
    assert agreed(venue) == [("warn", "multiple", 1)]
    venue.quote("1.09980", minutes=1)
    venue.quote("1.10000", minutes=1)  # within again
    venue.quote("1.09990", minutes=1)
    assert agreed(venue) == [("warn", "multiple", 1), ("warn", "multiple", 2)]


def test_a_multiple_of_the_equity_is_followed_after_a_restart() -> None:
    multiple = {"type": "exposure_multiple", "id": "multiple", "measure": "notional", "multiple": 11, "basis": "equity"}
    venue = TwoWays(multiple | WARN)
    venue.open("a", "10")
    venue.restart()
    venue.quote("1.09990", minutes=1)
    assert agreed(venue) == [("warn", "multiple", 1)]


def test_adding_to_a_position_makes_no_trading_day() -> None:
    venue = TwoWays()
    venue.open("a")
    venue.wait(days=1)
    venue.open("a")
    assert len(venue.shard.state.accounts[0].trading_days) == 1
    assert len(venue.replay().trading_days) == 1


def adjust(venue: TwoWays, amount_minor: int) -> None:
    venue.balance += amount_minor
    venue.send(
        BalanceOperation(
            seq=venue.next, at=venue.now, login=1, key=f"adjust/itv_{venue.next}", operation="adjustment",
            amount_minor=amount_minor, balance_minor=venue.balance,
        )
    )  # fmt: skip


def test_an_adjustment_by_the_firm_is_judged_alike_everywhere() -> None:
    venue = TwoWays(DAILY | WARN)
    for amount in (-90_000, 50_000, -60_000):  # 99,100.00, then 99,600.00, then 99,000.00: the limit is 1,000.00
        adjust(venue, amount)
    assert agreed(venue) == []
    adjust(venue, -1)
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_fees_that_a_limit_does_not_count_are_left_out_everywhere() -> None:
    venue = TwoWays(DAILY | {"holds": {"fees": False}} | WARN)
    venue.balance -= 5_000
    venue.send(
        Deal(
            seq=venue.next, at=venue.now, deal_id="d", login=1, position_id="a", symbol="EURUSD", side="buy",
            lots=Decimal(10), price=venue.bid, entry="in", profit_minor=0, commission_minor=0, swap_minor=0,
            fee_minor=-5_000, balance_minor=venue.balance, reason="client",
        )
    )  # fmt: skip
    venue.quote("1.09904", minutes=1)  # 98,990.00, and 99,040.00 without the fee
    assert agreed(venue) == []
    venue.quote("1.09899", minutes=1)
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_nobody_passes_with_what_was_open_when_the_balance_was_reset() -> None:
    limit = {"type": "max_trades_per_day", "limit": 0, "consequences": [{"kind": "reset_balance"}]}
    venue = TwoWays(limit)
    venue.open("a", "10")
    venue.quote("1.10060", minutes=1)
    venue.close("a")  # 600.00 of 500.00, and the venue has not reset the balance yet
    assert agreed(venue) == [("reset_balance", "max_trades_per_day", 1)]
    assert venue.replay().passed is None


def test_a_pass_at_the_end_of_the_trading_day_is_proven_where_another_clock_resets_the_limits() -> None:
    gate = {"type": "profitable_day_count", "compare": ">=", "required": 1, "blocks": ["pass"]}
    gate |= {"threshold": {"type": "amount", "value": "100"}}
    venue = TwoWays(DAILY, gate, loss_clock={"zone": "UTC", "reset": "06:00"})
    venue.open("a", "10")
    venue.quote("1.10060", minutes=1)
    venue.close("a")
    assert venue.found == []
    venue.wait(hours=16)
    assert venue.found == [("pass", "", 0)]  # and its sheet holds


def test_what_is_above_a_ceiling_is_deducted_as_it_is_when_the_cure_ends() -> None:
    venue = TwoWays(CAP | {"cure": {"minutes": 10}, "consequences": [{"kind": "deduct_profit"}]}, target="9000")
    venue.open("a", "10")
    venue.quote("1.10120", minutes=1)
    venue.quote("1.10150", minutes=5)
    venue.wait(minutes=15)
    assert agreed(venue) == [("deduct_profit", "cap", 1)]
    (fact,) = venue.shard.state.facts.verdicts
    (breach,) = venue.replay().breaches
    assert isinstance(fact, OffenceFact) and fact.deducted_minor == breach.deducted_minor == 50_000


def test_a_reset_of_the_limits_alone_is_no_event_for_rules_of_conduct() -> None:
    """A position may be open at the first instant of the window, until something happens."""
    flat = rule("flat_by", time="21:00", zone="UTC")
    state = history.start((flat,), CONTEXT)
    position: Opened = opened("2025-06-02 10:00")
    state, _ = history.step(state, position, (flat,), CONTEXT)
    at = datetime(2025, 6, 2, 21, tzinfo=UTC)
    reset = Rolled(seq=1, at=at, balance_minor=1, day=None, purpose="loss_snapshot")
    assert history.step(state, reset, (flat,), CONTEXT) == (state, ())
    later: list[Event] = [clocked("2025-06-02 21:00"), Clocked(seq=2, at=at, balance_minor=1)]
    assert all(len(history.step(state, event, (flat,), CONTEXT)[1]) == 1 for event in later)


def test_a_quote_that_is_older_than_the_board_is_late_after_a_restart() -> None:
    """A checkpoint of an earlier version has quotes, and nothing about their quality."""
    board = QuoteBoard()
    board.put("EURUSD", Decimal("1.1"), Decimal("1.1"), 7, START)
    shard = Shard(Shelf({}), instruments, board=board, now=START)
    before = START - timedelta(minutes=5)
    tick = Tick(seq=8, at=before, symbol="EURUSD", bid=Decimal("1.2"), ask=Decimal("1.2"))
    shard.apply(Batch(number=1, events=(tick, ClockMark(seq=9, at=START))))
    assert shard.state.board.prices["EURUSD"] == (Decimal("1.1"), Decimal("1.1"))
    assert [note.kind for note in shard.state.facts.reviews] == ["out_of_order"]


def test_a_statement_with_quotes_knows_what_each_position_loses() -> None:
    limit = {"type": "floating_loss", "per": "position", "limit": {"type": "amount", "value": "500"}}
    product = TwoWays(limit | WARN).terms.product
    deal = StatementDeal(
        row=2, deal_id="d", order_id="a", at=START, symbol="EURUSD", side="buy", opens=True, lots=Decimal(1),
        price=Decimal("1.1"), commission_minor=0, fee_minor=0, swap_minor=0, profit_minor=0,
    )  # fmt: skip
    statement = Statement(
        source="mt5", file="f", sha256="0" * 64, account="1", currency="USD", zone="UTC",
        printed_at=START + timedelta(minutes=2), closed=(), open_positions=(), deals=(deal,),
        balance_rows=(BalanceRow(row=1, reference="deposit", at=START, amount_minor=10_000_000),),
        summary=StatementSummary(),
    )  # fmt: skip
    prices = (("1.1", 0), ("1.0949", 1))
    quotes = [Quote(START + timedelta(minutes=n), "EURUSD", (Decimal(p), Decimal(p))) for p, n in prices]
    (breach,) = judge(statement, product, market=MarketData(quotes, instruments())).replay.breaches
    assert (breach.rule_id, breach.worth_minor) == ("floating_loss", -51_000)
    assert breach.proof is not None


def test_inactivity_is_found_at_the_instant_of_the_close_that_ends_its_suspension() -> None:
    """The deadline passed while the position was open. Another event of the same instant finds it."""
    venue = TwoWays({"type": "inactivity", "calendar_days": 1, "counter_starts": "last_order_placed"} | WARN)
    venue.open("a")
    venue.wait(days=2)
    assert agreed(venue) == []
    venue.close("a")  # a mark of the clock follows at the same instant
    assert agreed(venue) == [("warn", "inactivity", 1)]


def test_a_position_held_through_a_release_is_one_offence_after_a_change_of_version() -> None:
    """The rule goes on under the new terms, and is told again of the release."""
    news = {"type": "news_window", "before_minutes": 0, "after_minutes": 0, "applies_to": ["hold"]}
    release = ScheduledRelease(1, "nfp", START + timedelta(hours=2), (), "high")
    venue = TwoWays(news | WARN, target="90000", news=[release])
    venue.wait(minutes=1)
    venue.open("a")
    venue.wait(hours=3)
    assert venue.found == [("warn", "news_window", 1)]
    made = venue.terms.product.model_dump(mode="json") | {"version": 2}
    venue.shard.versions.expect("acc_1", Pending("mov_1", phase_terms(Product.model_validate(made), 1)))
    venue.wait(days=1)
    (move,) = venue.shard.state.facts.version_moves
    assert not move.why
    venue.wait(hours=1)
    assert venue.found == [("warn", "news_window", 1)]


def _unpriced(venue: TwoWays) -> None:
    """Opens a position in a symbol that nobody has quoted, so that the equity is unknown."""
    venue.send(
        Deal(
            seq=venue.next, at=venue.now, deal_id="u", login=1, position_id="u", symbol="GBPUSD", side="buy",
            lots=Decimal(1), price=Decimal("1.3"), entry="in", profit_minor=0, commission_minor=0, swap_minor=0,
            balance_minor=venue.balance, reason="client",
        )
    )  # fmt: skip


CLOSED_ONLY: dict[str, Any] = DAILY | {"holds": {"floating": False}}


def test_a_limit_of_closed_money_is_judged_while_the_equity_is_unknown() -> None:
    venue = TwoWays(CLOSED_ONLY | WARN)
    _unpriced(venue)
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    assert agreed(venue) == []
    venue.close("a")  # 98,900.00 of 99,000.00
    assert agreed(venue) == [("warn", "daily_loss", 1)]
    (fact,) = venue.shard.state.facts.verdicts
    (row,) = [
        row
        for part in document(read(fact.proof), fact.proof["hash"]).context
        for row in part.rows
        if "Worth" in row.label
    ]
    assert "result of the open positions was not known" in str(row.value)


def test_a_limit_of_closed_money_ends_the_account_while_the_equity_is_unknown() -> None:
    venue = TwoWays(CLOSED_ONLY)
    _unpriced(venue)
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    venue.close("a")
    assert agreed(venue) == [("fail", "daily_loss", 1)]
    assert not venue.shard.state.accounts[0].judged


def test_the_cure_of_a_limit_of_closed_money_ends_while_the_equity_is_unknown() -> None:
    venue = TwoWays(CLOSED_ONLY | WARN | {"cure": {"minutes": 30}})
    _unpriced(venue)
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    venue.close("a")
    venue.wait(minutes=30)
    assert agreed(venue) == []
    venue.wait(minutes=1)
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_the_anchor_of_a_limit_of_closed_money_moves_at_a_reset_with_an_unknown_equity() -> None:
    venue = TwoWays(CLOSED_ONLY | WARN)
    _unpriced(venue)
    venue.open("a", "10")
    venue.quote("1.09910", minutes=1)
    venue.close("a")  # 99,100.00
    venue.wait(days=1)
    venue.open("b", "10")
    venue.quote("1.09820", minutes=1)
    venue.close("b")  # 98,200.00 of 98,109.00
    assert agreed(venue) == []
    venue.open("c", "1")
    venue.quote("1.09700", minutes=1)
    venue.close("c")  # 98,080.00
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_a_limit_that_only_resets_compare_is_judged_at_one_with_an_unknown_equity() -> None:
    venue = TwoWays(CLOSED_ONLY | WARN | {"judged_at": "eod"})
    _unpriced(venue)
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    venue.close("a")
    assert agreed(venue) == []
    venue.wait(days=1)
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_a_mark_of_the_clock_at_the_very_time_to_be_flat_is_no_event_of_the_account() -> None:
    """It may still be closed at that instant."""
    venue = TwoWays({"type": "flat_by", "time": "10:00", "zone": "UTC"} | WARN)
    venue.open("a")
    venue.wait(hours=1)
    assert agreed(venue) == []
    venue.wait(minutes=1)
    assert agreed(venue) == [("warn", "flat_by", 1)]

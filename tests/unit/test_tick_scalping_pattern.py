"""Tick scalping: both shares, positions closed in parts, and what only looks like it."""

from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.tick_scalping import TickScalping, TickScalpingThresholds
from tests.books import Rows


def found(rows: Rows, limits: TickScalpingThresholds | None = None) -> tuple[Finding, ...]:
    return TickScalping(Limits(limits or TickScalpingThresholds())).judge(rows.book()).findings


def traded(*groups: tuple[int, float, float]) -> Rows:
    """(how many trades, seconds that each lasts, profit of each), ten minutes apart."""
    rows = Rows()
    rows.account("a")
    at = 0.0
    for count, lasted, profit in groups:
        for _ in range(count):
            rows.trade("a", at, lasted, profit=profit)
            at += 600 + lasted
    return rows


def test_both_shares_are_shown() -> None:
    # 20 brief winners of 30, 10 brief losers of 20, 10 long winners of 40: 600 of 1,000 won, 30 of 40 trades
    (finding,) = found(traded((20, 4, 30), (10, 5, -20), (10, 3600, 40)))
    assert finding.key == "tick_scalping/a"
    assert finding.sentence == (
        "75 % of the trades were held for at most 10 seconds and made 60 % of the gross profit."
    )
    assert finding.chance.startswith(
        "Short trades made 600.00 USD of 1,000.00 USD gross profit, and 400.00 USD of 800.00 USD net profit."
    )
    assert len(finding.deals) == 30


def test_winnings_count_gross() -> None:
    """The net is 10: brief winnings are 30 times the net, but a fifth of all winnings."""
    assert not found(traded((15, 4, 20), (30, 3600, 40), (30, 3600, -49)))


def test_trades_under_a_minute_are_found_by_the_rule_for_a_minute() -> None:
    (finding,) = found(traded((30, 45, 30), (10, 3600, 30)))
    assert "60 seconds" in finding.sentence


def test_brief_trades_that_win_little_are_a_finding_only_when_they_are_most_of_all() -> None:
    assert not found(traded((27, 4, 1), (23, 3600, 100)))
    (finding,) = found(traded((35, 4, 1), (15, 3600, 100)))
    assert finding.sentence == ("70 % of the trades were held for at most 30 seconds and made 2 % of the gross profit.")


def test_brief_winnings_hidden_among_long_tokens_are_found() -> None:
    assert found(traded((20, 5, 100), (50, 3600, 2)))


def test_a_last_lot_left_open_does_not_hide_a_brief_trade() -> None:
    """95 % of each position closes after four seconds, the rest after an hour."""
    rows = Rows()
    rows.account("a")
    for n in range(20):
        rows.trade("a", n * 4_000, 4, position=f"p{n}", lots=0.95, profit=50)
        rows.trade("a", n * 4_000, 3_600, position=f"p{n}", lots=0.05, profit=3)
    (finding,) = found(rows)
    assert "95 % of the trades" in finding.sentence


def test_legs_split_within_seconds_are_counted() -> None:
    rows = Rows()
    rows.account("a")
    for n in range(30):
        rows.trade("a", n * 300 // 3, 5, lots=0.3, profit=10)
    assert found(rows)


def test_losers_that_were_stopped_out_in_seconds_are_spared() -> None:
    rows = Rows()
    rows.account("a")
    for n in range(40):
        rows.trade("a", n * 900, 6, profit=-30, reason="stop")
        if n % 2:
            rows.trade("a", n * 900 + 300, 400, profit=60)
    for n in range(40):  # the same where the reason is not told: the close is at the stop
        rows.trade("a", n * 900 + 10, 6, profit=-30, open_price=1.3, stop=1.299, close_price=1.29898)
    assert not found(rows)


def test_a_scalper_inside_the_numbers_is_spared() -> None:
    assert not found(traded((15, 50, 30), (25, 100, 30), (10, 150, -30)))


def test_a_few_brief_trades_are_spared() -> None:
    assert not found(traded((9, 4, 30), (3, 3600, 5)))


def test_open_trades_do_not_count() -> None:
    rows = traded((12, 4, 30))
    rows.trade("a", 50_000, None)
    assert len(found(rows)) == 1


def test_a_product_may_allow_it() -> None:
    rows = traded((30, 30, 30))
    assert found(rows)
    assert not found(rows, TickScalpingThresholds(minute_seconds=10, half_minute_seconds=10))

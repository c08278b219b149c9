"""Statistics of trades against numbers worked by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.trades import Trade, figures, statistics

START = datetime(2024, 7, 1, 22, 30, tzinfo=UTC)  # 00:30 of the next day in Prague


def trade(
    number: int, profit: int, costs: tuple[int, int, int] = (0, 0, 0), *, symbol: str = "EURUSD", minutes: int = 10
) -> Trade:
    opened = START + timedelta(hours=number)
    commission, swap, fee = costs
    return Trade(
        position_id=f"P{number}",
        symbol=symbol,
        side="buy",
        lots=Decimal("0.5"),
        opened_at=opened,
        closed_at=opened + timedelta(minutes=minutes),
        open_price=Decimal("1.10"),
        close_price=Decimal("1.11"),
        profit_minor=profit,
        commission_minor=commission,
        swap_minor=swap,
        fee_minor=fee,
    )


def test_figures_worked_by_hand() -> None:
    """Results: +10,000-350-120-5 = 9,525; -4,000-350 = -4,350; +350-350 = 0; -1,001. Sum 4,174."""
    found = figures(
        [
            trade(0, 10_000, (-350, -120, -5), minutes=10),
            trade(1, -4_000, (-350, 0, 0), minutes=20),
            trade(2, 350, (-350, 0, 0), minutes=30),
            trade(3, -1_001, minutes=61),
        ]
    )
    assert (found.trades, found.wins, found.losses) == (4, 1, 2)
    assert found.result_minor == 4_174
    assert (found.profit_minor, found.commission_minor, found.swap_minor, found.fee_minor) == (5_349, -1_050, -120, -5)
    assert found.win_rate_pct == Decimal("25.00")
    assert found.expectancy_minor == 1_044  # 4,174 / 4 = 1,043.5, half up
    assert found.average_win_minor == 9_525
    assert found.average_loss_minor == -2_676  # -5,351 / 2 = -2,675.5, away from zero
    assert found.profit_factor == Decimal("1.78")  # 9,525 / 5,351 = 1.7800…
    assert (found.best_minor, found.worst_minor) == (9_525, -4_350)
    assert found.average_held == timedelta(minutes=30, seconds=15)  # 121 / 4 minutes


def test_without_trades_there_is_no_quotient() -> None:
    found = statistics([], "UTC")
    assert found.all.trades == found.all.result_minor == 0
    nothing = (found.all.win_rate_pct, found.all.expectancy_minor, found.all.profit_factor, found.all.average_held)
    assert nothing == (None, None, None, None)
    assert found.by_symbol == found.by_hour == ()


def test_only_wins_have_no_average_loss_and_no_profit_factor() -> None:
    found = figures([trade(0, 5)])
    assert (found.win_rate_pct, found.average_win_minor) == (Decimal("100.00"), 5)
    assert (found.average_loss_minor, found.profit_factor) == (None, None)


def test_symbols_and_hours_are_parts_of_the_whole() -> None:
    trades = [trade(0, 100, symbol="EURUSD"), trade(24, 50, symbol="XAUUSD"), trade(1, -300, symbol="EURUSD")]
    unknown = Trade(**{each: getattr(trades[0], each) for each in Trade.__slots__} | {"opened_at": None})
    found = statistics([*trades, unknown], "Europe/Prague")
    assert [(part.name, part.figures.result_minor) for part in found.by_symbol] == [("XAUUSD", 50), ("EURUSD", -100)]
    assert [(part.name, part.figures.trades) for part in found.by_hour] == [("00", 2), ("01", 1)]
    assert found.all.result_minor == sum(part.figures.result_minor for part in found.by_symbol)
    assert found.all.average_held == timedelta(minutes=10)  # of those whose opening is known

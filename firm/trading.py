"""Statistics of an account's trades, as its trader and programs read them."""

from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from domain import trades as domain
from store.read import trades
from store.read.accounts import AccountView
from store.read.pages import View


class FiguresView(View):
    """See `domain.trades.Figures`; amounts in minor units."""

    trades: int
    wins: int
    losses: int
    result_minor: int
    profit_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int
    win_rate_pct: Decimal | None
    expectancy_minor: int | None
    average_win_minor: int | None
    average_loss_minor: int | None
    best_minor: int | None
    worst_minor: int | None
    profit_factor: Decimal | None
    average_held_seconds: int | None


class PartView(FiguresView):
    """`name`: the symbol, or the hour in which the trades were opened (00 to 23)."""

    name: str


class StatisticsView(View):
    """`zone`: of the hours, that of the account's reset. `newest_only`: there are more trades, and these figures are of
    the newest ones."""

    account_id: str
    currency: str
    zone: str
    newest_only: bool
    all: FiguresView
    by_symbol: tuple[PartView, ...]
    by_hour: tuple[PartView, ...]


async def statistics(session: AsyncSession, account: AccountView) -> StatisticsView:
    """The caller has made sure that the account may be seen."""
    found = await trades.newest(session, account.id)
    figures = domain.statistics(found, account.clock_zone)
    return StatisticsView(
        account_id=account.id,
        currency=account.currency,
        zone=account.clock_zone,
        newest_only=len(found) == trades.MOST,
        all=FiguresView(**_values(figures.all)),
        by_symbol=tuple(PartView(name=part.name, **_values(part.figures)) for part in figures.by_symbol),
        by_hour=tuple(PartView(name=part.name, **_values(part.figures)) for part in figures.by_hour),
    )


def _values(figures: domain.Figures) -> dict[str, int | Decimal | None]:
    held = figures.average_held
    same = {name: getattr(figures, name) for name in FiguresView.model_fields if name != "average_held_seconds"}
    return {**same, "average_held_seconds": None if held is None else int(held.total_seconds())}

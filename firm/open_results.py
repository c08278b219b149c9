"""The result of each open position of an account, at the quotes that its shard has stored last."""

from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import RateMissing
from domain.rules.marking import Instrument, QuoteBoard, profit_minor
from firm.order_checks import position_of
from store.read import standing
from store.scope import Scope


async def open_results(session: AsyncSession, scope: Scope, account_id: str) -> dict[str, int]:
    """Returns position id -> result in minor units of the account's currency. A position whose symbol has no quote, or
    whose currency has no rate, is left out. Raises NotFound."""
    row = await standing.one(session, scope, account_id=account_id)
    board = QuoteBoard({symbol: (Decimal(each[0]), Decimal(each[1])) for symbol, each in (row.quotes or {}).items()})
    instruments = {
        symbol: Instrument(symbol, Decimal(size), currency)
        for symbol, (size, currency) in (row.instruments or {}).items()
    }
    found: dict[str, int] = {}
    for stored in row.positions or ():
        position = position_of(stored)
        if position.symbol not in instruments:
            continue
        try:
            found[position.position_id] = profit_minor(position, board, instruments, row.account.currency)
        except RateMissing:
            continue
    return found

"""All accounts of ours as the venue's lists show them: a handful of calls, however many accounts there are."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from adapters.tradovate.cash import minor_or_unavailable
from adapters.tradovate.client import Api
from adapters.tradovate.decoder import is_ours
from adapters.tradovate.library import Library
from adapters.tradovate.limits import Limits
from adapters.tradovate.settings import TradovateSettings
from adapters.tradovate.wire import TRADING_ACTIONS, Account, CashBalance, Position, RiskStatus
from adapters.tradovate.wire import Limits as LimitsRow
from domain.products.second_wall import NO_FLOORS
from domain.venue_accounts import Lots
from ports.listing import ListedAccount


async def list_accounts(
    api: Api, library: Library, limits: Limits, settings: TradovateSettings
) -> Sequence[ListedAccount]:
    """Raises Unavailable."""
    accounts = [each for each in await api.rows(Account, "account/list") if is_ours(each.name, settings.prefix)]
    statuses = {row.id: row for row in await api.rows(RiskStatus, "accountRiskStatus/list")}
    cash = {row.accountId: row.amount for row in await api.rows(CashBalance, "cashBalance/list")}
    held = {row.id: limits.of(row) for row in await api.rows(LimitsRow, "userAccountAutoLiq/list")}
    positions: defaultdict[int, list[Position]] = defaultdict(list)
    for row in await api.rows(Position, "position/list"):
        if row.netPos:
            positions[row.accountId].append(row)
    contracts = await library.contracts({row.contractId for rows in positions.values() for row in rows})
    found = []
    for account in accounts:
        status, amount = statuses.get(account.id), cash.get(account.id, Decimal(0))
        enabled = status is not None and status.adminAction in TRADING_ACTIONS
        lots: Lots = {
            (contracts[row.contractId].symbol, "buy" if row.netPos > 0 else "sell"): Decimal(abs(row.netPos))
            for row in positions[account.id]
        }
        balance = minor_or_unavailable(amount, settings.currency)
        floors = held.get(account.id, NO_FLOORS)
        found.append(ListedAccount(account.id, settings.currency, enabled, balance, lots, floors))
    return found

"""The venue's end-of-day figures."""

from datetime import date

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.client import Client
from adapters.dxtrade.errors import readable
from adapters.dxtrade.figures import login_of, minor, rounded_minor
from domain.day_ends import DayEnd


async def read_day_ends(client: Client, clearing: str, day: date) -> dict[int, DayEnd]:
    """Returns the figures of every account of this clearing, by login. Raises NotFound, Unavailable."""
    answer = await client.ask(f"{wire.TRADING}/accounts/eodmetrics/{day.isoformat()}")
    found: dict[int, DayEnd] = {}
    with readable():
        for each in answer.as_(shapes.DayEnds).eod_metrics:
            login = login_of(each.account, clearing)
            if login is not None:
                currency = each.account_base_currency
                balance = minor(each.balance, currency, "balance")
                found[login] = DayEnd(currency, balance, rounded_minor(each.equity, currency, "equity"))
    return found

"""The statement of an account as a file: its days, fills, payouts and fees, one line each, oldest first."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.clocks import zone_of
from domain.errors import BadInput
from domain.money import exponent, from_minor
from front.exports import MOST, defused, log_export
from store.read import market, payouts, receipts
from store.read.accounts import AccountView
from store.read.pages import Window
from store.scope import Scope

COLUMNS: Final = (
    *("kind", "time", "zone", "time_utc", "reference", "what", "symbol", "side", "lots", "price"),
    *("profit", "commission", "swap", "fee", "amount", "balance", "equity", "currency"),
)
_NUMBERS: Final = frozenset({"lots", "price", "profit", "commission", "swap", "fee", "amount", "balance", "equity"})
_LONGEST_ZONE: Final = 120
Line = Mapping[str, str]


def read_zone(name: str) -> tzinfo:
    """Raises BadInput."""
    try:
        return zone_of(name[:_LONGEST_ZONE])
    except ValueError as error:
        raise BadInput(
            "There is no such time zone.", field="zone", remedy="Use an IANA name such as Europe/Prague."
        ) from error


async def statement(
    session: AsyncSession,
    actor: Actor,
    scope: Scope,
    account: AccountView,
    zone: str | None = None,
    month: str | None = None,
) -> bytes:
    """Returns a CSV file. Each line has its time in `zone` (None: that of the account's reset) and in UTC. `month`:
    such as 2026-03, in that zone; None: the whole life. The audit log says that it was taken. Raises BadInput for an
    unknown zone or month, or too many lines."""
    name = zone or account.clock_zone
    local = read_zone(name)
    since, until = _span(month, local)
    timed = [(at, line) async for at, line in _lines(session, scope, account, since, until) if since <= at < until]
    if len(timed) > MOST:
        raise _too_long()
    await log_export(session, actor, f"statement/{account.number}", {"format": "csv", "rows": len(timed)})
    timed.sort(key=lambda each: each[0])
    return _file({**line, **_times(at, local, name), "currency": account.currency} for at, line in timed)


def _span(month: str | None, local: tzinfo) -> tuple[datetime, datetime]:
    if month is None:
        return datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=local)
    except ValueError as error:
        raise BadInput("There is no such month.", field="month", remedy="Write it like 2026-03.") from error
    return first, (first + timedelta(days=31)).replace(day=1)


def _too_long() -> BadInput:
    return BadInput(
        f"This statement would have more than {MOST:,} lines.",
        field="month",
        remedy="Ask for one month, such as month=2026-03.",
    )


async def _lines(
    session: AsyncSession, scope: Scope, account: AccountView, since: datetime, until: datetime
) -> AsyncIterator[tuple[datetime, Line]]:
    def money(minor: int) -> str:
        return f"{from_minor(minor, account.currency):.{exponent(account.currency)}f}"

    whole = Window(limit=MOST, most=MOST)
    deals = await market.deals(session, account.id, whole, since=since, until=until)
    paid = await payouts.page(session, scope, whole, account_id=account.id)
    fees = await receipts.page(session, scope, whole, challenge_id=account.challenge_id)
    if any(page.next_cursor for page in (deals, paid, fees)):
        raise _too_long()
    for deal in deals.items:
        costs = deal.commission_minor + deal.swap_minor + deal.fee_minor
        yield (
            deal.at,
            {
                "kind": "deal",
                "reference": deal.deal_id,
                "what": f"{'open' if deal.entry == 'in' else 'close'} {deal.position_id}",
                "symbol": deal.symbol,
                "side": deal.side,
                "lots": deal.lots,
                "price": deal.price,
                "profit": money(deal.profit_minor),
                "commission": money(deal.commission_minor),
                "swap": money(deal.swap_minor),
                "fee": money(deal.fee_minor),
                "amount": money(deal.profit_minor + costs),
                "balance": money(deal.balance_minor),
            },
        )
    for day in await market.days(session, account.id):
        figures = {"balance": money(day.balance_minor), "equity": money(day.equity_minor)}
        yield (
            day.reset_at,
            {"kind": "day", "reference": day.day.isoformat(), "what": "end of the trading day", **figures},
        )
    for payout in paid.items:
        words = f"{payout.state.replace('_', ' ')}; {money(payout.sent_minor)} to the trader"
        amount = money(-(payout.gross_minor + payout.forfeited_minor))
        yield payout.requested_at, {"kind": "payout", "reference": payout.id, "what": words, "amount": amount}
    for paper in fees.items:
        total = f"{from_minor(paper.total_minor, paper.currency):.{exponent(paper.currency)}f}"
        words = f"{'receipt' if paper.kind == 'receipt' else 'credit note'} {paper.number}: {total} {paper.currency}"
        yield paper.issued_at, {"kind": "fee", "reference": paper.id, "what": words}


def _times(at: datetime, local: tzinfo, zone: str) -> Line:
    utc = at.astimezone(UTC)
    return {
        "time": f"{utc.astimezone(local):%Y-%m-%d %H:%M:%S}",
        "zone": zone,
        "time_utc": f"{utc:%Y-%m-%d %H:%M:%S}",
    }


def _file(lines: Iterable[Line]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    for line in lines:
        cells = ((name, line.get(name, "")) for name in COLUMNS)
        writer.writerow([text if name in _NUMBERS else defused(text) for name, text in cells])
    return target.getvalue().encode("utf-8-sig")  # spreadsheets read the letters right by this mark

"""The reports of the firm, as the API and the console read them."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.currencies import DIGITS
from domain.errors import BadInput, NotFound
from domain.reports.months import Months, months
from firm.service import policy
from front.exports import Format, csv_of, json_of, log_export
from front.once import Once
from store.clock import market_now
from store.read.decided import KINDS
from store.read.decision_times import DecisionTimes, decision_times
from store.read.owed import OwedDay, days
from store.read.pass_rates import PassRates, pass_rates
from store.read.revenue import Revenue, revenue

# Name -> the filter beside the months.
FILTERS: Final[Mapping[str, str]] = {"pass-rates": "product", "revenue": "currency", "decision-times": "kind"}
RIGHT: Final = "reports.read"
Report = PassRates | Revenue | DecisionTimes


async def months_of(session: AsyncSession, first: str, last: str) -> Months:
    """Months of the firm's zone: that of its business hours. Raises BadInput."""
    return months(first, last, await market_now(session), await zone_of(session))


async def zone_of(session: AsyncSession) -> str:
    return (await policy.in_force(session)).policy.calendar.zone


async def report(session: AsyncSession, name: str, asked: Months, only: str = "") -> Report:
    """`only`: a value of the report's filter; empty for all. Raises NotFound for no report, BadInput for no value."""
    if name == "pass-rates":
        return await pass_rates(session, asked, only[:41])
    if name == "revenue":
        return await revenue(session, asked, currency_of(only))
    if name == "decision-times":
        return await decision_times(session, asked, _one_of(only, "kind", KINDS))
    raise NotFound("There is no such report.")


async def owed_days(session: AsyncSession) -> tuple[OwedDay, ...]:
    return await days(session, await zone_of(session))


async def file_of(session: AsyncSession, once: Once, name: str, found: Report, form: Format) -> bytes:
    """Returns the rows of a report as a file, and writes into the audit log who took it. A report has sums and nobody's
    data, so its right suffices."""
    evidence = {"format": form, "rows": len(found.items), "from": found.from_month, "to": found.to_month}
    await log_export(session, once.actor, f"report/{name}", evidence)
    return csv_of(found.items) if form == "csv" else json_of(found.items)


def currency_of(text: str) -> str:
    """Raises BadInput for no currency of the books; empty means all."""
    return _one_of(text, "currency", tuple(DIGITS))


def _one_of(text: str, field: str, known: tuple[str, ...]) -> str:
    if text and text not in known:
        raise BadInput(f"There is no {field} {text[:20]!r}.", field=field, remedy=f"Use {', '.join(sorted(known))}.")
    return text

"""Files with personal data that leave the firm: staff prove who they are before they get one."""

import csv
import io
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF, Actor
from domain.errors import BadInput
from domain.money import exponent, from_minor
from front.once import Once
from store import audit
from store.clock import market_now
from store.read.listing import Asked, Listing
from store.read.pages import Page, View, Window

MOST: Final = 10_000  # rows of a file
Format = Literal["csv", "json"]
_MINOR: Final = "_minor"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
Read = Callable[[AsyncSession, Window], Awaitable[Page[Any]]]


async def prove_export(session: AsyncSession, once: Once, what: str) -> None:
    """Uses a step-up of staff before the file `what`, such as the evidence of a dispute; traders get what is theirs.
    Raises StepUpRequired, or NeedsPerson for an API key of staff."""
    if once.actor.role in STAFF:
        await once.prove(session, "personal_data", do="export", what=what)


async def export(session: AsyncSession, once: Once, offered: Listing, asked: Asked, form: Format, read: Read) -> bytes:
    """Returns a file of all rows that are asked for, and writes into the audit log who took it. Raises StepUpRequired,
    or BadInput for more rows than a file has."""
    page = await read(session, Window(limit=MOST, most=MOST))
    if page.next_cursor is not None:
        raise too_long()
    await prove_export(session, once, json.dumps([offered.name, form, asked.search, asked.order, asked.filters]))
    filters = {
        name: "given" if offered.filters[name].private else value for name, value in asked.filters.items() if value
    }
    searched = "given" if asked.search else ""  # a name is no matter for the log
    evidence = {"format": form, "rows": len(page.items), "filters": filters, "search": searched}
    await log_export(session, once.actor, offered.name, evidence)
    return csv_of(page.items) if form == "csv" else json_of(page.items)


def too_long() -> BadInput:
    return BadInput(
        f"A file has at most {MOST:,} rows, and there are more.",
        field="format",
        remedy="Narrow the list with filters, and export each part.",
    )


async def log_export(session: AsyncSession, actor: Actor, what: str, evidence: Mapping[str, Any]) -> None:
    """Records who took a list as a file: what was asked for and the number of rows, no content."""
    await audit.record(
        session,
        action="list.exported",
        subject_kind="list",
        subject_id=what,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        evidence=dict(evidence),
    )


def json_of(rows: Sequence[View]) -> bytes:
    """The rows as the API gives them."""
    items = [row.model_dump(mode="json") for row in rows]
    return json.dumps({"items": items}, indent=1, ensure_ascii=False).encode()


def csv_of(rows: Sequence[View]) -> bytes:
    """One line for each row, with amounts in major units beside their currency. No text begins a formula."""
    target = io.StringIO()
    writer = csv.writer(target)
    if rows:
        names = list(type(rows[0]).model_fields)
        writer.writerow([name.removesuffix(_MINOR) for name in names])
        writer.writerows([[_cell(row, name) for name in names] for row in rows])
    return target.getvalue().encode("utf-8-sig")  # spreadsheets read the letters of names right by this mark


def _cell(row: View, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return ""
    if name.endswith(_MINOR):
        return _major(row, name, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return str(value)
    dumped = row.model_dump(mode="json", include={name})[name]
    return defused(dumped if isinstance(dumped, str) else json.dumps(dumped, ensure_ascii=False))


def _major(row: View, name: str, minor: int) -> str:
    """`paid_minor` is in `paid_currency` where there is one, else in `currency`."""
    currency = getattr(row, f"{name.removesuffix(_MINOR)}_currency", None) or row.currency  # type: ignore[attr-defined]
    return f"{from_minor(minor, currency):.{exponent(currency)}f}"


def csv_name(name: str) -> dict[str, str]:
    """Returns the header by which a browser stores a CSV file under this name."""
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


def defused(text: str) -> str:
    """Returns a text that a spreadsheet shows and does not compute. A negative number is none."""
    number = text.removeprefix("-").replace(".", "", 1)
    computes = text.startswith(_FORMULA) and not (number.isascii() and number.isdigit())
    return f"'{text}" if computes else text

"""`propos liability`: what the firm owes its traders now, and would owe if every eligible trader asked now."""

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from firm.liability import LiabilityView


def show(data: Path | None, *, ask: float, passes: float, as_json: bool) -> None:
    from cli.transaction import in_transaction
    from firm.liability import liability

    async def work(session: Any) -> "LiabilityView":
        return await liability(session, ask=Decimal(str(ask)), passes=Decimal(str(passes)))

    found = in_transaction(data, work)
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json")))
    else:
        _print(found)


def _print(found: "LiabilityView") -> None:
    from rich.console import Console
    from rich.table import Table

    from domain.money import Money

    owed = Table("Owed now", "Payouts", "Amount", title=f"Market time {found.as_of:%Y-%m-%d %H:%M} UTC")
    for row in found.owed:
        owed.add_row(row.stage, str(row.payouts), str(Money(minor=row.amount_minor, currency=row.currency)))
    would = Table("Product", "Accounts", "Eligible", "If all ask", f"Expected ({found.ask} ask, {found.passes} pass)")
    for each in found.would_owe:
        amounts = [str(Money(minor=m, currency=each.currency)) for m in (each.all_minor, each.expected_minor)]
        would.add_row(f"{each.product} v{each.version}", str(each.accounts), str(each.eligible), *amounts)
    console = Console()
    console.print(owed)
    console.print(would)

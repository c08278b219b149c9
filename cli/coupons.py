"""`propos coupons`: coupons for purchases. The audit log records changes under the actor `command-line`."""

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction

if TYPE_CHECKING:  # only annotations need it; importing it would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

app = typer.Typer(help="Add, list and end coupons for purchases.", no_args_is_help=True)

_BY: Final = "command-line"

Code = Annotated[str, typer.Argument(help="Code that the buyer writes: capitals, digits and -, 3 to 30 of them.")]


@app.command()
def add(
    code: Code,
    pct: Annotated[str | None, typer.Option("--pct", help="Discount in percent, such as 12.5.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="Discount in --currency, such as 25.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Of --amount and --minimum.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="End, such as 2026-12-31T23:00:00Z.")] = None,
    uses: Annotated[int | None, typer.Option("--uses", help="Uses by all traders together.")] = None,
    per_trader: Annotated[int | None, typer.Option("--per-trader", help="Uses by one trader.")] = None,
    minimum: Annotated[str | None, typer.Option("--minimum", help="Least price before discounts.")] = None,
    product: Annotated[list[str] | None, typer.Option("--product", help="A product that it is for.")] = None,
    first_purchase: Annotated[bool, typer.Option("--first-purchase", help="For a first purchase only.")] = False,
    stacks: Annotated[bool, typer.Option("--stacks", help="May be used with other coupons that stack.")] = False,
    data: Data = None,
) -> None:
    """Add a coupon. Its terms never change; end it and add another one instead."""
    from firm.selling import coupons

    given = {
        "pct": pct,
        "amount": amount,
        "currency": currency,
        "until": until,
        "uses": uses,
        "uses_per_trader": per_trader,
        "minimum": minimum,
    }
    given = {field: value for field, value in given.items() if value is not None}
    coupon = coupons.read(
        {"code": code, **given, "products": product or [], "first_purchase": first_purchase, "stacks": stacks}
    )

    async def work(session: "AsyncSession") -> None:
        await coupons.add(session, coupon, by=_BY)

    in_transaction(data, work)
    typer.echo(f"Added {coupon.code}: {coupon.words}.")


@app.command("list")
def list_coupons(data: Data = None, as_json: AsJson = False) -> None:
    """List every coupon with its terms and uses. Orders that are not paid yet count as uses."""
    from firm.selling.coupons import listed

    found = in_transaction(data, listed)
    if as_json:
        rows = [
            {"code": coupon.code, "terms": coupon.words, "used": used, "ended": ended} for coupon, ended, used in found
        ]
        typer.echo(json.dumps({"coupons": rows}))
        return
    from rich.table import Table

    from cli.tables import show_table

    table = Table("Code", "Terms", "Used", "State")
    for coupon, ended, used in found:
        table.add_row(coupon.code, coupon.words, str(used), "ended" if ended else "on")
    show_table(table)


@app.command()
def end(code: Code, data: Data = None) -> None:
    """End a coupon. Orders that use it keep their price."""
    from firm.selling import coupons

    ended = in_transaction(data, lambda session: coupons.end(session, code, by=_BY))
    typer.echo(f"{code} has {'now' if ended else 'already'} ended.")

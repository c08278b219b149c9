"""Commands about what the firm owes, now and after a shock. Each imports what it needs when it runs."""

from typing import Annotated

import typer

from cli.options import AsJson, Data


def liability(
    data: Data = None,
    ask: Annotated[float, typer.Option("--ask", min=0, max=1, help="Share of eligible traders who ask.")] = 1.0,
    passes: Annotated[float, typer.Option("--pass", min=0, max=1, help="Share of requests that are paid.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show what the firm owes its traders now, and would owe if every eligible trader asked now."""
    from cli.liability import show

    show(data, ask=ask, passes=passes, as_json=as_json)


def what_if(
    shock: Annotated[str, typer.Argument(help='Moves, such as "XAUUSD -2 %, EURUSD +0.5 %".')] = "",
    day: Annotated[str | None, typer.Option("--day", help="A historic day instead, such as 2015-01-15.")] = None,
    ladder: Annotated[bool, typer.Option("--ladder", help="The named symbols from -5 to +5 percent.")] = False,
    crosses: Annotated[str, typer.Option("--crosses", help="implied, or named: only the named symbols move.")] = (
        "implied"
    ),
    spread: Annotated[str, typer.Option("--spread", help="By which factor the spread widens.")] = "1",
    stops: Annotated[str, typer.Option("--stops", help="none, gap (at the shocked price) or walk.")] = "gap",
    passes: Annotated[str, typer.Option("--passes", help="closing (after closing everything) or flat.")] = "closing",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show which accounts a shock to prices would break or pass, and what the firm would owe. Changes nothing."""
    from cli.what_if import show

    asked = {"shock": shock, "day": day, "ladder": ladder, "crosses": crosses, "spread": spread, "stops": stops}
    show(data, {**asked, "passes": passes}, as_json=as_json)

"""`propos rates`: the exchange rates of payouts in another currency than the account's."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Data
from cli.transaction import in_transaction

app = typer.Typer(help="Import exchange rates for payouts in other currencies.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV file with the columns sold, bought, price, source, at; or eurofxref-daily.xml of the ECB.",
            exists=True,
            dir_okay=False,
        ),
    ],
    data: Data = None,
) -> None:
    """Import exchange rates from a file. Rates that are already known stay unchanged.

    Payouts that wait for a newer rate are exchanged again and judged.
    """
    from adapters.rates.ecb import read_ecb
    from adapters.rates.table_csv import read_table
    from firm.payouts import rates

    content = file.read_bytes()
    is_xml = file.suffix.lower() == ".xml"
    read = read_ecb(content, file.name) if is_xml else read_table(content.decode("utf-8-sig"), file.name)
    added = in_transaction(data, lambda session: rates.add(session, read))
    typer.echo(f"Read {len(read)} rates, {added} of them new.")

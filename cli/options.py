"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (PROPOS_DATA, or .propos).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
MarketDir = Annotated[Path | None, typer.Option("--market", help="Folder of recorded quotes to replay.")]
Symbols = Annotated[str, typer.Option("--symbols", help="Symbols, separated by commas.")]
Day = Annotated[str | None, typer.Option("--date", help="Day to replay, such as 2014-05-02.")]
Speed = Annotated[float | None, typer.Option("--speed", help="Market seconds per second of replay.")]
Seed = Annotated[int, typer.Option("--seed", help="Random seed of the sandbox.")]
DEFAULT_SYMBOLS: Final = "EURUSD,XAUUSD"
DEFAULT_SEED: Final = 7


Venues = Annotated[
    str, typer.Option("--venues", help="Venues to trade on: sandbox,tradovate-fake. Without it, the sandbox alone.")
]


def names_of(text: str) -> tuple[str, ...]:
    """Returns the names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())

"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (PROPOS_DATA, or .propos).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]

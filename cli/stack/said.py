"""What a command of ours said in its log when it ended by an error."""

from pathlib import Path
from typing import Final

from domain.errors import Unavailable

_SAYS: Final = "propos: "


def refusal_in(log: Path, begin: int) -> Unavailable | None:
    """Returns the refusal that a command printed after the first `begin` bytes of its log; None if it printed none."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    places = [number for number, line in enumerate(lines) if line.startswith(_SAYS)]
    if not places:
        return None
    remedy = "".join(line.strip() for line in lines[places[-1] + 1 :][:1])
    return Unavailable(lines[places[-1]].removeprefix(_SAYS), remedy=remedy or f"See {log}.")

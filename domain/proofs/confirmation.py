"""The proof sheet of a breach on doubtful inputs that a person confirmed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from domain.proofs import money as proof
from domain.proofs.sheets import BreachSheet, ConfirmationPart, DoubtPart, read


def confirmed(
    sheet: Mapping[str, Any], doubts: Iterable[Mapping[str, Any]], *, by: str, role: str, at: datetime
) -> dict[str, Any]:
    """Returns the sheet with its doubts and the person who confirmed it, sealed again. Raises ValidationError when
    no doubt is named, TypeError when `sheet` is not a breach."""
    read_sheet = read(dict(sheet))
    if not isinstance(read_sheet, BreachSheet):
        raise TypeError("only a breach can be confirmed")
    parts = tuple(DoubtPart.model_validate(dict(doubt)) for doubt in doubts)
    part = ConfirmationPart(confirmed_by=by, role=role, at=at, doubts=parts)
    return proof.sealed(read_sheet.model_copy(update={"confirmation": part}))

"""The page of a proof sheet: its document, and the result of recomputing the sheet from itself alone."""

from collections.abc import Mapping
from typing import Any

from console.views.proof import ProofView
from domain.proofs.check import check
from domain.proofs.document import document
from domain.proofs.sheets import read


def view(body: Mapping[str, Any], number: str, platform: str) -> ProofView:
    """Returns the page of a stored sheet. Raises ValidationError when the stored body is not a sheet."""
    return ProofView(
        document=document(read(dict(body)), str(body.get("hash", "")), number),
        account_number=number,
        platform=platform,
        differences=[f"{d.field} says {d.stated}, recomputed {d.recomputed}" for d in check(body)],
    )

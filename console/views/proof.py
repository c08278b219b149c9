"""A proof sheet as a person reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.proofs.document import Document


@dataclass(frozen=True)
class ProofView:
    """A proof sheet, and how it differs from what its own figures lead to."""

    document: Document
    account_number: str
    platform: str
    differences: Sequence[str] = ()

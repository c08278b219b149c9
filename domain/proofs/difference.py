"""Where a proof sheet differs from what follows from it."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.proofs.sheets import Part


@dataclass(frozen=True, slots=True)
class Difference:
    """What a field of the sheet says, and what follows from the rest of it."""

    field: str
    stated: str
    recomputed: str


def compare(field: str, stated: object, recomputed: object) -> Iterator[Difference]:
    if stated != recomputed:
        yield Difference(field, str(stated), str(recomputed))


def compare_part(field: str, stated: Part, recomputed: Part, *, but: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Field by field, those in `but` left out."""
    for name in type(recomputed).model_fields:
        if name not in but:
            yield from compare(f"{field}.{name}", getattr(stated, name), getattr(recomputed, name))

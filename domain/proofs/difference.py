"""Differences between a proof sheet and what follows from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.proofs.earlier_wording import same_sentence
from domain.proofs.part import Part
from domain.proofs.sheets import GatePart, RefusalPart

Sentenced = GatePart | RefusalPart


@dataclass(frozen=True, slots=True)
class Difference:
    """The value of a field of the sheet, and the value that follows from the rest of the sheet."""

    field: str
    stated: str
    recomputed: str


def compare(field: str, stated: object, recomputed: object) -> Iterator[Difference]:
    if stated != recomputed:
        yield Difference(field, str(stated), str(recomputed))


def compare_part(field: str, stated: Part, recomputed: Part, *, but: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Compares field by field, without the fields in `but`."""
    for name in type(recomputed).model_fields:
        if name not in but:
            yield from compare(f"{field}.{name}", getattr(stated, name), getattr(recomputed, name))


def compare_sentence(field: str, stated: str, recomputed: str) -> Iterator[Difference]:
    """Compares two sentences. An earlier wording with the same figures is no difference."""
    if not same_sentence(stated, recomputed):
        yield Difference(field, stated, recomputed)


def compare_sentences(field: str, stated: Sequence[Sentenced], recomputed: Sequence[Sentenced]) -> Iterator[Difference]:
    """Compares parts with a sentence: all other fields exactly, the sentences as `compare_sentence` does."""
    if len(stated) != len(recomputed):
        yield Difference(field, str(stated), str(recomputed))
        return
    for index, (own, expected) in enumerate(zip(stated, recomputed, strict=True)):
        yield from compare_part(f"{field}.{index}", own, expected, but=("sentence",))
        yield from compare_sentence(f"{field}.{index}.sentence", own.sentence, expected.sentence)

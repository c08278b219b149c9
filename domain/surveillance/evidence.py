"""What a finding is shown with: items of a few types, told apart by `type`.

The console renders each type in `console/present/evidence.py`; the API answers with the item itself. A detector that
needs something else brings a `Table`, with a `type` and more fields of its own if it likes: its columns and rows are
shown everywhere, also after the detector is gone.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, SerializeAsAny, Tag, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CopiedDeal(_Part):
    """Two openings: their numbers in `deals`, seconds between them, size of the copy over the size of the model."""

    leader_deal: int
    follower_deal: int
    symbol: str
    side: str
    lag_seconds: Decimal
    ratio: Decimal


class CopiedDeals(_Part):
    """One account's openings beside the openings that they repeat. `openings`: all that the follower opened."""

    type: Literal["copied_deals"] = "copied_deals"
    openings: int | None = None
    pairs: tuple[CopiedDeal, ...]


class Figure(_Part):
    """A measured value beside its threshold. `bound`: which values make the finding; `unit` follows both numbers."""

    name: str
    measured: Decimal
    threshold: Decimal
    bound: Literal["at_least", "at_most"]
    unit: str = ""


class Figures(_Part):
    type: Literal["figures"] = "figures"
    figures: tuple[Figure, ...]


class JudgedVerdict(_Part):
    """A verdict as its proof sheet has it. `level_minor`: the floor that was broken; None for a pass."""

    kind: str
    sentence: str
    equity_minor: int
    level_minor: int | None


class RecomputedVerdict(_Part):
    """The same verdict with the corrected data. `stands`: None when the sheet alone does not say, and `unknown` why."""

    stands: bool | None
    sentence: str
    balance_minor: int
    equity_minor: int
    unknown: tuple[str, ...]


class CorrectedVerdict(_Part):
    """A verdict that rests on data which the venue took back, before and after. `correction`: the venue's message."""

    type: Literal["corrected_verdict"] = "corrected_verdict"
    proof_id: str
    verdict: JudgedVerdict
    corrected: RecomputedVerdict
    correction: dict[str, Any]
    currency: str


class Table(BaseModel):
    """Columns and rows of plain text: what every reader can show, whatever `type` says. Other fields are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @model_validator(mode="after")
    def _every_row_fits(self) -> "Table":
        if self.type in _TYPES:
            raise ValueError(f"the type {self.type} is taken; a table needs one of its own")
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row needs one cell per column")
        return self


_TYPES: Final = frozenset({"copied_deals", "figures", "corrected_verdict"})


def _tag(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return kind if kind in _TYPES and not isinstance(item, Table) else "table"


Evidence = Annotated[
    Annotated[CopiedDeals, Tag("copied_deals")]
    | Annotated[Figures, Tag("figures")]
    | Annotated[CorrectedVerdict, Tag("corrected_verdict")]
    | Annotated[SerializeAsAny[Table], Tag("table")],
    Discriminator(_tag),
]

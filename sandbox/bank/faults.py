"""What the simulated bank can be told to do wrong."""

from collections import Counter

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr


class BankFaults(BaseModel):
    """Faults to produce. Each use counts the number down.

    - late_statement: this many statements come a day late, before the next one
    - reorder: this many statements come after the next one
    - lose: this many statements are not sent, and sent again two days later
    - duplicate_statement: this many statements are sent twice
    - truncate: of this many statements the first copy is cut off; the whole one comes a day later
    - other_account: with this many statements comes one of another customer
    - reject_batch: this many payment files are refused whole
    - double_booking: this many payments are booked twice; the bank takes the second booking back the day after
    - return_charges: of this many payments that come back, the other bank keeps charges

    `uses` counts what really happened.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    _uses: Counter[str] = PrivateAttr(default_factory=Counter)

    late_statement: int = Field(default=0, ge=0)
    reorder: int = Field(default=0, ge=0)
    lose: int = Field(default=0, ge=0)
    duplicate_statement: int = Field(default=0, ge=0)
    truncate: int = Field(default=0, ge=0)
    other_account: int = Field(default=0, ge=0)
    reject_batch: int = Field(default=0, ge=0)
    double_booking: int = Field(default=0, ge=0)
    return_charges: int = Field(default=0, ge=0)

    def use(self, name: str) -> bool:
        """Returns whether fault `name` happens now, and counts it down."""
        left = int(getattr(self, name))
        if left:
            setattr(self, name, left - 1)
            self._uses[name] += 1
        return left > 0

    @property
    def uses(self) -> Counter[str]:
        return self._uses

    def counted_since(self, before: Counter[str]) -> "BankFaults":
        """Returns these faults with the uses of earlier ones."""
        self._uses = before
        return self

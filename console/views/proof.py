"""A proof sheet as a person reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from console.views.parts import Entry, Grid, SumLine
from domain.money import Money


@dataclass(frozen=True)
class ProvenPosition:
    position_id: str
    symbol: str
    side: str
    lots: Decimal
    open_price: Decimal
    close_price: Decimal
    rate: Decimal
    profit: Money
    quote: str


@dataclass(frozen=True)
class ProofView:
    """A proof sheet as a person reads it; amounts in the account's currency. `money` is empty for a verdict that does
    not rest on the account's worth; `facts` and `grids` are what only some kinds have."""

    proof_id: str
    kind: str
    tone: str
    verdict: str
    digest: str
    account_number: str
    account_facts: Sequence[tuple[str, str]]
    event_facts: Sequence[tuple[str, str]]
    clock_facts: Sequence[tuple[str, str]]
    rule_facts: Sequence[tuple[str, str]]
    derivation: str = ""
    floor: Sequence[SumLine] = ()
    worth: Sequence[SumLine] = ()
    money: Sequence[SumLine] = ()
    movements: Sequence[Entry] = ()
    positions: Sequence[ProvenPosition] = ()
    facts: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    grids: Sequence[Grid] = ()
    differences: Sequence[str] = ()

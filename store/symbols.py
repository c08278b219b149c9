"""Facts about the symbols of platforms: what a platform says of them, and what the firm's symbol map adds."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from typing import Any, Final

from psycopg import Connection


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """A row of `symbol_facts`. P&L of a position = lots x `contract_size` x price difference, in `quote_currency`."""

    platform: str
    symbol: str
    contract_size: Decimal
    quote_currency: str
    digits: int
    asset: str = ""
    base_currency: str = ""
    synonym_of: str = ""
    together: str = ""


_COLUMNS: Final = [field.name for field in fields(SymbolRow)]
_FACTS: Final = _COLUMNS[2:]
_RECORD: Final = f"""
    INSERT INTO symbol_facts ({", ".join(_COLUMNS)}) VALUES ({", ".join(["%s"] * len(_COLUMNS))})
    ON CONFLICT (platform, symbol) DO UPDATE SET ({", ".join(_FACTS)}, told_at) =
       ROW ({", ".join(f"excluded.{name}" for name in _FACTS)}, clock_timestamp())
     WHERE ({", ".join(f"symbol_facts.{name}" for name in _FACTS)})
           IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _FACTS)})
"""


def record(connection: Connection[Any], rows: Iterable[SymbolRow]) -> None:
    """Stores what is new or has changed; the rest keeps its time."""
    with connection.cursor() as cursor:
        cursor.executemany(_RECORD, [astuple(row) for row in sorted(rows, key=lambda row: row.symbol)])

"""Which findings below the line, and which cases, are chosen to keep the figures of surveillance honest."""

import hashlib
from decimal import Decimal
from typing import Final, Literal

_PARTS: Final = 1_000_000


def chosen(rate: Decimal, purpose: Literal["blind", "below_line"], key: str) -> bool:
    """Whether the finding with this key is one of the share `rate` (0..1). The same key is always answered alike, so
    that nobody can draw again, and nobody can tell from the finding itself."""
    drawn = int.from_bytes(hashlib.sha256(f"{purpose}\x1f{key}".encode()).digest()[:8], "big") % _PARTS
    return drawn < rate * _PARTS

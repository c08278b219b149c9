"""Valid IBANs of a German bank for tests and demos, made from a text: the same text has the same IBAN."""

from hashlib import sha256
from typing import Final

from schwifty import IBAN

BIC: Final = "COBADEFFXXX"
_BANK_CODE: Final = "37040044"


def iban_of(text: str) -> str:
    number = int.from_bytes(sha256(text.encode()).digest()[:8]) % 10**10
    return IBAN.generate("DE", bank_code=_BANK_CODE, account_code=f"{number:010d}").compact


def firm_iban(currency: str) -> str:
    """Returns the IBAN of the firm's account in `currency` at the simulated bank."""
    return iban_of(f"the firm's account in {currency}")

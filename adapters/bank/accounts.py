"""The firm's accounts at the bank, and the checks of an account that is paid."""

import unicodedata
from typing import Final, NamedTuple

from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException

from domain.errors import BadInput
from domain.money import exponent
from ports.rail import Beneficiary

# What no decomposition turns into a letter of the SEPA character set.
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d",
     "Þ": "Th", "þ": "th", "Ð": "D", "ð": "d", "ı": "i", "’": "'", "‘": "'", "–": "-", "—": "-", "&": "+"}
)  # fmt: skip
_SEPA_SET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/?:().,'+- ")
_LONGEST_NAME: Final = 70
_REMEDY: Final = "Ask the trader for the account again."


class BankAccount(NamedTuple):
    """An account of the firm, in one currency."""

    currency: str
    iban: str
    bic: str


class Payee(NamedTuple):
    """A checked account that is paid. `name`: in the SEPA character set. `bic`: "" if not given."""

    iban: str
    bic: str
    name: str
    in_sepa: bool


def read_accounts(text: str) -> dict[str, BankAccount]:
    """Reads `EUR:DE89370400440532013000:COBADEFFXXX, USD:...` into accounts by currency. Raises ValueError."""
    accounts: dict[str, BankAccount] = {}
    for part in text.split(","):
        fields = [field.strip() for field in part.split(":")]
        if len(fields) != 3:
            raise ValueError("write each account as CURRENCY:IBAN:BIC, separated by commas")
        currency, iban, bic = fields
        if len(currency) != 3:
            raise ValueError("a bank account has a currency of ISO 4217, three letters")
        if currency in accounts:
            raise ValueError(f"there are two accounts in {currency}; give the second one a connection of its own")
        try:
            exponent(currency)
            accounts[currency] = BankAccount(currency, IBAN(iban).compact, BIC(bic).compact)
        except SchwiftyException as exc:
            raise ValueError(f"the account in {currency} is wrong: {_why(exc)}") from exc
        except BadInput as exc:
            raise ValueError(exc.message) from exc
    return accounts


def check_payee(beneficiary: Beneficiary, currency: str, accounts: dict[str, BankAccount]) -> Payee:
    """Returns the account to pay; `account` is an IBAN, or an IBAN and a BIC with a space between them.

    Raises UnknownCurrency for a currency whose number of decimals is unknown, BadInput with the field `beneficiary`.
    """
    exponent(currency)
    if currency not in accounts:
        raise BadInput(
            f"The firm has no bank account in {currency}.",
            field="beneficiary",
            remedy=f"Pay in one of {', '.join(sorted(accounts))}, or add an account to the settings of the rail.",
        )
    iban, bic = _split(beneficiary.account)
    if iban == accounts[currency].iban:
        raise BadInput("This is the firm's own account.", field="beneficiary", remedy=_REMEDY)
    return Payee(iban, bic, latin_name(beneficiary.name), IBAN(iban).in_sepa_zone)


def latin_name(name: str) -> str:
    """Returns a name in the SEPA character set, at most 70 characters. Raises BadInput."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    plain = " ".join("".join(letter for letter in plain if not unicodedata.combining(letter)).split())
    if not plain or set(plain) - _SEPA_SET:
        raise BadInput(
            "The holder's name has letters that a bank file cannot carry.",
            field="beneficiary",
            remedy="Write the name in Latin letters, as on the holder's bank statement.",
        )
    return plain[:_LONGEST_NAME].strip()


def _split(account: str) -> tuple[str, str]:
    """Returns (IBAN, BIC or "")."""
    try:
        iban = IBAN(account).compact
    except SchwiftyException as exc:
        head, _, tail = account.strip().rpartition(" ")
        if len(tail) not in (8, 11) or not head:
            raise BadInput(f"The IBAN is wrong: {_why(exc)}.", field="beneficiary", remedy=_REMEDY) from exc
    else:
        return iban, ""
    try:
        return IBAN(head).compact, BIC(tail).compact
    except SchwiftyException as exc:
        raise BadInput(f"The IBAN or BIC is wrong: {_why(exc)}.", field="beneficiary", remedy=_REMEDY) from exc


def _why(error: SchwiftyException) -> str:
    """Returns the kind of error without what was given."""
    words = {
        "InvalidChecksumDigits": "the check digits do not match",
        "InvalidLength": "the length is wrong",
        "InvalidStructure": "the form is wrong",
        "InvalidCountryCode": "there is no such country",
    }
    return words.get(type(error).__name__, "it cannot exist")

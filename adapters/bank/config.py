"""Settings of a bank connection: the same for the rail and for the statement source of one name."""

from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from adapters.bank.accounts import BankAccount, latin_name, read_accounts
from adapters.bank.calendar import BankDays
from domain.errors import BadInput, Unavailable
from domain.money import Money

Clock = Callable[[], datetime]
CLOCK_FILE: Final = "clock"  # the bank sandbox writes its market time into this file


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("give an IANA time zone such as Europe/Berlin")
    return name


def _holidays(name: str) -> str:
    BankDays("UTC", time(), name)
    return name


def _holder(name: str) -> str:
    try:
        return latin_name(name)
    except BadInput as exc:
        raise ValueError(exc.message) from exc


def _parts(text: object) -> object:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


def _amounts(text: object) -> object:
    """Reads `EUR:25, USD:30` as minor units by currency."""
    if not isinstance(text, str):
        return text
    found: dict[str, int] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        currency, _, amount = part.partition(":")
        try:
            found[currency] = Money.parse(amount, currency).minor
        except BadInput as exc:
            raise ValueError(f"{exc.message} {exc.remedy or ''}".strip()) from exc
    return found


class BankSettings(BaseModel):
    """Settings of a bank connection.

    - folder: shared with the bank's link: `out/` for our files, `in/` for the bank's
    - accounts: `EUR:IBAN:BIC, USD:IBAN:BIC`, one account for each currency
    - holder: the firm's name as the bank has it
    - zone, cut_off, holidays: a file that leaves after `cut_off` is carried out on the next business day
    - collect_minutes: how long a payout may wait for others, to leave in one file
    - settlements_from: debtors of which a credit is a settlement, as in the statement, separated by commas
    - return_charges_up_to: `EUR:25, USD:30`; a payment that comes back with so much less, and without charges in the
      file, counts as returned minus charges. Stated charges need no limit
    - first_statement: the number of the first statement to read; unset: whichever comes first
    - clock: `wall`, or `bank` for the time that the bank sandbox writes into the folder
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    accounts: Annotated[dict[str, BankAccount], BeforeValidator(lambda text: read_accounts(str(text)))]
    holder: Annotated[str, AfterValidator(_holder)]
    zone: Annotated[str, AfterValidator(_zone)] = "Europe/Berlin"
    cut_off: time = time(15)
    holidays: Annotated[str, AfterValidator(_holidays)] = "ECB"
    collect_minutes: Annotated[int, Field(ge=0, le=1440)] = 10
    settlements_from: Annotated[tuple[str, ...], BeforeValidator(_parts)] = ()
    return_charges_up_to: Annotated[dict[str, int], BeforeValidator(_amounts)] = {}
    first_statement: Annotated[int, Field(ge=1)] | None = None
    clock: Literal["wall", "bank"] = "wall"

    @property
    def days(self) -> BankDays:
        return BankDays(self.zone, self.cut_off, self.holidays)

    def now(self) -> datetime:
        """Returns the bank's time. Raises Unavailable while the sandbox has written none."""
        if self.clock == "wall":
            return datetime.now(UTC)
        path = self.folder / CLOCK_FILE
        try:
            return datetime.fromisoformat(path.read_text().strip()).astimezone(UTC)
        except (OSError, ValueError) as exc:
            raise Unavailable(
                f"The bank sandbox has written no time into {path}.", remedy="Start the sandbox on this folder."
            ) from exc

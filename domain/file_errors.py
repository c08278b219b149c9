"""Refusals of files and folders: products, statements, prices, banks' files. domain/errors.py has the whole tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.errors import BadInput, Conflict


class PolicyInvalid(BadInput):
    """The firm's policy file cannot be read. The policy on the record stays in force."""

    type = "policy-invalid"


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of a definition. `line`: counted from 1; None: of the whole text. `field`: dotted, such as
    phases.0.rules; empty: of the whole text. `problem` says what to write instead."""

    line: int | None
    field: str
    problem: str


class ProductInvalid(BadInput):
    """`faults`: every error, where they were found in a text."""

    type = "product-invalid"

    def __init__(
        self, message: str, *, field: str | None = None, remedy: str | None = None, faults: Sequence[Fault] = ()
    ) -> None:
        super().__init__(message, field=field, remedy=remedy)
        self.faults = tuple(faults)


class YamlInvalid(BadInput):
    """`line`: where reading ended, where that is known."""

    type = "yaml-invalid"

    def __init__(
        self, message: str, *, field: str | None = None, remedy: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(message, field=field, remedy=remedy)
        self.line = line


class PriceFileInvalid(BadInput):
    type = "price-file-invalid"


class RecordingInvalid(BadInput):
    type = "recording-invalid"


class StatementInvalid(BadInput):
    type = "statement-invalid"


class CalendarUnreadable(BadInput):
    """Rows of a news calendar cannot be read. Nothing of the file is imported."""

    type = "calendar-unreadable"


class RatesUnreadable(BadInput):
    """Nothing of a file of exchange rates is imported. The message lists every wrong row."""

    type = "rates-unreadable"


class CaseUnreadable(BadInput):
    """The file is not a list of worked examples in the format."""

    type = "case-unreadable"


class BankFileRefused(BadInput):
    """A file of a bank that is not read in: nothing of it is booked. `field`: its element."""

    type = "bank-file-refused"

    def __init__(self, file: str, element: str, fault: str, remedy: str) -> None:
        super().__init__(f"The bank's file {file} is not booked: {element} {fault}.", field=element, remedy=remedy)


class BankFileUnreadable(BankFileRefused):
    type = "bank-file-unreadable"


class BankFileRepeated(BankFileRefused):
    type = "bank-file-repeated"


class BankFileMisaddressed(BankFileRefused):
    type = "bank-file-misaddressed"


class BankFileOutOfOrder(BankFileRefused):
    """`missing`: the number of the statement that must come first; None for a wrong opening balance."""

    type = "bank-file-out-of-order"

    def __init__(self, file: str, element: str, fault: str, remedy: str, missing: int | None = None) -> None:
        super().__init__(file, element, fault, remedy)
        self.missing = missing


class BankFileUnbalanced(BankFileRefused):
    type = "bank-file-unbalanced"


class SanctionsUnreadable(BadInput):
    """Nothing of the file is used."""

    type = "sanctions-unreadable"


class SurveillanceFileInvalid(BadInput):
    """A file for surveillance cannot be read at all: it is missing, no CSV, or lacks a column. Rows that cannot be used
    are no error: they are counted and reported."""

    type = "surveillance-file-invalid"


class ThresholdsInvalid(BadInput):
    """A file of thresholds names a pattern or a threshold that there is none of, or a value that it cannot have."""

    type = "thresholds-invalid"


class DataLocked(Conflict):
    """Another `propos up` owns the data folder."""

    type = "data-locked"

    def __init__(self, data_dir: Path, holder: str) -> None:
        super().__init__(
            f"{data_dir} is in use by another `propos up` (process {holder}).",
            remedy=f"Use that one, or stop it with: propos stop --data {data_dir}",
        )

"""Reads what the bank says moved: statements (camt.053) and notifications of single bookings (camt.054)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from adapters.bank.xml import Node
from domain.file_errors import BankFileUnbalanced

_FEE_CODES: Final = frozenset({"CHRG", "FEES", "COMM"})


@dataclass(frozen=True)
class Booking:
    """One movement of money. Positive amounts come in. `reference`: the EndToEndId, else the remittance text.
    `returned`: the bank's reason if this is money that came back. `reversal`: the bank undoes a booking of its own.
    `charges_minor`: what banks kept of it, as far as the file says so."""

    reference: str
    amount_minor: int
    at: datetime
    returned: str | None
    reversal: bool
    is_fee: bool
    debtor: str
    charges_minor: int = 0


@dataclass(frozen=True)
class Balances:
    opening_minor: int
    closing_minor: int
    closing_at: datetime


@dataclass(frozen=True)
class Report:
    """A statement of one account, or a notification: that has neither number nor balances. `year`: of its creation."""

    report_id: str
    iban: str
    currency: str
    year: int
    number: int | None
    balances: Balances | None
    bookings: tuple[Booking, ...]


def read_statements(root: Node, zone: ZoneInfo) -> list[Report]:
    """Returns the statements of a camt.053 file. Raises BankFileUnreadable, BankFileUnbalanced."""
    return [_statement(node, zone) for node in _some(root, "Stmt")]


def read_notifications(root: Node, zone: ZoneInfo) -> list[Report]:
    """Returns the notifications of a camt.054 file. Raises BankFileUnreadable, BankFileUnbalanced."""
    return [_report(node, zone, None, None) for node in _some(root, "Ntfctn")]


def _some(root: Node, name: str) -> list[Node]:
    nodes = root.all(name)
    if not nodes:
        raise root.wrong("is missing", name)
    return nodes


def _statement(node: Node, zone: ZoneInfo) -> Report:
    currency = node.need_text("Acct/Ccy")
    balances = _balances(node, zone, currency)
    report = _report(node, zone, node.whole("ElctrncSeqNb", "LglSeqNb"), balances)
    moved = sum(booking.amount_minor for booking in report.bookings)
    if balances.opening_minor + moved != balances.closing_minor:
        raise BankFileUnbalanced(
            node.file,
            f"Stmt {report.report_id}",
            f"has an opening balance of {balances.opening_minor} and entries of {moved} minor units,"
            f" but a closing balance of {balances.closing_minor}",
            "Ask the bank for a correct statement.",
        )
    return report


def _report(node: Node, zone: ZoneInfo, number: int | None, balances: Balances | None) -> Report:
    currency = node.need_text("Acct/Ccy")
    return Report(
        report_id=node.need_text("Id")[:35],
        iban=node.need_text("Acct/Id/IBAN", "Acct/Id/Othr/Id").replace(" ", ""),
        currency=currency,
        year=node.instant(zone, "CreDtTm").astimezone(zone).year,
        number=number,
        balances=balances,
        bookings=tuple(booking for entry in node.all("Ntry") for booking in _bookings(entry, zone, currency)),
    )


def _balances(node: Node, zone: ZoneInfo, currency: str) -> Balances:
    """Reads the opening (OPBD or PRCD) and the closing balance (CLBD)."""
    found = {balance.need_text("Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry"): balance for balance in node.all("Bal")}
    opening, closing = found.get("OPBD") or found.get("PRCD"), found.get("CLBD")
    if opening is None or closing is None:
        raise node.wrong("has no opening or no closing balance (OPBD, CLBD)", "Bal")
    return Balances(
        opening.sign() * opening.amount_minor(currency),
        closing.sign() * closing.amount_minor(currency),
        closing.instant(zone, "Dt/DtTm", "Dt/Dt"),
    )


def _bookings(entry: Node, zone: ZoneInfo, currency: str) -> Iterator[Booking]:
    """Yields the transactions of an entry: one, or each of a batch that the bank booked in one sum. An entry that is
    not booked yet has none."""
    if entry.need_text("Sts/Cd", "Sts") != "BOOK":
        return
    amount, sign = entry.amount_minor(currency), entry.sign()
    at = entry.instant(zone, "BookgDt/DtTm", "BookgDt/Dt")
    details = entry.all("NtryDtls/TxDtls")
    if len(details) < 2:
        yield _booking(entry, details[0] if details else entry, sign * amount, at, currency)
        return
    parts = [detail.amount_minor(currency, "Amt" if detail.first("Amt") else "AmtDtls/TxAmt/Amt") for detail in details]
    if sum(parts) != amount:
        raise BankFileUnbalanced(
            entry.file,
            "Ntry",
            f"is {amount} minor units, but its transactions sum to {sum(parts)}",
            "Ask the bank for a correct statement.",
        )
    for detail, part in zip(details, parts, strict=True):
        yield _booking(entry, detail, sign * part, at, currency)


def _booking(entry: Node, detail: Node, amount_minor: int, at: datetime, currency: str) -> Booking:
    reference = detail.text("Refs/EndToEndId")
    if reference in ("", "NOTPROVIDED"):
        reference = detail.text("RmtInf/Ustrd", "AddtlNtryInf") or entry.text("AddtlNtryInf")
    back = detail.first("RtrInf")
    reason = None if back is None else back.text("Rsn/Cd", "Rsn/Prtry") or "no reason given"
    if back is not None and back.text("AddtlInf"):
        reason = f"{reason}: {back.text('AddtlInf')}"
    codes = {entry.text("BkTxCd/Domn/Fmly/SubFmlyCd"), detail.text("BkTxCd/Domn/Fmly/SubFmlyCd")}
    return Booking(
        reference=reference,
        amount_minor=amount_minor,
        at=at,
        returned=reason,
        reversal=entry.text("RvslInd") in ("true", "1"),
        is_fee=bool(codes & _FEE_CODES),
        debtor=detail.text("RltdPties/Dbtr/Pty/Nm", "RltdPties/Dbtr/Nm"),
        charges_minor=_charges(detail, currency),
    )


def _charges(detail: Node, currency: str) -> int:
    """Returns the charges of a transaction: their total, else the sum of its records; 0 without any. Charges in another
    currency explain nothing here."""
    charges = detail.first("Chrgs")
    if charges is None:
        return 0
    total = [charges] if charges.first("TtlChrgsAndTaxAmt") else []
    path = "TtlChrgsAndTaxAmt" if total else "Amt"
    found = total or charges.all("Rcrd")
    ours = [each for each in found if each.need(path).attribute("Ccy") == currency]
    return sum(each.amount_minor(currency, path) for each in ours)

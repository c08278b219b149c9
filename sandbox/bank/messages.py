"""The simulated bank's own reading and writing of ISO 20022 messages, independent of the adapter's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from domain.money import from_minor, to_minor

_URN: Final = "urn:iso:std:iso:20022:tech:xsd:"
_PAIN001: Final = {"p": f"{_URN}pain.001.001.09"}


@dataclass(frozen=True)
class Instruction:
    """One payment of a file, as the bank reads it."""

    key: str
    amount_minor: int
    currency: str
    name: str
    iban: str
    text: str


@dataclass(frozen=True)
class PaymentFile:
    message_id: str
    debtor_iban: str
    currency: str
    execution: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Line:
    """An entry of a statement. Positive amounts come in. `returned`: (code, words) of a payment that came back,
    of which `charges_minor` was kept."""

    amount_minor: int
    key: str = ""
    text: str = ""
    debtor: str = ""
    code: str = "ICDT"
    returned: tuple[str, str] | None = None
    reversal: bool = False
    charges_minor: int = 0


def read_payment_file(content: bytes) -> PaymentFile:
    """Raises ValueError for a file that is not pain.001.001.09 or not consistent in itself."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as exc:
        raise ValueError(f"no XML: {exc}") from exc
    instructions = tuple(_instruction(node) for node in root.findall(".//p:CdtTrfTxInf", _PAIN001))
    total = sum(
        (Decimal(_text(node, "p:Amt/p:InstdAmt")) for node in root.findall(".//p:CdtTrfTxInf", _PAIN001)), Decimal()
    )
    if total != Decimal(_text(root, ".//p:GrpHdr/p:CtrlSum")) or len(instructions) != int(
        _text(root, ".//p:GrpHdr/p:NbOfTxs")
    ):
        raise ValueError("the control sum or the count is wrong")
    return PaymentFile(
        message_id=_text(root, ".//p:GrpHdr/p:MsgId"),
        debtor_iban=_text(root, ".//p:DbtrAcct/p:Id/p:IBAN"),
        currency=_text(root, ".//p:DbtrAcct/p:Ccy"),
        execution=_text(root, ".//p:ReqdExctnDt/p:Dt"),
        instructions=instructions,
    )


def _instruction(node: Any) -> Instruction:
    amount = node.find("p:Amt/p:InstdAmt", _PAIN001)
    currency = amount.get("Ccy")
    return Instruction(
        key=_text(node, "p:PmtId/p:EndToEndId"),
        amount_minor=to_minor(Decimal(amount.text), currency),
        currency=currency,
        name=_text(node, "p:Cdtr/p:Nm"),
        iban=_text(node, "p:CdtrAcct/p:Id/p:IBAN"),
        text=_text(node, "p:RmtInf/p:Ustrd"),
    )


def _text(node: Any, path: str) -> str:
    found = node.findtext(path, namespaces=_PAIN001)
    if not found:
        raise ValueError(f"there is no {path}")
    return str(found)


def status_file(
    message_id: str,
    at: datetime,
    original: str,
    group_reason: str | None,
    refused: dict[str, tuple[str, str]],
    keys: Iterable[str],
) -> bytes:
    """Returns a pain.002.001.10. `group_reason`: code with which the whole file is refused. `refused`: (code, words) by
    EndToEndId."""
    root, report = _document("pain.002.001.10", "CstmrPmtStsRpt")
    _add(report, "GrpHdr", MsgId=message_id, CreDtTm=at.isoformat())
    group = _add(report, "OrgnlGrpInfAndSts", OrgnlMsgId=original, OrgnlMsgNmId="pain.001.001.09")
    _add(group, "GrpSts", "RJCT" if group_reason else "PART" if refused else "ACTC")
    if group_reason:
        _add(_add(_add(group, "StsRsnInf"), "Rsn"), "Cd", group_reason)
        return _bytes(root)
    payment = _add(report, "OrgnlPmtInfAndSts", OrgnlPmtInfId=original)
    for key in keys:
        transaction = _add(payment, "TxInfAndSts", OrgnlInstrId=key, OrgnlEndToEndId=key)
        _add(transaction, "TxSts", "RJCT" if key in refused else "ACTC")
        if key in refused:
            code, words = refused[key]
            reason = _add(transaction, "StsRsnInf")
            _add(_add(reason, "Rsn"), "Cd", code)
            _add(reason, "AddtlInf", words)
    return _bytes(root)


def statement_file(
    report_id: str, at: datetime, number: int, iban: str, currency: str, opening_minor: int, lines: Sequence[Line]
) -> bytes:
    """Returns a camt.053.001.08."""
    root, top = _document("camt.053.001.08", "BkToCstmrStmt")
    _add(top, "GrpHdr", MsgId=report_id, CreDtTm=at.isoformat())
    statement = _add(top, "Stmt", Id=report_id, ElctrncSeqNb=str(number), CreDtTm=at.isoformat())
    _account(statement, iban, currency)
    closing_minor = opening_minor + sum(line.amount_minor for line in lines)
    for code, minor in (("OPBD", opening_minor), ("CLBD", closing_minor)):
        balance = _add(statement, "Bal")
        _add(_add(_add(balance, "Tp"), "CdOrPrtry"), "Cd", code)
        _amount(balance, minor, currency)
        _add(_add(balance, "Dt"), "DtTm", at.isoformat())
    for line in lines:
        _entry(statement, line, currency, at)
    return _bytes(root)


def notification_file(report_id: str, at: datetime, iban: str, currency: str, lines: Sequence[Line]) -> bytes:
    """Returns a camt.054.001.08."""
    root, top = _document("camt.054.001.08", "BkToCstmrDbtCdtNtfctn")
    _add(top, "GrpHdr", MsgId=report_id, CreDtTm=at.isoformat())
    notification = _add(top, "Ntfctn", Id=report_id, CreDtTm=at.isoformat())
    _account(notification, iban, currency)
    for line in lines:
        _entry(notification, line, currency, at)
    return _bytes(root)


def _entry(parent: Any, line: Line, currency: str, at: datetime) -> None:
    entry = _add(parent, "Ntry")
    _amount(entry, line.amount_minor, currency)
    if line.reversal:
        _add(entry, "RvslInd", "true")
    _add(_add(entry, "Sts"), "Cd", "BOOK")
    _add(_add(entry, "BookgDt"), "DtTm", at.isoformat())
    _add(_add(_add(_add(entry, "BkTxCd"), "Domn"), "Fmly"), "SubFmlyCd", line.code)
    details = _add(_add(entry, "NtryDtls"), "TxDtls")
    _add(details, "Refs", EndToEndId=line.key or "NOTPROVIDED")
    if line.charges_minor:
        total = _add(_add(details, "Chrgs"), "TtlChrgsAndTaxAmt", f"{from_minor(line.charges_minor, currency):f}")
        total.set("Ccy", currency)
    if line.debtor:
        _add(_add(_add(_add(details, "RltdPties"), "Dbtr"), "Pty"), "Nm", line.debtor)
    if line.text:
        _add(_add(details, "RmtInf"), "Ustrd", line.text)
    if line.returned is not None:
        back = _add(details, "RtrInf")
        _add(_add(back, "Rsn"), "Cd", line.returned[0])
        _add(back, "AddtlInf", line.returned[1])


def _account(parent: Any, iban: str, currency: str) -> None:
    account = _add(parent, "Acct")
    _add(_add(account, "Id"), "IBAN", iban)
    _add(account, "Ccy", currency)


def _amount(parent: Any, minor: int, currency: str) -> None:
    _add(parent, "Amt", f"{from_minor(abs(minor), currency):f}").set("Ccy", currency)
    _add(parent, "CdtDbtInd", "CRDT" if minor >= 0 else "DBIT")


def _document(kind: str, name: str) -> tuple[Any, Any]:
    root = etree.Element(f"{{{_URN}{kind}}}Document", nsmap={None: f"{_URN}{kind}"})
    return root, _add(root, name)


def _add(parent: Any, name: str, text: str | None = None, **children: str) -> Any:
    """Appends an element with a text or with child elements that have texts; returns it."""
    element = etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}")
    element.text = text
    for child, value in children.items():
        _add(element, child, value)
    return element


def _bytes(root: Any) -> bytes:
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return content

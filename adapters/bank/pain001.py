"""Writes a payment file, pain.001.001.09, and validates it against the official schema."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import distribution
from typing import Any, Final, NamedTuple

from lxml import etree
from lxml.builder import ElementMaker

from adapters.bank.accounts import BankAccount, Payee
from domain.errors import InternalError
from domain.money import from_minor

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_ELEMENT: Final = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})


class Payment(NamedTuple):
    """`key`: the EndToEndId. `reference`: our payout id, for the holder's statement."""

    key: str
    reference: str
    amount_minor: int
    payee: Payee


class Batch(NamedTuple):
    """Payments of one account in one file. `batch_id`: at most 35 characters. All or none of the payees are in SEPA."""

    batch_id: str
    created_at: datetime
    execution: date
    holder: str
    account: BankAccount
    payments: Sequence[Payment]


def payment_file(batch: Batch) -> bytes:
    """Returns the file. Raises InternalError if it does not conform to the schema: it must not be given out."""
    content = _written(batch)
    schema = _schema()
    if not schema.validate(etree.fromstring(content)):
        raise InternalError(f"Payment file {batch.batch_id} does not conform to pain.001.001.09: {schema.error_log}")
    return content


@cache
def _schema() -> Any:
    """The schema as published by ISO 20022. The package sepaxml carries it; its code is not used."""
    path = distribution("sepaxml").locate_file("sepaxml/schemas/pain.001.001.09.xsd")
    return etree.XMLSchema(etree.parse(str(path)))


def _written(batch: Batch) -> bytes:
    account = batch.account
    count = str(len(batch.payments))
    total = str(from_minor(sum(payment.amount_minor for payment in batch.payments), account.currency))
    kinds = {is_sepa(account.currency, payment.payee) for payment in batch.payments}
    assert len(kinds) == 1, "SEPA payments have a file of their own"
    sepa = kinds.pop()
    document = _ELEMENT.Document(
        _ELEMENT.CstmrCdtTrfInitn(
            _ELEMENT.GrpHdr(
                _ELEMENT.MsgId(batch.batch_id),
                _ELEMENT.CreDtTm(f"{batch.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"),
                _ELEMENT.NbOfTxs(count),
                _ELEMENT.CtrlSum(total),
                _ELEMENT.InitgPty(_ELEMENT.Nm(batch.holder)),
            ),
            _ELEMENT.PmtInf(
                _ELEMENT.PmtInfId(batch.batch_id),
                _ELEMENT.PmtMtd("TRF"),
                _ELEMENT.BtchBookg("false"),
                _ELEMENT.NbOfTxs(count),
                _ELEMENT.CtrlSum(total),
                *([_ELEMENT.PmtTpInf(_ELEMENT.SvcLvl(_ELEMENT.Cd("SEPA")))] if sepa else []),
                _ELEMENT.ReqdExctnDt(_ELEMENT.Dt(batch.execution.isoformat())),
                _ELEMENT.Dbtr(_ELEMENT.Nm(batch.holder)),
                _ELEMENT.DbtrAcct(_iban(account.iban), _ELEMENT.Ccy(account.currency)),
                _ELEMENT.DbtrAgt(_bank(account.bic)),
                _ELEMENT.ChrgBr("SLEV" if sepa else "SHAR"),
                *(_transaction(payment, account.currency) for payment in batch.payments),
            ),
        )
    )
    written: bytes = etree.tostring(document, encoding="UTF-8", xml_declaration=False)
    return _DECLARATION + written


def is_sepa(currency: str, payee: Payee) -> bool:
    """Whether a payment is a SEPA credit transfer: these have a file of their own."""
    return currency == "EUR" and payee.in_sepa


def _transaction(payment: Payment, currency: str) -> Any:
    amount = str(from_minor(payment.amount_minor, currency))
    return _ELEMENT.CdtTrfTxInf(
        _ELEMENT.PmtId(_ELEMENT.InstrId(payment.key), _ELEMENT.EndToEndId(payment.key)),
        _ELEMENT.Amt(_ELEMENT.InstdAmt(amount, Ccy=currency)),
        *([_ELEMENT.CdtrAgt(_bank(payment.payee.bic))] if payment.payee.bic else []),
        _ELEMENT.Cdtr(_ELEMENT.Nm(payment.payee.name)),
        _ELEMENT.CdtrAcct(_iban(payment.payee.iban)),
        _ELEMENT.RmtInf(_ELEMENT.Ustrd(_plain(payment.reference))),
    )


def _iban(iban: str) -> Any:
    return _ELEMENT.Id(_ELEMENT.IBAN(iban))


def _bank(bic: str) -> Any:
    return _ELEMENT.FinInstnId(_ELEMENT.BICFI(bic))


def _plain(reference: str) -> str:
    """Returns our id in the SEPA character set: it has no underscore."""
    return reference.replace("_", "-")[:140]

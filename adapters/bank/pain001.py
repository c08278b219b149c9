"""Writes a payment file, pain.001.001.09, and validates it against the official schema."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import distribution
from typing import Any, Final, NamedTuple

from lxml import etree

from adapters.bank.accounts import BankAccount, Payee
from domain.errors import InternalError
from domain.money import from_minor

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"


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
    # The package has thousands of classes: it is loaded when the first file is written.
    from pyiso20022.pain import pain_001_001_09 as pain
    from xsdata.formats.dataclass.serializers import XmlSerializer
    from xsdata.models.datatype import XmlDate, XmlDateTime

    account = batch.account
    count = str(len(batch.payments))
    total = from_minor(sum(payment.amount_minor for payment in batch.payments), account.currency)
    kinds = {is_sepa(account.currency, payment.payee) for payment in batch.payments}
    assert len(kinds) == 1, "SEPA payments have a file of their own"
    sepa = kinds.pop()
    firm = pain.PartyIdentification135(nm=batch.holder)
    document = pain.Document(
        cstmr_cdt_trf_initn=pain.CustomerCreditTransferInitiationV09(
            grp_hdr=pain.GroupHeader85(
                msg_id=batch.batch_id,
                cre_dt_tm=XmlDateTime.from_datetime(batch.created_at.astimezone(UTC).replace(microsecond=0)),
                nb_of_txs=count,
                ctrl_sum=total,
                initg_pty=firm,
            ),
            pmt_inf=[
                pain.PaymentInstruction30(
                    pmt_inf_id=batch.batch_id,
                    pmt_mtd=pain.PaymentMethod3Code.TRF,
                    btch_bookg=False,
                    nb_of_txs=count,
                    ctrl_sum=total,
                    pmt_tp_inf=_sepa_service(pain) if sepa else None,
                    reqd_exctn_dt=pain.DateAndDateTime2Choice(dt=XmlDate.from_date(batch.execution)),
                    dbtr=firm,
                    dbtr_acct=_iban(pain, account.iban, account.currency),
                    dbtr_agt=_bank(pain, account.bic),
                    chrg_br=pain.ChargeBearerType1Code.SLEV if sepa else pain.ChargeBearerType1Code.SHAR,
                    cdt_trf_tx_inf=[_transaction(pain, payment, account.currency) for payment in batch.payments],
                )
            ],
        )
    )
    text: str = XmlSerializer().render(document, ns_map={None: NAMESPACE})
    return text.encode()


def is_sepa(currency: str, payee: Payee) -> bool:
    """Whether a payment is a SEPA credit transfer: these have a file of their own."""
    return currency == "EUR" and payee.in_sepa


def _sepa_service(pain: Any) -> Any:
    return pain.PaymentTypeInformation26(svc_lvl=[pain.ServiceLevel8Choice(cd="SEPA")])


def _transaction(pain: Any, payment: Payment, currency: str) -> Any:
    amount = pain.ActiveOrHistoricCurrencyAndAmount(value=from_minor(payment.amount_minor, currency), ccy=currency)
    return pain.CreditTransferTransaction34(
        pmt_id=pain.PaymentIdentification6(instr_id=payment.key, end_to_end_id=payment.key),
        amt=pain.AmountType4Choice(instd_amt=amount),
        cdtr_agt=_bank(pain, payment.payee.bic) if payment.payee.bic else None,
        cdtr=pain.PartyIdentification135(nm=payment.payee.name),
        cdtr_acct=_iban(pain, payment.payee.iban),
        rmt_inf=pain.RemittanceInformation16(ustrd=[_plain(payment.reference)]),
    )


def _iban(pain: Any, iban: str, currency: str | None = None) -> Any:
    return pain.CashAccount38(id=pain.AccountIdentification4Choice(iban=iban), ccy=currency)


def _bank(pain: Any, bic: str) -> Any:
    institution = pain.FinancialInstitutionIdentification18(bicfi=bic)
    return pain.BranchAndFinancialInstitutionIdentification6(fin_instn_id=institution)


def _plain(reference: str) -> str:
    """Returns our id in the SEPA character set: it has no underscore."""
    return reference.replace("_", "-")[:140]

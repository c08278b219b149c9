"""Payment files: what is ordered is what the bank reads. Accounts, names, days."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from adapters.bank.accounts import BankAccount, check_payee, latin_name
from adapters.bank.calendar import BankDays
from adapters.bank.pain001 import NAMESPACE, Batch, Payment, is_sepa, payment_file
from domain.errors import BadInput, InternalError, UnknownCurrency
from domain.money import from_minor
from ports.rail import Beneficiary
from sandbox.bank.ibans import BIC, firm_iban, iban_of
from sandbox.bank.messages import read_payment_file
from tests.bank_world import bank_settings

ACCOUNTS = {currency: BankAccount(currency, firm_iban(currency), BIC) for currency in ("EUR", "JPY", "KWD", "UGX")}
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEYS = st.from_regex(r"trf-[0-9a-hjkmnp-tv-z]{26}", fullmatch=True)
NAMES = st.sampled_from(["Ada Lovelace", "Łukasz Müßig-O’Brien", "Ng & Sons (Pty) Ltd", "José Ångström", "A" * 90])


@st.composite
def payments(draw: st.DrawFn, currency: str) -> list[Payment]:
    found = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=6, unique=True)):
        holder = Beneficiary(account=iban_of(key), name=draw(NAMES))
        amount = draw(st.integers(min_value=1, max_value=10**13))
        found.append(Payment(key, f"pay_{key[4:]}", amount, check_payee(holder, currency, ACCOUNTS)))
    return found


@given(st.data(), st.sampled_from(sorted(ACCOUNTS)))
def test_the_bank_reads_what_was_ordered(data: st.DataObject, currency: str) -> None:
    """In currencies with two decimals, none and three. The reader is the simulated bank's own."""
    orders = data.draw(payments(currency))
    content = payment_file(Batch("B-1", NOW, date(2026, 3, 2), "Prop Firm GmbH", ACCOUNTS[currency], orders))
    read = read_payment_file(content)
    assert (read.message_id, read.currency, read.execution) == ("B-1", currency, "2026-03-02")
    assert read.debtor_iban == ACCOUNTS[currency].iban
    assert [(each.key, each.amount_minor, each.iban, each.name) for each in read.instructions] == [
        (order.key, order.amount_minor, order.payee.iban, order.payee.name) for order in orders
    ]
    total = etree.fromstring(content).findtext(f".//{{{NAMESPACE}}}CtrlSum")
    assert Decimal(str(total)) == from_minor(sum(order.amount_minor for order in orders), currency)


def test_a_file_that_does_not_conform_to_the_schema_is_not_given_out() -> None:
    payee = check_payee(Beneficiary(account=iban_of("a"), name="Ada"), "EUR", ACCOUNTS)
    batch = Batch("B" * 36, NOW, date(2026, 3, 2), "Prop Firm GmbH", ACCOUNTS["EUR"], [Payment("k", "pay_1", 1, payee)])
    with pytest.raises(InternalError, match=r"does not conform to pain\.001\.001\.09"):
        payment_file(batch)


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ("DE88370400440532013000", "check digits"),
        ("DE8937040044053201300", "length"),
        ("XX89370400440532013000", "country"),
        ("not an account", "IBAN"),
        ("DE89370400440532013000 12345678", "BIC"),
        ("", "IBAN"),
        (firm_iban("EUR"), "own account"),
    ],
)
def test_an_account_that_cannot_be_paid_is_refused(account: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as refused:
        check_payee(Beneficiary(account=account, name="Ada Lovelace"), "EUR", ACCOUNTS)
    assert refused.value.field == "beneficiary"
    assert refused.value.remedy
    assert len(account) < 10 or account not in refused.value.message, "an account number is not repeated"


def test_an_iban_may_have_spaces_and_a_bic() -> None:
    plain = Beneficiary(account="de89 3704 0044 0532 0130 00", name="Ada")
    assert check_payee(plain, "EUR", ACCOUNTS).iban == "DE89370400440532013000"
    with_bic = Beneficiary(account="DE89370400440532013000 COBADEFFXXX", name="Ada")
    assert check_payee(with_bic, "EUR", ACCOUNTS).bic == "COBADEFFXXX"


def test_only_euros_to_a_sepa_account_are_a_sepa_payment() -> None:
    brazil = Beneficiary(account="BR1800360305000010009795493C1", name="Ada")
    assert is_sepa("EUR", check_payee(Beneficiary(account=iban_of("a"), name="Ada"), "EUR", ACCOUNTS))
    assert not is_sepa("EUR", check_payee(brazil, "EUR", ACCOUNTS))
    assert not is_sepa("JPY", check_payee(Beneficiary(account=iban_of("a"), name="Ada"), "JPY", ACCOUNTS))


@pytest.mark.parametrize("currency", ["XXX", "EURO", ""])
def test_a_currency_without_a_known_exponent_is_refused(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        check_payee(Beneficiary(account=iban_of("a"), name="Ada"), currency, ACCOUNTS)


def test_a_currency_without_an_account_of_the_firm_is_refused() -> None:
    with pytest.raises(BadInput, match="no bank account in ISK") as refused:
        check_payee(Beneficiary(account=iban_of("a"), name="Ada"), "ISK", ACCOUNTS)
    assert refused.value.field == "beneficiary"


def test_a_name_is_written_in_the_letters_of_a_bank_file() -> None:
    assert latin_name("  Łukasz   Müßig-O’Brien & Søn ") == "Lukasz Mussig-O'Brien + Son"
    assert latin_name("A" * 80) == "A" * 70
    for name in ("Анна", "  ", "李小龙", "a_b", "<b>"):
        with pytest.raises(BadInput, match="letters"):
            latin_name(name)


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 3, 2, 13, 59, tzinfo=UTC), date(2026, 3, 2)),  # 14:59 in Berlin, winter
        (datetime(2026, 3, 2, 14, 0, tzinfo=UTC), date(2026, 3, 3)),
        (datetime(2026, 3, 30, 13, 0, tzinfo=UTC), date(2026, 3, 31)),  # 15:00 in Berlin, summer
        (datetime(2026, 3, 6, 15, 0, tzinfo=UTC), date(2026, 3, 9)),  # Friday after the cut-off
        (datetime(2026, 4, 2, 15, 0, tzinfo=UTC), date(2026, 4, 7)),  # before Good Friday and Easter Monday
        (datetime(2026, 12, 24, 23, 30, tzinfo=UTC), date(2026, 12, 28)),  # Christmas Day in Berlin, then a weekend
        (datetime(2026, 1, 1, 8, 0, tzinfo=UTC), date(2026, 1, 2)),
    ],
)
def test_a_file_is_carried_out_on_the_first_business_day_after_its_cut_off(at: datetime, day: date) -> None:
    assert BankDays("Europe/Berlin", time(15), "ECB").execution_date(at) == day


def test_another_market_has_its_own_holidays() -> None:
    thanksgiving = datetime(2026, 11, 26, 15, tzinfo=UTC)
    assert BankDays("America/New_York", time(17), "US").execution_date(thanksgiving) == date(2026, 11, 27)
    assert BankDays("America/New_York", time(17), "ECB").execution_date(thanksgiving) == date(2026, 11, 26)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("accounts", "EUR:DE88370400440532013000:COBADEFFXXX", "the check digits do not match"),
        ("accounts", "EUR:DE89370400440532013000:NOBIC", "account in EUR is wrong"),
        ("accounts", "XXX:DE89370400440532013000:COBADEFFXXX", "no currency 'XXX'"),
        ("accounts", "USDT:DE89370400440532013000:COBADEFFXXX", "three letters"),
        ("accounts", f"EUR:{firm_iban('EUR')}:{BIC},EUR:{firm_iban('USD')}:{BIC}", "two accounts in EUR"),
        ("accounts", "EUR", "CURRENCY:IBAN:BIC"),
        ("zone", "Europe/Nowhere", "IANA"),
        ("holidays", "MARS", "no holidays MARS"),
        ("holder", "Фирма", "letters"),
        ("cut_off", "25:00", "hour"),
        ("colour", "red", "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused(field: str, value: str, reason: str) -> None:

    with pytest.raises(ValidationError, match=reason) as refused:
        bank_settings(Path("unused"), **{field: value})
    assert [error["loc"][0] for error in refused.value.errors()] == [field]

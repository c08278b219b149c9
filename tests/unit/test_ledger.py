from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import ledger
from domain.chart import account_named
from domain.errors import UnknownAccount
from domain.exchange import Conversion, Rate, convert
from domain.ledger import Entry, Layer, Line, reversal
from domain.money import Money

FEE_DIGEST = "d3ba298b2982ffbcdc8cbf1deb69c0d25821fd407c79c5fb511cbb1217781971"
SENT_DIGEST = "0f9ee777f8fb3f2ce5b39f704e004010d0ed210ff7de6bd44595a44102ad3029"
AMOUNTS = st.builds(Money, minor=st.integers(1, 10**12), currency=st.sampled_from(["USD", "JPY", "KWD"]))
PROVIDER_ENTRIES: list[Callable[[str, Money, str], Entry]] = [
    ledger.fee_paid,
    ledger.fee_refunded,
    ledger.fee_charged_back,
    ledger.payment_suspended,
    ledger.suspense_refunded,
    ledger.suspense_charged_back,
    lambda reference, part, provider: ledger.fee_partly_refunded(reference, part, provider, 7),
    lambda reference, part, provider: ledger.suspense_partly_refunded(reference, part, provider, 7),
    ledger.payout_sent,
    ledger.payout_settled,
    ledger.payout_returned,
    ledger.payout_return_settled,
]


def net(*entries: Entry) -> dict[str, int]:
    """account -> what remains on it; accounts without a remainder are left out."""
    totals: dict[str, int] = {}
    for entry in entries:
        for line in entry.lines:
            totals[line.account] = totals.get(line.account, 0) + line.amount_minor
    return {account: total for account, total in totals.items() if total}


@given(AMOUNTS)
def test_a_payout_that_ends_without_payment_leaves_no_trace(amount: Money) -> None:
    reserved, released = ledger.payout_reserved("pay_1", amount), ledger.payout_released("pay_1", amount)
    assert net(reserved, released) == {}
    sent, returned = ledger.payout_sent("pay_1", amount, "p"), ledger.payout_returned("pay_1", amount, "p")
    assert net(reserved, sent, returned, released) == {}


@given(AMOUNTS)
def test_a_paid_payout_is_an_expense_paid_by_the_provider(amount: Money) -> None:
    reserved, sent = ledger.payout_reserved("pay_1", amount), ledger.payout_sent("pay_1", amount, "p")
    assert net(reserved, sent) == {"payout-expense": amount.minor, "in-transit:p": -amount.minor}
    paid = net(reserved, sent, ledger.payout_settled("pay_1", amount, "p"))
    assert paid == {"payout-expense": amount.minor, "provider:p": -amount.minor}


@given(AMOUNTS)
def test_suspended_money_is_no_income_and_no_loss(amount: Money) -> None:
    suspended = ledger.payment_suspended("chl_1", amount, "p")
    assert net(suspended) == {"provider:p": amount.minor, "suspense": -amount.minor}
    for back in (ledger.suspense_refunded, ledger.suspense_charged_back):
        assert net(suspended, back("chl_1", amount, "p")) == {}


@given(AMOUNTS, AMOUNTS)
def test_a_fee_that_comes_back_with_a_payout_is_taken_out_of_the_fees(amount: Money, fee: Money) -> None:
    refund = Money(minor=fee.minor, currency=amount.currency)
    reserved = ledger.payout_reserved("pay_1", amount, refund)
    assert net(reserved) == {
        "payout-expense": amount.minor,
        "fees": refund.minor,
        "trader-payable": -amount.minor - refund.minor,
    }
    assert net(reserved, ledger.payout_sent("pay_1", amount + refund, "p")).get("trader-payable") is None
    assert net(reserved, ledger.payout_released("pay_1", amount, refund)) == {}
    nothing = Money(minor=0, currency=amount.currency)
    assert ledger.payout_reserved("pay_1", amount, nothing) == ledger.payout_reserved("pay_1", amount)


@given(AMOUNTS)
def test_what_is_forfeited_touches_no_money_of_the_firm(excess: Money) -> None:
    taken, back = ledger.payout_forfeited("pay_1", excess), ledger.forfeit_returned("pay_1", excess)
    assert net(taken) == {"account-profit": excess.minor, "forfeited-profit": -excess.minor}
    assert net(taken, back) == {}


@given(AMOUNTS, st.sampled_from(PROVIDER_ENTRIES))
def test_every_entry_balances_and_its_reversal_undoes_it(
    amount: Money, make: Callable[[str, Money, str], Entry]
) -> None:
    entry = make("ref_1", amount, "p")
    assert sum(line.amount_minor for line in entry.lines) == 0
    assert net(entry, reversal(entry)) == {}
    assert reversal(entry).key != entry.key


def test_an_entry_that_does_not_balance_cannot_be_made() -> None:
    for lines in ((), (Line(account="fees", currency="USD", amount_minor=1),)):
        with pytest.raises(ValidationError, match="does not sum to zero"):
            Entry(key="k", kind="fee_paid", reference="r", lines=lines)


@pytest.mark.parametrize("layers", [("posted", "pending"), ("pending", "posted")])
def test_pending_and_posted_lines_balance_apart(layers: tuple[Layer, Layer]) -> None:
    lines = tuple(
        Line(account=account, currency="USD", amount_minor=amount, layer=layer)
        for account, amount, layer in zip(("fees", "suspense"), (1, -1), layers, strict=True)
    )
    with pytest.raises(ValidationError, match="does not sum to zero"):
        Entry(key="k", kind="fee_paid", reference="r", lines=lines)


def test_a_line_of_zero_cannot_be_made() -> None:
    lines = tuple(Line(account=account, currency="USD", amount_minor=0) for account in ("fees", "suspense"))
    with pytest.raises(ValidationError, match="line of zero"):
        Entry(key="k", kind="fee_paid", reference="r", lines=lines)
    with pytest.raises(ValidationError, match="does not sum to zero"):
        ledger.fee_paid("chl_1", Money(minor=0, currency="USD"), "p")


def test_money_and_memorandum_accounts_are_not_mixed() -> None:
    lines = (
        Line(account="fees", currency="USD", amount_minor=1),
        Line(account="forfeited-profit", currency="USD", amount_minor=-1),
    )
    with pytest.raises(ValidationError, match="mixes money with memorandum"):
        Entry(key="k", kind="fee_paid", reference="r", lines=lines)


@pytest.mark.parametrize("name", ["cash", "provider", "provider:", "provider:A b", "fees:stripe"])
def test_an_account_that_is_not_in_the_chart_is_unknown(name: str) -> None:
    with pytest.raises(UnknownAccount):
        account_named(name)
    with pytest.raises((ValidationError, UnknownAccount)):
        Line(account=name, currency="USD", amount_minor=1)


def test_an_account_of_a_connection_is_of_its_family() -> None:
    cash = account_named("provider:stripe")
    assert (cash.name, cash.type, cash.normal, cash.per_connection) == ("provider:stripe", "asset", "debit", False)


@given(AMOUNTS)
def test_a_confirmed_reserve_is_posted_and_no_longer_pending(amount: Money) -> None:
    reserved = ledger.payout_reserved("pay_1", amount).pending()
    confirmed = ledger.payout_confirmed("pay_1", reserved.lines)
    assert net(*(entry.model_copy(update={"lines": _of("pending", entry)}) for entry in (reserved, confirmed))) == {}
    assert net(reserved, confirmed) == {"payout-expense": amount.minor, "trader-payable": -amount.minor}
    assert _of("posted", reserved) == ()


def _of(layer: Layer, entry: Entry) -> tuple[Line, ...]:
    return tuple(line for line in entry.lines if line.layer == layer)


def test_each_attempt_has_a_key_of_its_own() -> None:
    amount = Money(minor=5, currency="USD")
    for make in (ledger.payout_sent, ledger.payout_settled, ledger.payout_returned, ledger.payout_return_settled):
        keys = {make("pay_1", amount, "p", attempt).key for attempt in ("", "2", "3")}
        assert len(keys) == 3


RATE = Rate(sold="USD", bought="JPY", price=Decimal("151.237"), source="desk", at=datetime(2026, 3, 6, tzinfo=UTC))


@given(st.integers(1, 10**9))
def test_a_converted_payout_balances_in_each_currency_and_keeps_its_rate(minor: int) -> None:
    conversion = convert(Money(minor=minor, currency="USD"), RATE)
    assert abs(conversion.rounding) <= Decimal("0.5")
    assert conversion.bought.amount - conversion.rounding == conversion.exact
    if not conversion.bought.minor:
        return
    entry = ledger.payout_converted("pay_1", conversion)
    assert entry.evidence is not None
    assert (entry.evidence["rate"], entry.evidence["source"]) == ("151.237", "desk")
    for currency in ("USD", "JPY"):
        assert sum(line.amount_minor for line in entry.lines if line.currency == currency) == 0


def test_an_amount_that_is_not_at_the_rate_is_no_conversion() -> None:
    sold, bought = Money(minor=10_000, currency="USD"), Money(minor=15_125, currency="JPY")
    with pytest.raises(ValidationError, match="is not"):
        Conversion(sold=sold, bought=bought, rate=RATE)
    with pytest.raises(ValidationError, match="other currencies"):
        convert(Money(minor=1, currency="EUR"), RATE)
    assert convert(sold, RATE).bought.minor == 15_124


def test_entries_of_earlier_versions_are_recognised() -> None:
    """The digests as versions before 0021 made them."""
    amount = Money(minor=5, currency="USD")
    assert ledger.fee_paid("chl_1", amount, "p").digest == FEE_DIGEST
    assert ledger.payout_sent("pay_1", amount, "p").earlier_digest == SENT_DIGEST


def test_a_float_is_no_amount() -> None:
    with pytest.raises(ValidationError):
        Line.model_validate({"account": "fees", "currency": "USD", "amount_minor": 1.0})


def test_the_digest_tells_other_input_under_the_same_key() -> None:
    first, second = (ledger.fee_paid("chl_1", Money(minor=n, currency="USD"), "p") for n in (1, 2))
    assert first.key == second.key
    assert first.digest != second.digest

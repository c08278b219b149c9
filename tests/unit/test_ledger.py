from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import ledger
from domain.ledger import Entry, Line, reversal
from domain.money import Money

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
    ledger.payout_returned,
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
    paid = net(ledger.payout_reserved("pay_1", amount), ledger.payout_sent("pay_1", amount, "p"))
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


def test_a_float_is_no_amount() -> None:
    with pytest.raises(ValidationError):
        Line.model_validate({"account": "fees", "currency": "USD", "amount_minor": 1.0})


def test_the_digest_tells_other_input_under_the_same_key() -> None:
    first, second = (ledger.fee_paid("chl_1", Money(minor=n, currency="USD"), "p") for n in (1, 2))
    assert first.key == second.key
    assert first.digest != second.digest

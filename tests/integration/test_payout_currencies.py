"""Payouts in another currency than the account's: over the real bank rail, its statements, and the books."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from domain.errors import BadInput, NoUsableRate, OutcomeUnknown, Unavailable
from domain.exchange import convert
from domain.money import Money
from firm.payouts import approving, conversions
from firm.payouts.preview import preview
from store.models import AuditEntry, Payout
from store.scope import scope_of
from tests.exchange_world import QUOTED, Exchange, an_exchange, rate
from tests.payout_world import MEDIUM, SMALL, ref

ONE_CHECKER = {"USD": {"automatic_up_to": "100", "one_checker_up_to": "100000"}}


@pytest.fixture
async def firm(database_url: str, tmp_path: Path) -> AsyncIterator[Exchange]:
    async with an_exchange(database_url, tmp_path) as made:
        yield made


async def arrives(firm: Exchange, payout_id: str) -> None:
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    await firm.bank_days(2)
    await firm.activities.follow_transfer(ref(payout_id))
    assert (await firm.activities.settle(ref(payout_id))).state == "paid"


async def test_a_payout_is_paid_in_euros_comes_back_and_is_sent_again_at_a_new_rate(firm: Exchange) -> None:
    await firm.quote(rate("EUR", "0.9137"))
    tina, fay = await firm.add_trader("tina", "EUR"), await firm.small.add_user("fay", "finance")
    payout_id = await firm.held(tina, SMALL)
    await arrives(firm, payout_id)
    assert await firm.reconcile() == 0
    [first] = await firm.attempts(payout_id)
    assert (first.amount_minor, first.currency) == (36_548, "EUR"), "80 % of 500.00 USD at 0.9137"
    assert firm.bank.booked() == [(first.id, 36_548)]
    assert await firm.exchanges() == [
        {
            "sold": "USD",
            "bought": "EUR",
            "rate": "0.9137",
            "source": "ECB",
            "at": QUOTED.isoformat(),
            "exact": "365.480000",
            "rounding": "0.000000",
        }
    ]
    cash, fees = [await firm.balance(account, "EUR") for account in ("provider:bank", "provider-fees")]
    assert cash + fees == -36_548
    assert [await firm.balance("trader-payable", currency) for currency in ("USD", "EUR")] == [0, 0]
    assert [await firm.balance("fx-position", currency) for currency in ("USD", "EUR")] == [-40_000, 36_548]
    await firm.assert_whole()

    firm.bank.bank.send_back(first.id)
    await firm.bank_days(4)
    await firm.activities.follow_transfer(ref(payout_id))
    assert (await firm.payout(payout_id)).state == "returned"
    assert await firm.reconcile() == 0
    assert [await firm.balance("trader-payable", currency) for currency in ("USD", "EUR")] == [-40_000, 0]
    assert [await firm.balance("fx-position", currency) for currency in ("USD", "EUR")] == [0, 0]
    assert await firm.balance("fx-gain-loss", "USD") == await firm.balance("fx-gain-loss", "EUR") == 0

    with pytest.raises(
        ApplicationError, match="A newer one is needed"
    ):  # the rate of the first attempt is too old by now
        await firm.small.decide(payout_id, fay, "send_again")
    await firm.quote(rate("EUR", "0.95", at=firm.bank.now))
    await firm.small.decide(payout_id, fay, "send_again")
    await firm.judged(payout_id)
    await firm.small.decide(payout_id, fay)
    await arrives(firm, payout_id)
    assert await firm.reconcile() == 0
    assert [(each.amount_minor, each.state) for each in await firm.attempts(payout_id)] == [
        (36_548, "returned"),
        (38_000, "paid"),
    ]
    assert [each["rate"] for each in await firm.exchanges()] == ["0.9137", "0.9137", "0.95"]
    assert [await firm.balance("fx-position", currency) for currency in ("USD", "EUR")] == [-40_000, 38_000]
    await firm.assert_whole()


@pytest.mark.parametrize(
    ("currency", "price", "paid", "rounding"),
    [("JPY", "149.3312", 59_732, "-0.480000"), ("KWD", "0.3081259", 123_250, "-0.00036")],
)
async def test_currencies_without_and_with_three_decimals(
    firm: Exchange, currency: str, price: str, paid: int, rounding: str
) -> None:
    await firm.quote(rate(currency, price))
    payout_id = await firm.held(await firm.add_trader("tina", currency), SMALL)
    await arrives(firm, payout_id)
    assert await firm.reconcile() == 0
    [attempt] = await firm.attempts(payout_id)
    assert (attempt.amount_minor, attempt.currency) == (paid, currency)
    assert firm.bank.booked() == [(attempt.id, paid)]
    [evidence] = await firm.exchanges()
    assert Decimal(evidence["rounding"]) == Decimal(rounding)
    await firm.assert_whole()


async def test_what_is_released_after_a_return_is_owed_in_the_account_s_currency_again(firm: Exchange) -> None:
    await firm.quote(rate("EUR", "0.9137"))
    tina, fay = await firm.add_trader("tina", "EUR"), await firm.small.add_user("fay", "finance")
    payout_id = await firm.held(tina, SMALL)
    await arrives(firm, payout_id)
    firm.bank.bank.send_back((await firm.attempts(payout_id))[0].id)
    await firm.bank_days(4)
    await firm.activities.follow_transfer(ref(payout_id))
    await firm.small.decide(payout_id, fay, "release")
    assert (await firm.activities.release_hold(ref(payout_id))).state == "released"
    assert await firm.reconcile() == 0
    for account in ("trader-payable", "payout-expense", "fx-position", "fx-gain-loss"):
        assert [await firm.balance(account, currency) for currency in ("USD", "EUR")] == [0, 0], account
    await firm.assert_whole()


async def test_a_transfer_that_is_stopped_takes_its_exchange_back(firm: Exchange) -> None:
    await firm.quote(rate("EUR", "0.9137"))
    tina, fay = await firm.add_trader("tina", "EUR"), await firm.small.add_user("fay", "finance")
    payout_id = await firm.held(tina, SMALL)
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert [await firm.balance("fx-position", currency) for currency in ("USD", "EUR")] == [-40_000, 36_548]
    await firm.small.decide(payout_id, fay, "stop")
    assert [each.state for each in await firm.attempts(payout_id)] == ["cancelled"]
    assert [await firm.balance("fx-position", currency) for currency in ("USD", "EUR")] == [0, 0]
    assert [await firm.balance("trader-payable", currency) for currency in ("USD", "EUR")] == [-40_000, 0]
    await firm.bank_days(2)
    assert await firm.reconcile() == 0 and firm.bank.booked() == []
    await firm.assert_whole()


async def test_a_request_in_a_currency_that_no_rail_pays_is_refused(firm: Exchange) -> None:
    await firm.quote(rate("CHF", "0.88"))
    tina = await firm.add_trader("tina", "CHF")
    with pytest.raises(BadInput) as refused:
        await firm.request(tina, SMALL)
    assert refused.value.field == "beneficiary" and "EUR, JPY, KWD" in str(refused.value.remedy)
    async with firm.small.db.transaction() as session:
        ahead = await preview(session, "acc_tina", Money(minor=SMALL, currency="USD"), payable=firm.rails.check)
        assert (await session.scalars(select(Payout))).all() == []
    assert [(block.stage, block.ended_by) for block in ahead.blocks if "CHF" in block.sentence] == [
        ("request", "trader")
    ]
    with pytest.raises(BadInput) as no_rail:
        firm.rails.for_currency("DE89370400440532013000", "Tina", "CHF")
    assert no_rail.value.field == "currency"


async def test_a_missing_or_old_rate_refuses_the_request_and_the_simulation_says_so(firm: Exchange) -> None:
    tina, usd = await firm.add_trader("tina", "EUR"), Money(minor=SMALL, currency="USD")
    with pytest.raises(NoUsableRate, match="none is on the record"):
        await firm.request(tina, SMALL)
    await firm.quote(
        rate("EUR", "0.9", at=firm.bank.now - timedelta(hours=72, seconds=1)),
        rate("EUR", "0.8", at=firm.bank.now + timedelta(seconds=1)),  # of the future
    )
    with pytest.raises(NoUsableRate, match="the newest rate on the record is of 2026-02-27 08:59 UTC") as refused:
        await firm.request(tina, SMALL)
    assert refused.value.field == "beneficiary" and "propos rates import" in str(refused.value.remedy)
    async with firm.small.db.transaction() as session:
        ahead = await preview(session, "acc_tina", usd, payable=firm.rails.check)
    [block] = [block for block in ahead.blocks if block.code == "no_usable_rate"]
    assert (block.stage, block.ended_by, ahead.paid_minor, ahead.rate) == ("request", "firm", None, None)

    await firm.quote(rate("EUR", "0.91", at=firm.bank.now - timedelta(hours=72)))
    async with firm.small.db.transaction() as session:
        ahead = await preview(session, "acc_tina", usd, payable=firm.rails.check)
    assert ahead.rate is not None
    assert (ahead.sent_minor, ahead.paid_minor, ahead.paid_currency) == (40_000, 36_400, "EUR")
    assert (ahead.rate.price, ahead.rate.source, ahead.possible_from) == ("0.91", "ECB", firm.bank.now)
    asked = await firm.payout(await firm.request(tina, SMALL))
    assert asked.conversion is not None and asked.conversion["bought"] == {"minor": 36_400, "currency": "EUR"}


async def test_an_amount_below_the_smallest_unit_is_refused(firm: Exchange) -> None:
    await firm.quote(rate("JPY", "0.0000001"))
    tina = await firm.add_trader("tina", "JPY")
    with pytest.raises(BadInput) as refused:
        await firm.request(tina, SMALL)
    assert refused.value.field == "amount"


async def test_an_approval_covers_the_converted_amount_and_its_rate(firm: Exchange) -> None:
    await firm.policy(currencies=ONE_CHECKER)
    await firm.quote(rate("EUR", "0.9137"))
    tina, fay = await firm.add_trader("tina", "EUR"), await firm.small.add_user("fay", "finance")
    gus = await firm.small.add_user("gus", "finance")
    await firm.policy(currencies={"USD": {"automatic_up_to": "100", "one_checker_up_to": "100"}})
    payout_id = await firm.held(tina, SMALL)
    async with firm.small.db.transaction() as session:
        view = await approving.viewed(session, scope_of(fay), payout_id)
    assert (view.paid_minor, view.paid_currency) == (36_548, "EUR")
    assert view.conversion is not None and (view.conversion.price, view.conversion.at) == ("0.9137", QUOTED.isoformat())
    assert view.checks["rate"]["ok"] and "400.00 USD is paid as 365.48 EUR, at 0.9137" in view.checks["rate"]["words"]
    assert await firm.small.decide(payout_id, fay) == "awaiting_approval"

    await firm.later(hours=72)  # the first approval is still valid, and the rate is too old
    assert await firm.judged(payout_id) == "in_review"
    held = await firm.payout(payout_id)
    assert "older than 72 hours" in str(held.reason) and not held.checks["rate"]["ok"]
    with pytest.raises(ApplicationError, match="propos rates import"):
        await firm.small.decide(payout_id, gus)

    await firm.quote(rate("EUR", "0.95", at=firm.bank.now + timedelta(hours=71)))
    assert await firm.judged(payout_id) == "awaiting_approval"
    async with firm.small.db.transaction() as session:
        renewed = await approving.viewed(session, scope_of(fay), payout_id)
        noted = await session.scalar(select(AuditEntry).where(AuditEntry.action == "payout.rate_renewed"))
    assert (renewed.paid_minor, renewed.approvals) == (38_000, 0), "the approval was for another amount"
    assert renewed.seen != view.seen and str(renewed.seen).split(".")[1] != str(view.seen).split(".")[1]
    assert noted is not None and noted.evidence["old"]["rate"] == "0.9137"
    assert await firm.small.decide(payout_id, fay) == "awaiting_approval"
    assert await firm.small.decide(payout_id, gus) == "approved"
    await arrives(firm, payout_id)
    assert [each.amount_minor for each in await firm.attempts(payout_id)] == [38_000]


async def test_a_rate_that_became_too_old_after_the_approval_is_not_used(firm: Exchange) -> None:
    await firm.policy(currencies=ONE_CHECKER)
    await firm.quote(rate("EUR", "0.9137"))
    tina, fay = await firm.add_trader("tina", "EUR"), await firm.small.add_user("fay", "finance")
    payout_id = await firm.held(tina, SMALL)
    await firm.small.decide(payout_id, fay)
    await firm.later(hours=72)
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    assert await firm.attempts(payout_id) == []
    await firm.quote(rate("EUR", "0.95", at=firm.bank.now))
    assert await firm.judged(payout_id) == "awaiting_approval", "the approval was for the old amount"


async def test_a_repeated_send_keeps_the_rate_of_the_first_call(firm: Exchange) -> None:
    await firm.quote(rate("EUR", "0.9137"))
    payout_id = await firm.held(await firm.add_trader("tina", "EUR"), SMALL)
    rail, create = firm.bank.rail, firm.bank.rail.create_transfer

    async def lost(order: object) -> None:
        raise OutcomeUnknown("no answer")

    rail.create_transfer = lost  # type: ignore[assignment,method-assign]
    with pytest.raises(Unavailable):
        await firm.activities.send_money(ref(payout_id))
    rail.create_transfer = create  # type: ignore[method-assign]
    await firm.later(hours=90)
    await firm.quote(rate("EUR", "0.95", at=firm.bank.now + timedelta(hours=90)))
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    [attempt] = await firm.attempts(payout_id)
    assert (attempt.number, attempt.tries, attempt.amount_minor) == (1, 2, 36_548)


async def test_changed_amounts_keep_the_rate_of_the_request(firm: Exchange) -> None:
    """The money is divided again when it is held: the same rate, another amount."""
    await firm.quote(rate("EUR", "0.9137"))
    payout_id = await firm.request(await firm.add_trader("tina", "EUR"), SMALL)
    async with firm.small.db.transaction() as session:
        row = await session.get_one(Payout, payout_id)
        row.trader_minor, row.firm_minor = 30_000, 20_000  # as the request divided it
        row.conversion = conversions.stored(convert(Money(minor=30_000, currency="USD"), rate("EUR", "0.9137")))
    await firm.quote(rate("EUR", "0.99", at=firm.bank.now))
    await firm.activities.hold_and_judge(ref(payout_id))
    await firm.activities.send_money(ref(payout_id))
    [attempt] = await firm.attempts(payout_id)
    assert (attempt.amount_minor, attempt.conversion and attempt.conversion["rate"]["price"]) == (36_548, "0.9137")


async def test_a_conversion_that_was_changed_on_the_record_is_not_sent(firm: Exchange) -> None:
    await firm.quote(rate("EUR", "0.9137"))
    payout_id = await firm.held(await firm.add_trader("tina", "EUR"), SMALL)
    async with firm.small.db.transaction() as session:
        row = await session.get_one(Payout, payout_id)
        assert row.conversion is not None
        changed = {**row.conversion["rate"], "price": "9.137"}
        row.conversion = {**row.conversion, "rate": changed, "bought": {"minor": 365_480, "currency": "EUR"}}
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    await firm.later(hours=90)
    await firm.quote(rate("EUR", "0.95", at=firm.bank.now + timedelta(hours=90)))
    assert await firm.judged(payout_id) == "in_review", "renewing the rate does not mend it"
    assert await firm.attempts(payout_id) == [] and firm.bank.booked() == []


async def test_an_account_in_another_currency_is_another_account(firm: Exchange) -> None:
    """The same bank account in another currency is a change: it is confirmed over the second channel first."""
    await firm.quote(rate("EUR", "0.9137"), rate("JPY", "150"))
    tina = await firm.add_trader("tina", "EUR")
    again, other = await firm.bank_account(tina, "tina", "EUR"), await firm.bank_account(tina, "tina", "JPY")
    assert again != other
    payout_id = await firm.held(tina, MEDIUM)
    assert (await firm.payout(payout_id)).state == "in_review"

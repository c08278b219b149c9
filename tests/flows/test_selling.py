"""Orders with add-ons, coupons, vouchers and taxes, from the order to the books, the receipts and the refund."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from sqlalchemy import select

from contracts.messages import RefundRequest
from domain.approvals import Actor
from domain.errors import ChangedMeanwhile, CouponRefused, PropOSError
from domain.money import Money
from domain.products.product import Product
from domain.selling.price import TaxLine
from firm import compensations
from firm.payouts.situation import Holdings, situation
from firm.selling import coupons, pricing
from firm.selling.pricing import Taxed, Wanted
from store import products
from store.models import Compensation, Receipt, Sale, TicketMessage
from tests.asked import ask_for
from tests.challenge_world import Firm, a_firm, after

VAT = [TaxLine(name="VAT", pct=Decimal(19), amount_minor=11_080)]  # of 583.20
BOTH = Wanted("add-ons", ("split_90",), ("TEN",))
NET, TOTAL = 58_320, 69_400


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        async with found.db.transaction() as session:
            body = (await products.newest(session, "two-step")).model_dump(mode="json")
            split = {"id": "split_90", "name": "90% split", "price": {"type": "pct_of_purchase", "value": "20"}}
            body |= {"product": "add-ons", "add_ons": [split | {"changes": {"payout.split_pct": "90"}}]}
            body["payout"] |= {"fee_refund": {"amount": "last_fee_paid", "pct": "100"}}
            await products.publish(session, Product.model_validate(body))
        await add_coupon(found, "TEN", pct="10")
        yield found


async def add_coupon(firm: Firm, code: str, **terms: object) -> None:
    async with firm.db.transaction() as session:
        await coupons.add(session, coupons.read({"code": code, **terms}), by="command-line")


async def order(
    firm: Firm,
    actor: Actor,
    wanted: Wanted,
    *,
    net: int,
    taxes: list[TaxLine] | None = None,
    seen: str | None = None,
    accepted: str | None = None,
) -> str:
    taxed = Taxed(
        Money(minor=net, currency="USD"), taxes or [], {"name": "Example Trading", "address": [], "tax_id": "DE1"}
    )
    async with firm.db.transaction() as session:
        row = await pricing.order(
            session,
            wanted,
            taxed,
            seen=seen,
            accepted_terms=accepted,
            return_url="https://firm.example/checkout/{id}",
            provider=firm.provider.name,
            actor=actor,
        )
    return row.id


async def paid(firm: Firm, challenge_id: str) -> None:
    await firm.until(lambda: firm._has_checkout(challenge_id))
    await firm.pay(challenge_id)
    await firm.becomes(challenge_id, "active")


async def balances(firm: Firm) -> dict[str, int]:
    names = (f"provider:{firm.provider.name}", "fees", "discounts", "taxes-payable")
    return {name.split(":")[0]: await firm.balance(name) for name in names}


async def papers(firm: Firm) -> list[Receipt]:
    async with firm.db.transaction() as session:
        return list(await session.scalars(select(Receipt).order_by(Receipt.number)))


async def compensated(firm: Firm, trader: Actor) -> str:
    """The firm breaks the account of a trader by mistake and grants a voucher of 50.00 USD. Returns its id."""
    fay, ann = await firm.add_user("fay", "finance"), await firm.add_user("ann", "admin")
    challenge_id = await firm.bought(trader)
    dispute_id = await firm.dispute(await firm.breach(challenge_id), trader)
    async with firm.db.transaction() as session:
        made = await compensations.propose(
            session, dispute_id, amount=Money(minor=5_000, currency="USD"), actor=fay,
            reason="Our feed was wrong.", message="We are sorry.", key="p1", proven=False,
        )  # fmt: skip
        await compensations.decide(session, made.id, verb="grant", actor=ann, reason="It was.", key="g1")
    return made.id


async def compensation(firm: Firm, compensation_id: str) -> Compensation:
    async with firm.db.transaction() as session:
        return await session.get_one(Compensation, compensation_id)


async def owed(firm: Firm) -> dict[str, int]:
    names = ("goodwill", "vouchers-payable", "discounts", "fees")
    return {name: await firm.balance(name) for name in names}


async def refuse(firm: Firm, actor: Actor, wanted: Wanted, net: int, **more: str) -> PropOSError:
    with pytest.raises(PropOSError) as refused:
        await order(firm, actor, wanted, net=net, **more)  # type: ignore[arg-type]
    return refused.value


async def test_a_discounted_and_taxed_order_with_an_add_on_is_paid_and_refunded_whole(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await order(firm, ada, BOTH, net=NET, taxes=VAT)
    await paid(firm, challenge_id)
    challenge, account = await firm.challenge(challenge_id), await firm.account(challenge_id)
    assert challenge.fee_minor == TOTAL, "540 + 108 - 64.80 + 110.80"
    checkout = firm.provider.checkouts[str(challenge.checkout_id)]
    assert checkout.amount_minor == TOTAL
    assert await balances(firm) == {"provider": TOTAL, "fees": -64_800, "discounts": 6_480, "taxes-payable": -11_080}
    async with firm.db.transaction() as session:
        terms = await products.load(session, account.product, account.version)
        sale = await session.get_one(Sale, challenge_id)
        on_sale = {product.product for product in await products.newest_of_each(session)}
        facts = (await situation(session, account.id, holdings=Holdings(10_000_000, 10_000_000, 0))).facts
    assert (str(terms.payout.split_pct), sale.terms_hash, sale.add_ons) == ("90", terms.content_hash, ["split_90"])
    assert terms.product not in on_sale, "nobody can buy the terms with the add-on by their own name"
    assert facts.last_fee_minor == NET, "the first payout refunds what was paid without the taxes"
    [receipt] = await papers(firm)
    assert (receipt.number, receipt.total_minor, receipt.body["seller"]["tax_id"]) == (1, TOTAL, "DE1")
    assert [line["amount_minor"] for line in receipt.body["lines"]] == [54_000, 10_800, -6_480, 11_080]
    request = RefundRequest(key="r1", actor=ada, reason="I will not have the time.")
    await ask_for(firm.db, "challenge", challenge_id, "refund", request)
    await firm.handle(challenge_id).execute_update("refund", request, id="r1")
    await firm.ends(challenge_id, "refunded")
    assert set((await balances(firm)).values()) == {0}
    _, note = await papers(firm)
    assert (note.kind, note.number, note.corrects, note.total_minor) == ("credit_note", 2, receipt.id, TOTAL)
    assert (note.body["net_minor"], note.body["tax_minor"]) == (NET, 11_080)
    firm.provider.refund_fails(str(challenge.checkout_id))
    await firm.news()
    await firm.review_opens("refund_failed")
    assert await balances(firm) == {"provider": TOTAL, "fees": -64_800, "discounts": 6_480, "taxes-payable": -11_080}
    *_, again = await papers(firm)
    assert (again.kind, again.number, again.corrects, again.total_minor) == ("receipt", 3, receipt.id, TOTAL)


async def test_a_part_refunded_at_the_desk_takes_back_its_part_of_every_account(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await order(firm, ada, BOTH, net=NET, taxes=VAT)
    await paid(firm, challenge_id)
    firm.provider.refund_at_desk(str((await firm.challenge(challenge_id)).checkout_id), 6_940)
    await firm.news()
    assert await balances(firm) == {
        "provider": TOTAL - 6_940,
        "fees": -64_800 + 6_480,
        "discounts": 6_480 - 648,
        "taxes-payable": -11_080 + 1_108,
    }
    assert [(row.kind, row.total_minor) for row in await papers(firm)] == [("receipt", TOTAL), ("credit_note", 6_940)]


async def test_a_chargeback_is_a_loss_of_what_was_really_paid_and_ends_all_coupons(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await order(firm, ada, BOTH, net=NET, taxes=VAT)
    await paid(firm, challenge_id)
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    provider_id = firm.provider.disputes(checkout_id, withdrawn=True, status="lost")
    firm.provider.tells("chargeback.changed", provider_id)
    await firm.news()
    await firm.ends(challenge_id, "charged_back")
    assert await balances(firm) == {"provider": 0, "fees": -64_800, "discounts": 6_480, "taxes-payable": -11_080}
    assert await firm.balance("chargebacks") == TOTAL, "the taxes stay due until the firm claims them back"
    refused = await refuse(firm, ada, Wanted("two-step", (), ("TEN",)), 48_600)
    assert (refused.type, "was charged back" in refused.message) == ("coupon-refused", True)
    eve = await firm.add_trader("eve")
    await order(firm, eve, Wanted("two-step", (), ("TEN",)), net=48_600)


async def test_of_two_orders_at_once_one_gets_the_last_use(firm: Firm) -> None:
    await add_coupon(firm, "LAST", pct="50", uses=1)
    ada, eve = await firm.add_trader("ada"), await firm.add_trader("eve")
    wanted = Wanted("two-step", (), ("LAST",))
    done = await asyncio.gather(*(order(firm, who, wanted, net=27_000) for who in (ada, eve)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["CouponRefused", "str"]
    [won] = [each for each in done if isinstance(each, str)]
    await firm.until(lambda: firm._has_checkout(won))
    await firm.market_time(after(hours=25))
    await firm.ends(won, "cancelled")
    await order(firm, eve, wanted, net=27_000)  # an order that nobody paid gives the use back


async def test_the_limits_of_a_coupon(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    await add_coupon(firm, "ONCE", pct="10", uses_per_trader=1)
    await add_coupon(firm, "FIRST", pct="10", first_purchase=True)
    await add_coupon(firm, "OTHER", pct="10", products=["instant"])
    await add_coupon(firm, "BIG", pct="10", minimum="1000", currency="USD")
    await add_coupon(firm, "OVER", pct="10", until="2014-01-01T00:00:00Z")
    await add_coupon(firm, "ENDED", pct="10")
    async with firm.db.transaction() as session:
        assert await coupons.end(session, "ENDED", by="command-line")
    await paid(firm, await order(firm, ada, Wanted("two-step", (), ("ONCE",)), net=48_600))
    for code, why in {
        "ONCE": "by each trader",
        "FIRST": "first purchase only",
        "OTHER": "for instant only",
        "BIG": "from 1,000.00 USD on",
        "OVER": "has ended",
        "ENDED": "has ended",
        "NONE": "no coupon NONE",
    }.items():
        refused = await refuse(firm, ada, Wanted("two-step", (), (code,)), 48_600)
        assert isinstance(refused, CouponRefused) and why in refused.message, (code, refused.message)


async def test_an_order_of_another_price_or_other_terms_is_refused(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    async with firm.db.transaction() as session:
        sold = await pricing.net_price(session, BOTH)
    for stale in ({"seen": "0" * 64}, {"accepted": "0" * 64}):
        assert isinstance(await refuse(firm, ada, BOTH, NET, **stale), ChangedMeanwhile)
    assert isinstance(await refuse(firm, ada, BOTH, NET - 1), ChangedMeanwhile), "taxes on another price"
    made = await order(firm, ada, BOTH, net=NET, seen=sold.quote.digest, accepted=sold.terms.content_hash)
    async with firm.db.transaction() as session:
        sale = await session.get_one(Sale, made)
    assert (sale.terms_hash, sale.accepted_by) == (sold.terms.content_hash, ada.user_id) and sale.accepted_at


async def test_the_numbers_of_receipts_have_no_gaps(firm: Firm) -> None:
    bought = [
        await order(firm, await firm.add_trader(name), Wanted("two-step"), net=54_000) for name in ("a", "b", "c")
    ]
    for challenge_id in bought:
        await firm.until(lambda wanted=challenge_id: firm._has_checkout(wanted))
    firm.provider.takes(str((await firm.challenge(bought[0])).checkout_id), amount_minor=1)
    for challenge_id in bought[1:]:
        checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
        firm.provider.becomes(checkout_id, "paid")
    await asyncio.gather(
        *(
            firm.signal(each, "payment_settled", {"key": f"paid/{each}", "checkout_id": f"co_{each}/checkout"})
            for each in bought
        )
    )
    await firm.becomes(bought[0], "payment_review")
    for challenge_id in bought[1:]:
        await firm.becomes(challenge_id, "active")
    assert [row.number for row in await papers(firm)] == [1, 2], "a payment that differs has no receipt and no number"


async def test_a_voucher_lowers_one_order_of_its_trader_and_comes_back_with_a_whole_refund(firm: Firm) -> None:
    ada, eve = await firm.add_trader("ada"), await firm.add_trader("eve")
    compensation_id = await compensated(firm, ada)
    code = str((await compensation(firm, compensation_id)).coupon)
    before = {"goodwill": 5_000, "vouchers-payable": -5_000, "discounts": 0, "fees": -54_000}
    assert await owed(firm) == before

    wanted, net = Wanted("two-step", (), (code,)), 49_000
    assert "is for another trader" in (await refuse(firm, eve, wanted, net)).message
    done = await asyncio.gather(*(order(firm, ada, wanted, net=net) for _ in "ab"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["CouponRefused", "str"], "two at once cannot both use it"
    [first] = [each for each in done if isinstance(each, str)]
    assert await owed(firm) == before, "an order that is not paid books nothing"

    await paid(firm, first)
    used = {"goodwill": 5_000, "vouchers-payable": 0, "discounts": 0, "fees": -108_000}
    assert await owed(firm) == used, "the voucher is a cost of the firm, and no discount"
    found = await compensation(firm, compensation_id)
    assert (found.state, found.used_in, found.closed_at is not None) == ("used", first, True)
    assert "is used up" in (await refuse(firm, ada, wanted, net)).message

    checkout_id = str((await firm.challenge(first)).checkout_id)
    assert firm.provider.checkouts[checkout_id].amount_minor == net
    firm.provider.refund_at_desk(checkout_id, 4_900)
    await firm.news()
    assert (await owed(firm))["vouchers-payable"] == 0, "a part of the price brings no voucher back"
    request = RefundRequest(key="r1", actor=ada, reason="I will not have the time.")
    await ask_for(firm.db, "challenge", first, "refund", request)
    await firm.handle(first).execute_update("refund", request, id="r1")
    await firm.ends(first, "refunded")
    assert await owed(firm) == before, "the firm owes it again"
    found = await compensation(firm, compensation_id)
    assert (found.state, found.used_in, found.closed_at) == ("granted", None, None)
    again = str(found.coupon)
    async with firm.db.transaction() as session:
        texts = list(await session.scalars(select(TicketMessage.body)))
    assert again != code and any(again in text for text in texts), "the trader reads the new code"
    assert "has ended" in (await refuse(firm, ada, wanted, net)).message

    await paid(firm, await order(firm, ada, Wanted("two-step", (), (again,)), net=net))
    assert await owed(firm) == used
    assert await firm.steps("compensation", compensation_id) == [
        "compensation_granted", "voucher_used", "voucher_returned", "voucher_used",
    ]  # fmt: skip

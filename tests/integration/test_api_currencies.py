"""Bank accounts in another currency through the API, the pages and the command line."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from domain.errors import BadInput
from firm.payouts import rates
from ports.rail import RailCapabilities, Rails
from store.clock import market_now
from store.db import Database
from store.models import ExchangeRate
from tests.api_world import ApiWorld, api_world
from tests.console_world import ConsoleWorld, console_world
from tests.exchange_world import rate
from tests.integration.command import Firm
from tests.mailed import token_of
from tests.payout_world import Provider

IBAN = "DE89370400440532013000"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def quote(db: Database, price: str) -> None:
    async with db.transaction() as session:
        await rates.add(session, [rate("EUR", price, at=await market_now(session) - timedelta(hours=1))])


async def test_a_payout_to_a_bank_account_in_euros_shows_both_amounts_and_the_rate(world: ApiWorld) -> None:
    tina = world.people["tina"]
    account, trader = f"/v1/accounts/{tina.has('acc')}/payouts", f"/v1/traders/{tina.trader_id}"
    for wrong in ("XYZ", "euro"):
        refused = await world.ask("tina", "PUT", f"{trader}/beneficiary", {"iban": IBAN, "currency": wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, "currency")
    added = await world.ask("tina", "PUT", f"{trader}/beneficiary", {"iban": IBAN, "currency": "EUR"})
    assert added.json()["currency"] == "EUR"
    token = await token_of(world.db, "tina@example.org", "beneficiary_link")
    assert (await world.ask(None, "PUT", "/v1/beneficiary-confirmation", {"token": token})).status_code == 204
    own = (await world.ask("tina", "GET", f"{trader}/beneficiaries")).json()
    assert [each["currency"] for each in own] == ["EUR", None]

    ahead = (await world.ask("tina", "POST", f"{account}/simulate", {"amount": "500.00"})).json()
    assert [block["code"] for block in ahead["blocks"] if block["stage"] == "request"] == ["no_usable_rate"]
    refused = await world.ask("tina", "POST", account, {"amount": "500.00"})
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (422, "no-usable-rate")

    await quote(world.db, "0.9137")
    ahead = (await world.ask("tina", "POST", f"{account}/simulate", {"amount": "500.00"})).json()
    made = await world.ask("tina", "POST", account, {"amount": "500.00"})
    assert made.status_code == 201, made.text
    row = (await world.ask("tina", "GET", f"/v1/payouts/{made.json()['id']}")).json()
    for shown in (ahead, made.json(), row):
        assert (shown["paid_minor"], shown["paid_currency"]) == (36_548, "EUR")
    assert ahead["rate"]["price"] == "0.9137"
    assert (row["conversion"]["price"], row["conversion"]["source"]) == ("0.9137", "ECB")


async def test_the_pages_show_what_the_bank_account_gets(database_url: str) -> None:
    async with console_world(database_url) as made:
        await _pages(made)


async def _pages(world: ConsoleWorld) -> None:
    await quote(world.db, "0.9137")
    async with world.browser("mara@example.org") as browser:
        wrong = await browser.post("/beneficiary", iban=IBAN, currency="XYZ")
        assert wrong.status_code == 422 and "XYZ" in wrong.text
        assert (await browser.post("/beneficiary", iban=IBAN, currency="eur")).status_code == 303
        assert "DE…3000 in EUR" in (await browser.get("/my/details")).text
        shown = (await browser.get(f"/accounts/{world.firm.funded}/payout?amount=100.00")).text
    assert "Paid as, at 0.9137 (ECB" in shown and '82.23 <span class="cur">EUR' in shown


async def test_the_command_imports_rates_once(database_url: str, tmp_path: Path) -> None:
    firm, file = Firm(database_url, tmp_path), tmp_path / "rates.csv"
    file.write_text("sold,bought,price,source,at\nUSD,EUR,0.9137,house bank,2014-05-02T09:00:00Z\n")
    assert [firm.run("rates", "import", str(file)).strip() for _ in range(2)] == [
        "Read 1 rates, 1 of them new.",
        "Read 1 rates, 0 of them new.",
    ]
    file.write_text("USD,EUR,0.9137\n")
    assert "sold,bought,price,source,at" in firm.run("rates", "import", str(file), code=1)
    await firm.db.close()


async def test_a_rate_on_the_record_cannot_be_changed(world: ApiWorld) -> None:
    await quote(world.db, "0.9")
    async with world.db.transaction() as session:
        row = (await session.scalars(select(ExchangeRate))).one()
        row.price *= 2
        with pytest.raises(Exception, match="permission denied"):
            await session.flush()
        await session.rollback()


def test_the_rail_for_a_currency_is_the_default_one_or_the_first_that_can_pay_it() -> None:
    def able(*currencies: str, has_payees: bool = False) -> RailCapabilities:
        return RailCapabilities(currencies=currencies, has_payees=has_payees, returns_after_arrival_days=0)

    capable = {"wire": able("USD"), "stripe": able(has_payees=True), "sepa": able("EUR"), "swift": able()}
    rails = Rails({name: Provider(name=name) for name in capable}, "wire", capable)
    assert [rails.for_currency(IBAN, "Tina", each) for each in ("USD", "EUR", "JPY", None)] == [
        *("wire", "sepa", "swift", "wire")
    ]
    less = Rails({name: rails.by_name[name] for name in ("wire", "sepa")}, "wire", capable)
    with pytest.raises(BadInput) as refused:
        less.for_currency(IBAN, "Tina", "JPY")
    assert (refused.value.field, refused.value.remedy) == ("currency", "Pay in one of USD, or over another rail.")

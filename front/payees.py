"""Opens a trader's account at a rail that keeps accounts of its own, and tells where the trader completes it."""

from domain.errors import BadInput, NotConfigured
from firm import payees
from ports.payments import Payments
from ports.rail import Payee, PayeeAccounts
from store.db import Database
from store.read.pages import View


class PayeeView(View):
    """`url`: the rail's page where the trader completes the account, for a few minutes; empty once it is `ready`.
    `needs`: what the rail still asks for. `confirm_by_mail`: it replaces another account, so nothing is paid to it
    before the trader has used the link of a mail."""

    id: str
    rail: str
    ready: bool
    needs: tuple[str, ...]
    url: str
    confirm_by_mail: bool = False


async def open_payee(db: Database, payments: Payments, trader_id: str, rail: str, *, site: str) -> PayeeView:
    """Returns the trader's account at `rail`, opened by the first call. An account that is ready is paid from now on;
    one that replaces another, once the link of a mail is used. `site`: the address of the console,
    to which the rail leads back.

    Raises BadInput for a rail without accounts, NotFound, Unavailable.
    """
    accounts = _accounts(payments, rail)
    async with db.transaction() as session:
        asked = await payees.ask(session, trader_id, rail)
    payee = await _payee(accounts, asked, trader_id)
    async with db.transaction() as session:
        await payees.opened(session, asked.key, payee.payee_id, site=site)
        mailed = await payees.changed(session, rail, payee, usual=payments.rails.default, site=site)
    url = "" if payee.ready else await accounts.onboarding_link(payee.payee_id, return_url=f"{site}/")
    return PayeeView(
        id=payee.payee_id, rail=rail, ready=payee.ready, needs=payee.needs, url=url, confirm_by_mail=mailed
    )


async def _payee(accounts: PayeeAccounts, asked: payees.Asked, trader_id: str) -> Payee:
    if asked.payee_id is not None:
        return await accounts.fetch_payee(asked.payee_id)
    found = await accounts.find_payee(asked.key) if asked.again else None  # an earlier answer may be lost
    if found is not None:
        return found
    return await accounts.create_payee(key=asked.key, reference=trader_id, email=asked.email, country=asked.country)


def _accounts(payments: Payments, rail: str) -> PayeeAccounts:
    try:
        found = payments.rails.of(rail)
    except NotConfigured as error:
        raise BadInput(error.message, field="rail", remedy=error.remedy) from error
    if not isinstance(found, PayeeAccounts):
        raise BadInput(f"The rail {rail!r} keeps no accounts of traders.", field="rail", remedy="Give an IBAN instead.")
    return found

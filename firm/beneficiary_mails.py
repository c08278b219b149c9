"""What a trader is told by mail about where payouts go: a link that changes it, and a notice of every change."""

from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from firm import mails
from store import identity, links
from store.models import Beneficiary, Trader
from store.read.pages import mask_iban

_LINK: Final = """Somebody who is signed in as you asked us to pay your payouts to another account:

{account} over {rail}

If it was you, open this link within a day and press the button. Nothing changes before:

{link}

If it was not you, do not open it. Change your password and write to us.
"""
_NOTICE: Final = """Your payouts now go to this account:

{account} over {rail}

{then}

Payouts that you requested before keep the account that they had. If this was not you, change your password and write to
us at once.
"""
_FIRST: Final = "It is your first one, so nothing has to be confirmed."
_CHANGED: Final = (
    "It replaces another one. Before anything is paid to it, our support contacts you to confirm it, and a waiting"
    " time passes."
)
_log = structlog.get_logger("firm.beneficiaries")


async def send_link(session: AsyncSession, trader: Trader, token: str, account: links.Account, *, site: str) -> None:
    """Raises BadInput for a trader whose address takes no mail."""
    await mails.send(
        session,
        to=trader.email,
        subject="Confirm the account that you are paid to",
        body=_LINK.format(
            account=mask_iban(account.number), rail=account.rail, link=f"{site}/bank-account?token={token}"
        ),
        automatic=True,
        key=f"beneficiary-link/{identity.token_digest(token)}",
        kind="beneficiary_link",
    )


async def send_notice(session: AsyncSession, trader: Trader, row: Beneficiary) -> None:
    """Tells of a new account. A trader whose address takes no mail is not told: the change stands as it is."""
    then = _CHANGED if row.changes else _FIRST
    try:
        await mails.send(
            session,
            to=trader.email,
            subject="The account that you are paid to",
            body=_NOTICE.format(account=mask_iban(row.account), rail=row.rail, then=then),
            automatic=True,
            key=f"beneficiary/{row.id}",
            kind="beneficiary",
        )
    except BadInput:
        _log.warning("a trader is not told of a new account, because the address takes no mail", beneficiary=row.id)

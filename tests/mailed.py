"""Links in the mails of a firm of the tests."""

import re
from email.message import EmailMessage

import httpx
from sqlalchemy import select

from store.db import Database
from store.models import OutgoingMailRow


async def token_of(db: Database, to: str, kind: str) -> str:
    """The token of the link in the newest mail of this kind to this address."""
    async with db.transaction() as session:
        rows = await session.scalars(
            select(OutgoingMailRow).where(OutgoingMailRow.kind == kind).order_by(OutgoingMailRow.id.desc())
        )
        body = next(row.body for row in rows if row.recipient == to)
    found = re.search(r"https?://[^/\s]+/[\w-]+\?token=(\S+)", body)
    assert found is not None, body
    return found[1]


def link_in(mail: EmailMessage, to: str) -> str:
    """The address of the link in a mail that arrived, which leads to this page."""
    found = re.search(rf"{re.escape(to)}\?token=\S+", mail.get_content())
    assert found is not None, mail.get_content()
    return found[0]


async def confirm_account(http: httpx.AsyncClient, db: Database, to: str) -> None:
    """Open the link of the newest mail about another account for payouts, and press the button on its page."""
    token = await token_of(db, to, "beneficiary_link")
    shown = (await http.get(f"/bank-account?token={token}")).text
    assert f'name="token" value="{token}"' in shown
    done = await http.post("/bank-account", data={"token": token})
    assert done.status_code == 303, done.text
    again = await http.post("/bank-account", data={"token": token})
    assert again.status_code == 422 and "This link was used" in again.text

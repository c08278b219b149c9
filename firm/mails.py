"""Mail that the firm sends. It leaves with the transaction that caused it: the relay hands it to the mail server."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import BadInput, IdempotencyMismatch, NotFound
from domain.mail.addresses import plain_address, shortened
from firm import messages
from store import audit, crypto, upsert
from store.clock import market_now
from store.models import MailAddress, OutgoingMailRow

MAX_BODY: Final = 100_000
WITH_LINKS: Final = frozenset({"recovery", "invitation", "confirmation", "beneficiary_link", "first_factor"})
"""Kinds of mails whose link signs somebody in, proves an address or a person, or changes where a trader is paid: their
text is not kept once they are sent."""
NOT_KEPT: Final = "The text had a link that works once. It is not kept."


async def send(
    session: AsyncSession,
    *,
    to: str,
    subject: str,
    body: str,
    automatic: bool,
    key: str,
    kind: str,
    ticket_id: str | None = None,
    ticket_message_id: str | None = None,
    not_before: datetime | None = None,
    html: str | None = None,
    unsubscribe: str | None = None,
    bulk: bool = False,
) -> str:
    """Sends a mail once this transaction commits, and returns its id. The same `key` again sends nothing and returns
    the first id; with another recipient it raises IdempotencyMismatch.

    `to`: one address. `body`: plain text. `automatic`: no person wrote it, so its headers ask that no program answers.
    `key`: the business key, at most 150 characters. `kind`: a word of at most 24 characters for what it is for. Mails
    of one ticket leave in their order. `not_before`: a wall time before which it does not leave. `html`: a second form
    of the text. `unsubscribe`: the token of the link that switches mail of its kind off. `bulk`: nobody
    waits for it, and it leaves after everything else. Raises BadInput for an address that cannot be.
    """
    address = plain_address(to)
    if not body.strip() or len(body) > MAX_BODY:
        raise BadInput(f"A mail has 1 to {MAX_BODY} characters.", field="body", remedy="Shorten it.")
    index = crypto.keys().blind_index(address)
    row: dict[str, Any] = {
        "id": keys.new_id("mai"),
        "key": key,
        "kind": kind,
        "recipient": address,
        "recipient_index": index,
        "subject": shortened(subject),
        "body": body.replace("\x00", ""),
        "automatic": automatic,
        "ticket_id": ticket_id,
        "ticket_message_id": ticket_message_id,
        "not_before": not_before,
        "html": html,
        "unsubscribe": unsubscribe,
    }
    if await upsert.added(session, OutgoingMailRow, row, unless=("key",)) is None:
        first = (
            await session.execute(
                select(OutgoingMailRow.id, OutgoingMailRow.recipient).where(OutgoingMailRow.key == key)
            )
        ).one()
        if first.recipient.casefold() != address.casefold():
            raise IdempotencyMismatch(key)
        return str(first.id)
    await messages.hand_over_mail(session, str(row["id"]), after=ticket_id, not_before=not_before, bulk=bulk)
    return str(row["id"])


async def is_undeliverable(session: AsyncSession, address: str) -> bool:
    """Returns whether mail to this address came back for good, and nobody has cleared it since."""
    found = select(MailAddress.id).where(
        MailAddress.address_index.in_(crypto.keys().blind_indexes(address)), MailAddress.cleared_at.is_(None)
    )
    return await session.scalar(found.limit(1)) is not None


async def mark_undeliverable(session: AsyncSession, *, address: str, code: str, mail_id: str | None) -> None:
    """Sends nothing to the address any more, until a person clears it."""
    known = await session.scalar(
        select(MailAddress).where(MailAddress.address_index.in_(crypto.keys().blind_indexes(address)))
    )
    if known is not None:
        known.code, known.mail_id, known.cleared_at = code[:16], mail_id, None
        return
    row = {
        "id": keys.new_id("mad"),
        "address": address,
        "address_index": crypto.keys().blind_index(address),
        "code": code[:16],
        "mail_id": mail_id,
    }
    await upsert.add(session, MailAddress, [row], unless=("address_index",))


async def clear_address(session: AsyncSession, *, address: str, actor: str, role: str) -> None:
    """Sends to a marked address again. `actor`: who says so. Raises NotFound."""
    row = await session.scalar(
        select(MailAddress).where(
            MailAddress.address_index.in_(crypto.keys().blind_indexes(address)), MailAddress.cleared_at.is_(None)
        )
    )
    if row is None:
        raise NotFound
    row.cleared_at = datetime.now(UTC)
    await audit.record(
        session,
        action="mail_address.cleared",
        subject_kind="mail_address",
        subject_id=row.id,
        occurred_at=await market_now(session),
        actor=actor,
        role=role,
    )

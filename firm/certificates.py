"""Certificates: made, given another link and revoked by the trader whom they are about."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.certificates import Kind, NameShown, new_token
from domain.errors import Conflict, NotFound
from domain.keys import new_id
from store import audit, rows
from store.clock import market_now
from store.models import Certificate
from store.read import certificates as read
from store.scope import scope_of


class Choice(NamedTuple):
    """What the page shows beside product, phase and date."""

    name: NameShown
    amount: bool


async def make(
    session: AsyncSession, *, actor: Actor, kind: Kind, subject_id: str, choice: Choice
) -> tuple[Certificate, str]:
    """Returns the row and the token of its link, which is stored nowhere. Raises NotFound for what the trader has not
    passed or been paid, Conflict when there is a certificate of it."""
    earned = await read.one_earned(session, scope_of(actor), kind, subject_id)
    if earned.certificate_id is not None:
        raise Conflict("There is a certificate of this.", remedy="Give it a new link on the page Certificates.")
    made, now = new_token(), datetime.now(UTC)
    row = Certificate(
        id=new_id("crt"),
        trader_id=actor.trader_id or "",
        kind=kind,
        subject_id=subject_id,
        name_shown=choice.name,
        amount_shown=choice.amount,
        digest=made.digest,
        linked_at=now,
    )
    session.add(row)
    await session.flush()
    await _record(session, row, actor, "certificate.made")
    return row, made.token


async def renew(session: AsyncSession, certificate_id: str, *, actor: Actor, choice: Choice) -> tuple[Certificate, str]:
    """Gives it a new link and what to show; the old link shows nothing from now on. Raises NotFound."""
    row = await _own(session, certificate_id, actor)
    made = new_token()
    row.digest, row.linked_at, row.revoked_at = made.digest, datetime.now(UTC), None
    row.name_shown, row.amount_shown = choice.name, choice.amount
    await session.flush()
    await _record(session, row, actor, "certificate.renewed")
    return row, made.token


async def revoke(session: AsyncSession, certificate_id: str, *, actor: Actor) -> Certificate:
    """Its link shows nothing from now on; one that was revoked stays so. Raises NotFound."""
    row = await _own(session, certificate_id, actor)
    if row.digest is not None:
        row.digest, row.revoked_at = None, datetime.now(UTC)
        await session.flush()
        await _record(session, row, actor, "certificate.revoked")
    return row


async def _own(session: AsyncSession, certificate_id: str, actor: Actor) -> Certificate:
    row = await rows.locked(session, Certificate, certificate_id)
    if row.trader_id != actor.trader_id:
        raise NotFound
    return row


async def _record(session: AsyncSession, row: Certificate, actor: Actor, action: str) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="certificate",
        subject_id=row.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        evidence={"of": row.subject_id, "name": row.name_shown, "amount": row.amount_shown},
    )

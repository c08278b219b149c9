"""How satisfied traders were. A link leads to a form, and only sending it rates: scanners of mail open every link."""

import hmac
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from firm import mails, ticket_mails
from store import crypto
from store.clock import market_now
from store.models import Ticket, TicketRating

MAX_COMMENT: Final = 2000
LINK_DAYS: Final = 30
_RATED: Final = "This was rated already."
_BODY: Final = """We marked your question as solved. If it is not, answer this mail.

How did we do? This link opens a form. It works once, for {days} days:

{link}
"""
SCORES: Final = {1: "very bad", 2: "bad", 3: "neither good nor bad", 4: "good", 5: "very good"}


def token(ticket: Ticket, until: date) -> str:
    """Returns what the link to the form of a solved ticket carries: it rates this solution of this ticket until the end
    of that day, UTC, and nothing else. It tells nothing to whoever has no key."""
    return (
        f"{ticket.id}.{ticket.solved_times}.{until:%Y%m%d}.{_proof(ticket.id, ticket.solved_times, f'{until:%Y%m%d}')}"
    )


def _proof(ticket_id: str, times: int, until: str) -> str:
    return crypto.keys().digest(f"rating/{ticket_id}/{times}/{until}")


async def ask(session: AsyncSession, ticket: Ticket, *, site: str) -> None:
    """Mails the link to the trader whose ticket was solved, once for each solution. `site`: the address of the
    console."""
    address = None if ticket.trader_id is None else await ticket_mails.address_of(session, ticket)
    if address is None:
        return
    until = datetime.now(UTC).date() + timedelta(days=LINK_DAYS)
    with suppress(BadInput):  # an old record may have no usable address
        await mails.send(
            session,
            to=address,
            subject=f"How did we do? {ticket.subject}",
            body=_BODY.format(link=f"{site}/rate/{token(ticket, until)}", days=LINK_DAYS),
            automatic=True,
            key=f"rating/{ticket.id}/{ticket.solved_times}",
            kind="rating",
            ticket_id=ticket.id,
        )


async def by_token(session: AsyncSession, text: str) -> tuple[Ticket, int]:
    """Returns the ticket that a link is for, and which solution of it. Raises NotFound for a link that is not ours,
    Conflict for one that has ended or was used."""
    ticket_id, times, until, proof = (*text.split("."), "", "", "", "")[:4]
    if (
        not times.isdecimal()
        or len(times) > 6
        or not hmac.compare_digest(proof.encode(), _proof(ticket_id, int(times), until).encode())
    ):
        raise NotFound
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None or ticket.trader_id is None:
        raise NotFound
    if datetime.now(UTC).strftime("%Y%m%d") > until:
        raise Conflict("This link has ended.", remedy="Sign in and rate on the page of the ticket.")
    if await session.get(TicketRating, (ticket.id, int(times))) is not None:
        raise Conflict(_RATED, remedy="To change the rating, sign in and rate on the page of the ticket.")
    return ticket, int(times)


async def rate(session: AsyncSession, *, ticket_id: str, actor: Actor, score: int, comment: str) -> None:
    """A trader rates the newest solution of their own ticket. Raises NotFound, BadInput, Conflict (not solved yet)."""
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None or actor.trader_id is None or ticket.trader_id != actor.trader_id:
        raise NotFound
    await record(session, ticket, ticket.solved_times, score=score, comment=comment)


async def rate_by_link(session: AsyncSession, text: str, *, score: int, comment: str) -> None:
    """Whoever has the link rates once. Raises NotFound, BadInput, Conflict (the link has ended or was used)."""
    ticket, times = await by_token(session, text)
    row = insert(TicketRating).values(await _values(session, ticket, times, score=score, comment=comment))
    made = await session.scalar(row.on_conflict_do_nothing().returning(TicketRating.round))
    if made is None:
        raise Conflict(_RATED, remedy="To change the rating, sign in and rate on the page of the ticket.")


async def record(session: AsyncSession, ticket: Ticket, times: int, *, score: int, comment: str) -> None:
    """Keeps a rating; a later one of the same solution replaces it. Raises BadInput, Conflict (not solved yet)."""
    values = await _values(session, ticket, times, score=score, comment=comment)
    row = insert(TicketRating).values(values)
    changed = {name: values[name] for name in ("score", "comment", "given_at")}
    await session.execute(row.on_conflict_do_update(index_elements=["ticket_id", "round"], set_=changed))


async def _values(session: AsyncSession, ticket: Ticket, times: int, *, score: int, comment: str) -> dict[str, Any]:
    if times < 1:
        raise Conflict("This ticket was not solved yet.", remedy="Rate it once it is solved.")
    if score not in SCORES:
        raise BadInput("A rating is a number from 1 to 5.", field="score", remedy="Choose one of the five.")
    if len(comment) > MAX_COMMENT:
        raise BadInput(f"The comment is longer than {MAX_COMMENT} characters.", field="comment", remedy="Shorten it.")
    return {
        "ticket_id": ticket.id,
        "round": times,
        "trader_id": ticket.trader_id,
        "score": score,
        "comment": comment.strip() or None,
        "given_at": await market_now(session),
    }

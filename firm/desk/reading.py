"""What people wrote and did at the desk, made part of the ticket here. Each article counts once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.mail.cleaning import without_quotes
from firm import held_answers, reviews, ticket_mails, ticket_merging, ticket_steps, tickets
from firm.desk import copying
from firm.desk.in_force import reads_the_desk
from firm.service import clocks
from store.models import DeskArticleRow, DeskTicketRow, Ticket, TicketMerge, TicketMessage

_CUT: Final = "\n\n[The text is longer. The whole of it is at the desk.]"
_OPEN: Final = ("open", "waiting_for_trader")


@dataclass(frozen=True)
class Written:
    """An article that somebody wrote at the desk. `mailed`: the desk has sent it to the trader. `customer_id`: which
    customer wrote it, by the desk's id; None: none did, or it is not known. `written_at`: by the desk's clock. `files`:
    how many."""

    article_id: str
    by: Literal["trader", "firm"]
    public: bool
    mailed: bool
    author: str
    body: str
    customer_id: str | None
    written_at: datetime
    files: int = 0


async def at_place(session: AsyncSession, desk: str, place: str) -> list[DeskTicketRow]:
    """Returns our tickets whose articles are with the ticket `place` of the desk."""
    found = await session.scalars(
        select(DeskTicketRow)
        .where(DeskTicketRow.desk == desk, DeskTicketRow.now_id == place)
        .order_by(DeskTicketRow.ticket_id)
    )
    return list(found)


async def reader_of(session: AsyncSession, desk: str, place: str) -> str | None:
    """Returns our ticket that gets what is written on the ticket `place` of the desk; None for one that is not ours."""
    rows = await at_place(session, desk, place)
    first = next((row for row in rows if row.opened_id == place), rows[0] if rows else None)
    return None if first is None else await ticket_steps.root_of(session, first.ticket_id)


async def strange_places(session: AsyncSession, desk: str, keys: Sequence[str], *, customer_id: str) -> list[str]:
    """Returns the tickets of the desk, of other customers than `customer_id`, on which articles with these keys of ours
    were made."""
    named = {kind: [key.split("/")[1] for key in keys if key.startswith(f"{kind}/")] for kind in ("ticket", "message")}
    written = select(TicketMessage.ticket_id).where(TicketMessage.id.in_(named["message"]))
    found = await session.scalars(
        select(DeskTicketRow.opened_id).where(
            DeskTicketRow.desk == desk,
            DeskTicketRow.customer_id != customer_id,
            DeskTicketRow.opened_id.is_not(None),
            or_(DeskTicketRow.ticket_id.in_(named["ticket"]), DeskTicketRow.ticket_id.in_(written)),
        )
    )
    return [place for place in found if place is not None]


def seen_until(rows: Sequence[DeskTicketRow], ours: Mapping[str, datetime]) -> datetime | None:
    """Returns the moment, by the desk's clock, up to which everything that was written on these tickets was read. A
    ticket has nothing older than the article that opened it. `ours`: when each article with a key of ours was written,
    by its key. None: it is not known."""
    known = list[datetime]()
    for row in rows:
        moments = (row.read_at, ours.get(record_keys.desk_ticket(row.ticket_id, row.round)))
        newest = max((at for at in moments if at is not None), default=None)
        if newest is None:
            return None
        known.append(newest)
    return min(known, default=None)


async def take(
    session: AsyncSession,
    desk: str,
    ticket_id: str,
    articles: Sequence[Written],
    *,
    customer_id: str,
    seen_until: datetime | None,
) -> int:
    """Adds what is new of these articles to the ticket; returns how many there were. `customer_id`: whose ticket of the
    desk it is. `seen_until`: as the function of this name.

    When one of them was written elsewhere or by another customer, somebody merged a ticket that we do not know into
    this one. Then nobody can tell for whom the new ones were written: all are notes, and a person gets a review.
    """
    root = await ticket_steps.locked_root(session, ticket_id)
    known = set(
        await session.scalars(
            select(DeskArticleRow.article_id).where(
                DeskArticleRow.desk == desk, DeskArticleRow.article_id.in_([each.article_id for each in articles])
            )
        )
    )
    new = [each for each in articles if each.article_id not in known]
    if not new:
        return 0
    await held_answers.let_go(session, root)
    reads_the_desk(session)
    if any(_is_strange(each, customer_id, seen_until) for each in new):
        key = record_keys.doubtful_articles_review(root.id, new[0].article_id)
        detail = {"ticket": root.id, "desk": desk, "articles": ", ".join(each.article_id for each in new)}
        await reviews.report(session, key=key, kind=reviews.DOUBTFUL_ARTICLES, detail=detail)
        new = [replace(each, public=False) for each in new]
    for article in new:
        message = await _say(session, desk, root, article)
        session.add(
            DeskArticleRow(desk=desk, article_id=article.article_id, message_id=message.id, trader_id=root.trader_id)
        )
        await session.flush()
    return len(new)


def _is_strange(article: Written, customer_id: str, seen_until: datetime | None) -> bool:
    if article.customer_id is not None and article.customer_id != customer_id:
        return True
    return seen_until is not None and article.written_at <= seen_until


async def _say(session: AsyncSession, desk: str, root: Ticket, article: Written) -> TicketMessage:
    """Makes an article a message, with everything that follows from it."""
    body = _text(article)
    if not article.public:
        return await tickets.say(session, root, None, body, kind=tickets.NOTE, desk_author=article.author)
    if article.by == "trader":
        message = await tickets.say(session, root, None, body)
        await ticket_steps.move(session, root, desk, tickets.AT_DESK, "trader_replied")
        await clocks.note(session, root, "trader_wrote")
        return message
    message = await tickets.say(session, root, None, body, desk_author=article.author)
    if not article.mailed:
        await ticket_mails.send_message(session, root, message, automatic=False)
    if root.state in _OPEN:
        await ticket_steps.move(session, root, desk, tickets.AT_DESK, "firm_replied")
        await clocks.note(session, root, "answered")
    return message


def _text(article: Written) -> str:
    body = article.body
    if article.by == "trader" and article.mailed:
        body = without_quotes(body) or body
    if article.files:
        body += f"\n\n[{article.files} file(s) are at the desk.]"
    body = body.strip() or "(There is no text.)"
    return body if len(body) <= tickets.MAX_BODY else body[: tickets.MAX_BODY - len(_CUT)].rstrip() + _CUT


async def closed(session: AsyncSession, desk: str, ticket_id: str, *, at: datetime) -> bool:
    """Somebody closed the ticket at the desk: it is solved here, unless the trader has written since, or we changed it
    there after `at`, the desk's time at which it was seen. Returns whether it was solved now."""
    root = await ticket_steps.locked_root(session, ticket_id)
    members = await clocks.family(session, root.id)
    newest = await session.scalars(
        select(DeskTicketRow.written_at).where(DeskTicketRow.desk == desk, DeskTicketRow.ticket_id.in_(members))
    )
    late = any(written is not None and written > at for written in newest)
    if late or root.state not in _OPEN or not await copying.all_sent(session, desk, members):
        return False
    await held_answers.let_go(session, root)
    reads_the_desk(session)
    await ticket_steps.move(session, root, desk, tickets.AT_DESK, "ticket_solved")
    await clocks.note(session, root, "solved")
    root.assignee_id = root.lease_until = None
    return True


async def moved(session: AsyncSession, desk: str, ticket_id: str, place: str, *, customer_id: str) -> None:
    """Somebody merged the ticket, at the desk, into the ticket `place` of the customer `customer_id`.

    Of the same customer: what is written there belongs to this ticket too; if that one is a ticket of the same trader
    here, both are merged here as well. Of another customer: nothing of it is read, a person gets a review, and the next
    message opens the ticket there anew.
    """
    await held_answers.let_go(session, await ticket_steps.locked_root(session, ticket_id))
    reads_the_desk(session)
    row = await session.get_one(DeskTicketRow, (ticket_id, desk), with_for_update=True)
    if row.customer_id != customer_id:
        await _let_go(session, row)
        return
    row.now_id = place
    await session.flush()
    others = [each for each in await at_place(session, desk, place) if each.ticket_id != ticket_id]
    source = await session.get_one(Ticket, ticket_id)
    for other in others:
        root_id = await ticket_steps.root_of(session, other.ticket_id)
        mine = source.trader_id is not None and source.trader_id == other.trader_id
        if not mine or root_id == (source.root_id or source.id) or source.merged_into is not None:
            continue
        if await _was_split(session, ticket_id):
            continue
        await ticket_merging.merge_at_desk(session, source_id=ticket_id, target_id=root_id, desk=desk)


async def given_away(session: AsyncSession, desk: str, place: str, *, customer_id: str) -> None:
    """The ticket `place` of the desk is of this customer now. Those of ours that were another's are let go, as after a
    merge."""
    for row in await at_place(session, desk, place):
        if row.customer_id != customer_id:
            await _let_go(session, row)


async def _let_go(session: AsyncSession, row: DeskTicketRow) -> None:
    """Nothing of the ticket of the desk is read for ours any more; the next message opens it there anew."""
    key = record_keys.other_customer_review(row.ticket_id, row.round)
    detail = {"ticket": row.ticket_id, "desk": row.desk}
    await reviews.report(session, key=key, kind=reviews.OTHER_CUSTOMER, detail=detail)
    row.opened_id = row.now_id = row.customer_id = None
    row.round, row.noted, row.begun_at = row.round + 1, False, datetime.now(UTC)
    await session.flush()


async def _was_split(session: AsyncSession, ticket_id: str) -> bool:
    """Returns whether a merge of this ticket was undone here: that decision stays."""
    found = select(TicketMerge.id).where(TicketMerge.source_id == ticket_id, TicketMerge.undone_at.is_not(None))
    return await session.scalar(found.limit(1)) is not None


async def note_read(session: AsyncSession, desk: str, place: str, at: datetime) -> None:
    """The ticket `place` of the desk was read as it was at `at`, the desk's time."""
    for row in await at_place(session, desk, place):
        row.read_at = max(at, row.read_at or at)

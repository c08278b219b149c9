"""Reads a ticket of the desk, after a webhook or because the poll found that it changed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from domain import record_keys
from domain.tickets import CHANGED
from firm.desk import copying, reading
from firm.desk.reading import Written
from ports.tickets import DeskArticle, DeskTicket, TicketDesk
from store import inbox
from store.db import Database
from store.models import TicketDeskRow

_OVERLAP: Final = timedelta(minutes=2)  # a change may become visible later than its time says
_FIRST: Final = timedelta(days=2)  # how far back the first poll reads
_log = structlog.get_logger("relay.desk")


async def read(db: Database, desk: TicketDesk, place: str) -> None:
    """Makes everything new on the ticket `place` of the desk part of the record. Raises NotFound, Unavailable."""
    if not await _is_ours(db, desk, place):
        return
    before = await desk.fetch_ticket(place)  # what comes to it from now on is a later change
    articles = await desk.articles(place)
    ticket = await desk.fetch_ticket(place)
    if ticket.state == "merged":  # also when it was merged meanwhile: that writes an article on the source
        await follow(db, desk, place)
        return
    async with db.transaction() as session:
        await reading.given_away(session, desk.name, place, customer_id=ticket.customer_id)
    held_until = await _held_until(db, desk, ticket, articles)
    async with db.transaction() as session:
        reader_id = await reading.reader_of(session, desk.name, place)
        if reader_id is None:
            return
        rows = await reading.at_place(session, desk.name, place)
        ours = {each.key: each.written_at for each in articles if each.key is not None}
        new = await reading.take(
            session,
            desk.name,
            reader_id,
            _written(articles, held_until),
            customer_id=ticket.customer_id,
            seen_until=reading.seen_until(rows, ours),
        )
        if ticket.state == "closed":
            await reading.closed(session, desk.name, reader_id, at=ticket.changed_at)
        await reading.note_read(session, desk.name, place, before.changed_at)
    if new:
        _log.info("read from the desk", desk=desk.name, ticket=reader_id, articles=new)


async def follow(db: Database, desk: TicketDesk, place: str) -> None:
    """The ticket `place` was merged at the desk: finds where each of our tickets is now, and reads there."""
    async with db.transaction() as session:
        ours = [
            (row.ticket_id, row.customer_id, await copying.an_article_of(session, desk.name, row.ticket_id))
            for row in await reading.at_place(session, desk.name, place)
        ]
    moved = set[str]()
    for ticket_id, customer_id, article_id in ours:
        if article_id is None:
            continue
        target = await desk.fetch_ticket((await desk.fetch_article(article_id)).ticket_id)
        if target.ticket_id == place:
            continue
        if target.customer_id != customer_id:  # while it is known where the articles came from
            await read(db, desk, target.ticket_id)
        async with db.transaction() as session:
            await reading.moved(session, desk.name, ticket_id, target.ticket_id, customer_id=target.customer_id)
        moved.add(target.ticket_id)
    for target_id in sorted(moved):
        await read(db, desk, target_id)


async def _is_ours(db: Database, desk: TicketDesk, place: str) -> bool:
    async with db.transaction() as session:
        return bool(await reading.at_place(session, desk.name, place))


async def _held_until(
    db: Database, desk: TicketDesk, ticket: DeskTicket, articles: Sequence[DeskArticle]
) -> datetime | None:
    """Returns when the ticket of another customer was merged into this one; None: none was. Nobody can tell for whom
    an article of before was written."""
    keys = [each.key for each in articles if each.key is not None]
    async with db.transaction() as session:
        places = await reading.strange_places(session, desk.name, keys, customer_id=ticket.customer_id)
    found = [each.written_at for place in places for each in await desk.articles(place)]
    return max(found, default=None)


def _written(articles: Sequence[DeskArticle], held_until: datetime | None) -> list[Written]:
    """Leaves out the echo of what we wrote, and what a program of the desk wrote. What was written before `held_until`
    is for the firm only."""
    return [
        Written(
            article_id=each.article_id,
            by=each.by,
            public=each.public and (held_until is None or each.written_at > held_until),
            mailed=each.mailed,
            author=each.author,
            body=each.body,
            customer_id=each.customer_id,
            written_at=each.written_at,
            files=each.files,
        )
        for each in articles
        if each.key is None and each.by != "system"
    ]


class DeskSweep:
    """Finds what a lost webhook would have told. Each change found is an event like that of a webhook."""

    def __init__(self, db: Database, desk: TicketDesk) -> None:
        self._db, self._desk = db, desk
        self._on: datetime | None = None  # where a round that is not complete goes on

    async def step(self) -> int:
        """Reads a batch of changes; returns how many there were when more are left, else 0. While people work elsewhere
        it reads nothing."""
        async with self._db.transaction() as session:
            row = await session.get(TicketDeskRow, self._desk.name)
            if row is None or not row.in_force:
                return 0
            since = self._on or (row.read_until or datetime.now(UTC) - _FIRST) - _OVERLAP
        found = await self._desk.changes(since)
        async with self._db.transaction() as session:
            for ticket in found.tickets:
                known = await reading.at_place(session, self._desk.name, ticket.ticket_id)
                if not any(each.read_at is None or each.read_at < ticket.changed_at for each in known):
                    continue
                await inbox.receive(
                    session,
                    provider=self._desk.name,
                    event_id=record_keys.desk_poll(ticket.ticket_id, ticket.changed_at),
                    kind=CHANGED,
                    object_id=ticket.ticket_id,
                )
            row = await session.get_one(TicketDeskRow, self._desk.name)
            if found.complete and found.until is not None:
                row.read_until = max(found.until, row.read_until or found.until)
        self._on = None if found.complete else found.until
        return 0 if found.complete else len(found.tickets)

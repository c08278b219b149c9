"""The firm under chaos: its record, the door for mail, support that answers every ticket, and the relay."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import NoReturn

from sqlalchemy import select, update
from sqlalchemy.sql import func

from adapters.mail.door_smtp import SmtpDoor
from cli.chaos.mail.world import US, Counted, Person
from cli.mail.incoming import take
from domain.approvals import Actor
from firm import inbound, tickets
from ports.mail import MailDesk
from ports.platform import Platforms
from relay.outbox import OutboxDispatcher
from store import crypto
from store.db import Database
from store.models import IncomingMailRow, OutboxMessage, Ticket, Trader, User

_SUE = Actor(user_id="usr_sue", person_id="per_sue", role="support", trader_id=None)


@dataclass
class Firm:
    db: Database
    desk: MailDesk
    door: SmtpDoor
    random: Random
    counted: Counted
    answers: int = 0
    released: int = 0  # mails of senders who write too many, which a person let in

    async def found(self, people: list[Person]) -> None:
        keys = crypto.keys()
        async with self.db.transaction() as session:
            for person in people:
                if not person.is_trader:
                    continue
                trader = Trader(
                    id=f"trd_{person.number}",
                    name=f"P {person.number}",
                    email=person.address,
                    email_index=keys.blind_index(person.address),
                    country="DE",
                    created_at=datetime.now(UTC),
                )
                session.add(trader)
                await session.flush()
                session.add(self._user(f"usr_{person.number}", person.address, "trader", trader.id))
            session.add(self._user("usr_sue", "sue", "support", None))

    def _user(self, user_id: str, login: str, role: str, trader_id: str | None) -> User:
        return User(
            id=user_id,
            login=login,
            login_index=crypto.keys().blind_index(login),
            name=login,
            password_hash=secrets.token_hex(),
            role=role,
            person_id="per" + user_id[3:],
            trader_id=trader_id,
        )

    async def take(self, raw: bytes, recipients: tuple[str, ...]) -> None:
        """Takes a mail. Sometimes the record is away; sometimes the mail is taken and the answer is lost."""
        chance = self.random.random()
        if chance < 0.03:
            raise ConnectionError
        await partial(take, self.db, US, self.door)(raw, recipients)
        if chance > 0.95:
            self.counted.lost_answers_in += 1
            raise ConnectionError

    async def release_held(self) -> None:
        """A person lets in the mails that were held because their sender wrote too many in an hour."""
        async with self.db.transaction() as session:
            held = select(IncomingMailRow.id).where(IncomingMailRow.state == "held")
            mail_ids = (await session.scalars(held.order_by(IncomingMailRow.received_at))).all()
        for mail_id in mail_ids:
            async with self.db.transaction() as session:
                await inbound.release(session, mail_id=mail_id, actor=_SUE)
                self.released += 1

    async def answer_all(self) -> None:
        """Support answers every open ticket."""
        async with self.db.transaction() as session:
            waiting = list(await session.execute(select(Ticket).where(Ticket.state == "open").order_by(Ticket.id)))
        for (ticket,) in waiting:
            whose = "stranger " if ticket.trader_id is None else f"p{ticket.trader_id.removeprefix('trd_')} "
            async with self.db.transaction() as session:
                body = f"This is answer to {whose}number {self.answers}."
                await tickets.reply(session, ticket_id=ticket.id, actor=_SUE, body=body)
                self.answers += 1

    async def send_all(self) -> None:
        """The relay sends until nothing waits; what is to be tried later is due at once."""
        relay = OutboxDispatcher(self.db, _nowhere, Platforms({}, "none"), self.desk)
        for _ in range(200):
            while await relay.step():
                pass
            async with self.db.transaction() as session:
                waits = (OutboxMessage.dispatched_at.is_(None), OutboxMessage.parked_at.is_(None))
                if not await session.scalar(select(func.count()).where(*waits)):
                    return
                await session.execute(update(OutboxMessage).where(*waits).values(next_at=func.clock_timestamp()))
        raise RuntimeError("mail is stuck in the outbox")


async def _nowhere() -> NoReturn:
    raise ConnectionError("no workflow engine is needed")


def installed() -> None:
    crypto.install(crypto.FieldKeys({"k1": secrets.token_bytes(32)}))

"""The inbound part of `propos bench support`: mails by real SMTP on loopback into the door of the firm.

Each mail goes the whole way of `propos mail-in`: SMTP, reading, threading, the message of its ticket, clocks, and the
answer 250 after the commit. Half of the mails are answers of a trader to a ticket, by its tag; the others open one, of
a trader or of a stranger.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from typing import Any, Final
from uuid import uuid4

import aiosmtplib

from adapters.mail.door_smtp import SmtpDoor, SmtpDoorSettings
from cli.bench.timing import percentile, rounded
from cli.mail.incoming import take
from domain.mail.addresses import tagged
from firm import ticket_mails
from store.db import Database

_US: Final = "support@firm.example"
_AUTHSERV: Final = "mx.firm.example"
_CONNECTIONS: Final = 8  # of the firm's mail server, as many as the door works on at once
_WARM: Final = 10


@dataclass(frozen=True)
class Writer:
    """A trader who writes, and a ticket of theirs that waits for them."""

    address: str
    ticket_id: str


async def measure_inbound(db: Database, writers: Sequence[Writer], mails: int) -> dict[str, Any]:
    """Returns milliseconds from the start of a mail's delivery to the answer, one mail after another, and the mails
    taken in a second with several connections. Raises RuntimeError when the door refuses one."""
    sent = [_mail(number, writers[number % len(writers)]) for number in range(mails + _WARM)]
    async with _door(db) as port:
        taken = list[float]()
        for raw in sent:
            started = time.perf_counter()
            await _bring(port, [raw])
            taken.append((time.perf_counter() - started) * 1000)
        kept = taken[_WARM:]
        crowd = [_mail(number, writers[number % len(writers)]) for number in range(len(sent), len(sent) + 5 * mails)]
        started = time.perf_counter()
        await asyncio.gather(*(_bring(port, crowd[first::_CONNECTIONS]) for first in range(_CONNECTIONS)))
        seconds = time.perf_counter() - started
    return {
        "inbound_ms": {"p50": rounded(percentile(kept, 0.5)), "p95": rounded(percentile(kept, 0.95))},
        "inbound_per_second": rounded(len(crowd) / seconds),
    }


@asynccontextmanager
async def _door(db: Database) -> AsyncIterator[int]:
    """The port of the door while it listens."""
    door = SmtpDoor("bench", SmtpDoorSettings(port=0, authserv=_AUTHSERV))
    stop = asyncio.Event()
    running = asyncio.create_task(door.run(partial(take, db, _US, door), our_address=_US, stop=stop))
    try:
        while not door.port and not running.done():  # noqa: ASYNC110 -- the door says no more
            await asyncio.sleep(0.01)
        yield door.port
    finally:
        stop.set()
        await running


async def _bring(port: int, mails: Sequence[EmailMessage]) -> None:
    """Delivers mails over one connection."""
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=60) as server:
        for mail in mails:
            refused, answer = await server.send_message(mail, sender="bounces@world.example", recipients=[mail["To"]])
            if refused or not answer.startswith("2.0.0"):
                raise RuntimeError(f"The door answered {answer!r} {refused}.")


def _mail(number: int, writer: Writer) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    answers, by_trader = number % 2 == 0, number % 4 != 3
    mail["From"] = writer.address if by_trader else f"stranger{number}@world.example"
    mail["To"] = tagged(_US, ticket_mails.token(writer.ticket_id)) if answers else _US
    mail["Subject"] = ("Re: " if answers else "") + f"Payout {number}"
    mail["Message-ID"] = f"<{uuid4().hex}@world.example>"
    domain = mail["From"].rpartition("@")[2]
    mail["Authentication-Results"] = f"{_AUTHSERV}; dmarc=pass header.from={domain}"
    mail.set_content(
        f"Where is my payout number {number}?\n\nOn Monday, {_US} wrote:\n> It is decided today.\n> Support"
    )
    return mail

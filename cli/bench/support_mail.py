"""The inbound part of `propos bench support`: mails by real SMTP on loopback into the process `propos mail-in`.

Each mail goes the whole way: SMTP, reading, threading, the message of its ticket, clocks, and the answer 250 after the
commit. Half of the mails are answers of a trader to a ticket, by its tag; the others open one, of a trader or of a
stranger. This process only sends: it has made the bytes of all mails before.
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiosmtplib
from sqlalchemy import func, select

from cli.bench.timing import percentile, rounded
from cli.stack.probes import free_ports
from cli.stack.processes import own_argv, running
from domain.mail.addresses import tagged
from firm import ticket_mails
from settings import child_environment
from store.db import Database
from store.models import IncomingMailRow

US: Final = "support@firm.example"
_THEM: Final = "bounces@world.example"
AUTHSERV: Final = "mx.firm.example"
_CONNECTIONS: Final = 8  # of the firm's mail server, as many as the door works on at once
_WARM: Final = 40  # each of the door's connections to the database has planned its statements by then
_IN_CROWD: Final = 5


@dataclass(frozen=True)
class Writer:
    """A trader who writes, and a ticket of theirs that waits for them."""

    address: str
    ticket_id: str


@dataclass(frozen=True)
class Sent:
    recipient: str
    raw: bytes


@dataclass(frozen=True)
class Door:
    """The process `propos mail-in`."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """The time of the processor that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def door(folder: Path, database_url: str, keys: str) -> Iterator[Door]:
    """Runs `propos mail-in` with a door for SMTP until the block ends. `keys`: the payload keys of the firm."""
    (port,) = free_ports(1)
    environment: dict[str, str | None] = {
        "PROPOS_DATA": str(folder / "data"),
        "DATABASE_URL": database_url,
        "PROPOS_PAYLOAD_KEYS": keys,
        "PROPOS_DIGEST_KEY": None,
        "PROPOS_MAIL_FROM": f"Support <{US}>",
        "PROPOS_MAIL_DOORS__BENCH__ADAPTER": "smtp",
        "PROPOS_MAIL_DOORS__BENCH__PORT": str(port),
        "PROPOS_MAIL_DOORS__BENCH__AUTHSERV": AUTHSERV,
        "PROPOS_MAIL_IN_METRICS_PORT": "0",
        "PROPOS_LOG_LEVEL": "warning",
    }
    argv = own_argv("mail-in")
    log = folder / "mail-in.log"
    with running(argv, lambda: _listens(port), log, environment=child_environment(environment)) as pid:
        yield Door(port, pid)


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


async def measure_inbound(db: Database, to: Door, writers: Sequence[Writer], mails: int) -> dict[str, Any]:
    """Returns milliseconds from the start of a mail's delivery to the answer, one mail after another, and the mails
    taken in a second with several connections. Raises RuntimeError when the door refuses one, or when one is not on the
    record."""
    made = [mail_of(number, writers[number % len(writers)]) for number in range(_WARM + (1 + _IN_CROWD) * mails)]
    before = await _on_record(db)
    await _crowd(to, made[:_WARM])
    single, crowd = made[_WARM : _WARM + mails], made[_WARM + mails :]
    taken, cpu = list[float](), to.cpu_seconds()
    for mail in single:
        started = time.perf_counter()
        await _bring(to, [mail])
        taken.append((time.perf_counter() - started) * 1000)
    cpu_of_single = (to.cpu_seconds() - cpu) / len(single) * 1000
    started, cpu = time.perf_counter(), to.cpu_seconds()
    await _crowd(to, crowd)
    seconds, cpu_of_crowd = time.perf_counter() - started, (to.cpu_seconds() - cpu) / len(crowd) * 1000
    known = await _on_record(db) - before
    if known != len(made):
        raise RuntimeError(f"{len(made)} mails were sent, {known} are on the record.")
    return {
        "inbound_ms": {
            "p50": rounded(percentile(taken, 0.5)),
            "p95": rounded(percentile(taken, 0.95)),
            "cpu": rounded(cpu_of_single),
        },
        "inbound_per_second": rounded(len(crowd) / seconds),
        "inbound_crowd_cpu_ms": rounded(cpu_of_crowd),
        "inbound_connections": _CONNECTIONS,
    }


async def _on_record(db: Database) -> int:
    async with db.transaction() as session:
        return int(await session.scalar(select(func.count()).select_from(IncomingMailRow)) or 0)


async def _crowd(to: Door, mails: Sequence[Sent]) -> None:
    """Delivers mails over several connections at once."""
    await asyncio.gather(*(_bring(to, mails[first::_CONNECTIONS]) for first in range(_CONNECTIONS)))


async def _bring(to: Door, mails: Sequence[Sent]) -> None:
    """Delivers mails over one connection."""
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=to.port, start_tls=False, timeout=60) as server:
        for mail in mails:
            refused, answer = await server.sendmail(_THEM, [mail.recipient], mail.raw)
            if refused or not answer.startswith("2.0.0"):
                raise RuntimeError(f"The door answered {answer!r} {refused}.")


def mail_of(number: int, writer: Writer) -> Sent:
    made = EmailMessage(policy=SMTP)
    answers, by_trader = number % 2 == 0, number % 4 != 3
    recipient = tagged(US, ticket_mails.token(writer.ticket_id)) if answers else US
    made["From"] = writer.address if by_trader else f"stranger{number}@world.example"
    made["To"] = recipient
    made["Subject"] = ("Re: " if answers else "") + f"Payout {number}"
    made["Message-ID"] = f"<{uuid4().hex}@world.example>"
    domain = made["From"].rpartition("@")[2]
    made["Authentication-Results"] = f"{AUTHSERV}; dmarc=pass header.from={domain}"
    made.set_content(
        f"Where is my payout number {number}?\n\nOn Monday, {US} wrote:\n> It is decided today.\n> Support"
    )
    return Sent(recipient, made.as_bytes())

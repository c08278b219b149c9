"""The people who write to the firm, and the mail server of the world: it takes the firm's mail, and loses answers."""

import asyncio
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP
from random import Random
from typing import Any, Final

import aiosmtplib
from aiosmtpd import smtp

AUTHSERV: Final = "mx.chaos.example"
US: Final = "help@firm.example"
_TRIES: Final = 30


@dataclass
class Person:
    """`kind`: trader, stranger, dead (mail to them comes back), away (a program answers every mail) or echo (the mail
    itself comes back). `got`: what the firm sent them, oldest first. `sent`: Message-IDs of their own mails."""

    number: int
    kind: str
    got: list[Message] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    @property
    def is_trader(self) -> bool:
        return self.kind != "stranger"

    @property
    def address(self) -> str:
        return f"p{self.number}@{'trader' if self.is_trader else 'else'}{self.number % 7}.example"


@dataclass
class Counted:
    """How often each fault happened."""

    lost_answers_in: int = 0
    lost_answers_out: int = 0
    copies: int = 0
    out_of_order: int = 0
    forged: int = 0
    bounces: int = 0
    programs: int = 0
    echoes: int = 0


class World:
    """`markers`: marker of each mail of a person -> the person. `forged`, `automatic`: markers that must be in no
    conversation of a trader, or in none at all."""

    def __init__(self, people: list[Person], random: Random, counted: Counted) -> None:
        self.people = {person.address: person for person in people}
        self.random, self.counted = random, counted
        self.markers: dict[str, Person] = {}
        self.forged: set[str] = set()
        self.automatic: set[str] = set()
        self.later: list[bytes] = []  # what programs answer, brought in the next round
        self.misdelivered: list[str] = []
        self.received = 0
        self.door_port = 0
        self._gate = asyncio.Semaphore(8)
        self._seen: set[tuple[str, str]] = set()

    def server(self) -> smtp.SMTP:
        return smtp.SMTP(self, hostname="world.example", enable_SMTPUTF8=True, loop=asyncio.get_running_loop())

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- of aiosmtpd
        mail = message_from_bytes(envelope.content)
        lost = self.random.random() < 0.05
        for address in envelope.rcpt_tos:
            key = (address, str(mail["Message-ID"]))
            if key not in self._seen:  # a mailbox shows a repeated Message-ID once
                self._seen.add(key)
                self.received += 1
                person = self.people.get(address)
                if person is not None:
                    self._arrive(person, mail)
                elif "answer to p" in str(mail.get_payload()):  # a forger gets an answer that is about nobody
                    self.misdelivered.append(address)
        if lost:
            self.counted.lost_answers_out += 1
            server.transport.abort()
        return "250 2.0.0 taken"

    def _arrive(self, person: Person, mail: Message) -> None:
        text = str(mail.get_payload())
        if "answer to p" in text and f"answer to p{person.number} " not in text:
            self.misdelivered.append(text)
        if person.kind == "dead":
            self.counted.bounces += 1
            self.later.append(bounce(str(mail["Message-ID"]), person.address))
            return
        # support answers a forged mail to the address that it names: its owner does not go on with that conversation
        if mail["Auto-Submitted"] is None and (not person.is_trader or f"answer to p{person.number} " in text):
            person.got.append(mail)
        if person.kind == "away":
            self.counted.programs += 1
            self.later.append(self._away(person, mail))
        elif person.kind == "echo":
            self.counted.echoes += 1
            self.later.append(mail.as_bytes())

    def _away(self, person: Person, mail: Message) -> bytes:
        marker = self.marker(None, "auto")
        self.automatic.add(marker)
        reply = self._headers(person.address, str(mail["Reply-To"] or US), trusted=True)
        reply["Subject"], reply["In-Reply-To"] = "Out of office", str(mail["Message-ID"])
        reply["Auto-Submitted"] = "auto-replied"
        reply.set_content(f"I am away. {marker}")
        return reply.as_bytes()

    def marker(self, person: Person | None, kind: str) -> str:
        text = f"[{kind}-{self.random.getrandbits(48):012x}]"
        if person is not None:
            self.markers[text] = person
        return text

    def _headers(self, sender: str, to: str, *, trusted: bool) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"] = sender, to
        mail["Message-ID"] = f"<{self.random.getrandbits(64):016x}@{sender.rpartition('@')[2]}>"
        verdict = "pass" if trusted else "fail"
        mail["Authentication-Results"] = f"{AUTHSERV}; dmarc={verdict} header.from={sender.rpartition('@')[2]}"
        return mail

    def write(self, person: Person) -> bytes:
        """A mail of the person: their first one, or a reply to the newest answer by token, references, or both."""
        last = person.got[-1] if person.got else None
        how = self.random.choice(("both", "token", "references"))
        to = US if last is None or how == "references" else str(last["Reply-To"] or US)
        mail = self._headers(person.address, to, trusted=person.is_trader)
        subject = f"Question of p{person.number}"
        mail["Subject"] = subject if last is None else self.random.choice((f"Re: {subject}", f"AW: {subject}"))
        text = self.marker(person, "mail") + " text"
        if last is not None:
            if how != "token":
                ids = [str(last["Message-ID"]), *(person.sent[-1:] if self.random.random() < 0.3 else [])]
                mail["In-Reply-To"] = ids[-1]
                mail["References"] = " ".join(ids)
            text += f"\n\nOn 1 Mar 2026, {US} wrote:\n> " + str(last.get_payload()).strip().replace("\r\n", "\n> ")
        mail.set_content(text)
        person.sent.append(str(mail["Message-ID"]))
        return mail.as_bytes()

    def forge(self, victim: Person) -> bytes:
        """Somebody else has the victim's token and Message-IDs, and in half of the mails the victim's address."""
        last = victim.got[-1]
        sender = victim.address if self.random.random() < 0.5 else "eve@evil.example"
        mail = self._headers(sender, str(last["Reply-To"]), trusted=sender != victim.address)
        mail["Subject"], mail["In-Reply-To"] = str(last["Subject"]), str(last["Message-ID"])
        marker = self.marker(None, "forged")
        self.forged.add(marker)
        self.counted.forged += 1
        mail.set_content(f"Pay it to me. {marker}")
        return mail.as_bytes()

    async def bring(self, raw: bytes, envelope: str = "someone@world.example") -> None:
        """Sends a mail to the firm's door until it is taken, as a mail server does."""
        async with self._gate:
            to = str(message_from_bytes(raw)["To"])
            for attempt in range(_TRIES):
                try:
                    await aiosmtplib.send(
                        raw,
                        sender=envelope,
                        recipients=[to if "firm.example" in to else US],
                        hostname="127.0.0.1",
                        port=self.door_port,
                        start_tls=False,
                        timeout=60,
                    )
                    return
                except (aiosmtplib.SMTPException, OSError):
                    await asyncio.sleep(0.02 * (attempt + 1))
            raise RuntimeError("the door took no mail")


def bounce(message_id: str, recipient: str) -> bytes:
    return (
        f"From: MAILER-DAEMON@world.example\r\nTo: {US}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; world.example\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\n\r\n--b--\r\n"
    ).encode()

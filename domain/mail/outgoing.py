"""A mail that the firm sends, and its bytes (RFC 5322). An automatic mail says so (RFC 3834)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Final, Self

from domain.mail.addresses import one_line, shortened

_NEWEST_REFERENCES: Final = 20


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """`message_id`, `in_reply_to` and `references` have angle brackets. `sender`: the From header, `Name <address>`.
    `to`: a bare address. `reply_to`: "" when answers go to the sender. `automatic`: no person wrote it. `written_at`
    is wall time. `html`: a second form of the body; "" for none. `unsubscribe`: the address that switches such mail off
    when it is posted to (RFC 8058); "" for mail that cannot be switched off."""

    message_id: str
    sender: str
    to: str
    subject: str
    body: str
    automatic: bool
    written_at: datetime
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    html: str = ""
    unsubscribe: str = ""

    @property
    def envelope_sender(self) -> str:
        """Returns the address that gets bounces; "" for an automatic mail, so that no bounce is answered."""
        return "" if self.automatic else _bare(self.sender)


def shortened_references(references: Sequence[str]) -> tuple[str, ...]:
    """Returns the first reference and the newest 20, each once, oldest first."""
    each = tuple(dict.fromkeys(references))
    return each if len(each) <= _NEWEST_REFERENCES + 1 else (each[0], *each[-_NEWEST_REFERENCES:])


def as_message(mail: OutgoingMail) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = one_line(mail.sender)
    message["To"] = one_line(mail.to)
    message["Subject"] = shortened(mail.subject)
    message["Date"] = format_datetime(mail.written_at)
    message["Message-ID"] = one_line(mail.message_id)
    if mail.reply_to:
        message["Reply-To"] = one_line(mail.reply_to)
    if mail.in_reply_to:
        message["In-Reply-To"] = one_line(mail.in_reply_to)
    if mail.references:
        message["References"] = one_line(" ".join(shortened_references(mail.references)))
    if mail.automatic:
        message["Auto-Submitted"] = "auto-generated"
        message["Precedence"] = "bulk"
        message["X-Auto-Response-Suppress"] = "All"
    if mail.unsubscribe:
        message["List-Unsubscribe"] = _Whole("List-Unsubscribe", f"<{one_line(mail.unsubscribe)}>")
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_text(mail.body), charset="utf-8")
    if mail.html:
        message.add_alternative(_text(mail.html), subtype="html", charset="utf-8")
    return message


class _Whole(str):
    """A header value that stays on one line. Python would encode an address of more than a line, and no program that
    reads mail decodes it there."""

    __slots__ = ("name",)
    name: str
    max_count = 1
    defects = ()

    def __new__(cls, name: str, value: str) -> Self:
        made = super().__new__(cls, value)
        made.name = name
        return made

    def fold(self, *, policy: EmailPolicy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


def _text(body: str) -> str:
    return body.encode(errors="replace").decode().replace("\x00", "").rstrip() + "\n"


def as_bytes(mail: OutgoingMail) -> bytes:
    """Returns the mail with CRLF line ends."""
    return as_message(mail).as_bytes()


def _bare(sender: str) -> str:
    return sender.rpartition("<")[2].rstrip(">").strip()

"""Reads a mail that came in. Whatever its bytes are, it is read, or refused with BadInput; nothing else is raised.

Headers are read as plain text and never parsed by the structured policies of the library, which raise on broken ones.
"""

import hashlib
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from typing import Any, Final

from domain.errors import BadInput
from domain.mail import automatic as programs
from domain.mail import cleaning
from domain.mail.addresses import one_line, plain_address, shortened
from domain.mail.attachments import Attachment, LeftOut, taken
from domain.mail.automatic import Bounce

LARGEST_MAIL: Final = 30 * 1024 * 1024
_LARGEST_HEAD: Final = 256 * 1024
_MOST_HEADERS: Final = 500
_MOST_PARTS: Final = 200
_MOST_BOUNDARIES: Final = 60
_MOST_NESTED: Final = 20
_MOST_REFERENCES: Final = 100
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,300}>")
_RECIPIENTS: Final = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")


@dataclass(frozen=True, slots=True)
class IncomingMail:
    """`sender`: the one address of the one From header; "" when there is not exactly one. `trusted`: our own server
    found that it passes DMARC. `whole`: the text with its quotes, `shown`: without them. `automatic`: why no program
    should answer, "" for a mail of a person. `digest`: over Message-ID (without one, sender and date) and content, the
    same for a copy that came another way. `references`: ancestors, oldest first, with angle brackets, the In-Reply-To
    last."""

    message_id: str
    references: tuple[str, ...]
    sender: str
    sender_name: str
    recipients: tuple[str, ...]
    subject: str
    whole: str
    shown: str
    automatic: str
    bounce: Bounce | None
    trusted: bool
    digest: str
    attachments: tuple[Attachment, ...]
    left_out: tuple[LeftOut, ...]


def read(raw: bytes, *, authserv: str | None = None, recipients: tuple[str, ...] = ()) -> IncomingMail:
    """Reads the bytes of a mail. `authserv`: the name of our own mail server in Authentication-Results; None: no sender
    is trusted. `recipients`: of the envelope. Raises BadInput."""
    _check_size(raw)
    try:
        return _read(message_from_bytes(raw), raw, authserv, recipients)
    except BadInput:
        raise
    except RecursionError:
        raise _refusal("Its parts are nested too deeply.") from None
    except Exception as error:  # noqa: BLE001 -- the library raises many kinds on broken mail
        raise _refusal(f"It is broken: {type(error).__name__}.") from None


def _refusal(why: str) -> BadInput:
    return BadInput(f"The mail cannot be read. {why}", field="mail", remedy="Send it again as plain text.")


def _check_size(raw: bytes) -> None:
    """Refuses what the library would read for minutes, before it reads it."""
    if len(raw) > LARGEST_MAIL:
        raise _refusal("It is too large.")
    ends = [at for at in (raw.find(b"\r\n\r\n"), raw.find(b"\n\n")) if at >= 0]
    head = raw[: min(ends, default=len(raw))]
    if len(head) > _LARGEST_HEAD or head.count(b"\n") > 4 * _MOST_HEADERS:
        raise _refusal("Its headers are endless.")
    low = raw.lower()
    if low.count(b"boundary") > _MOST_BOUNDARIES or low.count(b"message/rfc822") > _MOST_NESTED:
        raise _refusal("It has too many parts.")


def _read(message: Message, raw: bytes, authserv: str | None, envelope: tuple[str, ...]) -> IncomingMail:
    if len(message.keys()) > _MOST_HEADERS:
        raise _refusal("Its headers are endless.")
    parts = _parts(message)
    whole = _text(parts)
    senders = _addresses(message, "From")
    sender, name = (senders[0][1], senders[0][0]) if len(senders) == 1 else ("", "")
    found = _MESSAGE_ID.search(header(message, "Message-ID"))
    digest = hashlib.sha256(raw.partition(b"\r\n\r\n")[2] or raw.partition(b"\n\n")[2] or raw).hexdigest()
    references = _MESSAGE_ID.findall(header(message, "References"))
    answered = _MESSAGE_ID.findall(header(message, "In-Reply-To"))[:1]
    good, bad = taken(_files(parts))
    return IncomingMail(
        message_id=found[0] if found else "",
        references=tuple(dict.fromkeys(reversed([*answered, *reversed(references)])))[-_MOST_REFERENCES:],
        sender=sender,
        sender_name=name[:120],
        recipients=tuple(
            dict.fromkeys([*_clean(envelope), *(a for h in _RECIPIENTS for _, a in _addresses(message, h))])
        ),
        subject=shortened(header(message, "Subject")),
        whole=whole,
        shown=cleaning.without_quotes(whole),
        automatic=programs.why(_headers(message), sender),
        bounce=programs.bounce_of(parts),
        trusted=bool(sender) and _passes_dmarc(message, authserv, sender),
        digest=f"{found[0] if found else sender + header(message, 'Date')}/{digest}",
        attachments=good,
        left_out=bad,
    )


def header(message: Message, name: str) -> str:
    """Returns the first header of the name as one line of text, whatever its encoding; "" without one."""
    return decoded(message.get(name, ""))


def decoded(value: Any) -> str:
    text = str(value)[:20_000]
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError, IndexError):
        return one_line(text)
    return one_line("".join(_piece(piece, charset) for piece, charset in pieces))


def _piece(piece: Any, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return in_charset(piece, charset)


def in_charset(content: bytes, charset: str | None) -> str:
    """Returns the text. A charset that is unknown or wrong costs characters and never the mail."""
    try:
        return content.decode(charset or "utf-8", "strict")
    except (LookupError, UnicodeError, ValueError):
        pass
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _headers(message: Message) -> dict[str, str]:
    """Returns the first header of each name, names in lower case."""
    found: dict[str, str] = {}
    for name in message:
        found.setdefault(name.lower(), header(message, name))
    return found


def _addresses(message: Message, name: str) -> list[tuple[str, str]]:
    values = [decoded(value) for value in (message.get_all(name) or [])[:20]]
    found = []
    for shown, address in getaddresses(values)[:100]:
        try:
            found.append((one_line(shown), plain_address(address).lower()))
        except BadInput:
            continue
    return found


def _clean(addresses: tuple[str, ...]) -> list[str]:
    found = []
    for each in addresses[:100]:
        try:
            found.append(plain_address(each).lower())
        except BadInput:
            continue
    return found


def _parts(message: Message) -> list[Message]:
    """Returns the parts that have content, those of attached mails left out except of a bounce."""
    found: list[Message] = []
    waiting: list[tuple[Message, int]] = [(message, 0)]
    while waiting:
        part, depth = waiting.pop(0)
        if len(found) > _MOST_PARTS or depth > _MOST_NESTED:
            raise _refusal("It has too many parts.")
        payload = part.get_payload()
        if part.is_multipart() and isinstance(payload, list):
            if part.get_content_maintype() == "message":  # shown as a file that is not taken; a bounce looks inside
                found.append(part)
            else:
                waiting[:0] = [(each, depth + 1) for each in payload if isinstance(each, Message)]
        else:
            found.append(part)
    return found


def content_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    return str(part.get_payload()).encode("utf-8", "replace")


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _text(parts: list[Message]) -> str:
    """Returns the plain text; without one, that of the HTML."""
    for kind in ("text/plain", "text/html"):
        texts = []
        for part in parts:
            if part.get_content_type() == kind and not _is_file(part):
                charset = part.get_content_charset()
                texts.append(cleaning.fit(in_charset(content_of(part), charset)))
        joined = "\n\n".join(text for text in texts if text.strip())
        if joined.strip():
            return cleaning.fit(joined if kind == "text/plain" else cleaning.plain_text(joined)).strip()
    return ""


def _files(parts: list[Message]) -> list[tuple[str, bytes]]:
    found = []
    for part in parts:
        if part.get_content_maintype() in ("multipart", "message"):
            continue
        if _is_file(part) or part.get_content_maintype() != "text":
            found.append((decoded(part.get_filename() or "file"), content_of(part)))
    return found


def _passes_dmarc(message: Message, authserv: str | None, sender: str) -> bool:
    """Only the topmost Authentication-Results of our own server counts, about the domain of the one From address."""
    if authserv is None or len(message.get_all("From") or []) != 1:
        return False
    for value in message.get_all("Authentication-Results") or []:
        line = re.sub(r"\([^()]*\)", " ", decoded(value))
        name, _, rest = line.partition(";")
        words = name.split()
        if not words or words[0].lower() != authserv.lower():
            continue
        for result in rest.split(";"):
            fields = result.split()
            if fields and fields[0].lower() == "dmarc=pass":
                of = [field.partition("=")[2].lower() for field in fields if field.lower().startswith("header.from=")]
                return of == [sender.rpartition("@")[2].lower()]
        return False
    return False

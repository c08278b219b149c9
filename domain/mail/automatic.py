"""Mails that no person wrote: what tells them, and what a bounce says."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Final

_BULK: Final = frozenset({"bulk", "list", "junk"})
_NOBODY: Final = re.compile(
    r"^(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|auto-?reply)([+_.-].*)?@", re.IGNORECASE
)
_CODE: Final = re.compile(r"^\s*([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,300}>")
_LISTS: Final = ("list-id", "list-unsubscribe", "x-loop", "feedback-id")


@dataclass(frozen=True, slots=True)
class Bounce:
    """`code`: such as 5.1.1, "" when the report has none. `permanent`: it will not arrive. `message_id`: of the mail
    that came back, "" when it is not told. `recipient`: "" when it is not told."""

    code: str
    permanent: bool
    message_id: str
    recipient: str


def why(headers: Mapping[str, str], sender: str) -> str:
    """Returns what tells that a program sent it; "" for a mail of a person. `headers`: first values by lower name."""
    submitted = headers.get("auto-submitted", "no").split(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return "auto-submitted"
    if headers.get("precedence", "").strip().lower() in _BULK:
        return "precedence"
    if headers.get("x-auto-response-suppress", "").strip().lower() == "all":
        return "x-auto-response-suppress"
    for name in _LISTS:
        if name in headers:
            return name
    if headers.get("return-path", "-").replace(" ", "") == "<>":
        return "return-path"
    kind = headers.get("content-type", "").lower()
    if kind.startswith("multipart/report"):
        return "report"
    return "sender" if not sender or _NOBODY.match(sender) else ""


def bounce_of(parts: Iterable[Message]) -> Bounce | None:
    """Returns what the delivery report among the parts says; None without one."""
    report: Message | None = None
    returned = ""
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            report = part
        elif kind in ("message/rfc822", "message/rfc822-headers", "text/rfc822-headers"):
            returned = returned or _returned_id(part)
    if report is None:
        return None
    fields: dict[str, str] = {}
    payload = report.get_payload()
    blocks = payload if isinstance(payload, list) else []
    for block in blocks[:20]:
        if isinstance(block, Message):
            for name in block:
                fields.setdefault(name.lower(), str(block.get(name, ""))[:500])
    found = _CODE.match(fields.get("status", ""))
    code = found[1] if found else ""
    permanent = fields.get("action", "").strip().lower() == "failed" and not code.startswith("4")
    recipient = fields.get("original-recipient") or fields.get("final-recipient") or ""
    return Bounce(code, permanent, returned, recipient.rpartition(";")[2].strip().strip("<>")[:254])


def _returned_id(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        text = str(payload[0].get("Message-ID", ""))
    else:
        found = re.search(r"^message-id:\s*(\S.*)$", str(payload)[:20_000], re.IGNORECASE | re.MULTILINE)
        text = found[1] if found else ""
    inside = _MESSAGE_ID.search(text)
    return inside[0] if inside else ""

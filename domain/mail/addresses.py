"""Mail addresses and Message-IDs: their forms, and what is safe to write in a header."""

import re
from email.utils import formataddr
from typing import Final

from domain.errors import BadInput

LONGEST_ADDRESS: Final = 254
MAX_SUBJECT: Final = 200
_ADDRESS: Final = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\s]+")


def plain_address(text: str) -> str:
    """Returns the bare address of `Name <address>`, its domain in lower case. Raises BadInput."""
    line = one_line(text)
    inner = re.fullmatch(r"[^<>]*<([^<>]*)>", line)
    address = (inner[1] if inner else line).strip()
    if len(address) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise BadInput("This is not a mail address.", field="address", remedy="Write it as name@example.com.")
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def one_line(text: str) -> str:
    """Returns the text without line ends, control characters and lone surrogates: safe in a header."""
    return _UNSAFE.sub(" ", text).strip()


def shortened(subject: str) -> str:
    """Returns a subject that fits into a header and a ticket."""
    line = one_line(subject)
    return line if len(line) <= MAX_SUBJECT else line[: MAX_SUBJECT - 1] + "…"


def named(name: str, address: str) -> str:
    """Returns `Name <address>`, or the address alone."""
    return formataddr((one_line(name), address)) if name else address


def tagged(address: str, tag: str) -> str:
    """Returns `local+tag@domain`."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{tag}@{domain}"


def message_id(mail_id: str, domain: str) -> str:
    """Returns the Message-ID of our mail: the same in every attempt to send it."""
    return f"<{mail_id}@{domain}>"

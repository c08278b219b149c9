"""Reads a bank's XML with defences: no entities, no DTD, no network, no oversized file."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from lxml import etree

from domain.errors import BadInput
from domain.file_errors import BankFileUnreadable
from domain.money import Money

LARGEST: Final = 20 * 1024 * 1024
_NAMESPACE: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:((?:pain|camt)\.\d{3})\.\d{3}\.\d{2}")
_RESEND: Final = "Ask the bank to send the file again."


class Node:
    """An element of a bank's file. Paths are names of elements below it, such as `Acct/Id/IBAN`."""

    def __init__(self, element: Any, file: str) -> None:
        self._element, self.file = element, file
        self._namespace = f"{{{etree.QName(element).namespace}}}"
        self.name = str(etree.QName(element).localname)

    def all(self, path: str) -> list["Node"]:
        steps = "/".join(f"{self._namespace}{step}" for step in path.split("/"))
        return [Node(found, self.file) for found in self._element.findall(steps)]

    def first(self, path: str) -> "Node | None":
        return next(iter(self.all(path)), None)

    def need(self, path: str) -> "Node":
        """Raises BankFileUnreadable if there is no such element."""
        found = self.first(path)
        if found is None:
            raise self.wrong("is missing", path)
        return found

    def text(self, *paths: str) -> str:
        """Returns the text of the first of `paths` that has one, else ""."""
        for path in paths:
            found = self.first(path)
            if found is not None and found.own_text:
                return found.own_text
        return ""

    def need_text(self, *paths: str) -> str:
        """Raises BankFileUnreadable if all are missing or empty."""
        text = self.text(*paths)
        if not text:
            raise self.wrong("is missing or empty", paths[0])
        return text

    @property
    def own_text(self) -> str:
        return " ".join((self._element.text or "").split())

    def attribute(self, name: str) -> str:
        return str(self._element.get(name, ""))

    def wrong(self, fault: str, path: str = "") -> BankFileUnreadable:
        return BankFileUnreadable(self.file, f"{self.name}/{path}" if path else self.name, fault, _RESEND)

    def amount_minor(self, currency: str, path: str = "Amt") -> int:
        """Returns the amount in minor units. Raises BankFileUnreadable, also for another currency than the account's
        and for a currency whose number of decimals is unknown."""
        node = self.need(path)
        given = node.attribute("Ccy")
        if given != currency:
            raise self.wrong(f"is in {given[:4] or 'no currency'}; the account is in {currency}", path)
        try:
            amount = Money.parse(node.own_text, currency, field=path)
        except BadInput as exc:
            raise self.wrong(f"cannot be read ({exc.message})", path) from exc
        if amount.minor < 0:
            raise self.wrong("is negative", path)
        return amount.minor

    def sign(self) -> int:
        """Returns 1 for money in, -1 for money out, as `CdtDbtInd` says."""
        direction = self.need_text("CdtDbtInd")
        if direction not in ("CRDT", "DBIT"):
            raise self.wrong(f"is {direction[:10]!r}", "CdtDbtInd")
        return 1 if direction == "CRDT" else -1

    def instant(self, zone: ZoneInfo, *paths: str) -> datetime:
        """Returns the instant in UTC; a date is midnight in `zone`."""
        text = self.need_text(*paths)
        try:
            if len(text) == len("2026-01-01"):
                return datetime.combine(date.fromisoformat(text), time(), zone).astimezone(UTC)
            at = datetime.fromisoformat(text)
        except ValueError as exc:
            raise self.wrong(f"is no date ({text[:30]!r})", paths[0]) from exc
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)

    def whole(self, *paths: str) -> int:
        text = self.need_text(*paths)
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise self.wrong(f"is no number ({text[:30]!r})", paths[0])
        return int(text)


def read_document(content: bytes, file: str) -> tuple[str, Node]:
    """Returns (kind, first element below Document); kind is such as `camt.053`. Raises BankFileUnreadable."""
    if len(content) > LARGEST:
        raise BankFileUnreadable(
            file, "The file", f"is larger than {LARGEST // 1024 // 1024} MiB", "Ask the bank for smaller files."
        )
    if b"<!" in content.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise _not_plain(file)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as exc:
        raise BankFileUnreadable(file, "The file", f"is no complete XML (line {exc.lineno})", _RESEND) from exc
    if root.getroottree().docinfo.doctype or any(True for _ in _entities(root)):
        raise _not_plain(file)
    found = _NAMESPACE.fullmatch(str(etree.QName(root).namespace))
    if found is None or len(root) != 1:
        raise BankFileUnreadable(
            file, "Document", "is no message of ISO 20022 that banks send", "Ask the bank for camt.053 and pain.002."
        )
    return found[1], Node(root[0], file)


def _not_plain(file: str) -> BankFileUnreadable:
    return BankFileUnreadable(file, "The file", "has a document type or entities", "No bank sends these: find out who.")


def _entities(root: Any) -> Iterator[Any]:
    return iter(root.iter(etree.Entity))

"""Opens a statement: detects its encoding and format, and calls the right reader."""

import codecs
import hashlib
import re
from pathlib import Path
from typing import Final

from adapters.statements import csv_mapping, mt4, mt5
from adapters.statements.csv_mapping import Mapping
from adapters.statements.html import table_rows
from adapters.statements.money_words import KNOWN
from adapters.statements.tables import Origin, Sheet
from domain.clocks import zone_of
from domain.errors import BadInput, StatementInvalid
from domain.histories.statements import Statement

_MOST_BYTES: Final = 200_000_000
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHARSET: Final = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{3,20})", re.IGNORECASE)
_HTML: Final = re.compile(r"<\s*(!doctype|html|table|body)\b", re.IGNORECASE)


def read_statement(path: Path, zone: str, mapping: Mapping | None = None) -> Statement:
    """Returns the history in `path`. `zone` is the broker's server zone.

    Raises StatementInvalid with the row and the reason, and BadInput for an unknown zone.
    """
    try:
        server = zone_of(zone)
    except ValueError as exc:
        raise BadInput(f"{exc}.", field="zone", remedy="Name the zone of the broker's server with --zone.") from exc
    raw = _read_bytes(path)
    origin = Origin(path.name, hashlib.sha256(raw).hexdigest(), server, zone)
    text = decode_text(raw, path.name)
    if not text.strip():
        raise StatementInvalid(f"{path.name} is empty.", remedy="Export the report from the terminal again.")
    if not _HTML.search(text[:2000]):
        if mapping is None or mapping.columns is None:
            raise StatementInvalid(
                f"{path.name} is no HTML report, and for a table of values a mapping must say what its columns mean.",
                remedy="Name one with --mapping; docs/statements.md shows how to write it.",
            )
        return csv_mapping.read(text, origin, mapping)
    words = mapping.money_words if mapping else KNOWN
    sheet = Sheet(origin, table_rows(text), mapping.sides if mapping else None, words)
    if mt5.is_mt5(sheet):
        return mt5.read(sheet)
    if mt4.is_mt4(sheet):
        return mt4.read(sheet)
    raise StatementInvalid(
        f"{path.name} is HTML, but neither an MT5 history report nor an MT4 statement: no row says the account.",
        remedy="In the terminal's history choose Report (MT5) or Save as Detailed Report (MT4), then HTML.",
    )


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise StatementInvalid(f"{path.name} is larger than 200 MB.", remedy="Export a shorter period.")
        return path.read_bytes()
    except OSError as exc:
        raise StatementInvalid(f"{path} cannot be read: {exc.strerror}.", remedy="Check the path.") from exc


def decode_text(raw: bytes, name: str) -> str:
    """Returns the text of a file. Raises StatementInvalid.

    The encoding is found by the byte order mark, else by the zero bytes of UTF-16, else it is UTF-8, the declared
    charset, or Windows-1252.
    """
    try:
        return raw.decode(_encoding(raw))
    except (UnicodeDecodeError, LookupError) as exc:
        place = f"byte {exc.start + 1}" if isinstance(exc, UnicodeDecodeError) else str(exc)
        raise StatementInvalid(
            f"{name} is no text in any encoding that terminals write ({place}).",
            remedy="Export it again as UTF-8 or Unicode.",
        ) from exc


def _encoding(raw: bytes) -> str:
    for bom, name in _BOMS:
        if raw.startswith(bom):
            return name
    head = raw[:4000]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 8:  # ASCII in UTF-16 has a zero in every second byte
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        declared = _CHARSET.search(head)
        name = declared[1].decode("ascii").lower() if declared else "cp1252"
        return "cp1252" if name in ("utf-8", "utf8", "utf-16", "unicode") else name
    return "utf-8"

"""Opens a statement: detects its encoding and format, and calls the right reader."""

import codecs
import hashlib
import re
from pathlib import Path
from typing import Final

from charset_normalizer import from_bytes

from adapters.statements import csv_reader, mt4, mt5, xlsx
from adapters.statements.csv_mapping import Mapping
from adapters.statements.csv_presets import PRESETS, mapping_for
from adapters.statements.csv_reader import Assumed
from adapters.statements.html import Row, table_rows
from adapters.statements.money_words import KNOWN
from adapters.statements.tables import Origin, Sheet
from domain.clocks import zone_of
from domain.errors import BadInput
from domain.file_errors import StatementInvalid
from domain.histories.statements import Statement

_MOST_BYTES: Final = 200_000_000
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHARSET: Final = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{3,20})", re.IGNORECASE)
# https://encoding.spec.whatwg.org/#names-and-labels
_AS_BROWSERS_DO: Final = {
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "chinese"), "gb18030"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean", "ksc5601", "windows-949"), "cp949"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "ms_kanji"), "cp932"),
    **dict.fromkeys(("big5", "big5-hkscs", "cn-big5", "x-x-big5"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-1", "latin1", "ascii", "us-ascii"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("tis-620", "iso-8859-11"), "cp874"),
}
_GUESSES: Final = (
    *("gb18030", "cp932", "cp949", "big5hkscs", "euc_jp"),
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
)
_HTML: Final = re.compile(r"<\s*(!doctype|html|table|body)\b", re.IGNORECASE)


def read_statement(
    path: Path, zone: str, mapping: Mapping | None = None, *, preset: str | None = None, assumed: Assumed | None = None
) -> Statement:
    """Returns the history in `path`. `zone` is the broker's server zone. `preset`: the venue that wrote a CSV; without
    it, the headings of the file may tell. `assumed`: the account of a CSV that does not say its own.

    Raises StatementInvalid with the row and the reason, and BadInput for an unknown zone.
    """
    try:
        server = zone_of(zone)
    except ValueError as exc:
        raise BadInput(f"{exc}.", field="zone", remedy="Name the zone of the broker's server with --zone.") from exc
    raw = _read_bytes(path)
    origin = Origin(path.name, hashlib.sha256(raw).hexdigest(), server, zone)
    if raw.startswith(xlsx.MAGIC):
        return _report(origin, xlsx.workbook_rows(raw, path.name), mapping)
    text = decode_text(raw, path.name)
    if not text.strip():
        raise StatementInvalid(f"{path.name} is empty.", remedy="Export the report from the terminal again.")
    if not _HTML.search(text[:2000]):
        return _table_of_values(text, origin, mapping, preset, assumed)
    return _report(origin, table_rows(text), mapping)


def _table_of_values(
    text: str, origin: Origin, mapping: Mapping | None, preset: str | None, assumed: Assumed | None
) -> Statement:
    if mapping is None or mapping.columns is None or preset is not None:
        found = mapping_for(text, origin.file, preset, mapping)
        if found is None:
            known = ", ".join(sorted(PRESETS))
            raise StatementInvalid(
                f"{origin.file} is no HTML report, and its headings are not those of a known venue ({known}).",
                remedy="Say with --mapping what its columns mean; docs/statements.md shows how.",
            )
        mapping = found
    return csv_reader.read(text, origin, mapping, assumed)


def _report(origin: Origin, rows: list[Row], mapping: Mapping | None) -> Statement:
    """Returns the history in the tables of a terminal's report."""
    words = mapping.money_words if mapping else KNOWN
    sheet = Sheet(origin, rows, mapping.sides if mapping else None, words)
    if mt5.is_mt5(sheet):
        return mt5.read(sheet)
    if mt4.is_mt4(sheet):
        return mt4.read(sheet)
    raise StatementInvalid(
        f"{origin.file} is neither an MT5 history report nor an MT4 statement: no row has an account and a currency.",
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
    charset, or a guess. Browsers read a declared charset as the larger set that contains it (gb2312 as GBK): so do we.
    """
    encoding = _encoding(raw)
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        pass
    guess = from_bytes(raw, cp_isolation=list(_GUESSES)).best()
    if guess is None:
        raise StatementInvalid(
            f"{name} is no text in any encoding that terminals write.", remedy="Export it again as UTF-8 or Unicode."
        )
    return str(guess)


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
        name = declared[1].decode("ascii").lower() if declared else "unknown"
        return "unknown" if name in ("utf-8", "utf8", "utf-16", "unicode") else _AS_BROWSERS_DO.get(name, name)
    return "utf-8"

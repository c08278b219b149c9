"""Reads the bank's files in: each whole, in one transaction, or not at all."""

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from adapters.bank.camt import Booking, Report, read_notifications, read_statements
from adapters.bank.config import BankSettings
from adapters.bank.folder import Folder, content_of, digest
from adapters.bank.matching import Order, meaning
from adapters.bank.pain002 import Answer, read_answer
from adapters.bank.store import BankStore, add_entry, add_event, set_status
from adapters.bank.xml import Node, read_document
from domain.file_errors import (
    BankFileMisaddressed,
    BankFileOutOfOrder,
    BankFileRefused,
    BankFileRepeated,
    BankFileUnreadable,
)

_ORDER: Final = {"pain.002": 0, "camt.054": 1, "camt.053": 2}
_NOT_OURS: Final = "Find out why the bank sent it to this firm."


@dataclass(frozen=True)
class _Read:
    """A file of the bank with what is in it, or why it cannot be read."""

    path: Path
    digest: str
    kind: str
    content: Answer | list[Report] | BankFileRefused

    @property
    def turn(self) -> tuple[int, int, int]:
        """Answers come first, statements in the order of their numbers."""
        first = self.content[0] if isinstance(self.content, list) else None
        return _ORDER.get(self.kind, 3), first.year if first else 0, (first.number or 0) if first else 0


class Intake:
    def __init__(self, settings: BankSettings, store: BankStore, folder: Folder) -> None:
        self._settings, self._store, self._folder = settings, store, folder
        self._zone = settings.days.zone

    def read_all(self, now: datetime) -> None:
        """Reads every file in `in/`. The caller holds the folder's lock."""
        self._finish_moves()
        while paths := self._folder.incoming():
            for read in sorted((self._parsed(path) for path in paths), key=lambda read: read.turn):
                self._take(read, now)
                if self._bring_back():
                    break  # it comes before the others

    def _finish_moves(self) -> None:
        """Moves files that an earlier process had read when it was killed."""
        for row in self._store.rows("SELECT * FROM files WHERE moved = 0"):
            path = self._folder.root / "in" / row["name"]
            if path.exists() and digest(content_of(path)) == row["digest"]:
                self._put_away(path, row["number"], row["outcome"], row["reason"])
            else:
                self._moved(row["number"])

    def _parsed(self, path: Path) -> _Read:
        content, kind = content_of(path), ""
        try:
            kind, root = read_document(content, path.name)
            return _Read(path, digest(content), kind, self._content(kind, root))
        except BankFileRefused as exc:
            return _Read(path, digest(content), kind, exc)

    def _content(self, kind: str, root: Node) -> Answer | list[Report]:
        if kind == "pain.002":
            return read_answer(root)
        if kind == "camt.053":
            return read_statements(root, self._zone)
        if kind == "camt.054":
            return read_notifications(root, self._zone)
        raise BankFileUnreadable(root.file, "Document", f"is {kind}", "Ask the bank for camt.053, camt.054, pain.002.")

    def _take(self, read: _Read, now: datetime) -> None:
        try:
            if isinstance(read.content, BankFileRefused):
                raise read.content
            with self._store.transaction() as db:
                _check_new(db, read)
                if isinstance(read.content, Answer):
                    _apply_answer(db, read.path.name, read.content, now)
                else:
                    for report in read.content:
                        self._apply_report(db, read, report, now)
                number = _add_file(db, read, "done")
            reason = None
        except BankFileRefused as exc:
            number, reason = self._refuse(read, exc, now)
        self._put_away(read.path, number, "done" if reason is None else "refused", reason)

    def _refuse(self, read: _Read, refused: BankFileRefused, now: datetime) -> tuple[int, str]:
        reason = f"{refused.message} {refused.remedy}"
        missing = refused.missing if isinstance(refused, BankFileOutOfOrder) else None
        iban = read.content[0].iban if missing is not None and isinstance(read.content, list) else None
        with self._store.transaction() as db:
            number = _add_file(db, read, "refused", reason, iban, missing)
            add_event(db, refused.type, _word(read.path.name), now, reason)
        return number, reason

    def _put_away(self, path: Path, number: int, outcome: str, reason: str | None) -> None:
        self._folder.put_away(path, outcome, number, reason)
        self._moved(number)

    def _moved(self, number: int) -> None:
        with self._store.transaction() as db:
            db.execute("UPDATE files SET moved = 1 WHERE number = ?", (number,))

    def _bring_back(self) -> bool:
        """Puts statements back into `in/` that waited for the one just read; returns whether there are any."""
        found = False
        for row in self._store.rows("SELECT * FROM files WHERE missing_iban IS NOT NULL"):
            last = self._store.row(
                "SELECT sequence FROM reports WHERE kind = 'camt.053' AND iban = ? ORDER BY number DESC LIMIT 1",
                row["missing_iban"],
            )
            if last is not None and last["sequence"] == row["missing_number"]:
                self._folder.bring_back(row["number"], row["name"])
                with self._store.transaction() as db:
                    db.execute("UPDATE files SET missing_iban = NULL WHERE number = ?", (row["number"],))
                found = True
        return found

    def _apply_report(self, db: sqlite3.Connection, read: _Read, report: Report, now: datetime) -> None:
        file = read.path.name
        ours = self._settings.accounts.get(report.currency)
        if ours is None or ours.iban != report.iban:
            raise BankFileMisaddressed(
                file, "Acct/Id", f"is account ...{report.iban[-4:]} in {report.currency[:3]}, not ours", _NOT_OURS
            )
        known = "SELECT 1 FROM reports WHERE kind = ? AND iban = ? AND currency = ? AND id = ?"
        if db.execute(known, (read.kind, report.iban, report.currency, report.report_id)).fetchone():
            raise BankFileRepeated(file, "Id", f"{report.report_id} was read before", "Delete the file.")
        _check_follows(db, file, report, self._settings.first_statement)
        closing = report.balances
        db.execute(
            "INSERT INTO reports (kind, iban, currency, id, year, sequence, closing_minor, closing_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(read.kind, report.iban, report.currency, report.report_id, report.year, report.number),
                *((closing.closing_minor, closing.closing_at.isoformat()) if closing else (None, None)),
            ),
        )
        for index, booking in enumerate(report.bookings, 1):
            self._apply_booking(db, report, index, booking, now)

    def _apply_booking(
        self, db: sqlite3.Connection, report: Report, index: int, booking: Booking, now: datetime
    ) -> None:
        in_statement = report.balances is not None
        order = _order(db, booking.reference, report.currency)
        limit = self._settings.return_charges_up_to.get(report.currency, 0)
        found = meaning(booking, order, in_statement, self._settings.settlements_from, limit)
        if order is not None and found.status is not None:
            set_status(db, order.key, found.status, now, found.failure)
        if not in_statement:
            if order is not None and found.problem is not None:
                add_event(db, "transfer.changed", order.key, now, found.problem)
            return
        whole = booking.amount_minor + found.charges_minor
        if order is not None and abs(whole) == order.amount_minor:
            column = "debits" if booking.amount_minor < 0 else "credits"
            db.execute(f"UPDATE orders SET {column} = {column} + 1 WHERE key = ?", (order.key,))
        account = hashlib.sha256(report.iban.encode()).hexdigest()[:8]
        entry_id = f"{report.currency}-{account}-{report.year}-{report.number}-{index}"
        body = {
            "entry_id": entry_id,
            "object_id": entry_id if order is None else order.key,
            "reference": re.sub(r"[^ -~]", "?", booking.reference)[:40],
            "kind": found.kind,
            "amount_minor": whole,
            "currency": report.currency,
            "at": booking.at.isoformat(),
            "problem": found.problem,
        }
        add_entry(db, entry_id, body)
        if found.charges_minor:  # both together are what the bank booked
            fee_id = f"{entry_id}-charges"
            fee = {"entry_id": fee_id, "kind": "fee", "amount_minor": -found.charges_minor}
            add_entry(db, fee_id, body | fee)


def _check_new(db: sqlite3.Connection, read: _Read) -> None:
    row = db.execute("SELECT name FROM files WHERE digest = ? AND outcome = 'done'", (read.digest,)).fetchone()
    if row is not None:
        raise BankFileRepeated(
            read.path.name, "The file", f"has the content of {row['name']}, which was read before", "Delete the file."
        )


def _check_follows(db: sqlite3.Connection, file: str, report: Report, first: int | None) -> None:
    """Raises BankFileRepeated or BankFileOutOfOrder unless the statement is the next one of its account."""
    if report.balances is None or report.number is None:
        return
    last = db.execute(
        "SELECT * FROM reports WHERE kind = 'camt.053' AND iban = ? AND currency = ? ORDER BY number DESC LIMIT 1",
        (report.iban, report.currency),
    ).fetchone()
    number = report.number
    if last is None:
        if first is not None and number != first:
            raise _gap(file, number, f"the first one to read is {first}", number - 1)
        return
    new_year = report.year > last["year"]
    if number != last["sequence"] + 1 and not (new_year and number == 1):  # some banks count each year anew
        if number <= last["sequence"] and not new_year:
            raise BankFileRepeated(file, "ElctrncSeqNb", f"{number} was read before", "Delete the file.")
        raise _gap(file, number, f"the last one read is {last['sequence']}", number - 1)
    if report.balances.opening_minor != last["closing_minor"]:
        raise BankFileOutOfOrder(
            file,
            "Bal OPBD",
            f"is {report.balances.opening_minor} minor units, and the last statement closed with"
            f" {last['closing_minor']}",
            "Ask the bank for a correct statement.",
        )


def _gap(file: str, number: int, known: str, missing: int) -> BankFileOutOfOrder:
    remedy = "Ask the bank for the statements between them. This one is read by itself once they are here."
    return BankFileOutOfOrder(file, "ElctrncSeqNb", f"is {number}, and {known}", remedy, missing)


def _apply_answer(db: sqlite3.Connection, file: str, answer: Answer, now: datetime) -> None:
    rows = db.execute("SELECT key, status FROM orders WHERE batch = ?", (answer.batch_id,)).fetchall()
    statuses = {row["key"]: row["status"] for row in rows}
    if not statuses:
        raise BankFileMisaddressed(file, "OrgnlMsgId", f"is {answer.batch_id[:35]}, no file of ours", _NOT_OURS)
    if unknown := sorted(set(answer.refused) - set(statuses)):
        raise BankFileMisaddressed(file, "OrgnlEndToEndId", f"is {unknown[0][:35]}, not in that file", _NOT_OURS)
    if answer.is_duplicate:  # the first copy of the file counts
        add_event(
            db,
            "bank-file-sent-twice",
            _word(answer.batch_id),
            now,
            f"The bank has file {answer.batch_id} already and refused a second copy. Check that it was paid once.",
        )
        return
    refused = dict.fromkeys(statuses, answer.all_refused) if answer.all_refused else answer.refused
    for key, reason in refused.items():
        if statuses[key] == "sent":
            set_status(db, key, "refused", now, reason)
        elif statuses[key] != "refused":
            problem = f"The bank refused transfer {key}, which is {statuses[key]}: {reason}. Ask the bank why."
            add_event(db, "transfer.changed", key, now, problem)


def _order(db: sqlite3.Connection, key: str, currency: str) -> Order | None:
    query = "SELECT key, amount_minor, status, debits, credits FROM orders WHERE key = ? AND currency = ?"
    row = db.execute(query, (key, currency)).fetchone()
    return None if row is None else Order(**dict(row))


def _add_file(
    db: sqlite3.Connection,
    read: _Read,
    outcome: str,
    reason: str | None = None,
    iban: str | None = None,
    missing: int | None = None,
) -> int:
    values = (read.path.name, read.digest, outcome, reason, iban, missing)
    columns = "name, digest, outcome, reason, missing_iban, missing_number"
    number = db.execute(f"INSERT INTO files ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values).lastrowid
    assert number is not None
    return number


def _word(text: str) -> str:
    """Returns a file's name as an id of an event."""
    return re.sub(r"[^!-~]", "_", text)[:120] or "-"

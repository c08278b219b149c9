"""Sends payment files: collects orders, writes a file, and gives it out exactly once.

A file is staged, then moved to `out/` in one step. After a crash, a staged file that is gone was given out.
"""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Final

from adapters.bank.accounts import check_payee
from adapters.bank.config import BankSettings
from adapters.bank.folder import Folder
from adapters.bank.pain001 import Batch, Payment, is_sepa, payment_file
from adapters.bank.store import BankStore, set_status
from domain.errors import BadInput
from ports.rail import Beneficiary

_MOST_IN_FILE: Final = 1000


class Outbox:
    def __init__(self, settings: BankSettings, store: BankStore, folder: Folder) -> None:
        self._settings, self._store, self._folder = settings, store, folder

    def send_due(self, now: datetime) -> None:
        """Gives out files of the orders whose time has come. The caller holds the folder's lock."""
        if self._store.row("SELECT 1 FROM orders WHERE status = 'waiting' LIMIT 1") is not None:
            with self._store.transaction() as db:
                for batch in self._due(db, now):
                    self._add(db, batch)
        for row in self._store.rows("SELECT * FROM batches WHERE stage <> 'out' ORDER BY number"):
            name = f"{row['id']}.xml"
            if row["stage"] == "written":
                self._folder.stage(name, row["content"])
                self._staged(row["number"], "staged")
            self._folder.give_out(name)
            self._staged(row["number"], "out")

    def _due(self, db: sqlite3.Connection, now: datetime) -> Iterator[Batch]:
        """Yields files of the waiting orders: all of them once the oldest has waited long enough, or before cut-off."""
        settings, days = self._settings, self._settings.days
        rows = db.execute("SELECT * FROM orders WHERE status = 'waiting' ORDER BY made_at, key").fetchall()
        oldest = min((datetime.fromisoformat(row["made_at"]) for row in rows), default=now)
        if now - oldest < timedelta(minutes=settings.collect_minutes) and not days.closes_within(
            now, settings.collect_minutes
        ):
            return
        for (currency, _), group in groupby(self._payments(db, rows, now), key=itemgetter(0)):
            members = [payment for _, payment in group]
            for start in range(0, len(members), _MOST_IN_FILE):
                yield Batch(
                    batch_id=f"{now:%Y%m%d}-{currency}-{secrets.token_hex(8)}",
                    created_at=now,
                    execution=days.execution_date(now),
                    holder=settings.holder,
                    account=settings.accounts[currency],
                    payments=members[start : start + _MOST_IN_FILE],
                )

    def _payments(
        self, db: sqlite3.Connection, rows: Sequence[sqlite3.Row], now: datetime
    ) -> list[tuple[tuple[str, bool], Payment]]:
        """Returns ((currency, whether it is a SEPA payment), payment), sorted by the first. Refuses an order that the
        settings of today cannot pay."""
        payments = []
        for row in rows:
            beneficiary = Beneficiary(account=row["account"], name=row["holder"])
            try:
                payee = check_payee(beneficiary, row["currency"], self._settings.accounts)
            except BadInput as exc:
                set_status(db, row["key"], "refused", now, exc.message)
                continue
            payment = Payment(row["key"], row["reference"], row["amount_minor"], payee)
            payments.append(((row["currency"], is_sepa(row["currency"], payee)), payment))
        return sorted(payments, key=itemgetter(0))

    def _add(self, db: sqlite3.Connection, batch: Batch) -> None:
        content = payment_file(batch)
        db.execute("INSERT INTO batches (id, content, stage) VALUES (?, ?, 'written')", (batch.batch_id, content))
        keys = [(batch.batch_id, payment.key) for payment in batch.payments]
        db.executemany("UPDATE orders SET status = 'sent', batch = ? WHERE key = ?", keys)

    def _staged(self, number: int, stage: str) -> None:
        with self._store.transaction() as db:
            db.execute("UPDATE batches SET stage = ? WHERE number = ?", (stage, number))

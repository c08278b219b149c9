"""Replays recorded accounts under the terms of a draft, off the request that asked for it."""

import time
from typing import Final

import structlog

from domain.errors import PropOSError
from domain.histories.impact import totals
from domain.histories.impact_report import ImpactReport, report
from domain.products.product import Product
from firm.products import impact
from store import products
from store.db import Database
from store.models import DraftImpact

_TELL_SECONDS: Final = 1.0  # between two notes of how far it is
_log: Final = structlog.get_logger("products")


class ImpactReplays:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def step(self) -> bool:
        """Replays for the run that waits longest; returns whether there was one. A run that fails says so."""
        async with self._db.transaction() as session:
            run = await impact.waiting(session)
        if run is None:
            return False
        try:
            result: ImpactReport | str = await self._replayed(run)
        except PropOSError as refused:
            result = refused.message
        except Exception:  # noqa: BLE001 -- whoever asked is told; the next run goes on
            _log.exception("a replay under a draft's terms failed", run=run.id)
            result = "The replay failed; the log of the worker says why."
        async with self._db.transaction() as session:
            await impact.record_result(session, run.id, result)
        return True

    async def _replayed(self, run: DraftImpact) -> ImpactReport:
        told_at = time.monotonic()

        async def told(done: int, whole: int) -> None:
            nonlocal told_at
            if time.monotonic() - told_at < _TELL_SECONDS:
                return
            async with self._db.transaction() as session:
                await impact.record_progress(session, run.id, done, whole)
            told_at = time.monotonic()

        b = Product.model_validate(run.terms)
        async with self._db.transaction() as session:
            a = await products.load(session, run.product, run.version)
            found, left_out = await impact.compared(session, a, b, told)
        return report(a, b, found, (totals(a, [one.a for one in found]), totals(b, [one.b for one in found])), left_out)

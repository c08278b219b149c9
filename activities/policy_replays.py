"""Replays the last weeks under proposed thresholds: what they would find, before anybody approves them."""

import asyncio
from typing import Final

import structlog

from activities.patterns_in_force import with_policy
from activities.trading_memory import WINDOW, TradingMemory
from domain.surveillance.policy import SurveillancePolicy
from domain.surveillance.thresholds import changed
from firm import surveillance_policies
from store import products
from store.clock import market_now
from store.db import Database
from surveillance.stream.watch import look

_BOOK_SECONDS: Final = 300.0  # how old the book may be
_log: Final = structlog.get_logger("surveillance")


class PolicyReplays:
    def __init__(self, db: Database) -> None:
        self._db, self._trading = db, TradingMemory.of(db)

    async def step(self) -> bool:
        """Replays the proposal that waits; returns whether there was one."""
        async with self._db.transaction() as session:
            made = await surveillance_policies.unreplayed(session)
            if made is None:
                return False
            proposal_id, policy = made.id, SurveillancePolicy.model_validate(made.body)
            names = changed(await surveillance_policies.in_force(session), policy)
            patterns = with_policy(policy, await products.pattern_terms(session))
            since = await market_now(session) - WINDOW
        book, _ = await self._trading.firm_book(_BOOK_SECONDS)
        looked = await asyncio.to_thread(look, [patterns[name] for name in names], book)
        for name, error in looked.failed.items():
            _log.error("a pattern failed in a replay", pattern=name, exc_info=error)
        found: dict[str, list[str]] = {name: [] for name in names}
        for finding in looked.findings:
            found[finding.detector].append(finding.key)
        cannot = looked.cannot_judge | dict.fromkeys(looked.failed, "the pattern failed; see the log")
        async with self._db.transaction() as session:
            await surveillance_policies.record_replay(
                session, proposal_id, found=found, cannot_judge=cannot, since=since
            )
        return True

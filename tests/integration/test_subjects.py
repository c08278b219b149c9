"""A new kind of work is one entry of the table; and every count is the number of rows of the list that it leads to."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from front.subjects.subject import Decision, Right, Subject, Subjects, Taken, Verb
from front.subjects.table import SUBJECTS
from store import decisions
from store.clock import market_now
from store.models import Payout, Trader
from store.models import Decision as DecisionRecord
from store.read.pages import View
from store.read.queue import Row, Waiting, waiting_rows
from store.read.search import Findable, to_staff
from tests.console_world import ConsoleWorld, console_world

_CALL: Final = Right("calls.decide", frozenset({"support"}))


class CallMade(View):
    id: str
    state: str


def _rows() -> Select[Any]:
    """Traders whose identity nobody has checked are called back."""
    called = DecisionRecord.subject_kind == "call", DecisionRecord.subject_id == Trader.id
    return waiting_rows(
        subject_id=Trader.id, state=Trader.identity, since=Trader.created_at, trader_id=Trader.id, note=Trader.country
    ).where(Trader.identity == "unverified", ~Trader.id.in_(_called()), *called[:0])


def _called() -> Any:
    from sqlalchemy import select

    return select(DecisionRecord.subject_id).where(DecisionRecord.subject_kind == "call")


def _words(row: Row) -> str:
    return f"Call to {row.note}"


async def _record(session: AsyncSession, decision: Decision) -> Taken:
    await decisions.record(
        session,
        "call",
        decision.subject_id,
        decision=decision.verb,
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
        digest="0" * 64,
        occurred_at=await market_now(session),
        evidence={},
    )
    return Taken("called", CallMade(id=decision.subject_id, state="called"))

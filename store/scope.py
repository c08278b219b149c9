"""Whose rows a caller may see. Read models filter by it, and every transaction names it to the database, which filters
by it once more: docs/decisions/0031-row-security.md."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, true

from domain.approvals import STAFF, Actor


@dataclass(frozen=True)
class Scope:
    """The rows a caller may see: those of one trader, or of the whole firm (None). An empty trader id: no rows."""

    trader_id: str | None

    @property
    def staff(self) -> bool:
        return self.trader_id is None

    def sees(self, trader_id: str) -> bool:
        """Whether rows of this trader are among them."""
        return self.trader_id is None or self.trader_id == trader_id

    def own(self, column: Any) -> ColumnElement[bool]:
        """Returns the SQL condition on a trader id column."""
        if self.trader_id is None:
            return true()
        condition: ColumnElement[bool] = column == self.trader_id
        return condition


FIRM: Final = Scope(trader_id=None)
NOBODY: Final = Scope(trader_id="")


def scope_of(actor: Actor) -> Scope:
    """Returns FIRM for staff, else the scope of the actor's own trader."""
    return FIRM if actor.role in STAFF else Scope(trader_id=actor.trader_id or "")


def rows_of(actor: Actor) -> Scope:
    """Returns what the database shows to the actor's transactions: a trader sees the trader's own rows. A venue's
    program asks about orders of any account, and has no other right."""
    return FIRM if actor.role == "venue" else scope_of(actor)


_acting: ContextVar[Scope | None] = ContextVar("acting", default=None)


@contextmanager
def request_scope() -> Iterator[None]:
    """Around one request: its transactions see no row until `act_for`, unless one names its scope."""
    before = _acting.set(NOBODY)
    try:
        yield
    finally:
        _acting.reset(before)


def act_for(actor: Actor) -> Scope:
    """From now on the transactions of this request are on behalf of `actor`. Returns their scope."""
    scope = rows_of(actor)
    _acting.set(scope)
    return scope


def acting() -> Scope | None:
    """Returns the scope of this request; None outside of any."""
    return _acting.get()

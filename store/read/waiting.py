"""How one kind of work waits for a person: the rows that the work queue (`store/read/queue.py`) is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Boolean, DateTime, Integer, Select, String, Text, cast, func, literal, null, select
from sqlalchemy.types import BigInteger

from domain.money import Money
from store.models import ServiceDeadline


@dataclass(frozen=True)
class Row:
    """What the words of an item are made of."""

    amount: Money | None
    note: str | None


@dataclass(frozen=True)
class Waiting:
    """How one kind of work waits.

    `rows` returns a SELECT made by `waiting_rows`, the same one each time. `target`: how long an item without a
    deadline may wait. It orders the list and nothing else: nothing happens when it passes. `words` returns the heading
    of an item; the trader and the account number follow it.
    """

    rows: Callable[[], Select[Any]]
    target: timedelta
    words: Callable[[Row], str]


_MOMENT: Final = DateTime(timezone=True)
_NO_TIME: Final = cast(null(), _MOMENT)
_NO_TEXT: Final = cast(null(), String)
_ONE: Final = literal(1, Integer)


def waiting_rows(
    *,
    subject_id: Any,
    state: Any,
    since: Any,
    deadline: Any = _NO_TIME,
    account_id: Any = _NO_TEXT,
    trader_id: Any = _NO_TEXT,
    amount_minor: Any = None,
    currency: Any = _NO_TEXT,
    note: Any = _NO_TEXT,
    asked_by: Any = _NO_TEXT,
    round_now: Any = None,
    returned: Any = None,
    alike: Any = _ONE,
    holder_id: Any = _NO_TEXT,
    held_until: Any = _NO_TIME,
) -> Select[Any]:
    """A SELECT of the columns that every kind of work has; the caller adds its joins and conditions.

    `asked_by`: the user who asked for it. `round_now`: decisions of other rounds no longer count. `returned`: it came
    back after a decision. `alike`: of how many this row is made. `holder_id`, `held_until`: a claim that the kind
    keeps itself.
    """
    return select(
        cast(subject_id, String).label("subject_id"),
        state.label("state"),
        since.label("since"),
        deadline.label("deadline"),
        account_id.label("account_id"),
        trader_id.label("trader_id"),
        (cast(null(), BigInteger) if amount_minor is None else amount_minor).label("amount_minor"),
        currency.label("currency"),
        cast(note, Text).label("note"),
        asked_by.label("asked_by"),
        (cast(null(), Integer) if round_now is None else round_now).label("round"),
        (cast(literal(False), Boolean) if returned is None else returned).label("returned"),
        cast(alike, Integer).label("alike"),
        holder_id.label("own_holder_id"),
        held_until.label("own_held_until"),
    )


def by_calendar(kind: str, subject_id: Any, first: Any = None) -> Any:
    """The deadline that the firm's calendar gives a decision of this kind, in wall time. NULL until the relay has seen
    that it waits. `first` goes before it where it is not NULL."""
    stamped = (
        select(ServiceDeadline.due_at)
        .where(
            ServiceDeadline.kind == kind, ServiceDeadline.subject_id == subject_id, ServiceDeadline.ended_at.is_(None)
        )
        .scalar_subquery()
    )
    return stamped if first is None else func.coalesce(first, stamped)

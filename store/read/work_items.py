"""The items of the work queue as one statement, which `store/read/queue.py` reads from."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import DateTime, Interval, Select, TextualSelect, and_, case, func, literal, or_, select, union_all
from sqlalchemy.orm import aliased

from domain.work_queue import SOON
from store.clock import WATERMARK
from store.models import User, WorkMark
from store.read.waiting import Waiting
from store.read.work_people import of_staff, role_given
from store.together import fixed

Kinds = Mapping[str, Waiting]
KindsKey = tuple[tuple[str, Waiting], ...]
MOMENT: Final = DateTime(timezone=True)
T = TypeVar("T")


def key_of(mapping: Mapping[str, T]) -> tuple[tuple[str, T], ...]:
    """The same as the key of a statement that is kept."""
    return tuple(mapping.items())


@lru_cache(maxsize=64)
def items_of(kinds: KindsKey) -> TextualSelect:
    """The items of these kinds with their claims, and whether each is put aside. Put together once: to build it anew
    takes longer than to run it. It holds no value of a request."""
    every = union_all(*(_of_kind(name, waiting) for name, waiting in kinds)).subquery("every")
    mark, now = WorkMark, select(func.service_now()).scalar_subquery()  # asked once, not for each row
    market_time = func.coalesce(WATERMARK.scalar_subquery(), func.now())
    far = or_(every.c.deadline.is_(None), every.c.deadline > market_time + literal(SOON, Interval()))
    as_it_was = and_(mark.aside_state == every.c.state, mark.aside_deadline.is_not_distinct_from(every.c.deadline))
    claims = (
        (mark.held_until > now, mark.holder_id, mark.held_until),
        (every.c.own_held_until > now, every.c.own_holder_id, every.c.own_held_until),
    )
    given = aliased(User)
    rows = select(
        every,
        func.coalesce(and_(mark.aside_until > now, far, as_it_was), False).label("aside"),
        case(*((lasts, who) for lasts, who, _ in claims)).label("holder_id"),
        case(*((lasts, until) for lasts, _, until in claims)).label("held_until"),
        mark.escalated_role,
        mark.escalated_id,
        mark.escalated_by,
        role_given(mark, given).label("given_role"),
    )
    rows = rows.outerjoin(mark, and_(mark.kind == every.c.kind, mark.subject_id == every.c.subject_id))
    return fixed(rows.outerjoin(given, and_(given.id == mark.escalated_id, of_staff(given))))


def _of_kind(name: str, waiting: Waiting) -> Select[Any]:
    rows = waiting.rows().subquery()
    target = rows.c.since + literal(waiting.target, Interval())
    due = func.coalesce(rows.c.deadline, target, type_=MOMENT)
    return select(literal(name).label("kind"), due.label("due"), rows)

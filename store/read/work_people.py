"""Who has to do with an item of the work queue: whoever asked for it or has decided on it, and to whom it was given.

`work` is what the items are read from, with the columns that `store/read/queue.py` makes.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, Subquery, and_, case, false, func, literal_column, or_, select
from sqlalchemy.orm import aliased

from domain.approvals import RETRACT
from store.models import Decision, User, WorkMark

Work = Subquery | CTE
Deciders = Mapping[str, frozenset[str]]  # the roles that decide each kind of work


def involved(work: Work, person_id: Any) -> Any:
    """Whether this person asked for an item, or has decided on it so that it waits for somebody else. `person_id`: a
    value, or the column of the users that are read."""
    same = aliased(User)
    own = select(same.id).where(same.person_id == person_id).correlate(User)
    said = (
        select(Decision.decision)
        .where(
            Decision.subject_kind == work.c.kind,
            Decision.subject_id == work.c.subject_id,
            Decision.person_id == person_id,
            or_(work.c.round.is_(None), Decision.round == work.c.round),
        )
        .order_by(Decision.id.desc())
        .limit(1)
        .correlate(work, User)
        .scalar_subquery()
    )
    return or_(func.coalesce(work.c.asked_by.in_(own), False), func.coalesce(said, RETRACT) != RETRACT)


def of_staff(user: Any) -> Any:
    """Whether an active person works for the firm. In plain text, so that the index of staff can be used: almost all
    users are traders."""
    return and_(user.active, user.role != literal_column("'trader'"))


def role_given(mark: type[WorkMark], given: Any) -> Any:
    """The role to which an item was given, or that of the person `given`, joined while they are of the staff. NULL when
    nobody who is active has it."""
    person = aliased(User)
    somebody = mark.escalated_role.in_(select(person.role).where(of_staff(person)))
    return case((mark.escalated_id.is_not(None), given.role), (somebody, mark.escalated_role))


def is_given(work: Work, deciders: Deciders) -> Any:
    """Whether an item is the work of a role or a person that it was given to. It is not, once the person has left or
    has a role that does not decide it."""
    decide = (and_(work.c.kind == kind, work.c.given_role.in_(sorted(roles))) for kind, roles in deciders.items())
    return func.coalesce(or_(false(), *decide), False)

"""The kinds of work whose deadlines people are reminded of, with the roles that do it."""

from typing import Final

from domain.approvals import STAFF
from firm.notifications.reminders import Work
from firm.tickets import ANSWERERS
from front.subjects.subject import Subject, Subjects
from front.subjects.table import SUBJECTS
from front.subjects.ticket import TICKET

_WORKERS: Final = STAFF - {"auditor"}


def works(subjects: Subjects = SUBJECTS) -> dict[str, Work]:
    return {subject.name: Work(subject.waiting, _roles(subject)) for subject in subjects}


def _roles(subject: Subject) -> frozenset[str]:
    """Who decides it; for what is not decided in the queue, who works on it."""
    if subject.name == TICKET.name:
        return ANSWERERS
    deciders = frozenset[str]().union(*(verb.right.roles for verb in subject.verbs)) or subject.read.roles
    return deciders & _WORKERS

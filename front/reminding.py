"""Reminds people of work that is due: the kinds of work with the roles that do it, and the loop of the API process.

The kinds of work are a table of this package, so the process that has it reminds. Whoever runs several API processes is
told once: one of them looks at a time.
"""

import asyncio
from typing import Final

import structlog

from domain.approvals import STAFF
from firm.notifications import reminders, returned
from firm.notifications.reminders import Pace, Work
from firm.tickets import ANSWERERS
from front.subjects.subject import Subject, Subjects
from front.subjects.table import SUBJECTS
from front.subjects.ticket import TICKET
from store.db import Database
from store.scope import FIRM

LOOK_SECONDS: Final = 30.0  # deadlines are hours away
_WORKERS: Final = STAFF - {"auditor"}
_log = structlog.get_logger("reminding")


def works(subjects: Subjects = SUBJECTS) -> dict[str, Work]:
    return {subject.name: Work(subject.waiting, _roles(subject)) for subject in subjects}


def _roles(subject: Subject) -> frozenset[str]:
    """Who decides it; for what is not decided in the queue, who works on it."""
    if subject.name == TICKET.name:
        return ANSWERERS
    deciders = frozenset[str]().union(*(verb.right.roles for verb in subject.verbs)) or subject.read.roles
    return deciders & _WORKERS


async def remind(db: Database, *, site: str, pace: Pace, subjects: Subjects = SUBJECTS) -> int:
    """Tells people of what has become due, and of what they agreed on and came to nothing. Returns how many were told.
    `site`: the address of the console."""
    async with db.transaction(FIRM) as session:
        told = await reminders.remind(session, works(subjects), site=site, pace=pace)
        return told + await returned.tell(session, site=site)


async def keep_reminding(db: Database, stop: asyncio.Event, *, site: str, pace: Pace) -> None:
    """Looks again and again until `stop`. After an error it goes on: the next look finds the same work."""
    while not stop.is_set():
        try:
            await remind(db, site=site, pace=pace)
        except Exception as error:  # noqa: BLE001 -- pages are served all the same
            _log.warning("nobody is reminded", error=type(error).__name__)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue

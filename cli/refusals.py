"""What an error of the machine, of PostgreSQL or of a driver means to the person at the terminal: one sentence and what
to do. Imports no driver: an error of one that is not loaded cannot have happened."""

import errno
import sys
from typing import Final

from domain.errors import BadInput, Conflict, PropOSError, Unavailable

_LOST: Final = "What was acknowledged is stored; nothing is lost."
_NOT_OF_THIS_VERSION: Final = ("42P01", "42703", "42883")  # a table, a column, a function is missing
_STATES: Final = {
    "53100": ("The disk of PostgreSQL is full.", f"Free some space there, and try again. {_LOST}"),
    "53200": ("PostgreSQL is out of memory.", f"Give its machine more memory, and try again. {_LOST}"),
    "53300": ("PostgreSQL takes no more connections.", "Raise its max_connections, or stop what uses them."),
    "25006": (
        "PostgreSQL is read-only: it is a standby, or was set so.",
        "Name the server that takes changes in DATABASE_URL.",
    ),
}


def in_words(error: BaseException) -> PropOSError | None:
    """Returns the refusal that says what happened; None for an error that is not known here."""
    if isinstance(error, PropOSError):
        return error
    if isinstance(error, MemoryError):
        return Unavailable("This machine is out of memory.", remedy=f"Stop other programs, and try again. {_LOST}")
    if isinstance(error, OSError):
        return _of_the_machine(error)
    if type(error).__name__ == "Undecipherable" and type(error).__module__ == "store.crypto":
        return Conflict(
            str(error), remedy="Use the PROPOS_PAYLOAD_KEYS that this database was used with: rotate-keys.md says more."
        )
    return _of_the_database(error)


def why_not_connected(said: str) -> str:
    """Returns the line of a driver's text that says why no connection was made; its other lines are hints."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["no reason was given"]
    reasons = [line for line in lines if "failed: " in line]
    return (reasons or lines)[-1].removeprefix("connection failed: ")


def _of_the_machine(error: OSError) -> PropOSError | None:
    what = str(error.filename) if error.filename else "A file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"The disk is full: {what} cannot be written." if error.filename else "The disk is full."
        return Unavailable(where, remedy=f"Free some space, and try again. {_LOST}")
    if error.errno == errno.EROFS:
        return Unavailable(
            f"{what} cannot be written: its file system is read-only.",
            remedy="Mount it for writing, or use another --data folder.",
        )
    if error.errno in (errno.EACCES, errno.EPERM) and error.filename:
        return BadInput(
            f"This user may not use {what}.", remedy="Give yourself permission for it, or use another folder."
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Unavailable("This process may not open more files.", remedy="Raise the limit: ulimit -n 4096.")
    if error.errno == errno.ENOMEM:
        return Unavailable("This machine is out of memory.", remedy=f"Stop other programs, and try again. {_LOST}")
    return None


def _of_the_database(error: BaseException) -> PropOSError | None:
    driver = sys.modules.get("psycopg")
    cause = getattr(error, "orig", None) or error  # what SQLAlchemy wraps
    if driver is None or not isinstance(cause, driver.Error):
        return None
    state = cause.sqlstate or ""
    lines = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    if state in _STATES:
        sentence, remedy = _STATES[state]
        return Unavailable(sentence, remedy=remedy)
    if state in _NOT_OF_THIS_VERSION:
        return Conflict(
            f"The database is not that of this version of PropOS: {lines[0]}.",
            remedy="`propos doctor` says its revision; `propos migrate` upgrades an older one.",
        )
    if isinstance(cause, driver.OperationalError) and not state:  # it was not connected
        return Unavailable(
            f"PostgreSQL does not let us in: {why_not_connected(str(cause))}",
            remedy="Start the firm (`propos up`), or correct DATABASE_URL or --data.",
        )
    return None

"""Where a mail belongs: to the ticket whose token or Message-IDs it names, if its sender takes part in it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

_TOKEN: Final = re.compile(r"\+([0-9a-z]{26})([0-9a-f]{20})@")
_PREFIX: Final = re.compile(r"^\s*((re|fwd?|aw|wg|sv|vs|antw|tr|rv|res|rif|odp)(\[\d+\])?\s*[::]\s*)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ticket that a mail names. `participants`: addresses in lower case. `of_trader`: it has the context of a
    trader's account, so that only a trusted sender may join. `subjects`: those it was written under."""

    ticket_id: str
    participants: frozenset[str]
    of_trader: bool
    is_solved: bool
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """`join`: the mail is a message of `ticket_id`. `new`: it opens a ticket, linked to `ticket_id` when one is named.
    `verified`: the new ticket is the trader's own; otherwise it gets no context of any account."""

    kind: Literal["join", "new"]
    ticket_id: str | None = None
    verified: bool = False


def token(ticket_id: str, digest: Callable[[str], str]) -> str:
    """Returns the tag of the Reply-To address of a ticket. `digest`: a keyed digest in hex."""
    return ticket_id.removeprefix("tkt_") + digest(f"mail token of {ticket_id}")[:20]


def ticket_of_token(recipients: Sequence[str], digest: Callable[[str], str]) -> str | None:
    """Returns the ticket of the first recipient with a genuine token."""
    for address in recipients:
        found = _TOKEN.search(address.lower())
        if found:
            ticket_id = f"tkt_{found[1]}"
            if token(ticket_id, digest) == found[1] + found[2]:
                return ticket_id
    return None


def bare_subject(subject: str) -> str:
    """Returns the subject without `Re:` and the like, to compare it."""
    return " ".join(_PREFIX.sub("", subject).casefold().split())


def answer_subject(subject: str) -> str:
    return subject if _PREFIX.match(subject) else f"Re: {subject}"


def place(candidates: Sequence[Candidate], *, sender: str, is_trusted: bool, is_trader: bool, subject: str) -> Place:
    """Decides where a mail belongs. `candidates`: in the order in which the mail names them. `is_trusted`: the sender
    passed DMARC at our own server. `is_trader`: the sender's address is a trader's."""
    verified = is_trusted and is_trader
    for one in candidates:
        if sender not in one.participants or (one.of_trader and not is_trusted):
            continue
        known = {bare_subject(each) for each in one.subjects}
        if one.is_solved and bare_subject(subject) not in known:
            return Place("new", one.ticket_id, verified)
        return Place("join", one.ticket_id, verified)
    return Place("new", candidates[0].ticket_id if candidates else None, verified)

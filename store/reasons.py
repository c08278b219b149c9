"""What people wrote as the reason of what they did: the text rests encrypted, rows that never change keep its digest.

Decisions and the audit log are append-only, and an audit entry is hashed together with its reason. So they hold a keyed
digest, which shows nothing and proves the text; the text is beside them, where the keys can rotate. Rows that are older
than this hold their text in clear, and so do the sentences of the program itself. Older decisions about disputes and
compensations have their text in `dispute_words`, older proposals of compensations in `compensations`, under a digest of
another form.

A text is stored when its transaction commits. Two transactions with the same new text wait for each other's row: they
do so after every other lock, and in one order, so that no cycle forms.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import event, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from store import crypto
from store.models import AuditEntry, SealedReason

SEAL: Final = "sealed "
_SEALED: Final = re.compile(rf"{SEAL}([0-9a-f]{{64}})")
_ALTERED: Final = "(the text of this reason was altered)"
_TO_STORE: Final = "sealed_reasons"


def digest(text: str) -> str:
    """Returns the keyed digest of exactly this text."""
    return crypto.keys().digest(hashlib.sha256(text.encode()).hexdigest())


async def seal(session: AsyncSession, text: str) -> str:
    """Has the text stored encrypted at the commit and returns what goes into its place. An empty text, and one that is
    sealed already, are returned as they are."""
    if not text or _SEALED.fullmatch(text):
        return text
    own = digest(text)
    _to_store(session.sync_session).setdefault(own, (text, session.sync_session.get_nested_transaction()))
    return f"{SEAL}{own}"


def _to_store(session: Session) -> dict[str, tuple[str, SessionTransaction | None]]:
    """The texts that the commit stores, by their digests, each with the savepoint in which it was given."""
    found: dict[str, tuple[str, SessionTransaction | None]] = session.info.setdefault(_TO_STORE, {})
    return found


@event.listens_for(Session, "before_commit")
def _store(session: Session) -> None:
    if session.in_nested_transaction() or not (waiting := _to_store(session)):
        return
    made = [{"digest": own, "reason": text} for own, (text, _) in sorted(waiting.items())]
    waiting.clear()
    session.execute(insert(SealedReason).values(made).on_conflict_do_nothing(index_elements=["digest"]))


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    waiting = _to_store(session)
    for own in [own for own, (_, within) in waiting.items() if within is ended or not ended.nested]:
        del waiting[own]


async def opened(session: AsyncSession, stored: Iterable[str]) -> dict[str, str]:
    """Returns the texts of stored reasons, by what is stored. What is not sealed here stays as it is; a text that does
    not have its digest is replaced by a remark. Whether the reader may know them is the caller's to check."""
    found = {text: text for text in stored}
    wanted = {match[1]: text for text in found if (match := _SEALED.fullmatch(text))}
    for own, (text, _) in _to_store(session.sync_session).items():
        if own in wanted:
            found[wanted.pop(own)] = text
    if wanted:
        for row in await session.scalars(select(SealedReason).where(SealedReason.digest.in_(wanted))):
            found[wanted.pop(row.digest)] = row.reason if digest(row.reason) == row.digest else _ALTERED
    for look_up in (_of_disputes, _of_proposals):
        if left := [text for text in wanted.values() if found[text] == text]:
            found |= await look_up(session, left)
    return found


async def _of_disputes(session: AsyncSession, stored: Iterable[str]) -> dict[str, str]:
    """Returns the texts of reasons that earlier versions kept with decisions about disputes and compensations."""
    from store.models import Decision, DisputeWords  # they refer to half of the tables

    rows = await session.execute(
        select(Decision.reason, DisputeWords.reason.label("text"))
        .join(DisputeWords, DisputeWords.decision_id == Decision.id)
        .where(Decision.subject_kind.in_(("dispute", "compensation")), Decision.reason.in_(stored))
    )
    return {row.reason: _by_other_form(row.reason, row.text) for row in rows}


async def _of_proposals(session: AsyncSession, stored: Iterable[str]) -> dict[str, str]:
    """Returns the texts of reasons that earlier versions kept with proposals of compensations."""
    from store.models import Compensation

    rows = await session.execute(
        select(AuditEntry.reason, Compensation.reason.label("text"))
        .join(Compensation, Compensation.id == AuditEntry.subject_id)
        .where(
            AuditEntry.subject_kind == "compensation",
            AuditEntry.action == "compensation.proposed",
            AuditEntry.reason.in_(stored),
        )
    )
    return {row.reason: _by_other_form(row.reason, row.text) for row in rows}


def _by_other_form(stored: str, text: str) -> str:
    return text if stored == f"{SEAL}{crypto.keys().digest(text)}" else _ALTERED

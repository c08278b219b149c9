"""What a person does about a break: closes it with a posting or a match, takes it over, or opens it again.

Above the limit of the firm's payout policy two people must say the same. Opening it again reverses the posting.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, Actor
from domain.errors import BadInput, Conflict, NotAllowed
from domain.ledger import Entry, break_closed, reversal
from domain.money import Money
from domain.payouts.policy import checkers_needed
from domain.reconciliation import AGAINST, BY_ITSELF, Resolution, resolutions
from firm import decide as guard
from firm.payouts import policies
from store import audit, decisions, ledger, rows
from store.clock import market_now
from store.models import Decision, OpenLine, ProviderEntryRow, ReconciliationBreak, User
from store.reconciliation import breaks

Choice = Literal["match", "write_off", "fee", "suspense", "explain", "reopen"]
RESOLUTIONS: Final = get_args(Resolution)


async def decide(
    session: AsyncSession, *, break_id: str, choice: Choice, actor: Actor, reason: str, key: str, target: str = ""
) -> ReconciliationBreak:
    """Closes a break, or opens a closed one again; the same key again changes nothing. It stays open until as many
    people as the policy asks for have said the same. `target`: what to match it with, an entry id or the number of a
    posting; without it, the only one of that amount.

    Raises NotFound, NotAllowed, BadInput, AlreadyDecided, Conflict (not possible for this break, or no longer).
    """
    row = await rows.locked(session, ReconciliationBreak, break_id)
    partner = await _partner(session, row, target) if choice == "match" else None
    made = await decisions.of(session, "break", row.id)
    same = [each.person_id for each in made if each.round == row.round and each.decision == choice]
    subject = guard.Subject(
        kind="break",
        id=row.id,
        digest=digest(row, target),
        evidence={"kind": row.kind, "amount_minor": row.amount_minor, "currency": row.currency, "target": target},
        decided_by=lambda _verb: same,
        approvals_round=row.round,
    )

    async def still_open(_made: Sequence[Decision]) -> None:
        _check_possible(row, choice, partner)

    now = await guard.record(session, subject, guard.Choice(choice, actor, reason, key), still_open)
    if now is None:
        return row
    if choice == "reopen":
        await _reopen(session, row, now)
    elif await agreed(session, row, choice, digest(row, target)) >= await people_needed(session, row):
        await _close(session, row, choice, partner, actor, reason, now)
    await _record(session, row, f"break.{choice}", now, actor, reason)
    return row


async def people_needed(session: AsyncSession, row: ReconciliationBreak) -> int:
    """Returns how many people must agree on how a break is closed: 1 or 2, by its amount."""
    policy = await policies.in_force(session)
    return max(1, checkers_needed(policy, Money(minor=abs(row.amount_minor), currency=row.currency)))


async def agreed(session: AsyncSession, row: ReconciliationBreak, choice: str, about: str) -> int:
    """Returns how many people who may decide now have said `choice` about exactly this."""
    votes = await decisions.votes(session, "break", row.id)
    return len(
        {
            vote.person_id
            for vote in votes
            if vote.decision == choice
            and vote.round == row.round
            and vote.subject_digest == about
            and vote.role_now in DECIDERS["break"]
        }
    )


def digest(row: ReconciliationBreak, target: str = "") -> str:
    """Returns a digest of what exactly is decided on."""
    body = [row.id, row.round, row.kind, row.amount_minor, row.currency, row.account, row.entry_id, target]
    return hashlib.sha256(json.dumps(["v1", *body]).encode()).hexdigest()


async def take(session: AsyncSession, *, break_id: str, actor: Actor, owner_id: str = "") -> ReconciliationBreak:
    """Makes a person the owner of an open break: `actor`, or another one who may decide it. Raises NotFound,
    NotAllowed, BadInput, Conflict (it is closed)."""
    row = await rows.locked(session, ReconciliationBreak, break_id)
    if actor.role not in DECIDERS["break"]:
        raise NotAllowed(f"Your role is {actor.role}; only {' and '.join(sorted(DECIDERS['break']))} work on breaks.")
    if row.state != "open":
        raise Conflict(f"This break is {row.state}.")
    owner = await session.get(User, owner_id or actor.user_id)
    if owner is None or not owner.active or owner.role not in DECIDERS["break"]:
        raise BadInput(
            "This person cannot close breaks.", field="owner", remedy="Name an active user of finance or an admin."
        )
    row.owner = owner.id
    await _record(session, row, "break.assigned", await market_now(session), actor, "", {"owner": owner.id})
    return row


def _check_possible(row: ReconciliationBreak, choice: Choice, partner: ProviderEntryRow | OpenLine | None) -> None:
    if choice == "reopen":
        if row.state != "closed" or row.resolution == BY_ITSELF:
            raise Conflict("Only a break that a person has closed can be opened again.")
        return
    if row.state != "open":
        raise Conflict(f"This break is {row.state} already: {row.close_reason or ''}")
    if choice not in resolutions(row.kind, can_match=partner is not None):
        remedy = f"Use one of: {', '.join(resolutions(row.kind, can_match=False))}."
        raise Conflict("There is nothing of the same amount and currency to match it with.", remedy=remedy)


async def _partner(session: AsyncSession, row: ReconciliationBreak, target: str) -> ProviderEntryRow | OpenLine | None:
    """Returns what the person wants to match the break with. Raises BadInput when it is not of the same amount."""
    if not target:
        return await breaks.partner(session, row)
    found: ProviderEntryRow | OpenLine | None
    if row.entry_id is not None:
        found = await session.get(OpenLine, int(target), with_for_update=True) if target.isdecimal() else None
        fits = found is not None and found.account == row.account and found.amount_minor == row.detail.get("shown")
    else:
        found = await session.get(ProviderEntryRow, (row.source, target), with_for_update={"key_share": True})
        fits = found is not None and found.transaction_id is None and found.amount_minor == -row.amount_minor
    if found is None or not fits or found.currency != row.currency:
        remedy = (
            "Name an entry of the source, or a posting, of the same account, amount and currency that is still open."
        )
        raise BadInput("There is nothing under this name to match it with.", field="target", remedy=remedy)
    return found


async def _close(
    session: AsyncSession,
    row: ReconciliationBreak,
    choice: Choice,
    partner: ProviderEntryRow | OpenLine | None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    undo: dict[str, Any] = {}
    if choice in AGAINST and row.account is not None:
        undo = await _post(session, row, AGAINST[choice], reason, now)
    elif partner is not None:
        undo = await _match(session, row, partner)
    row.state, row.resolution, row.closed_at = "closed", choice, now
    row.closed_by, row.close_reason = actor.user_id, reason
    row.detail = {**row.detail, "undo": undo}


async def _post(
    session: AsyncSession, row: ReconciliationBreak, against: str, reason: str, now: datetime
) -> dict[str, Any]:
    """Posts the difference, and explains with it the entry and the line that the break is about."""
    difference = Money(minor=row.amount_minor, currency=row.currency)
    entry = break_closed(row.id, row.round, difference, str(row.account), against, {"reason": reason[:500]})
    number = await ledger.post(session, entry, occurred_at=now)
    row.transaction_id = number
    about = await _lines_of(session, row)
    taken = await breaks.take_lines(session, transactions=[number], postings=about)
    if row.entry_id is not None:
        await breaks.explain_entry(session, row.source, row.entry_id, number)
    return {"entry": entry.model_dump(mode="json"), "lines": [each for each in taken if each in about]}


async def _lines_of(session: AsyncSession, row: ReconciliationBreak) -> list[int]:
    """Returns the open lines that the posting of a break explains."""
    if row.kind == "currency_differs" or row.posting_id is None:
        return []  # the line in the other currency waits on, with a break of its own
    if row.what.startswith("transit/"):
        return await breaks.transit_lines(session, str(row.account), row.subject, row.currency)
    return [row.posting_id]


async def _match(
    session: AsyncSession, row: ReconciliationBreak, partner: ProviderEntryRow | OpenLine
) -> dict[str, Any]:
    if isinstance(partner, OpenLine):
        entry_id, line, transaction_id = str(row.entry_id), partner.posting_id, partner.transaction_id
    else:
        own = await session.get_one(OpenLine, row.posting_id)
        entry_id, line, transaction_id = partner.entry_id, own.posting_id, own.transaction_id
    await breaks.explain_entry(session, row.source, entry_id, transaction_id)
    await breaks.take_lines(session, transactions=[], postings=[line])
    return {"matched": entry_id, "lines": [line]}


async def _reopen(session: AsyncSession, row: ReconciliationBreak, now: datetime) -> None:
    """Reverses the posting that closed a break, or the match, and lets its entry and its lines wait again."""
    if await breaks.current(session, row.what) is not None:
        raise Conflict("A newer break is about the same thing.", remedy="Close that one.")
    undo = row.detail.get("undo", {})
    entry_id = undo.get("matched") or row.entry_id
    if entry_id is not None:
        await breaks.explain_entry(session, row.source, entry_id, None)
    if row.transaction_id is not None:
        counter = reversal(Entry.model_validate(undo["entry"]))
        number = await ledger.post(session, counter, occurred_at=now, reverses=row.transaction_id)
        await breaks.take_lines(session, transactions=[number], postings=[])
    await breaks.put_lines_back(session, undo.get("lines", []))
    row.state, row.resolution, row.transaction_id = "open", None, None
    row.closed_by = row.close_reason = row.closed_at = None
    row.round += 1
    row.detail = {name: value for name, value in row.detail.items() if name != "undo"}


async def _record(
    session: AsyncSession,
    row: ReconciliationBreak,
    action: str,
    now: datetime,
    actor: Actor,
    reason: str,
    evidence: dict[str, Any] | None = None,
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="break",
        subject_id=row.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={
            "state": row.state,
            "amount_minor": row.amount_minor,
            "currency": row.currency,
            "transaction": row.transaction_id,
            **(evidence or {}),
        },
    )

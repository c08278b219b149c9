"""Several items of the work queue at once: what would happen to each, and what did.

Each item is decided by the use case that decides it alone, in transactions and under a key of its own, and every check
of a single decision is made. One step-up is enough: it is for exactly these items, and makes the one that the decision
of each uses. The same request again decides nothing twice and tells the first outcome; what was refused is tried again.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.bulk import DECISIONS, MOST, NEED_REASON, BulkAction
from domain.errors import BadInput, Conflict, NotAllowed, NotFound, PropOSError, Unavailable
from domain.key_errors import NeedsPerson
from firm import work_marks
from front.deciding import by_workflow, on_record
from front.fields import DecisionBody, Input, Reason
from front.once import Once
from front.subjects.subject import BulkItem, Subject, Subjects, Verb
from store.db import Database
from store.read import last_word, queue
from store.read.last_word import LastWord
from store.read.pages import View
from store.scope import FIRM

Hours = Literal[1, 4, 24, 72]


class Chosen(Input):
    """`kind` and `id` as in the queue. `seen`: that of the preview; an approval needs it."""

    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,24}$")]
    id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
    seen: Annotated[str, Field(pattern=r"^[0-9a-f.]{1,120}$")] | None = None

    @property
    def ref(self) -> str:
        return f"{self.kind}/{self.id}"


class BulkAsked(Input):
    """What is to be done with which items. `hours`: for a snooze."""

    action: BulkAction
    items: Annotated[tuple[Chosen, ...], Field(min_length=1, max_length=MOST)]
    hours: Hours | None = None

    @model_validator(mode="after")
    def _fits(self) -> "BulkAsked":
        if len({each.ref for each in self.items}) < len(self.items):
            raise ValueError("items: each item once")
        if (self.action == "snooze") != (self.hours is not None):
            raise ValueError("hours: a snooze needs them, and nothing else does")
        return self


class BulkDecided(BulkAsked):
    """`reason`: is stored with every decision. Claims, snoozes and the taking of breaks need none."""

    reason: Reason | None = None

    @model_validator(mode="after")
    def _says_why(self) -> "BulkDecided":
        if self.action in NEED_REASON and (self.reason is None or len(self.reason) < 3):
            raise ValueError("reason: say why, in three characters or more")
        return self


class Planned(View):
    """`left_out`: why nothing would happen to it; empty when it would. `does`: what would."""

    kind: str
    id: str
    words: str
    does: str
    left_out: str
    seen: str
    amount_minor: int | None
    currency: str | None


class Total(View):
    amount_minor: int
    currency: str


class Plan(View):
    """What would happen. `totals`: what leaves the firm, by currency."""

    action: BulkAction
    items: tuple[Planned, ...]
    totals: tuple[Total, ...]


class ItemOutcome(View):
    """done: it is done. decided: somebody else decided first, `by` at `at` (market time). refused: `words` say why, and
    another try may be refused too. unknown: it may have happened; send the same request again. not_tried: a part of the
    firm is down, so nothing was tried."""

    kind: str
    id: str
    outcome: Literal["done", "decided", "refused", "unknown", "not_tried"]
    words: str
    by: str | None = None
    at: datetime | None = None


class Outcomes(View):
    action: BulkAction
    items: tuple[ItemOutcome, ...]


class _Done(BaseModel):
    """What is kept under the key of one item."""

    words: str


async def plan(db: Database, actor: Actor, subjects: Subjects, asked: BulkAsked) -> Plan:
    """What would happen to each item, each read in a transaction of its own. Raises NeedsPerson for an API key."""
    if actor.key_id is not None:
        raise NeedsPerson
    found = list[Planned]()
    for each in asked.items:
        async with db.transaction(FIRM) as session:
            found.append(await _planned(session, subjects, actor, asked, each))
    sums: dict[str, int] = {}
    for one in found:
        if not one.left_out and one.currency is not None and one.amount_minor is not None:
            sums[one.currency] = sums.get(one.currency, 0) + one.amount_minor
    totals = tuple(Total(amount_minor=minor, currency=currency) for currency, minor in sorted(sums.items()))
    return Plan(action=asked.action, items=tuple(found), totals=totals)


async def _planned(
    session: AsyncSession, subjects: Subjects, actor: Actor, asked: BulkAsked, chosen: Chosen
) -> Planned:
    subject = subjects.by_name.get(chosen.kind)
    item = await queue.one(session, subject.name, subject.waiting, chosen.id) if subject else None
    if subject is None or item is None:
        last = await last_word.last(session, chosen.kind, chosen.id) if subject else None
        gone = f"It no longer waits. {last.words}" if last else "It no longer waits."
        return _left_out(chosen, chosen.ref, gone)
    try:
        read = await _read(session, subject, actor, asked, chosen.id)
        await work_marks.check_free(session, chosen.kind, chosen.id, actor)
    except PropOSError as error:
        return _left_out(chosen, item.words, error.message)
    if read.alone:
        return _left_out(chosen, item.words, read.alone)
    return Planned(
        kind=chosen.kind,
        id=chosen.id,
        words=item.words,
        does=read.does,
        left_out="",
        seen=read.seen,
        amount_minor=read.amount.minor if read.amount else None,
        currency=read.amount.currency if read.amount else None,
    )


def _left_out(chosen: Chosen, words: str, why: str) -> Planned:
    return Planned(
        kind=chosen.kind, id=chosen.id, words=words, does="", left_out=why, seen="", amount_minor=None, currency=None
    )


async def _read(session: AsyncSession, subject: Subject, actor: Actor, asked: BulkAsked, id: str) -> BulkItem:
    """Raises NotFound, NotAllowed."""
    if asked.action in DECISIONS:
        verb = _verb(subject, asked.action)
        if verb is None or verb.bulk is None:
            return BulkItem(f"A {subject.label} is decided alone.", "")
        verb.right.check(actor)
        return await verb.bulk(session, id, actor)
    if subject.name not in Subjects((subject,)).decided_by(actor):
        raise NotAllowed("Only people who can decide it can claim or snooze it.")
    does = {
        "claim": "You claim it.",
        "release": "You release it.",
        "bring_back": "It is back in the queue.",
        "snooze": f"Snoozed for {asked.hours} h, and back two hours before its deadline at the latest.",
    }
    return BulkItem("", does[asked.action])


def _verb(subject: Subject, name: str) -> Verb | None:
    return next((verb for verb in subject.verbs if verb.name == name), None)


async def decide(once: Once, subjects: Subjects, asked: BulkDecided) -> Outcomes:
    """Does it, one item after the other. Raises NeedsPerson, StepUpRequired, IdempotencyMismatch, and BadInput for an
    approval without `seen`."""
    if once.actor.key_id is not None:
        raise NeedsPerson
    if asked.action == "approve" and not all(each.seen for each in asked.items):
        remedy = "Send the `seen` of the preview with it."
        raise BadInput("An approval says what was seen.", field="seen", remedy=remedy)
    async with once.deps.db.transaction(FIRM) as session:
        await once.begin(session, asked)
        await _prove(session, once, subjects, asked)
    found, down = list[ItemOutcome](), ""
    for each in asked.items:
        if down:
            found.append(ItemOutcome(kind=each.kind, id=each.id, outcome="not_tried", words=down))
            continue
        outcome, is_down = await _outcome(once, subjects, asked, each)
        found.append(outcome)
        down = "Not tried, since the one before could not be done." if is_down else ""
    return Outcomes(action=asked.action, items=tuple(found))


async def _prove(session: AsyncSession, once: Once, subjects: Subjects, asked: BulkDecided) -> None:
    """Uses one step-up for exactly this. Each item makes its own from it when nothing else stands in the way."""
    guarded = [
        (each, verb.proof)
        for each in asked.items
        if (subject := subjects.by_name.get(each.kind)) is not None
        and (verb := _verb(subject, asked.action)) is not None
        and verb.proof is not None
        and verb.bulk is not None
    ]
    if guarded:
        what = json.dumps([[each.ref, each.seen] for each, _ in guarded])
        await once.prove(session, guarded[0][1], do="bulk", verb=asked.action, items=what, said=asked.reason or "")


async def _outcome(once: Once, subjects: Subjects, asked: BulkDecided, chosen: Chosen) -> tuple[ItemOutcome, bool]:
    """What became of one item, and whether a part is down so that the others need not be tried."""

    def is_now(outcome: Literal["done", "decided", "refused", "unknown", "not_tried"], words: str) -> ItemOutcome:
        return ItemOutcome(kind=chosen.kind, id=chosen.id, outcome=outcome, words=words)

    try:
        subject = subjects.by_name.get(chosen.kind)
        if subject is None:
            raise NotFound
        return is_now("done", await _do(once, subject, asked, chosen)), False
    except Unavailable as error:
        return is_now("unknown", f"{error.message} {error.remedy or ''}".strip()), True
    except PropOSError as error:
        words = f"{error.message} {error.remedy or ''}".strip()
        if isinstance(error, Conflict | NotFound):
            async with once.deps.db.transaction(FIRM) as session:
                last = await _others_word(session, subjects, chosen)
            if last is not None and last.user_id != once.actor.user_id:
                return is_now("decided", last.words).model_copy(update={"by": last.name, "at": last.at}), False
        return is_now("refused", words), False


async def _others_word(session: AsyncSession, subjects: Subjects, chosen: Chosen) -> LastWord | None:
    """Who decided an item that no longer waits."""
    subject = subjects.by_name.get(chosen.kind)
    if subject is None or await queue.one(session, subject.name, subject.waiting, chosen.id) is not None:
        return None
    return await last_word.last(session, chosen.kind, chosen.id)


async def _do(once: Once, subject: Subject, asked: BulkDecided, chosen: Chosen) -> str:
    """Does it to one item. Returns what was done. Raises everything that a single decision refuses with."""
    part = once.part(f"{asked.action} {chosen.ref}")
    verb = _verb(subject, asked.action) if asked.action in DECISIONS else None

    async def check(session: AsyncSession) -> BulkItem:
        read = await _read(session, subject, once.actor, asked, chosen.id)
        if read.alone:
            raise Conflict(read.alone)
        await work_marks.check_free(session, chosen.kind, chosen.id, once.actor)
        return read

    if verb is not None and verb.carry_out is None:

        async def only_check(session: AsyncSession) -> None:
            await check(session)

        verb.right.check(once.actor)
        body = DecisionBody(reason=asked.reason or "", seen=chosen.seen)
        taken = await by_workflow(
            subject, verb, chosen.id, body.reason, body=body, once=part, check=only_check, seen=chosen.seen
        )
        return f"{verb.done}. The {subject.label} is now {taken.state.replace('_', ' ')}."

    async def work(session: AsyncSession) -> _Done:
        if verb is not None and subject.lock is not None:
            await subject.lock(session, chosen.id)
        await check(session)
        if verb is not None:
            reason = asked.reason or ""
            await on_record(session, subject, verb, chosen.id, reason, part, seen=chosen.seen or "")
            return _Done(words=f"{verb.done}.")
        return _Done(words=await mark(session, subject, asked, chosen.id, once.actor))

    return (await part.write(_Done, asked, work)).words


async def mark(session: AsyncSession, subject: Subject, asked: BulkAsked, id: str, actor: Actor) -> str:
    """Claims, releases, snoozes or brings back an item that waits. Returns what was done. Raises NotFound, Conflict."""
    item = await queue.one(session, subject.name, subject.waiting, id)
    if item is None:
        raise NotFound("It no longer waits.")
    if asked.action == "claim":
        return f"Yours until {await work_marks.claim(session, subject.name, id, actor):%H:%M} UTC."
    if asked.action == "release":
        await work_marks.release(session, subject.name, id, actor)
        return "Released."
    if asked.action == "bring_back":
        await work_marks.bring_back(session, subject.name, id, actor)
        return "Back in the queue."
    until = await work_marks.put_aside(session, item, actor, timedelta(hours=asked.hours or 0))
    return f"Snoozed until {until:%Y-%m-%d %H:%M} UTC."


def chosen_of(refs: Sequence[str], seen: Sequence[str] = ()) -> list[dict[str, str | None]]:
    """The items of a form: "payout/pay_…", and what was seen of each, in the same order."""
    given = dict(zip(refs, seen, strict=False))
    return [
        {"kind": ref.partition("/")[0], "id": ref.partition("/")[2], "seen": given.get(ref) or None}
        for ref in dict.fromkeys(refs)
    ]

"""The guarded decision: whoever is refused leaves no row, for every kind of subject alike."""

from collections.abc import AsyncIterator, Sequence
from typing import get_args

import pytest
from sqlalchemy import func, select

from domain import approvals
from domain.approvals import DECIDERS, Actor, Role
from domain.errors import AlreadyDecided, BadInput, Conflict, NotAllowed, NotFound, SelfApproval
from firm import decide
from firm.decide import Choice, Subject
from store.models import Decision
from tests.payout_world import World, a_firm

KINDS: tuple[approvals.Subject, ...] = get_args(approvals.Subject)


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def _open(_made: Sequence[Decision]) -> None:
    return


async def _closed(_made: Sequence[Decision]) -> None:
    raise Conflict("It is over.")


async def attempt(
    firm: World,
    subject: Subject,
    actor: Actor,
    *,
    verb: str = "approve",
    reason: str = "Looked at it.",
    key: str = "",
    still_open: decide.StillOpen = _open,
) -> bool:
    """Returns whether a decision was recorded now."""
    choice = Choice(verb, actor, reason, key or f"{actor.user_id}/{verb}")
    async with firm.db.transaction() as session:
        return await decide.record(session, subject, choice, still_open) is not None


async def rows(firm: World) -> int:
    async with firm.db.transaction() as session:
        return int(await session.scalar(select(func.count()).select_from(Decision)) or 0)


async def decider(firm: World, kind: approvals.Subject, name: str) -> Actor:
    role: Role = next(role for role in ("finance", "risk", "support", "admin") if role in DECIDERS[kind])
    return await firm.add_user(name, role)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_decision_leaves_no_row(firm: World, kind: approvals.Subject) -> None:
    ann, sue = await decider(firm, kind, "ann"), await firm.add_user("sue", "auditor")
    subject = Subject(kind=kind, id="sub_1", digest="d", evidence={})
    own = Subject(kind=kind, id="sub_1", digest="d", evidence={}, asked_by=ann.person_id)
    with pytest.raises(BadInput, match="Say why"):
        await attempt(firm, subject, ann, reason=" ")
    with pytest.raises(NotAllowed):
        await attempt(firm, subject, sue)
    with pytest.raises(SelfApproval):
        await attempt(firm, own, ann)
    with pytest.raises(Conflict, match="It is over"):
        await attempt(firm, subject, ann, still_open=_closed)
    assert await rows(firm) == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_person_decides_once_and_the_same_request_again_changes_nothing(
    firm: World, kind: approvals.Subject
) -> None:
    ann = await decider(firm, kind, "ann")
    subject = Subject(kind=kind, id="sub_1", digest="d", evidence={"seen": 1})
    assert await attempt(firm, subject, ann)
    assert not await attempt(firm, subject, ann, still_open=_closed)
    with pytest.raises(AlreadyDecided):
        await attempt(firm, subject, ann, key="another")
    assert await rows(firm) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_where_the_first_decision_is_final_a_second_person_reads_who_made_it(
    firm: World, kind: approvals.Subject
) -> None:
    ann, bob = await decider(firm, kind, "ann"), await decider(firm, kind, "bob")
    final = Subject(kind=kind, id="sub_1", digest="d", evidence={}, once=True)
    assert await attempt(firm, final, ann)
    with pytest.raises(AlreadyDecided) as refused:
        await attempt(firm, final, bob, verb="reject")
    assert refused.value.by == ann.user_id
    assert await rows(firm) == 1


async def test_the_owner_may_cancel_without_a_reason_and_a_stranger_finds_nothing(firm: World) -> None:
    tina, ute = await firm.add_trader("tina"), await firm.add_trader("ute")
    owned = Subject(
        kind="payout",
        id="pay_1",
        digest="d",
        evidence={},
        owner_id=str(tina.trader_id),
        owner_verbs=frozenset({"cancel"}),
    )
    with pytest.raises(NotFound):
        await attempt(firm, owned, ute, verb="cancel", reason="")
    with pytest.raises(NotAllowed):
        await attempt(firm, owned, tina)
    assert await attempt(firm, owned, tina, verb="cancel", reason="")


async def test_who_approved_may_still_reject_where_that_is_allowed(firm: World) -> None:
    fay, done = await firm.add_user("fay", "finance"), list[str]()
    subject = Subject(
        kind="payout",
        id="pay_1",
        digest="d",
        evidence={},
        decided_by=lambda verb: [fay.person_id] if verb in done else [],
    )
    assert await attempt(firm, subject, fay)
    done.append("approve")
    with pytest.raises(AlreadyDecided):
        await attempt(firm, subject, fay, key="another")
    assert await attempt(firm, subject, fay, verb="reject")

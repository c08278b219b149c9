"""Identity checks by a checker on the record: asked, answered, and what follows from the answer."""

from typing import Any, Final, Protocol

from sqlalchemy import CompoundSelect, String, cast, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from domain import identity
from domain.errors import Conflict, NotFound
from domain.keys import new_id
from firm import people, screening
from store import audit, identity_facts, rows
from store.clock import market_now
from store.models import Challenge, IdentityCheck, Payout, Trader

NAME_DIFFERS: Final = "name_differs"
_OPEN: Final = ("asked", "pending")
_FINAL: Final = ("verified", NAME_DIFFERS)  # an answer that was read earlier and arrives later changes nothing


class Answer(Protocol):
    """A session as ports/identity.py has it."""

    @property
    def session_id(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def full_name(self) -> str: ...
    @property
    def born(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def document(self) -> str: ...
    @property
    def reference(self) -> str: ...


async def ask(session: AsyncSession, trader_id: str, checker: str) -> IdentityCheck:
    """Returns the open check of this trader at this checker, or a new one. Commit it before the checker is called with
    its id as the key. Raises NotFound, Conflict (their identity is decided)."""
    trader = await rows.locked(session, Trader, trader_id)
    if trader.identity != "unverified":
        raise Conflict(f"The identity of this trader is {trader.identity} already.")
    found = await session.scalar(
        select(IdentityCheck)
        .where(IdentityCheck.trader_id == trader_id, IdentityCheck.checker == checker, IdentityCheck.status.in_(_OPEN))
        .order_by(IdentityCheck.recorded_at.desc())
        .limit(1)
    )
    if found is not None:
        return found
    made = IdentityCheck(id=new_id("idc"), trader_id=trader_id, checker=checker, status="asked", why="")
    session.add(made)
    await session.flush()
    return made


async def answered(session: AsyncSession, check_id: str, answer: Answer) -> str:
    """Records a session as the checker has it now, and verifies the trader or leaves it to a person. The same answer
    again changes nothing. Returns the status of the check. Raises NotFound."""
    trader_id = await session.scalar(select(IdentityCheck.trader_id).where(IdentityCheck.id == check_id))
    if trader_id is None or answer.reference != trader_id:
        raise NotFound("No identity check of ours has this session.")
    trader = await rows.locked(session, Trader, trader_id)
    check = await rows.locked(session, IdentityCheck, check_id)
    if check.status in _FINAL:
        return check.status
    follows = identity.outcome(answer.status, trader.name, answer.full_name)
    status = NAME_DIFFERS if follows == "ask_person" else answer.status
    check.session_id, check.url = answer.session_id, answer.url or None
    check.verified_name, check.born, check.why = answer.full_name or None, answer.born or None, answer.why
    await identity_facts.note(session, trader_id, "address", answer.address, source=f"identity/{check.checker}")
    await identity_facts.note(session, trader_id, "document", answer.document, source=f"identity/{check.checker}")
    if status == check.status:
        return status
    check.status = status
    await session.flush()
    if follows == "verify" and trader.identity == "unverified":
        await people.settle_identity(
            session, trader, verified=True, actor="system", role="system", reason=f"{check.checker} verified it",
            key=check.id,
        )  # fmt: skip
        return status
    if check.verified_name is not None:
        await screening.screen_trader(session, trader)
    await audit.record(
        session,
        action=f"trader.identity_check_{status}",
        subject_kind="trader",
        subject_id=trader.id,
        occurred_at=await market_now(session),
        evidence={"check": check.id, "checker": check.checker},
    )
    return status


def identity_waits() -> CompoundSelect[Any]:
    """The identity checks that wait for a person: an evaluation was passed, a payout cannot be sent, or documents name
    somebody else."""
    passed = select(
        Challenge.trader_id, Challenge.account_id.label("account_id"), Challenge.changed_at.label("since")
    ).where(Challenge.state == "identity_check")
    unpaid = (
        select(Payout.trader_id, Payout.account_id, Payout.requested_at)
        .join(Trader, Trader.id == Payout.trader_id)
        .where(Payout.state == "in_review", Trader.identity == "unverified")
    )
    differs = (
        select(IdentityCheck.trader_id, cast(null(), String).label("account_id"), IdentityCheck.recorded_at)
        .join(Trader, Trader.id == IdentityCheck.trader_id)
        .where(IdentityCheck.status == NAME_DIFFERS, Trader.identity == "unverified")
    )
    return union_all(passed, unpaid, differs)

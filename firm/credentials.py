"""What traders sign in to a venue with: made at the opening of an account, shown to the trader once, reset."""

from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import Actor, check_reason
from domain.errors import Conflict, NotAllowed, NotFound
from domain.passwords import new_password
from firm import messages
from store import audit, credentials, rows
from store.clock import market_now
from store.models import Account, Credential

RESETTERS = frozenset({"trader", "support", "admin"})


@dataclass(frozen=True)
class Shown:
    """`password` None: it was shown before."""

    username: str
    password: SecretStr | None


async def want_first(session: AsyncSession, account: Account) -> None:
    """Has the venue make the credentials of an account that is new there. A second call changes nothing."""
    before = await credentials.newest(session, account.id)
    if before is None or before.left_venue:
        await _want(session, account, "create", 1 if before is None else before.number + 1, None)


async def forget(session: AsyncSession, account_id: str) -> None:
    """The account has left the venue: nobody needs what the trader signed in with there."""
    before = await credentials.newest(session, account_id, locked=True)
    if before is not None:
        before.left_venue, before.password = True, None


async def reset(session: AsyncSession, account_id: str, *, resettable: bool, actor: Actor, reason: str) -> None:
    """Has the venue replace the password. `resettable`: it can. A trader needs no reason. Raises NotFound, NotAllowed,
    BadInput, and Conflict for an account without credentials or with some that are being made."""
    account = await rows.locked(session, Account, account_id)
    _check_own(account, actor)
    if actor.role not in RESETTERS:
        raise NotAllowed(f"Your role is {actor.role}; only {', '.join(sorted(RESETTERS))} reset credentials.")
    if actor.role != "trader":
        check_reason(reason)
    if not resettable:
        raise Conflict(
            "The password of this account cannot be reset here.", remedy="Set a new one on the page of the platform."
        )
    if account.login is None:
        raise Conflict("The account is not open at the platform yet.", remedy="Wait until it is.")
    before = await credentials.newest(session, account_id, locked=True)
    if before is not None:
        if before.username is None:
            raise Conflict("The platform is still making the login.", remedy="Wait a moment, then look again.")
        before.password = None  # it was never shown, and will not be the right one any more
    row = await _want(session, account, "reset", 1 if before is None else before.number + 1, actor)
    await _record(session, "credentials.reset", account, actor, reason, row.number)


async def show(session: AsyncSession, account_id: str, *, actor: Actor) -> Shown:
    """Hands the password to the trader of the account, once. Raises NotFound, and Conflict while there is none yet."""
    account = await rows.locked(session, Account, account_id)
    if actor.role != "trader":
        raise NotAllowed("Only the trader of an account sees its password.")
    _check_own(account, actor)
    row = await credentials.newest(session, account_id, locked=True)
    if row is None:
        raise NotFound
    if row.username is None:
        raise Conflict("The platform is still making the login.", remedy="Wait a moment, then look again.")
    password = await credentials.take(session, row)
    if password is None:
        return Shown(row.username, None)
    await _record(session, "credentials.shown", account, actor, "", row.number)
    return Shown(row.username, SecretStr(password))


def _check_own(account: Account, actor: Actor) -> None:
    if actor.role == "trader" and account.trader_id != actor.trader_id:
        raise NotFound


async def _want(session: AsyncSession, account: Account, kind: str, number: int, actor: Actor | None) -> Credential:
    row = Credential(
        id=keys.credential_id(account.id, number),
        account_id=account.id,
        number=number,
        kind=kind,
        password=new_password(),
        asked_by=None if actor is None else actor.user_id,
    )
    session.add(row)
    await session.flush()
    await messages.make_credentials(session, row.id, account.id)
    return row


async def _record(session: AsyncSession, action: str, account: Account, actor: Actor, reason: str, number: int) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="account",
        subject_id=account.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"number": number},
    )

"""Actions on an account as people choose them, on its page and over the API: those that their role allows."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.account_actions import Action, Name
from domain.approvals import Actor
from domain.errors import NotFound
from domain.interventions import Direction, Kind, signed
from domain.money import Money
from firm import account_actions, account_notes, freezes, interventions
from firm.payouts.preview import RoomChange, room_change
from front.credentials import can_reset
from front.deps import ApiDeps
from front.fields import Input, Reason, positive_money
from front.lacks import lacks_of
from front.permissions import may
from front.subjects.intervention import InterventionStep, stepped
from ports.capabilities import PlatformCapabilities
from store.models import Account
from store.read.accounts import AccountView
from store.read.pages import View

RIGHTS: Final[Mapping[Name, str]] = {
    "freeze": "accounts.freeze",
    "thaw": "accounts.thaw",
    "message": "tickets.open_for",
    "note": "accounts.note",
    "extend": "challenges.extend",
    "refund": "challenges.refund",
    "adjust": "interventions.propose",
    "reset": "interventions.propose",
    "move": "versions.propose",
    "platform": "platform_changes.propose",
    "compensate": "compensations.propose",
    "close": "interventions.propose",
    "credentials": "credentials.reset",
}


class PossibleAction(View):
    """`effects`: what it does now, each a sentence. `why_not`: why it cannot be done now; empty when it can. `people`:
    how many must agree."""

    name: str
    label: str
    effects: tuple[str, ...]
    why_not: str
    people: int


class FreezeBody(Input):
    reason: Reason


class AccountNoteBody(Input):
    body: Annotated[str, Field(min_length=1, max_length=account_notes.LONGEST)]


class InterventionBody(Input):
    """`reason` is for the firm, `message` for the trader."""

    reason: Reason
    message: Annotated[str, Field(min_length=1, max_length=1000)]


class AdjustmentBody(InterventionBody):
    """`amount`: such as "1240.50", in the currency of the account; `direction` says whether it is added or taken."""

    amount: str
    direction: Direction


class AdjustmentAsked(Input):
    """As in a proposal."""

    amount: str
    direction: Direction


class AdjustmentAhead(View):
    """What an adjustment would do to the account as it is now. `sentences` say the same in words; `refusal` says why
    it could not be proposed: empty when it could."""

    currency: str
    change_minor: int
    balance_minor: int
    balance_after_minor: int
    equity_minor: int
    equity_after_minor: int
    rooms: tuple[RoomChange, ...]
    sentences: tuple[str, ...]
    refusal: str


class Frozen(View):
    """`frozen`: what the account is now."""

    account_id: str
    freeze_id: str
    frozen: bool


class AccountNoted(View):
    id: str
    account_id: str


def acts(actor: Actor) -> bool:
    """Whether this person's role has any action on accounts."""
    return any(may(actor, right) for right in RIGHTS.values())


def shortcuts(actor: Actor, *, status: str, frozen: bool) -> tuple[tuple[Name, str], ...]:
    """Returns the actions that the page of an account names at once, each with its label. Whether one can be done now
    is read when it is chosen."""
    first: tuple[tuple[Name, str], ...] = (("freeze", "Freeze"),) if status == "active" else ()
    if frozen:
        first = (("thaw", "Thaw"),)
    return tuple(each for each in (*first, ("message", "Message")) if may(actor, RIGHTS[each[0]]))


async def possible(session: AsyncSession, deps: ApiDeps, account: AccountView, actor: Actor) -> tuple[Action, ...]:
    """Returns the actions on an account that this person's role allows. `account`: one that the person may see."""
    found = await account_actions.possible(
        session,
        account.id,
        sets_trading=_can(deps, account.platform).sets_trading,
        cancels_orders=_can(deps, account.platform).cancels_orders,
        moves_balances=_can(deps, account.platform).moves_balances,
        resettable=can_reset(deps, account.platform),
        other_platforms=[name for name, missing in lacks_of(deps).items() if not missing and name != account.platform],
    )
    return tuple(each for each in found if may(actor, RIGHTS[each.name]))


def _can(deps: ApiDeps, platform: str) -> PlatformCapabilities:
    """Returns what a platform can do; nothing for one that the settings do not name."""
    return next((each.capabilities for each in deps.platforms if each.name == platform), PlatformCapabilities())


async def freeze(session: AsyncSession, deps: ApiDeps, account_id: str, actor: Actor, reason: str) -> Frozen:
    """See `firm.freezes.freeze`; whether the platform can is what its adapter declares."""
    account = await session.get(Account, account_id)
    able = account is not None and _can(deps, account.platform).sets_trading
    made = await freezes.freeze(session, account_id, sets_trading=able, actor=actor, reason=reason)
    return Frozen(account_id=account_id, freeze_id=made.id, frozen=True)


async def thaw(session: AsyncSession, account_id: str, actor: Actor, reason: str) -> Frozen:
    """See `firm.freezes.thaw`."""
    made = await freezes.thaw(session, account_id, actor=actor, reason=reason)
    return Frozen(account_id=account_id, freeze_id=made.id, frozen=False)


async def note(session: AsyncSession, account_id: str, actor: Actor, body: str) -> AccountNoted:
    """See `firm.account_notes.write`."""
    made = await account_notes.write(session, account_id, body=body, actor=actor)
    return AccountNoted(id=made.id, account_id=account_id)


async def intervene(
    session: AsyncSession, deps: ApiDeps, account_id: str, kind: Kind, body: InterventionBody, actor: Actor
) -> InterventionStep:
    """See `firm.interventions.propose`. `body`: an AdjustmentBody for an adjustment. Raises NotFound."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound
    change = _change_of(account, body) if isinstance(body, AdjustmentBody) else None
    made = await interventions.propose(
        session,
        account_id,
        kind,
        change=change,
        moves_balances=_can(deps, account.platform).moves_balances,
        actor=actor,
        reason=body.reason,
        message=body.message,
    )
    return stepped(made)


async def adjustment_ahead(
    session: AsyncSession, deps: ApiDeps, account_id: str, asked: AdjustmentAsked
) -> AdjustmentAhead:
    """Returns what an adjustment would do. Nothing is recorded. Raises NotFound; BadInput for what is no amount;
    Conflict while the balance is not known."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound
    moves_balances = _can(deps, account.platform).moves_balances
    ahead, refusal = await interventions.ahead(
        session, account, _change_of(account, asked), moves_balances=moves_balances
    )
    return AdjustmentAhead(
        currency=account.currency,
        change_minor=ahead.change.minor,
        balance_minor=ahead.balance.minor,
        balance_after_minor=ahead.balance_after.minor,
        equity_minor=ahead.equity.minor,
        equity_after_minor=ahead.equity_after.minor,
        rooms=tuple(room_change(old, new) for old, new in zip(ahead.before, ahead.after, strict=True)),
        sentences=ahead.sentences,
        refusal=refusal,
    )


def _change_of(account: Account, asked: AdjustmentAsked | AdjustmentBody) -> Money:
    return signed(positive_money(asked.amount, account.currency), asked.direction)

"""What an account has: asked at once, so that its page reads only what is there. Most accounts have little."""

from typing import Any, Final, Literal

from sqlalchemy import String, bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import (
    AccountMoveRow,
    CaseAccount,
    Dispute,
    GateStanding,
    Payout,
    PlatformChange,
    Ticket,
    VenueLimits,
    WarningRow,
)
from store.together import OneValueEach

Part = Literal[
    "case_actions", "move", "platform_change", "venue_limits", "warnings", "gates", "payouts", "tickets", "disputes"
]

_ACCOUNT: Final = bindparam("account_id", type_=String)
_OF: Final[dict[Part, Any]] = {
    "case_actions": CaseAccount.account_id,
    "move": AccountMoveRow.account_id,
    "platform_change": PlatformChange.account_id,
    "venue_limits": VenueLimits.account_id,
    "warnings": WarningRow.account_id,
    "gates": GateStanding.account_id,
    "payouts": Payout.account_id,
    "tickets": Ticket.account_id,
    "disputes": Dispute.account_id,
}
_ANY: Final = OneValueEach(**{part: select(exists().where(of == _ACCOUNT)) for part, of in _OF.items()})


async def parts(session: AsyncSession, account_id: str) -> frozenset[Part]:
    """Returns the parts of which there is a row that names this account, whoever may see it."""
    found = await _ANY.read(session, account_id=account_id)
    return frozenset(part for part, any_row in zip(_OF, found, strict=True) if any_row)

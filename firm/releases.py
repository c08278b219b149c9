"""What is done with versions of workers, in the audit log. Temporal keeps the versions themselves."""

from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import check_reason
from store import audit
from store.clock import market_now

Step = Literal["made_current", "ramped", "drained"]
_BY: Final = "command-line"


async def note(session: AsyncSession, step: Step, build: str, reason: str, **evidence: object) -> None:
    """Raises BadInput without a reason. `build`: the version that it is about, or `unversioned`."""
    check_reason(reason)
    await audit.record(
        session,
        action=f"release.{step}",
        subject_kind="release",
        subject_id=build,
        occurred_at=await market_now(session),
        actor=_BY,
        role="operator",
        reason=reason,
        evidence=dict(evidence),
    )

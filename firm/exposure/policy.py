"""The exposure policy: read from a file, and put in force on the record."""

from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.exposure.policy import ExposurePolicy
from firm import policy_files
from store.models import ExposurePolicyRow
from store.read import exposure

SHIPPED: Final = policy_files.FOLDER / "exposure.yaml"


def load_policy(path: Path | None = None) -> ExposurePolicy:
    """Reads a policy file, by default the shipped one. Raises PolicyInvalid."""
    return policy_files.read(path or SHIPPED, ExposurePolicy, shipped=SHIPPED)


async def publish(session: AsyncSession, policy: ExposurePolicy, *, by: str = "system") -> None:
    """Puts a policy in force, with an audit entry. The one that is in force already changes nothing."""
    before = await exposure.newest_policy(session)
    if before is not None and before.content_hash == policy.content_hash:
        return
    session.add(ExposurePolicyRow(content_hash=policy.content_hash, body=policy.model_dump(mode="json")))
    await session.flush()
    old = before.content_hash if before else None
    await policy_files.record_published(session, "exposure", old=old, new=policy.content_hash, by=by)

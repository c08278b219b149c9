"""The service policy: read from a file, put in force on the record, and read from there."""

from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.service.policy import NO_POLICY, ServicePolicy
from firm import policy_files
from store.models import ServicePolicyRow

SHIPPED: Final = policy_files.FOLDER / "service.yaml"
_IN_FORCE: Final = "service_policy"  # as this transaction has read it
_read: dict[str, ServicePolicy] = {}  # the newest version by its hash


_LAST: Final = ServicePolicyRow.number.desc()
NEWEST_NUMBER: Final = select(ServicePolicyRow.number).order_by(_LAST).limit(1)
NEWEST_HASH: Final = select(ServicePolicyRow.content_hash).order_by(_LAST).limit(1)


class InForce(NamedTuple):
    """The policy in force and its number on the record; 0 before the first was published."""

    number: int
    policy: ServicePolicy


def load_policy(path: Path | None = None) -> ServicePolicy:
    """Reads a policy file, by default the shipped one. Raises PolicyInvalid."""
    return policy_files.read(path or SHIPPED, ServicePolicy, shipped=SHIPPED)


async def publish(session: AsyncSession, policy: ServicePolicy, *, by: str = "system") -> None:
    """Puts a policy in force, with an audit entry. The one that is in force already changes nothing. The relay then
    computes the deadlines of open tickets anew."""
    before = await _newest(session)
    if before is not None and before.content_hash == policy.content_hash:
        return
    session.add(ServicePolicyRow(content_hash=policy.content_hash, body=policy.model_dump(mode="json")))
    await session.flush()
    session.info.pop(_IN_FORCE, None)
    old = before.content_hash if before else None
    await policy_files.record_published(session, "service", old=old, new=policy.content_hash, by=by)


async def in_force(session: AsyncSession) -> InForce:
    """Returns the policy in force, the same one within a transaction."""
    known: InForce | None = session.info.get(_IN_FORCE)
    if known is None:
        row = await _newest(session)
        known = InForce(0, NO_POLICY) if row is None else InForce(row.number, _parsed(row))
        session.info[_IN_FORCE] = known
    return known


def take_known(session: AsyncSession, number: int | None, content_hash: str | None) -> None:
    """Takes the newest version (`NEWEST_NUMBER`, `NEWEST_HASH`) as the one in force, if this process has read it."""
    if number is not None and content_hash in _read:
        session.info.setdefault(_IN_FORCE, InForce(number, _read[content_hash]))


async def _newest(session: AsyncSession) -> ServicePolicyRow | None:
    newest = select(ServicePolicyRow).order_by(_LAST).limit(1)
    found: ServicePolicyRow | None = await session.scalar(newest)
    return found


def _parsed(row: ServicePolicyRow) -> ServicePolicy:
    """Reads a version once in a process: it never changes."""
    known = _read.get(row.content_hash)
    if known is None:
        _read.clear()
        known = _read[row.content_hash] = ServicePolicy.model_validate(row.body)
    return known

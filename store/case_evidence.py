"""The evidence of a case: its alerts, frozen when they joined, and what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.decision_errors import EvidenceChanged
from domain.surveillance.casework import alert_digest, seen_digest
from domain.surveillance.findings import CloseChallenges, Finding
from store import surveillance
from store.models import Alert, Case, CaseAction, CaseAlert


@dataclass(frozen=True, slots=True)
class Evidence:
    """The alerts of a case in the order in which they joined. `changed`: ids of those that are not as they were."""

    alerts: Sequence[Alert]
    digests: Sequence[str]
    changed: Sequence[str]

    @property
    def findings(self) -> list[Finding]:
        return [surveillance.finding(alert) for alert in self.alerts]

    @property
    def blamed(self) -> tuple[str, ...]:
        """Returns the accounts whose trading is blamed: not those of a verdict that may be wrong."""
        found = [each.blamed for each in self.findings if isinstance(each.if_confirmed, CloseChallenges)]
        return tuple(dict.fromkeys(account for blamed in found for account in blamed))

    @property
    def is_about_trading(self) -> bool:
        return all(isinstance(each.if_confirmed, CloseChallenges) for each in self.findings)

    def check(self) -> None:
        """Raises EvidenceChanged."""
        if self.changed:
            raise EvidenceChanged(self.changed)

    def seen(self, case_id: str, proposal: CaseAction | None) -> str:
        """Returns the digest of what a person sees: this evidence and the proposed action."""
        return seen_digest(case_id, self.digests, proposal.digest if proposal else "")


def digest(alert: Alert) -> str:
    """Returns the digest of an alert as it is stored now."""
    return alert_digest(
        key=alert.key,
        detector=alert.detector,
        score=alert.score,
        sentence=alert.sentence,
        evidence=alert.evidence,
        occurred_at=alert.occurred_at,
    )


async def freeze(session: AsyncSession, case: Case, alert_id: str) -> None:
    """Adds an alert to a case as it is stored now."""
    alert = await session.get_one(Alert, alert_id, populate_existing=True)
    session.add(CaseAlert(case_id=case.id, alert_id=alert_id, digest=digest(alert), joined_at=alert.occurred_at))
    await session.flush()


async def of(session: AsyncSession, case_id: str) -> Evidence:
    """Returns the evidence of a case as it is stored now, compared with what was frozen."""
    rows = await session.execute(
        select(Alert, CaseAlert.digest)
        .join(CaseAlert, CaseAlert.alert_id == Alert.id)
        .where(CaseAlert.case_id == case_id)
        .order_by(CaseAlert.recorded_at, Alert.id)
        .execution_options(populate_existing=True)
    )
    found = rows.all()
    return Evidence(
        alerts=[alert for alert, _ in found],
        digests=[kept for _, kept in found],
        changed=[alert.id for alert, kept in found if digest(alert) != kept],
    )

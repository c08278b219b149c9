"""A confirmed surveillance case against a challenge."""

from store.models import Account, Alert, Case, CaseAccount
from tests.challenge_world import Firm


async def convict(firm: Firm, challenge_id: str) -> str:
    """A person has confirmed that the challenge's account copied another; gives the case's id."""
    return await accuse(firm, await firm.account(challenge_id), state="confirmed")


async def accuse(firm: Firm, account: Account, state: str = "open") -> str:
    """A case that the account copied another; gives its id."""
    now = await firm.now()
    async with firm.db.transaction() as session:
        alert = Alert(
            id=f"alr_{account.number}",
            key=account.id,
            detector="copy_trading",
            score=1,
            sentence="It copied.",
            evidence={"leader": "acc_other", "follower": account.id},
            occurred_at=now,
        )
        session.add(alert)
        await session.flush()
        session.add(Case(id=f"cas_{account.number}", alert_id=alert.id, state=state, opened_at=now))
        await session.flush()
        session.add(CaseAccount(case_id=f"cas_{account.number}", account_id=account.id))
    return f"cas_{account.number}"

"""A confirmed surveillance case against a challenge."""

from store.models import Account, Alert
from tests import case_rows
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
        case_id = f"cas_{account.number}"
        await case_rows.add_case(session, case_id, alert, [account.id], opened_at=now, state=state)
    return f"cas_{account.number}"

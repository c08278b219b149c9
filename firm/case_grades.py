"""What the policy proposes for a case: the consequence grows with every offence of the same family. People decide."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.surveillance.casework import ACTION_WORDS, CASE, ProposedAction
from domain.surveillance.names import family_name
from firm import surveillance_policies
from store.case_evidence import Evidence
from store.models import Account, Case, CaseAccount

_ORDINALS = {1: "first", 2: "second", 3: "third"}
_ACTED = tuple(sorted(CASE.reopens))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`offence`: 1 for the first. `reason`: a sentence for the person who decides."""

    action: ProposedAction
    offence: int
    reason: str


async def suggested(session: AsyncSession, case: Case, known: Evidence) -> Suggestion | None:
    """Returns what the policy proposes; None for a case that blames nobody. Of several traders the one with the most
    earlier offences counts. A case that an appeal overturned is no offence."""
    if not known.blamed:
        return None
    accused = select(Account.trader_id).where(Account.id.in_(known.blamed))
    earlier = await session.execute(
        select(Account.trader_id, func.count(Case.id.distinct()))
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .join(Case, Case.id == CaseAccount.case_id)
        .where(
            Account.trader_id.in_(accused),
            CaseAccount.blamed,
            Case.id != case.id,
            Case.family == case.family,
            Case.state.in_(_ACTED),
        )
        .group_by(Account.trader_id)
    )
    before = max((number for _, number in earlier), default=0)
    product = await session.scalar(
        select(Account.product).where(Account.id.in_(known.blamed)).order_by(Account.number.desc()).limit(1)
    )
    policy = await surveillance_policies.in_force(session)
    action = policy.action_for(case.family, product or "", before + 1)
    ordinal = _ORDINALS.get(before + 1, f"{before + 1}th")
    reason = (
        f"{ordinal.capitalize()} offence in {family_name(case.family)}: the policy proposes to {ACTION_WORDS[action]}."
    )
    return Suggestion(action, before + 1, reason)

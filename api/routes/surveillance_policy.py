"""The surveillance policy: thresholds, holds and consequences, changed by two people."""

from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from firm import surveillance_policies
from front.auth import Deps, allowed
from front.fields import Input, PolicyChangeId, Reason
from front.once import Keyed
from front.subjects.policy_change import PolicyChanged
from store.read import policy_changes

router = APIRouter(prefix="/v1", tags=["surveillance"])
Read = Depends(allowed("policy_changes.read"))


class PolicyBody(Input):
    """`policy`: the whole policy as it shall be, as `GET /v1/surveillance/policy` has it."""

    policy: dict[str, Any]
    reason: Reason


@router.get("/surveillance/policy", dependencies=[Read])
async def get_surveillance_policy(deps: Deps) -> policy_changes.PolicyView:
    """The policy in force."""
    async with deps.db.transaction() as session:
        return await policy_changes.in_force(session)


@router.post("/policy-changes", status_code=201, dependencies=[Depends(allowed("policy_changes.decide"))])
async def propose_policy_change(body: PolicyBody, once: Keyed) -> PolicyChanged:
    """Propose another policy. Its thresholds are replayed over the past first; a second person then approves it with
    `POST /v1/policy-changes/{id}/approve`, and it is in force at once."""

    async def work(session: AsyncSession) -> PolicyChanged:
        row = await surveillance_policies.propose(session, body.policy, actor=once.actor, reason=body.reason)
        return PolicyChanged(id=row.id, state=row.state)

    return await once.write(PolicyChanged, body, work)


@router.get("/policy-changes/{change_id}", dependencies=[Read])
async def get_policy_change(change_id: PolicyChangeId, deps: Deps) -> policy_changes.PolicyChangeView:
    async with deps.db.transaction() as session:
        return await policy_changes.one(session, change_id)

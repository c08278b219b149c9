"""What waits for a decision and has no list of its own but the work queue: accounts for payouts, sanctions hits."""

from fastapi import APIRouter, Depends

from front.auth import Deps, allowed
from front.fields import BeneficiaryPath, HitId
from store.read import beneficiaries, screening

router = APIRouter(prefix="/v1", tags=["firm"])


@router.get("/beneficiaries/{beneficiary_id}", dependencies=[Depends(allowed("beneficiaries.read"))])
async def get_beneficiary(beneficiary_id: BeneficiaryPath, deps: Deps) -> beneficiaries.BeneficiaryDetail:
    """Where a trader is paid, masked, and whether it is confirmed."""
    async with deps.db.transaction() as session:
        return await beneficiaries.one(session, beneficiary_id)


@router.get("/sanction-hits/{hit_id}", dependencies=[Depends(allowed("sanctions.read"))])
async def get_sanction_hit(hit_id: HitId, deps: Deps) -> screening.HitView:
    """A trader beside the listed person. For those who decide it."""
    async with deps.db.transaction() as session:
        return await screening.hit(session, hit_id)
